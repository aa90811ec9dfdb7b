//! One account, one command or one read at fault stops nobody else: it is undone, refused and
//! rebuilt alone. And an engine that met a failure recovers by itself.

use std::time::Duration;

use tollkeeper_engine::embedded::{Appender, Core, CoreOptions, Embedded, InFlightBatch, audit};
use tollkeeper_engine::{Answer, CommandResult, Engine, Error, Options, Output, Reads};
use tollkeeper_ledger::{Command, Micros, Source, Submission, Timestamp, WorkspaceChanges, WorkspaceId};
use tollkeeper_sim::contract::{self, BEGINNING as NOW, credit, submission, workspace};
use tollkeeper_sim::disk::{Disk, Fault};
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::retry::retry_for;
use tollkeeper_testkit::scratch::Scratch;

const GRANTED: i64 = 1_000_000;

fn charge(name: &str, key: &str) -> Submission {
    submission(workspace(name), Some(key), Command::Charge(contract::charge("message", 1)))
}

/// A price list, and two workspaces with credit.
fn beginning() -> Vec<Submission> {
    let mut batch = vec![submission(WorkspaceId::platform(), None, contract::prices(&[("message", 500)]))];
    for name in ["victim", "other"] {
        let created = Command::CreateWorkspace(WorkspaceChanges::default());
        batch.push(submission(workspace(name), None, created));
        batch.push(submission(
            workspace(name),
            Some("credit"),
            Command::Grant(credit("credit", Source::Promotional, GRANTED)),
        ));
    }
    batch
}

fn open(scratch: &Scratch) -> Core {
    let options = CoreOptions { round_entries: 4, chunk_accounts: 1, ..CoreOptions::default() };
    Core::open(scratch.path(), options).expect("the directory opens")
}

/// A core in which both workspaces were charged `charges` times.
fn served(scratch: &Scratch, charges: usize) -> Core {
    let mut core = open(scratch);
    for ran in core.run_batch(beginning(), NOW).expect("a healthy disk") {
        ran.expect("accepted");
    }
    for n in 0..charges {
        let key = format!("early-{n}");
        let batch = vec![charge("victim", &key), charge("other", &key)];
        assert!(core.run_batch(batch, NOW).expect("a healthy disk").iter().all(Result::is_ok));
    }
    core
}

fn run_each(core: &mut Core, batch: Vec<Submission>) -> Vec<Result<CommandResult, Error>> {
    core.run_each(batch, NOW).expect("a healthy disk")
}

fn charged(result: &Result<CommandResult, Error>) -> &Answer {
    let answer = result.as_ref().expect("it was run").as_ref().expect("it was accepted");
    assert!(matches!(answer.output, Output::Charge(..)));
    answer
}

fn available(core: &mut Core, name: &str) -> i64 {
    let found = core.balance(&workspace(name)).expect("a healthy disk").expect("it exists");
    found.balance.available.get()
}

#[test]
fn a_command_on_a_damaged_account_is_undone_alone_and_the_account_is_rebuilt() {
    let scratch = Scratch::new();
    let mut core = served(&scratch, 100);
    core.maintain().expect("a healthy disk");
    assert!(core.flip_total(&workspace("victim")).expect("a healthy disk"));
    let batch = ["other", "victim", "victim", "other"].map(|name| charge(name, "late-1"));
    let ran = run_each(&mut core, [&batch[..3], &[charge("other", "late-2")]].concat());
    charged(&ran[0]);
    assert!(ran[1].as_ref().expect_err("the account does not add up").is_bug());
    assert!(ran[2].as_ref().expect_err("it is not believed any more").is_account_refused());
    charged(&ran[3]);
    assert_eq!(available(&mut core, "other"), GRANTED - 102 * 500);
    let read = core.balance(&workspace("victim")).expect_err("nothing of it is believed");
    assert!(read.is_account_refused(), "{read}");
    let mut steps = 0;
    while core.balance(&workspace("victim")).is_err() {
        core.maintain().expect("a healthy disk");
        charged(&run_each(&mut core, vec![charge("other", &format!("meanwhile-{steps}"))])[0]);
        steps += 1;
        assert!(steps < 20, "a chain of about a hundred entries is rebuilt in some steps");
    }
    assert!(steps > 1, "the work is done in steps, between the batches of others");
    assert_eq!(available(&mut core, "victim"), GRANTED - 100 * 500);
    let late = &run_each(&mut core, vec![charge("victim", "late-1")])[0];
    assert!(!charged(late).replayed, "the command that was undone left nothing");
    assert!(charged(&run_each(&mut core, vec![charge("victim", "late-1")])[0]).replayed);
    core.checkpoint_all().expect("a healthy disk");
    drop(core);
    let report = audit(scratch.path()).expect("the directory can be audited");
    assert_eq!(report.disagreement.map(|found| found.what), None);
    assert_eq!(available(&mut open(&scratch), "victim"), GRANTED - 101 * 500);
}

#[test]
fn an_account_whose_chain_is_damaged_is_refused_alone() {
    let scratch = Scratch::new();
    let mut core = served(&scratch, 3);
    core.checkpoint_all().expect("a healthy disk");
    let journal = rusqlite::Connection::open(scratch.path().join("journal.db")).expect("a second connection");
    let sql = "UPDATE block SET data = zeroblob(length(data)) WHERE first = 1";
    assert_eq!(journal.execute(sql, []).expect("the journal takes writes"), 1);
    drop(journal);
    core.flip_total(&workspace("victim")).expect("a healthy disk");
    let ran = run_each(&mut core, vec![charge("victim", "late"), charge("other", "late")]);
    assert!(ran[0].is_err());
    charged(&ran[1]);
    for n in 0..20 {
        core.maintain().expect("a healthy disk");
        let ran = run_each(&mut core, vec![charge("victim", "again"), charge("other", &format!("{n}"))]);
        let error = ran[0].as_ref().expect_err("its first entry cannot be read");
        assert!(error.is_account_refused(), "{error}");
        charged(&ran[1]);
    }
    let error = core.balance(&workspace("victim")).expect_err("it is refused");
    assert!(error.hint().is_some_and(|hint| hint.contains("audit")), "{error}");
    core.checkpoint_all().expect("the others are persisted");
    assert_eq!(available(&mut core, "other"), GRANTED - 24 * 500);
}

#[test]
fn the_first_command_that_meets_damage_of_the_journal_is_refused_as_the_later_ones_are() {
    let scratch = Scratch::new();
    let mut core = served(&scratch, 3);
    core.checkpoint_all().expect("a healthy disk");
    drop(core);
    let journal = rusqlite::Connection::open(scratch.path().join("journal.db")).expect("nobody else has it");
    let sql = "UPDATE block SET data = zeroblob(length(data)) WHERE first = 6";
    assert_eq!(journal.execute(sql, []).expect("the journal takes writes"), 1, "the first charges");
    drop(journal);
    let mut core = open(&scratch);
    let again = || vec![charge("victim", "early-0"), charge("other", "late"), charge("victim", "late")];
    let ran = run_each(&mut core, again());
    for refused in [&ran[0], &ran[2]] {
        let error = refused.as_ref().expect_err("the entry of the first charge cannot be read");
        assert!(error.is_account_refused(), "{error}");
    }
    charged(&ran[1]);
}

#[test]
fn a_workspace_whose_creation_fails_can_be_created_later() {
    let scratch = Scratch::new();
    let mut core = served(&scratch, 1);
    core.flip_total(&WorkspaceId::platform()).expect("a healthy disk");
    let prices = || submission(WorkspaceId::platform(), None, contract::prices(&[("message", 700)]));
    let create = submission(workspace("new"), None, Command::CreateWorkspace(WorkspaceChanges::default()));
    let ran = run_each(&mut core, vec![prices(), create]);
    assert!(ran[0].is_err(), "the platform's own account does not add up");
    assert!(ran[1].as_ref().expect("it was run").is_ok(), "the workspaces are served");
    core.maintain().expect("a healthy disk");
    core.maintain().expect("a healthy disk");
    assert!(run_each(&mut core, vec![prices()])[0].as_ref().expect("it was rebuilt").is_ok());
}

/// A core whose maintenance fails while a charge of `other` is in flight; the disk works again.
fn failed_in_flight(scratch: &Scratch, disk: &Disk) -> (Core, Appender, InFlightBatch) {
    let options = CoreOptions { vfs: Some(disk.name().to_owned()), wal_bytes: 1, ..CoreOptions::default() };
    let mut core = Core::open(scratch.path(), options).expect("the directory opens");
    core.run_batch(beginning(), NOW).expect("a healthy disk");
    let appender = core.appender().expect("a journal opens twice");
    core.decide_batch(vec![charge("other", "one")], NOW).expect("it is decided");
    let batch = core.begin_append().expect("an entry was recorded");
    disk.fail(Fault::WriteError { after_writes: 0 });
    let failed = core.maintain().and_then(|()| core.maintain());
    failed.expect_err("the checkpointer cannot move the WAL, which the next step finds");
    disk.heal();
    (core, appender, batch)
}

/// Appends the batch in flight.
fn land(core: &mut Core, mut appender: Appender, batch: &InFlightBatch) {
    let appended = appender.append(batch);
    core.append_finished(&appended);
    appended.expect("the disk works again");
}

#[test]
fn a_write_is_seen_after_the_checkpointer_failed_while_it_was_in_flight() {
    let (scratch, disk) = (Scratch::new(), Disk::new("isolation-in-flight"));
    let (mut core, appender, batch) = failed_in_flight(&scratch, &disk);
    assert_eq!(available(&mut core, "other"), GRANTED - 500, "memory still includes the batch");
    land(&mut core, appender, &batch);
    assert_eq!(available(&mut core, "other"), GRANTED - 500, "what is loaded includes the batch");
    charged(&run_each(&mut core, vec![charge("other", "two")])[0]);
    assert_eq!(available(&mut core, "other"), GRANTED - 1_000);
}

#[test]
fn a_batch_on_memory_that_was_discarded_after_the_batch_before_it_is_not_said_to_be_written() {
    let (scratch, disk) = (Scratch::new(), Disk::new("isolation-discarded"));
    let (mut core, appender, batch) = failed_in_flight(&scratch, &disk);
    core.decide_batch(vec![charge("other", "two")], NOW).expect("memory is kept while a batch is in flight");
    land(&mut core, appender, &batch);
    assert!(core.begin_append().is_none(), "the second charge is discarded with memory");
    assert!(core.commit().expect_err("it is not on disk").is_unavailable());
    assert_eq!(available(&mut core, "other"), GRANTED - 500);
    charged(&run_each(&mut core, vec![charge("other", "two")])[0]);
    assert_eq!(available(&mut core, "other"), GRANTED - 1_000);
}

#[test]
fn an_engine_takes_writes_again_by_itself_after_a_failure() {
    let (scratch, disk) = (Scratch::new(), Disk::new("isolation-recovers"));
    let options = CoreOptions { vfs: Some(disk.name().to_owned()), ..CoreOptions::default() };
    let engine = Embedded::open_with_options(scratch.path(), options, 16).expect("the directory opens");
    for submission in beginning() {
        block_on(engine.run(submission, NOW)).expect("a healthy disk").expect("accepted");
    }
    disk.fail(Fault::DiskFull { after_writes: 0 });
    let error = block_on(engine.run(charge("other", "one"), NOW)).expect_err("the disk is full");
    assert!(error.is_unavailable(), "{error}");
    let writable = |wanted: bool| (engine.stats().writable == wanted).then_some(());
    retry_for(Duration::from_secs(20), "the engine notices the failure", || writable(false));
    disk.heal();
    retry_for(Duration::from_secs(20), "the engine takes writes again", || writable(true));
    block_on(engine.run(charge("other", "one"), NOW)).expect("it works").expect("accepted");
    let balance = block_on(engine.balance(&workspace("other"), None)).expect("it reads").expect("it exists");
    assert_eq!(balance.balance.available, Micros::new(GRANTED - 500));
    block_on(engine.close()).expect("a healthy disk");
}

#[test]
fn a_past_balance_is_found_among_many_entries_of_one_hour() {
    let scratch = Scratch::new();
    let engine = Embedded::open(scratch.path(), Options::default()).expect("a fresh directory opens");
    let run = |batch: Vec<Submission>, at| {
        for ran in block_on(engine.run_batch(batch, at)).expect("a healthy disk") {
            ran.expect("accepted");
        }
    };
    run(beginning(), NOW);
    run(vec![submission(WorkspaceId::platform(), None, contract::prices(&[("message", 25)]))], NOW);
    // Each second `other` is charged forty times, and every hundredth second `victim` once.
    for second in 1..=300_usize {
        let mut batch: Vec<_> = (0..40).map(|n| charge("other", &format!("{second}-{n}"))).collect();
        if second.is_multiple_of(100) {
            batch.push(charge("victim", &format!("{second}")));
        }
        run(batch, NOW.plus_seconds(second as i64));
    }
    let past = |name: &str, millis: i64| {
        let at = Timestamp::from_millis(NOW.millis() + millis);
        let found = block_on(engine.balance(&workspace(name), Some(at))).expect("it reads");
        found.expect("it exists").balance.available.get()
    };
    for second in 0..=301 {
        let charges = second.min(300) * 40;
        assert_eq!(past("other", second * 1_000), GRANTED - charges * 25, "second {second}");
        assert_eq!(past("other", second * 1_000 + 999), GRANTED - charges * 25);
        assert_eq!(past("victim", second * 1_000), GRANTED - second.min(300) / 100 * 25);
    }
    assert_eq!(past("other", -1), 0);
    block_on(engine.close()).expect("a healthy disk");
}
