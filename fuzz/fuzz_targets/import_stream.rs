//! Import stream: arbitrary bytes are refused or read, never a panic or an endless loop, and a
//! stream that is read to its end is written again byte for byte.
//!
//! Every record carries a checksum, which random bytes never match. So an input whose first byte is
//! odd is taken as a list of records without checksums (one length byte pair, then the record), and
//! this target adds the header, the lengths and the checksums. Other inputs are read as they are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tollkeeper_engine::transfer::{StreamReader, StreamWriter};

/// The header of a stream of version 2.
const HEADER: &[u8] = b"tollkeeper ledger\n\x02\0\0\0";

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((first, records)) if first % 2 == 1 => read(&framed(records)),
        Some((_, stream)) => read(stream),
        None => read(input),
    }
});

/// Reads a stream to its end or to its first fault; a whole one is written again and compared.
fn read(stream: &[u8]) {
    let Ok(mut reader) = StreamReader::begin(stream) else { return };
    let mut writer = StreamWriter::begin(Vec::new()).expect("memory takes every write");
    loop {
        match reader.next_entry() {
            Ok(Some(entry)) => writer.entry(&entry.workspace, &entry.bytes).expect("memory takes every write"),
            Ok(None) => break,
            Err(_) => return,
        }
    }
    let (written, counts) = writer.end().expect("memory takes every write");
    assert_eq!(counts, reader.counts());
    // A stream of version 1 is written as version 2, whose checksums differ.
    if stream.starts_with(HEADER) {
        assert_eq!(written, stream, "what was read is not what is written");
    }
}

/// Adds the header, and to each record its length and the checksum of everything before it.
fn framed(mut records: &[u8]) -> Vec<u8> {
    let mut stream = HEADER.to_vec();
    let mut sum = crc32fast::Hasher::new();
    sum.update(HEADER);
    while let Some((length, rest)) = records.split_first_chunk::<2>() {
        let (record, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        let length = u32::try_from(record.len()).expect("at most 65,535").to_le_bytes();
        sum.update(&length);
        sum.update(record);
        stream.extend_from_slice(&length);
        stream.extend_from_slice(record);
        stream.extend_from_slice(&sum.clone().finalize().to_le_bytes());
        records = rest;
    }
    stream
}
