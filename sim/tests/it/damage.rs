//! Damage of files is mended or named, and never a panic. What was acknowledged and is gone is
//! refused.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tollkeeper_engine::embedded::{
    self, AuditOptions, Core, CoreOptions, DisagreementKind, Embedded, ExpectedEntry, audit, audit_with,
};
use tollkeeper_engine::{Engine, Error, JournalHead, Options, Page, Reads};
use tollkeeper_ledger::{
    Command, GrantRequest, IdempotencyKey, Micros, Source, Submission, Timestamp, WorkspaceId,
};
use tollkeeper_sim::engines::embedded::record;
use tollkeeper_sim::faults::damage::{Damages, copy, damages, every_byte, serve};
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::scratch::Scratch;

use crate::seeds::{is_long, seeds};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

#[test]
fn damage_is_mended_or_named() {
    let mut audited = 0;
    for seed in seeds(1) {
        let damages = damages(seed, 200, 15).unwrap_or_else(|found| panic!("{found}"));
        assert_nothing_wrong(&damages);
        audited += damages.audited;
    }
    assert!(audited > 10, "{audited} audited damages are too few");
}

/// The command `tollkeeper-sim damage SEED` flips every byte.
#[test]
fn flipped_bytes_and_cuts_of_a_state_file_are_mended() {
    let damages = every_byte(1, 60, "state.db", 97).unwrap_or_else(|found| panic!("{found}"));
    assert_nothing_wrong(&damages);
    assert_eq!(damages.refused, 0, "{damages:?}");
    assert!(damages.served > 100 && damages.audited > 30, "{damages:?}");
}

#[test]
fn flipped_bytes_and_cuts_of_a_journal_are_named() {
    let damages = every_byte(2, 60, "journal.db", 61).unwrap_or_else(|found| panic!("{found}"));
    assert_nothing_wrong(&damages);
    assert!(damages.refused > 50, "{damages:?}");
}

#[track_caller]
fn assert_nothing_wrong(damages: &Damages) {
    let wrong: Vec<String> = damages.wrong.iter().map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// SQLite cannot notice these changes of the state file. The audit must, and a server must mend
/// them.
#[test]
fn changed_rows_of_the_state_file_are_audited_and_mended() {
    let changes = [
        "DELETE FROM pending",
        "UPDATE pending SET deadline = deadline + 1",
        "INSERT INTO pending SELECT 1000000, no, 1, 0 FROM account WHERE no > 0 LIMIT 1",
        "UPDATE account SET n = n + 1 WHERE no > 0",
        "UPDATE account SET data = zeroblob(length(data)) WHERE no = 1",
        "DELETE FROM account WHERE no = 1",
        "DELETE FROM account WHERE no = (SELECT max(no) FROM account)",
        "DELETE FROM hour",
        "UPDATE hour SET seq = seq - 1 WHERE seq > 1",
        "DELETE FROM team",
        "DELETE FROM payments",
        "UPDATE payments SET data = zeroblob(length(data))",
        "UPDATE usage SET charged = charged + 1",
        "DELETE FROM usage WHERE hour = (SELECT min(hour) FROM usage)",
        "DELETE FROM lot WHERE n = (SELECT max(n) FROM lot)",
        "UPDATE lot SET seq = seq + 1",
        "UPDATE run_filter SET data = zeroblob(length(data))",
        "DELETE FROM run_filter",
        "UPDATE run SET fences = zeroblob(length(fences)) WHERE fences IS NOT NULL",
        "DELETE FROM run_page WHERE page = 0",
        "UPDATE run_page SET data = substr(data, 1, 16) WHERE length(data) > 16",
        "DELETE FROM run WHERE first = 1",
        "DELETE FROM meta",
        "UPDATE meta SET accounts_kept_to = accounts_kept_to + 1",
    ];
    let mut changed_rows = [0; 24];
    for seed in if is_long() { seeds(1) } else { vec![5] } {
        let whole = Scratch::new();
        let run = record(whole.path(), seed, 400).unwrap_or_else(|found| panic!("{found}"));
        for (sql, changed_rows) in changes.iter().zip(&mut changed_rows) {
            let scratch = Scratch::new();
            let directory = scratch.path().join("data");
            copy(whole.path(), &directory);
            let changed = change(&directory.join("state.db"), sql);
            let report = audit(&directory).expect("the directory can be read");
            let found = report.disagreement.map(|found| found.kind);
            let expected = (changed > 0).then_some(DisagreementKind::Derived);
            assert_eq!(found, expected, "seed {seed}: {sql}");
            let served = serve(&directory, &run, true).unwrap_or_else(|found| panic!("{sql}: {found}"));
            assert!(served.is_some_and(|served| served.repeated > 0), "seed {seed}: {sql}");
            *changed_rows += changed;
        }
    }
    let idle: Vec<_> = changes.iter().zip(changed_rows).filter(|(_, changed)| *changed == 0).collect();
    assert!(idle.is_empty(), "these statements changed no row: {idle:?}");
}

/// Runs a statement on a database; returns the number of changed rows.
fn change(path: &Path, sql: &str) -> usize {
    let database = Connection::open(path).expect("the database opens");
    database.execute(sql, []).expect("the statement runs")
}

fn acme() -> WorkspaceId {
    WorkspaceId::new("acme").expect("an allowed name")
}

fn submission(key: &str, command: Command) -> Submission {
    let key = IdempotencyKey::new(key).expect("an allowed key");
    Submission { workspace: acme(), key: Some(key), actor: tollkeeper_ledger::Actor::Platform, command }
}

fn grant(key: &str) -> Submission {
    submission(key, Command::Grant(GrantRequest::new(Source::Promotional, Micros::new(1_000))))
}

/// A directory with a workspace that was granted credit this number of times.
fn granted(directory: &Path, grants: usize) {
    let mut core = Core::open(directory, CoreOptions::default()).expect("a directory of its own opens");
    // It exists already if the directory does.
    let create = submission("create", Command::CreateWorkspace(Default::default()));
    core.run_batch(vec![create], NOW).expect("a healthy disk").len();
    for number in 0..grants {
        let answers = core.run_batch(vec![grant(&format!("grant-{number}"))], NOW).expect("a healthy disk");
        assert!(answers[0].is_ok(), "{answers:?}");
    }
    core.checkpoint_all().expect("a healthy disk");
}

fn available(directory: &Path) -> Micros {
    let mut core = Core::open(directory, CoreOptions::default()).expect("it opens");
    core.balance(&acme()).expect("it reads").expect("acme exists").balance.available
}

fn page() -> Page {
    Page { limit: 50, cursor: None }
}

fn refused(directory: &Path) -> Error {
    let error = Core::open(directory, CoreOptions::default()).expect_err("entries are missing");
    assert!(error.is_damaged() && !error.is_damaged_state(), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("--accept-loss")), "{error:?}");
    let report = audit(directory).expect("the directory can be read");
    let found = report.disagreement.map(|found| found.kind);
    assert_eq!(found, Some(DisagreementKind::Journal), "the audit names it too");
    let copied = embedded::backup(directory, Scratch::new().path()).map(|_| ());
    let exported = embedded::export(directory, std::io::sink()).map(|_| ());
    for result in [copied, exported] {
        let error = result.expect_err("a copy would look whole");
        assert!(error.is_damaged() && !error.is_damaged_state(), "{error}");
    }
    error
}

#[test]
fn an_older_journal_beside_its_state_file_is_refused_until_the_loss_is_accepted() {
    let (older, directory) = (Scratch::new(), Scratch::new());
    granted(directory.path(), 5);
    copy(directory.path(), older.path());
    granted(directory.path(), 8);
    assert_eq!(available(directory.path()), Micros::new(8_000));
    fs::copy(older.path().join("journal.db"), directory.path().join("journal.db")).expect("a copy");
    let error = refused(directory.path());
    assert!(error.to_string().contains("3 acknowledged entries are missing"), "{error}");
    refused(directory.path());

    let accept = CoreOptions { accept_loss: true, ..CoreOptions::default() };
    drop(Core::open(directory.path(), accept).expect("the loss is accepted"));
    assert_eq!(available(directory.path()), Micros::new(5_000));
    assert!(directory.path().join("state.db.before-loss-1").exists(), "the proof of the loss is kept");
}

#[test]
fn a_journal_that_went_on_from_an_older_copy_is_refused() {
    let (older, directory) = (Scratch::new(), Scratch::new());
    granted(directory.path(), 5);
    copy(directory.path(), older.path());
    granted(directory.path(), 6);
    fs::remove_file(older.path().join("state.db")).expect("it is there");
    let mut core = Core::open(older.path(), CoreOptions::default()).expect("a copy opens");
    for number in 0..3 {
        core.run_batch(vec![grant(&format!("other-{number}"))], NOW.plus_seconds(1))
            .expect("a healthy disk")
            .len();
    }
    core.checkpoint_all().expect("a healthy disk");
    drop(core);
    fs::copy(older.path().join("journal.db"), directory.path().join("journal.db")).expect("a copy");
    assert!(refused(directory.path()).to_string().contains("an older copy of the journal went on"));
}

#[test]
fn a_state_file_without_its_journal_is_refused() {
    let directory = Scratch::new();
    granted(directory.path(), 5);
    fs::remove_file(directory.path().join("journal.db")).expect("it is there");
    assert!(refused(directory.path()).to_string().contains("it is missing"));
    assert!(!directory.path().join("journal.db").exists(), "no empty journal takes its place");
    let accept = CoreOptions { accept_loss: true, ..CoreOptions::default() };
    let mut core = Core::open(directory.path(), accept).expect("the loss is accepted");
    assert!(core.balance(&acme()).expect("it reads").is_none());
    assert!(directory.path().join("state.db.before-loss-1").exists(), "the proof of the loss is kept");
}

#[test]
fn the_head_of_the_journal_proves_a_cut_and_a_restore_begins_an_epoch() {
    let (directory, backup, restored) = (Scratch::new(), Scratch::new(), Scratch::new());
    granted(directory.path(), 3);
    embedded::backup(directory.path(), &backup.path().join("copy")).expect("it can be copied");
    granted(directory.path(), 5);
    let head = head(directory.path());
    assert_eq!((head.epoch, head.place, head.entries), (1, 6, 6));
    let expected = Some(ExpectedEntry { place: head.place, hash: head.hash });
    let audited = |path: &Path| {
        audit_with(path, expected, AuditOptions::default()).expect("it can be read").disagreement
    };
    assert_eq!(audited(directory.path()).map(|it| it.what), None);
    let to = restored.path().join("data");
    embedded::restore(&backup.path().join("copy"), &to, NOW).expect("the backup passes its audit");
    assert!(
        audited(&to).is_some_and(|it| it.what.contains("journal entry 6, which is expected, is missing"))
    );
    let restored = self::head(&to);
    assert_eq!((restored.epoch, restored.place), (2, 5));
    let mut core = Core::open(&to, CoreOptions::default()).expect("it opens");
    for number in 0..3 {
        core.run_batch(vec![grant(&format!("other-{number}"))], NOW).expect("a healthy disk").len();
    }
    drop(core);
    assert!(audited(&to).is_some_and(|it| it.what.contains("has another hash")));
}

fn head(directory: &Path) -> JournalHead {
    let mut core = Core::open(directory, CoreOptions::default()).expect("it opens");
    core.journal_head().expect("it reads")
}

#[test]
fn a_clean_end_leaves_no_wal() {
    let directory = Scratch::new();
    let engine = Embedded::open(directory.path(), Options::default()).expect("an empty directory");
    let create = submission("create", Command::CreateWorkspace(Default::default()));
    block_on(engine.run(create, NOW)).expect("a healthy disk").expect("acme is new");
    block_on(engine.grants(&acme(), page())).expect("it reads");
    block_on(engine.close()).expect("a healthy disk");
    let wal = fs::metadata(directory.path().join("journal.db-wal"));
    assert!(wal.is_err() || wal.is_ok_and(|file| file.len() == 0), "the readers may still be open");
}

#[test]
fn a_damaged_wal_with_commits_behind_the_damage_is_refused() {
    let (live, directory) = (Scratch::new(), Scratch::new());
    granted(live.path(), 2);
    let mut core = Core::open(live.path(), CoreOptions::default()).expect("it opens");
    for number in 0..20 {
        core.run_batch(vec![grant(&format!("more-{number}"))], NOW).expect("a healthy disk").len();
    }
    // What a killed process leaves.
    for file in ["journal.db", "journal.db-wal", "state.db"] {
        fs::copy(live.path().join(file), directory.path().join(file)).expect("a copy");
    }
    let wal = directory.path().join("journal.db-wal");
    let whole = fs::read(&wal).expect("it was copied");
    assert_eq!(available(directory.path()), Micros::new(22_000));
    for file in ["journal.db", "state.db"] {
        fs::copy(live.path().join(file), directory.path().join(file)).expect("a copy");
    }
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&wal, &flipped).expect("a copy");
    assert!(refused(directory.path()).to_string().contains("of its WAL"));
    assert!(fs::read(&wal).expect("it is there") == flipped, "nothing was changed");
    let accept = CoreOptions { accept_loss: true, ..CoreOptions::default() };
    drop(Core::open(directory.path(), accept).expect("the loss is accepted"));
    assert!(directory.path().join("journal.db-wal.before-loss-1").exists(), "the WAL is kept");
}

#[test]
fn a_state_file_that_is_damaged_while_it_is_served_is_mended() {
    let changes = [
        "DELETE FROM run_page",
        "UPDATE lot SET data = zeroblob(length(data))",
        "DELETE FROM hour",
        "UPDATE account SET data = zeroblob(length(data))",
    ];
    for sql in changes {
        let directory = Scratch::new();
        granted(directory.path(), 5);
        let engine = Embedded::open(directory.path(), Options::default()).expect("it opens");
        assert!(change(&directory.path().join("state.db"), sql) > 0, "{sql}");
        let mut errors = 0;
        let again = || {
            let replayed = block_on(engine.run(grant("grant-2"), NOW))?;
            let past = block_on(engine.balance(&acme(), Some(NOW)))?;
            let grants = block_on(engine.grants(&acme(), page()))?;
            Ok::<_, Error>((replayed, past, grants))
        };
        let (replayed, past, grants) = loop {
            match again() {
                Ok(answers) => break answers,
                Err(error) => {
                    assert!(error.is_unavailable(), "{sql}: {error}");
                    errors += 1;
                    assert!(errors < 50, "{sql}: it is not mended: {error}");
                }
            }
        };
        assert!(replayed.expect("it was granted").replayed, "{sql}");
        assert_eq!(past.expect("acme exists").balance.available, Micros::new(5_000), "{sql}");
        assert_eq!(grants.expect("acme exists").data.len(), 5, "{sql}");
        block_on(engine.close()).expect("a healthy disk");
        drop(engine);
        assert_eq!(audit(directory.path()).expect("it can be read").disagreement.map(|it| it.what), None);
    }
}

#[test]
fn a_stride_that_is_no_positive_number_is_refused() {
    for stride in ["0", "-1", "all"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tollkeeper-sim"));
        let output = command.args(["damage", "17", stride]).output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("usage: "), "{stride}: {said}");
    }
}
