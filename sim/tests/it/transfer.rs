//! Moving house: a ledger that moved is the same ledger. Keys replay, charges are found by their ids, what is pending is
//! due when it was, audits agree on both sides; an import that was interrupted goes on; ledgers are never mixed.

use std::path::Path;

use tollkeeper_engine::embedded::{Embedded, audit, export, import, import_tuned};
use tollkeeper_engine::transfer::{Imported, Line, StreamReader, StreamWriter};
use tollkeeper_engine::{Engine, Options, Postgres, postgres};
use tollkeeper_sim::differential::{Differential, next_batch};
use tollkeeper_sim::engines::embedded::small;
use tollkeeper_sim::random::Random;
use tollkeeper_sim::workload::Workload;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{is_missing, shared};
use tollkeeper_testkit::scratch::Scratch;

/// Steps before and after a move.
const STEPS: usize = 150;

/// Asks an engine so many steps beside the model, and compares everything at the end.
fn live(engine: &dyn Engine, diff: &mut Differential, workload: &mut Workload) {
    let until = diff.steps() + STEPS;
    while diff.steps() < until {
        let batch = next_batch(diff, workload, 7);
        let now = batch[0].0.now;
        let submissions = batch.iter().map(|(_, submission)| submission.clone()).collect();
        let answers = block_on(engine.run_batch(submissions, now)).expect("a healthy engine");
        for ((step, _), ran) in batch.iter().zip(answers) {
            diff.compare(step, ran).unwrap_or_else(|difference| panic!("{difference}"));
        }
    }
    diff.compare_all(engine).unwrap_or_else(|difference| panic!("{difference}"));
}

fn live_in(directory: &Path, diff: &mut Differential, workload: &mut Workload) {
    let engine = Embedded::open(directory, Options::default()).expect("it opens");
    live(&engine, diff, workload);
    block_on(engine.close()).expect("it closes in order");
}

fn live_on(url: &str, diff: &mut Differential, workload: &mut Workload) {
    let engine = block_on(Postgres::open(url, postgres::Options::default())).expect("it opens");
    live(&engine, diff, workload);
    block_on(engine.close()).expect("it closes in order");
}

fn exported(directory: &Path) -> Vec<u8> {
    let mut stream = Vec::new();
    export(directory, &mut stream).expect("it can be read");
    stream
}

/// The same ledger, one journal after the other, as an engine without one order for all of them gives it.
fn by_workspace(stream: &[u8]) -> Vec<u8> {
    let mut incoming = StreamReader::begin(stream).expect("an export");
    let mut journals: Vec<Vec<Line>> = Vec::new();
    while let Some(line) = incoming.next_line().expect("as exported") {
        match journals.iter_mut().find(|journal| journal[0].workspace == line.workspace) {
            Some(journal) => journal.push(line),
            None => journals.push(vec![line]),
        }
    }
    let mut outgoing = StreamWriter::begin(Vec::new()).expect("memory takes it");
    for line in journals.iter().flatten() {
        outgoing.entry(&line.workspace, &line.bytes).expect("memory takes it");
    }
    outgoing.end().expect("memory takes it").0
}

/// The same with a balance that was raised by one, whole in itself; and which record that is.
fn forged(stream: &[u8]) -> (u64, Vec<u8>) {
    let mut incoming = StreamReader::begin(stream).expect("an export");
    let mut outgoing = StreamWriter::begin(Vec::new()).expect("memory takes it");
    let mut forged = 0;
    while let Some(line) = incoming.next_line().expect("as exported") {
        let mut entry = line.entry;
        if entry.n == 4 && forged == 0 && !line.workspace.is_platform() {
            forged = line.position.record;
            entry.balance.available += tollkeeper_ledger::Micros::new(1);
        }
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        outgoing.entry(&line.workspace, &bytes).expect("memory takes it");
    }
    (forged, outgoing.end().expect("memory takes it").0)
}

/// An audit of both, which must pass and say the same.
fn audits_agree(one: &Path, other: &Path) {
    let sums = |directory| {
        let report = audit(directory).expect("it can be read");
        assert_eq!(report.disagreement.map(|found| found.what), None);
        (report.entries, report.workspaces, report.available, report.totals)
    };
    assert_eq!(sums(one), sums(other));
}

#[test]
fn a_ledger_lives_on_where_it_moved_and_moves_back() {
    for seed in 0..8 {
        let (old, new) = (Scratch::new(), Scratch::new());
        let (mut diff, mut workload) = (Differential::new(seed), Workload::new(seed));
        live_in(old.path(), &mut diff, &mut workload);
        let stream = exported(old.path());
        let stream = if seed % 2 == 0 { by_workspace(&stream) } else { stream };
        let options = || small(&mut Random::new(seed), None);
        let import_new = |stream: &[u8]| import_tuned(new.path(), stream, options());

        // Interrupted, then whole, then once more.
        let cut = import_new(&stream[..stream.len() * 2 / 3]).expect_err("it was cut off");
        assert!(cut.is_damaged() && cut.to_string().contains("cut off at byte"), "{cut}");
        let half = Embedded::open(new.path(), Options::default()).expect_err("a part of a ledger");
        assert!(half.is_unusable() && half.to_string().contains("not finished"), "{half}");
        let Imported { stream: all, written } = import_new(&stream).expect("it goes on");
        assert!(written > 0 && written < all.entries, "{written} of {}", all.entries);
        assert_eq!(import_new(&stream).expect("it is there").written, 0);
        audits_agree(old.path(), new.path());

        live_in(new.path(), &mut diff, &mut workload);
        assert!(import_new(&stream).expect_err("it has gone on").is_conflict());
        live_in(new.path(), &mut diff, &mut workload);
        let newer = exported(new.path());
        let back = import(old.path(), &newer[..]).expect("the old one is a beginning of the new one");
        assert!(back.written > 0 && back.written < back.stream.entries);
        audits_agree(old.path(), new.path());
        live_in(old.path(), &mut diff, &mut workload);
    }
}

#[test]
fn in_the_order_of_writing_the_journal_is_the_same_and_every_id_says_its_place() {
    let (old, new) = (Scratch::new(), Scratch::new());
    let (mut diff, mut workload) = (Differential::new(1), Workload::new(1));
    live_in(old.path(), &mut diff, &mut workload);
    let stream = exported(old.path());
    import(new.path(), &stream[..]).expect("an empty directory takes it");
    assert_eq!(exported(new.path()), stream);
    assert_ne!(by_workspace(&stream), stream, "the other test means something");
}

#[test]
fn two_ledgers_are_never_mixed() {
    let (one, other) = (Scratch::new(), Scratch::new());
    for (seed, directory) in [(1, one.path()), (2, other.path())] {
        live_in(directory, &mut Differential::new(seed), &mut Workload::new(seed));
    }
    let before = exported(one.path());
    let refused = import(one.path(), &exported(other.path())[..]).expect_err("another ledger is there");
    assert!(refused.is_conflict(), "{refused}");
    assert_eq!(exported(one.path()), before, "nothing was written");
}

#[test]
fn an_entry_that_does_not_follow_is_refused_with_its_place() {
    let (old, new) = (Scratch::new(), Scratch::new());
    live_in(old.path(), &mut Differential::new(3), &mut Workload::new(3));
    let (forged, stream) = forged(&exported(old.path()));
    let refused = import(new.path(), &stream[..]).expect_err("the balance does not follow");
    let told = refused.to_string();
    assert!(refused.is_damaged() && told.starts_with(&format!("record {forged}, at byte ")), "{told}");
    assert!(told.contains("available: the journal says "), "{told}");
    assert_eq!(audit(new.path()).expect("readable").entries, forged - 1, "what came before is in");
}

#[test]
fn a_ledger_moves_to_a_database_and_back() {
    if is_missing() {
        return;
    }
    for seed in 10..14 {
        let (old, new, database) = (Scratch::new(), Scratch::new(), shared().database());
        let (mut diff, mut workload) = (Differential::new(seed), Workload::new(seed));
        live_in(old.path(), &mut diff, &mut workload);
        let stream = exported(old.path());
        let stream = if seed % 2 == 0 { by_workspace(&stream) } else { stream };

        // Interrupted, then whole, then once more.
        let url = database.url();
        let cut = postgres::import(&url, &stream[..stream.len() * 2 / 3]).expect_err("it was cut off");
        assert!(cut.is_damaged() && cut.to_string().contains("cut off at byte"), "{cut}");
        let half =
            block_on(Postgres::open(&url, postgres::Options::default())).expect_err("a part of a ledger");
        assert!(half.is_unusable() && half.to_string().contains("not finished"), "{half}");
        let Imported { stream: all, written } = postgres::import(&url, &stream[..]).expect("it goes on");
        assert!(written > 0 && written < all.entries, "{written} of {}", all.entries);
        assert_eq!(postgres::import(&url, &stream[..]).expect("it is there").written, 0);

        live_on(&url, &mut diff, &mut workload);
        assert!(postgres::import(&url, &stream[..]).expect_err("it has gone on").is_conflict());
        let mut newer = Vec::new();
        let counts = postgres::export(&url, &mut newer).expect("it can be read");
        let moved = import(new.path(), &newer[..]).expect("an empty directory takes it");
        assert_eq!((moved.stream, moved.written), (counts, counts.entries));
        let back = import(old.path(), &newer[..]).expect("the old one is a beginning of the new one");
        assert!(back.written > 0 && back.written < back.stream.entries);
        audits_agree(old.path(), new.path());
        live_in(new.path(), &mut diff, &mut workload);

        // And what has become of it, in the order of writing, on top of what the database has.
        let newest = exported(new.path());
        assert!(postgres::import(&url, &newest[..]).expect("it goes on").written > 0);
        live_on(&url, &mut diff, &mut workload);
    }
}

#[test]
fn a_database_takes_no_other_ledger_and_no_entry_that_does_not_follow() {
    if is_missing() {
        return;
    }
    let (one, other, database) = (Scratch::new(), Scratch::new(), shared().database());
    for (seed, directory) in [(1, one.path()), (2, other.path())] {
        live_in(directory, &mut Differential::new(seed), &mut Workload::new(seed));
    }
    let url = database.url();
    postgres::import(&url, &exported(one.path())[..]).expect("an empty database takes it");
    let count = || database.sql("SELECT count(*) FROM entry");
    let before = count();
    let refused = postgres::import(&url, &exported(other.path())[..]).expect_err("another ledger is there");
    assert!(refused.is_conflict(), "{refused}");
    assert_eq!(count(), before, "nothing was written");

    let (forged, stream) = forged(&exported(other.path()));
    let empty = shared().database();
    let refused = postgres::import(&empty.url(), &stream[..]).expect_err("the balance does not follow");
    let told = refused.to_string();
    assert!(refused.is_damaged() && told.starts_with(&format!("record {forged}, at byte ")), "{told}");
    assert_eq!(empty.sql("SELECT count(*) FROM entry"), (forged - 1).to_string(), "what came before is in");
}

#[test]
fn distributing_says_what_is_missing_and_leaves_what_is_done() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let url = database.url();
    assert_eq!(postgres::migrate(&url).expect("an empty database"), 2);
    let refused = postgres::distribute(&url).expect_err("a plain PostgreSQL");
    assert!(refused.is_unusable() && refused.to_string().contains("citus is not installed"), "{refused}");
    assert!(refused.hint().is_some_and(|hint| hint.contains("shared_preload_libraries")), "{refused:?}");

    // A stand-in with the names that Citus gives: it notes what it is asked.
    database.sql(
        "CREATE TABLE pg_dist_partition (logicalrelid regclass, by text, beside text);
         GRANT ALL ON pg_dist_partition TO tollkeeper;
         CREATE FUNCTION create_distributed_table(regclass, text, colocate_with text) RETURNS void LANGUAGE sql
             AS 'INSERT INTO pg_dist_partition VALUES ($1, $2, $3)';
         CREATE FUNCTION create_reference_table(regclass) RETURNS void LANGUAGE sql
             AS 'INSERT INTO pg_dist_partition VALUES ($1)';
         INSERT INTO pg_dist_partition VALUES ('entry', 'workspace', 'none')",
    );
    let done = postgres::distribute(&url).expect("the stand-in takes it");
    assert_eq!(done, ["account", "team", "usage", "lot", "pending", "moved", "platform", "migration"]);
    assert_eq!(postgres::distribute(&url).expect("it is done"), [""; 0]);
    let by_workspace = database
        .sql("SELECT count(*) FROM pg_dist_partition WHERE by = 'workspace' AND beside IN ('none', 'entry')");
    assert_eq!(by_workspace, "7");
    let tables = database.sql(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN
         (SELECT logicalrelid::text FROM pg_dist_partition) AND tablename <> 'pg_dist_partition'",
    );
    assert_eq!(tables, "0", "no table is left out");
}
