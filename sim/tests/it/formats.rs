//! Data of earlier releases: directories, databases and export streams open, replay, audit and
//! import unchanged.
//!
//! `sim/tests/formats` holds what a release has written, and beside each piece the answers of that
//! release (its README describes the files). Each test copies a piece, lets the current code read
//! it, and compares every answer and every hash. Only a new format adds data; the old data is never
//! written again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tollkeeper_engine::embedded::{self, Embedded};
use tollkeeper_engine::postgres::{self, Postgres};
use tollkeeper_engine::{ChargeFilter, Engine, Options, Output, Reads, WorkspaceFilter};
use tollkeeper_ledger::{
    Actor, Charge, ChargeCommand, ChargeDetails, ChargeId, ChargeRequest, Command, EntryBody, Micros, Status,
    Submission, Timestamp, WorkspaceId,
};
use tollkeeper_sim::contract::submission;
use tollkeeper_sim::formats::{all, audited, describe};
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{Database, is_missing, shared};
use tollkeeper_testkit::scratch::Scratch;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/2026_11").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(file(name)).expect("the file exists")
}

/// The answers of the release, and the time at which they were given.
fn expected(name: &str) -> (Timestamp, String) {
    let text = fs::read_to_string(file(name)).expect("the file exists");
    let (at, answers) = text.split_once('\n').expect("the first line is the time");
    let millis = at.strip_prefix("at ").and_then(|at| at.parse().ok()).expect("milliseconds");
    (Timestamp::from_millis(millis), answers.to_owned())
}

fn workspaces(engine: &dyn Engine) -> Vec<WorkspaceId> {
    let filter = WorkspaceFilter::default;
    let listed = all(|page| block_on(engine.workspaces(filter(), page)).expect("the engine reads"));
    listed.into_iter().map(|record| record.profile.id).collect()
}

/// Every charge of the platform's under a key is answered again as at first.
fn check_replays(engine: &dyn Engine, id: &WorkspaceId, now: Timestamp) -> usize {
    let page = |page| block_on(engine.entries(id, page)).expect("the engine reads").expect("it exists");
    let mut replays = 0;
    for entry in all(page).into_iter().map(|record| record.entry) {
        let (EntryBody::ChargeOpened(details), Some(key), Actor::Platform) =
            (entry.body, entry.key, &entry.actor)
        else {
            continue;
        };
        let again = submission(id.clone(), Some(key.as_str()), Command::Charge(request_of(&details)));
        let answer = block_on(engine.run(again, now)).expect("a healthy engine").expect("it was paid");
        let Output::Charge(replayed, _) = answer.output else { panic!("a charge is answered by a charge") };
        assert!(answer.replayed && replayed.details == details, "{replayed:?}");
        replays += 1;
    }
    replays
}

fn request_of(details: &ChargeDetails) -> ChargeRequest {
    ChargeRequest {
        worker: details.spender.worker.clone(),
        member: details.spender.member.clone(),
        await_outcome: details.await_outcome,
        outcome_by_platform: details.outcome_by_platform,
        timeout_seconds: details.timeout_seconds,
        reference: details.reference.clone(),
        metadata: details.metadata.clone(),
        ..ChargeRequest::new(details.spender.operation.clone(), details.quantity.clone())
    }
}

/// Every pending charge times out at its deadline.
fn check_deadlines(engine: &dyn Engine, now: Timestamp) -> usize {
    let charges = |id: &WorkspaceId| {
        let page = |page| block_on(engine.charges(id, ChargeFilter::default(), page));
        all(|at| page(at).expect("the engine reads").expect("it exists"))
    };
    let is_pending = |charge: &Charge| charge.state.status == Status::Pending;
    let pending: BTreeSet<(String, ChargeId)> = workspaces(engine)
        .iter()
        .flat_map(|id| {
            charges(id).into_iter().filter(is_pending).map(|charge| (id.to_string(), charge.details.id))
        })
        .collect();
    let late = now.plus_seconds(30 * 86_400);
    let due = block_on(engine.due(late, 1_000)).expect("the engine reads");
    assert_eq!(due.iter().map(|(id, charge)| (id.to_string(), *charge)).collect::<BTreeSet<_>>(), pending);
    for (workspace, charge) in due {
        let command = ChargeCommand::TimeOut.for_charge(charge);
        let time_out = Submission { workspace, key: None, actor: Actor::System, command };
        block_on(engine.run(time_out, late)).expect("a healthy engine").expect("its deadline has passed");
    }
    for id in workspaces(engine) {
        let after = block_on(engine.balance(&id, None)).expect("the engine reads").expect("it exists");
        assert_eq!(after.balance.pending, Micros::ZERO, "{id}");
        assert!(!charges(&id).iter().any(is_pending), "{id}");
    }
    pending.len()
}

/// The ledger continues.
fn live_on(engine: &dyn Engine, now: Timestamp) {
    let replays: usize = workspaces(engine).iter().map(|id| check_replays(engine, id, now)).sum();
    assert!(replays > 0, "the history has charges under keys");
    assert!(check_deadlines(engine, now) > 0, "the history has pending charges");
}

/// A copy of a directory that a release has written.
fn directory(name: &str) -> Scratch {
    let scratch = Scratch::new();
    for file in fs::read_dir(file(name)).expect("the folder exists").flatten() {
        fs::copy(file.path(), scratch.path().join(file.file_name())).expect("a temporary directory");
    }
    scratch
}

/// The kinds and contents of the records of an export. The header before them has the version of
/// the program that wrote it, and the checksum after each covers that.
fn records(stream: &[u8]) -> Vec<&[u8]> {
    let header = "tollkeeper ledger\n".len() + 4;
    let (mut records, mut rest) = (Vec::new(), &stream[header..]);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (record, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        records.push(record);
        rest = &after[4..];
    }
    assert!(records.len() > 100, "an export of a history has many records");
    records
}

/// A server opens the directory of an earlier release once: it builds the state file again.
fn upgrade(path: &Path) {
    let engine = Embedded::open(path, Options::default()).expect("the directory opens");
    block_on(engine.close()).expect("a healthy disk");
}

fn check_directory(path: &Path, (now, expected): &(Timestamp, String)) {
    let audit = || audited(embedded::audit(path).expect("the directory can be read"));
    let reader = Embedded::open_read_only(path).expect("the directory opens beside a server");
    assert_eq!(audit() + &describe(&reader, *now), *expected);
    drop(reader);
    let engine = Embedded::open(path, Options::default()).expect("the directory opens");
    assert_eq!(audit() + &describe(&engine, *now), *expected);
    live_on(&engine, *now);
    block_on(engine.close()).expect("a healthy disk");
    audit();
}

#[test]
fn a_directory_of_an_earlier_release_gives_the_same_answers() {
    let (scratch, expected) = (directory("directory/closed"), expected("directory/expected.txt"));
    let mut stream = Vec::new();
    embedded::export(scratch.path(), &mut stream).expect("the directory can be read");
    assert!(records(&stream) == records(&bytes("directory/ledger.export")), "the export has changed");
    let refused = Embedded::open_read_only(scratch.path()).map(drop).expect_err("its state file is older");
    assert!(refused.hint().is_some_and(|hint| hint.contains("start a server")), "{refused:?}");
    upgrade(scratch.path());
    check_directory(scratch.path(), &expected);
}

#[test]
fn a_directory_of_a_killed_process_is_recovered() {
    let scratch = directory("directory/killed");
    assert!(scratch.path().join("journal.db-wal").exists(), "the newest entries are in the WAL");
    upgrade(scratch.path());
    check_directory(scratch.path(), &expected("directory/expected.txt"));
}

#[test]
fn an_export_of_an_earlier_release_is_imported_into_a_directory() {
    for from in ["directory", "database"] {
        let (scratch, stream) = (Scratch::new(), bytes(&format!("{from}/ledger.export")));
        let imported = embedded::import(scratch.path(), &stream[..]).expect("an empty directory");
        assert_eq!(imported.written, imported.stream.entries);
        let mut again = Vec::new();
        embedded::export(scratch.path(), &mut again).expect("the directory can be read");
        assert!(records(&again) == records(&stream), "{from}: the export has changed");
        check_directory(scratch.path(), &expected(&format!("{from}/expected.txt")));
    }
}

fn check_database(database: &Database, (now, expected): &(Timestamp, String)) {
    let url = database.url();
    let audit = || audited(postgres::audit(&url).expect("the database can be read"));
    let engine = block_on(Postgres::open(&url, postgres::Options::default())).expect("the database opens");
    assert_eq!(audit() + &describe(&engine, *now), *expected);
    live_on(&engine, *now);
    block_on(engine.close()).expect("a healthy database");
    audit();
}

#[test]
fn a_database_of_an_earlier_release_gives_the_same_answers() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let dump = String::from_utf8(bytes("database/dump.sql")).expect("it is a text");
    database.load(&format!("SET ROLE tollkeeper;\n{dump}"));
    let mut stream = Vec::new();
    postgres::export(&database.url(), &mut stream).expect("the database can be read");
    assert!(records(&stream) == records(&bytes("database/ledger.export")), "the export has changed");
    check_database(&database, &expected("database/expected.txt"));
}

#[test]
fn an_export_of_an_earlier_release_is_imported_into_a_database() {
    if is_missing() {
        return;
    }
    for from in ["directory", "database"] {
        let (database, stream) = (shared().database(), bytes(&format!("{from}/ledger.export")));
        let imported = postgres::import(&database.url(), &stream[..]).expect("an empty database");
        assert_eq!(imported.written, imported.stream.entries);
        check_database(&database, &expected(&format!("{from}/expected.txt")));
    }
}
