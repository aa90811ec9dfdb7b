//! Data of this release, kept so that later releases can be tested with it: a data directory, a
//! database and export streams, and the answers of the release beside them.
//!
//! The histories are those of the two seeds of the workload that, together, have the most kinds of
//! entries: one in the directory, one in the database. What is written must never be written again
//! once a release has been made with it. The test `formats` reads it.

mod describe;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tollkeeper_engine::embedded::{self, Embedded};
use tollkeeper_engine::postgres::{self, Postgres};
use tollkeeper_engine::{Engine, Options, Page, Reads};
use tollkeeper_ledger::{Command, PlatformSettings, Timestamp, WorkspaceId};
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::shared;
use tollkeeper_testkit::scratch::Scratch;

use crate::contract::submission;
use crate::differential::{self, Differential};
use crate::engines::memory::Memory;

pub use describe::{all, audited, describe};

/// Steps of a history. More would make larger files, not other kinds of entries.
const STEPS: usize = 400;

/// Seeds that are tried.
const SEEDS: u64 = 30;

fn run(engine: &dyn Engine, seed: u64) -> Differential {
    differential::run(engine, seed, STEPS, 7).unwrap_or_else(|difference| panic!("{difference}"))
}

/// The two seeds whose histories together have the most kinds of entries.
fn seeds_with_most_kinds() -> (u64, u64) {
    let seen: Vec<(u64, BTreeSet<&str>)> =
        (0..SEEDS).filter_map(|seed| Some((seed, kinds_of(seed)?))).collect();
    let pairs =
        seen.iter().enumerate().flat_map(|(at, one)| seen[at + 1..].iter().map(move |other| (one, other)));
    let most = pairs.max_by_key(|((_, one), (_, other))| one.union(other).count());
    let ((one, _), (other, _)) = most.expect("histories end with a pending charge");
    (*one, *other)
}

/// The kinds of entries in a history; `None` if it ends without a pending charge.
fn kinds_of(seed: u64) -> Option<BTreeSet<&'static str>> {
    let engine = Memory::default();
    let diff = run(&engine, seed);
    let late = diff.now().plus_seconds(30 * 86_400);
    if block_on(engine.due(late, 1)).expect("the engine reads").is_empty() {
        return None;
    }
    let page = || Page { limit: 1_000, cursor: None };
    let entries = |id| block_on(engine.entries(id, page())).expect("the engine reads").expect("it exists");
    let records = diff.model.pools.keys().flat_map(|id| entries(id).data);
    Some(records.map(|record| record.entry.body.kind().as_str()).collect())
}

/// Writes the data of this release into a new folder.
///
/// # Panics
/// If something cannot be written, or there is no PostgreSQL.
pub fn write(to: &Path) {
    let (one, other) = seeds_with_most_kinds();
    write_directory(&to.join("directory"), one);
    write_database(&to.join("database"), other);
}

/// A history, and a platform with a key, settings and a second epoch; returns the time of its end.
fn live(engine: &dyn Engine, seed: u64) -> Timestamp {
    let now = run(engine, seed).now();
    let settings = PlatformSettings { refund_window_days: 60 };
    let key = Command::SetPlatformKey { hash: [7; 32] };
    for command in [key, Command::SetSettings(settings), Command::MarkRestored] {
        let command = submission(WorkspaceId::platform(), None, command);
        block_on(engine.run(command, now)).expect("a healthy engine").expect("it is accepted");
    }
    now
}

fn write_directory(to: &Path, seed: u64) {
    let scratch = Scratch::new();
    let engine = Embedded::open(scratch.path(), Options::default()).expect("an empty directory opens");
    let now = live(&engine, seed);
    // As after `kill -9`: the newest entries are in the WAL only.
    copy(scratch.path(), &to.join("killed"));
    block_on(engine.close()).expect("a healthy disk");
    drop(engine);
    copy(scratch.path(), &to.join("closed"));
    let mut stream = Vec::new();
    embedded::export(scratch.path(), &mut stream).expect("the directory can be read");
    let reader = Embedded::open_read_only(scratch.path()).expect("the directory can be read");
    let report = embedded::audit(scratch.path()).expect("the directory can be read");
    write_answers(to, &stream, now, &(audited(report) + &describe(&reader, now)));
}

fn write_database(to: &Path, seed: u64) {
    let database = shared().database();
    let url = database.url();
    let engine = block_on(Postgres::open(&url, postgres::Options::default())).expect("a new database opens");
    let now = live(&engine, seed);
    let mut stream = Vec::new();
    postgres::export(&url, &mut stream).expect("the database can be read");
    let report = postgres::audit(&url).expect("the database can be read");
    write_answers(to, &stream, now, &(audited(report) + &describe(&engine, now)));
    block_on(engine.close()).expect("a healthy database");
    fs::write(to.join("dump.sql"), database.dump()).expect("the folder can be written");
}

fn write_answers(to: &Path, stream: &[u8], now: Timestamp, answers: &str) {
    fs::create_dir_all(to).expect("the folder can be made");
    fs::write(to.join("ledger.export"), stream).expect("the folder can be written");
    let answers = format!("at {}\n{answers}", now.millis());
    fs::write(to.join("expected.txt"), answers).expect("the folder can be written");
}

/// Copies the files of a data directory into a new folder, without its lock and its shared memory.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder can be made");
    for file in ["journal.db", "journal.db-wal", "state.db", "state.db-wal"] {
        let file = from.join(file);
        if fs::metadata(&file).is_ok_and(|file| file.len() > 0) {
            let name = file.file_name().expect("it has a name");
            fs::copy(&file, to.join(name)).expect("the file can be copied");
        }
    }
}
