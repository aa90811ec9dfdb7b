//! A directory with a million entries: an old key still gives its first answer, also after a
//! restart; and readers beside the writer.

use tollkeeper_engine::embedded::{Core, CoreOptions, Embedded};
use tollkeeper_engine::{Answer, CommandResult, Engine, Reads};
use tollkeeper_ledger::{Command, Micros, Refusal, Source, Submission, WorkspaceChanges, WorkspaceId};
use tollkeeper_sim::contract::{self, BEGINNING as NOW, acme, credit, submission, workspace};
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::scratch::Scratch;

/// Entries between the first use of the key and the next.
const MILLION: usize = 1_000_000;

fn charge(name: &str, key: &str, quantity: i64) -> Submission {
    submission(workspace(name), Some(key), Command::Charge(contract::charge("message", quantity)))
}

fn opened(name: &str) -> [Submission; 2] {
    let credit = credit("credit", Source::Promotional, 1_000_000_000_000);
    [
        submission(workspace(name), None, Command::CreateWorkspace(WorkspaceChanges::default())),
        submission(workspace(name), Some("credit"), Command::Grant(credit)),
    ]
}

fn prices() -> Submission {
    submission(WorkspaceId::platform(), None, contract::prices(&[("message", 500)]))
}

fn one(core: &mut Core, submission: Submission) -> CommandResult {
    let mut answers = core.run_batch(vec![submission], NOW).expect("a healthy disk");
    answers.pop().expect("each command has an answer")
}

#[test]
fn a_key_used_a_million_entries_ago_gives_the_first_answer() {
    let scratch = Scratch::new();
    let mut core = Core::open(scratch.path(), CoreOptions::default()).expect("a fresh directory opens");
    one(&mut core, prices()).expect("prices");
    let workspaces: Vec<Submission> = ["acme", "busy"].into_iter().flat_map(opened).collect();
    for ran in core.run_batch(workspaces, NOW).expect("a healthy disk") {
        ran.expect("a workspace with credit");
    }
    let first = one(&mut core, charge("acme", "order-1", 3)).expect("paid");
    for from in (0..MILLION).step_by(8_000) {
        let batch = (from..from + 8_000).map(|n| charge("busy", &format!("busy-{n}"), 1)).collect();
        let answers = core.run_batch(batch, NOW).expect("a healthy disk");
        assert!(answers.iter().all(Result::is_ok));
        core.maintain().expect("a healthy disk");
    }
    let replay = Answer { replayed: true, changed: false, ..first };
    assert_eq!(one(&mut core, charge("acme", "order-1", 3)), Ok(replay.clone()));
    assert_eq!(
        one(&mut core, charge("acme", "order-1", 4)),
        Err(Refusal::IdempotencyKeyReused { field: "quantity" })
    );
    drop(core);
    let mut core = Core::open(scratch.path(), CoreOptions::default()).expect("the directory opens again");
    assert_eq!(one(&mut core, charge("acme", "order-1", 3)), Ok(replay));
}

#[test]
fn a_reader_beside_the_writer_closes() {
    let scratch = Scratch::new();
    let mut core = Core::open(scratch.path(), CoreOptions::default()).expect("a fresh directory opens");
    one(&mut core, prices()).expect("prices");
    for submission in opened("acme") {
        one(&mut core, submission).expect("a workspace with credit");
    }
    let reader = Embedded::open_read_only(scratch.path()).expect("a reader opens beside the writer");
    let balance = block_on(reader.balance(&acme(), None)).expect("the engine reads").expect("it exists");
    assert_eq!(balance.balance.available, Micros::new(1_000_000_000_000));
    block_on(reader.close()).expect("a reader closes");
}

#[test]
fn a_long_reader_does_not_block_maintenance() {
    let scratch = Scratch::new();
    let options = CoreOptions { wal_bytes: 1 << 20, ..CoreOptions::default() };
    let mut core = Core::open(scratch.path(), options.clone()).expect("a fresh directory opens");
    one(&mut core, prices()).expect("prices");
    for submission in opened("acme") {
        one(&mut core, submission).expect("a workspace with credit");
    }
    let reader = Core::open_read_only(scratch.path(), options).expect("a reader opens beside the writer");
    for from in (0..24_000).step_by(8_000) {
        let batch = (from..from + 8_000).map(|n| charge("acme", &format!("order-{n}"), 1)).collect();
        let answers = core.run_batch(batch, NOW).expect("a healthy disk");
        assert!(answers.iter().all(Result::is_ok));
        // The WAL cannot be checkpointed past the reader's snapshot; maintenance must end anyway.
        core.maintain().expect("a healthy disk");
    }
    drop(reader);
    core.checkpoint_all().expect("the reader has gone");
}
