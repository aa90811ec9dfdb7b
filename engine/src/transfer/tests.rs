//! A stream reads back, and every change of it is found.

use tollkeeper_ledger::{
    Account, Actor, EntryBody, Grant, GrantId, Id, Micros, Profile, Source, Timestamp, WorkspaceId,
};

use super::{Comparison, Counts, StreamEntry, StreamReader, StreamWriter};
use crate::Error;

/// The journal of a workspace: its creation and `grants` grants.
fn journal(name: &str, grants: u64) -> (WorkspaceId, Vec<Vec<u8>>) {
    let id = WorkspaceId::new(name).expect("a name");
    let mut account = Account::new(id.clone());
    let opened =
        EntryBody::WorkspaceCreated(Box::new(Profile { name: name.into(), ..*account.profile.clone() }));
    let granted = |n: u64| EntryBody::Granted {
        grant: Grant {
            id: GrantId(Id::v7(1, 1, n)),
            n,
            source: Source::Promotional,
            amount: Micros::new(100),
            remaining: Micros::new(100),
            voided_at: None,
        },
        reason: Some("welcome".into()),
        origin: None,
        paid_cents: 0,
    };
    let bodies = std::iter::once(opened).chain((2..2 + grants).map(granted));
    let written = bodies.map(|body| {
        let entry = account.record(body, None, Actor::Platform, Timestamp::from_millis(1));
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        account.link(crate::digest(&bytes));
        bytes
    });
    let bytes = written.collect();
    (id, bytes)
}

fn stream(journals: &[(WorkspaceId, Vec<Vec<u8>>)]) -> Vec<u8> {
    let mut stream = StreamWriter::begin(Vec::new()).expect("a vector takes every write");
    for (id, entries) in journals {
        entries.iter().for_each(|bytes| stream.entry(id, bytes).expect("a vector takes every write"));
    }
    stream.end().expect("a vector takes every write").0
}

fn read(bytes: &[u8]) -> Result<(Vec<StreamEntry>, Counts), Error> {
    let mut stream = StreamReader::begin(bytes)?;
    let mut entries_read = Vec::new();
    while let Some(streamed) = stream.next_entry()? {
        entries_read.push(streamed);
    }
    Ok((entries_read, stream.counts()))
}

#[test]
fn a_stream_reads_back_byte_for_byte() {
    let journals = [journal("acme", 3), journal("other", 0)];
    let (entries_read, counts) = read(&stream(&journals)).expect("as written");
    assert_eq!(counts, Counts { entries: 5, journals: 2 });
    let written = journals.iter().flat_map(|(id, entries)| entries.iter().map(move |bytes| (id, bytes)));
    for (streamed, (id, bytes)) in entries_read.iter().zip(written) {
        assert_eq!((&streamed.workspace, &*streamed.bytes), (id, bytes.as_slice()));
    }
    assert_eq!(entries_read[1].entry.previous, entries_read[0].hash);
}

#[test]
fn every_flipped_bit_and_every_cut_is_found_and_reported_with_its_position() {
    let whole = stream(&[journal("acme", 1)]);
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = read(&flipped).expect_err("a flipped bit is found");
        assert!(error.is_damaged(), "bit {bit}: {error}");
        let text = error.to_string();
        assert!(bit / 8 < 22 || text.starts_with("record "), "bit {bit}: {text}");
    }
    for length in 0..whole.len() {
        let error = read(&whole[..length]).expect_err("a cut is found");
        let cut = format!("cut off at byte {length}, ");
        assert!(error.is_damaged() && error.to_string().contains(&cut), "cut to {length}: {error}");
    }
    let longer = [&whole[..], b"x"].concat();
    assert!(read(&longer).expect_err("nothing follows the end").to_string().contains("something follows"));
}

#[test]
fn an_end_record_of_another_length_is_refused() {
    let mut stream = stream(&[]);
    let record = stream.split_off(22);
    let longer = [&18_u32.to_le_bytes()[..], &record[4..21], &[0]].concat();
    stream.extend_from_slice(&longer);
    let sum = crc32fast::hash(&stream);
    stream.extend_from_slice(&sum.to_le_bytes());
    assert!(read(&stream).expect_err("a byte too many").to_string().contains("of another length"));
}

#[test]
fn a_record_that_is_missing_or_elsewhere_is_found() {
    let (id, entries) = journal("acme", 2);
    let whole = stream(&[(id.clone(), entries.clone())]);
    let record = |index: usize| {
        let length = |index: usize| 4 + 2 + "acme".len() + entries[index].len() + 4;
        let from = 22 + (0..index).map(length).sum::<usize>();
        from..from + length(index)
    };
    let missing = [&whole[..record(1).start], &whole[record(1).end..]].concat();
    assert!(read(&missing).expect_err("one is missing").to_string().starts_with("record 2, at byte "));
    let parts =
        [&whole[..22], &whole[record(0)], &whole[record(2)], &whole[record(1)], &whole[record(2).end..]];
    assert!(read(&parts.concat()).expect_err("two are swapped").is_damaged());
}

#[test]
fn entries_that_are_there_are_recognized_and_another_ledger_is_refused() {
    let (acme, twin) = (journal("acme", 3), journal("acme", 4));
    let (entries_read, counts) = read(&stream(&[acme])).expect("as written");
    let (longer, _) = read(&stream(&[twin])).expect("as written");
    let end_of = |streamed: &StreamEntry| tollkeeper_ledger::ChainEnd {
        n: streamed.entry.n,
        at: streamed.entry.at,
        hash: streamed.hash,
    };

    // The engine holds two of the four entries: those are recognized, the others are new.
    let mut comparison = Comparison::new(Vec::new());
    let mut stored = end_of(&entries_read[1]);
    let mut new = Vec::new();
    for streamed in &entries_read {
        let is_new = comparison.is_new(streamed, &stored).expect("the same ledger");
        if is_new {
            stored = end_of(streamed);
        }
        new.push(is_new);
    }
    assert_eq!(new, [false, false, true, true]);
    comparison.finish(counts, counts).expect("all of it is there");

    // The engine holds five: the stream ends before.
    let mut comparison = Comparison::new(Vec::new());
    let stored = end_of(&longer[4]);
    assert!(
        entries_read.iter().all(|streamed| !comparison.is_new(streamed, &stored).expect("the same so far"))
    );
    let error = comparison.finish(counts, counts).expect_err("it has gone on");
    assert!(error.is_import_conflict() && error.to_string().contains("ends with its entry 4"), "{error}");

    // The engine's second entry is another one.
    let mut other = end_of(&entries_read[1]);
    other.hash[0] ^= 1;
    let mut comparison = Comparison::new(Vec::new());
    assert!(!comparison.is_new(&entries_read[0], &other).expect("only the hash at the end says it"));
    let error = comparison.is_new(&entries_read[1], &other).expect_err("another ledger");
    assert!(error.is_import_conflict() && error.to_string().contains("differs at entry 2"), "{error}");
}
