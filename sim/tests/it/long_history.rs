//! What a long history must not change: a key that was used a million entries ago still gives the first answer, before and
//! after a restart, and a reader beside it closes in order.

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
    let mut answers = core.run_batch(vec![submission], NOW).expect("the disk takes it");
    answers.pop().expect("one answer each")
}

#[test]
fn a_key_used_a_million_entries_ago_gives_the_first_answer() {
    let scratch = Scratch::new();
    let mut core = Core::open(scratch.path(), CoreOptions::default()).expect("a directory of its own");
    one(&mut core, prices()).expect("prices");
    let workspaces: Vec<Submission> = ["acme", "busy"].into_iter().flat_map(opened).collect();
    for ran in core.run_batch(workspaces, NOW).expect("the disk takes it") {
        ran.expect("a workspace with credit");
    }
    let first = one(&mut core, charge("acme", "order-1", 3)).expect("paid");
    for from in (0..MILLION).step_by(8_000) {
        let batch = (from..from + 8_000).map(|n| charge("busy", &format!("busy-{n}"), 1)).collect();
        let answers = core.run_batch(batch, NOW).expect("the disk takes it");
        assert!(answers.iter().all(Result::is_ok));
        core.maintain().expect("the disk takes it");
    }
    let again = Answer { replayed: true, ..first };
    assert_eq!(one(&mut core, charge("acme", "order-1", 3)), Ok(again.clone()));
    assert_eq!(one(&mut core, charge("acme", "order-1", 4)), Err(Refusal::KeyReused { field: "quantity" }));
    drop(core);
    let mut core = Core::open(scratch.path(), CoreOptions::default()).expect("it opens again");
    assert_eq!(one(&mut core, charge("acme", "order-1", 3)), Ok(again));
}

#[test]
fn a_reader_beside_the_writer_closes_in_order() {
    let scratch = Scratch::new();
    let mut core = Core::open(scratch.path(), CoreOptions::default()).expect("a directory of its own");
    one(&mut core, prices()).expect("prices");
    for submission in opened("acme") {
        one(&mut core, submission).expect("a workspace with credit");
    }
    let reader = Embedded::open_read_only(scratch.path()).expect("it reads beside the writer");
    let balance = block_on(reader.balance(&acme(), None)).expect("readable").expect("there");
    assert_eq!(balance.balance.available, Micros::new(1_000_000_000_000));
    block_on(reader.close()).expect("a reader has nothing to keep");
}

#[test]
fn a_reader_that_stays_does_not_keep_the_keeper_busy() {
    let scratch = Scratch::new();
    let options = CoreOptions { wal_bytes: 1 << 20, ..CoreOptions::default() };
    let mut core = Core::open(scratch.path(), options.clone()).expect("a directory of its own");
    one(&mut core, prices()).expect("prices");
    for submission in opened("acme") {
        one(&mut core, submission).expect("a workspace with credit");
    }
    let reader = Core::open_read_only(scratch.path(), options).expect("it reads beside the writer");
    for from in (0..24_000).step_by(8_000) {
        let batch = (from..from + 8_000).map(|n| charge("acme", &format!("order-{n}"), 1)).collect();
        let answers = core.run_batch(batch, NOW).expect("the disk takes it");
        assert!(answers.iter().all(Result::is_ok));
        // What the reader still sees cannot be moved out of the WAL; tending must end all the same.
        core.maintain().expect("the disk takes it");
    }
    drop(reader);
    core.checkpoint_all().expect("nothing is held any more");
}
