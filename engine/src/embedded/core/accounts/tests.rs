//! Tests of what the writer thread hands over of an account, to the checkpointer and to reads.

use tollkeeper_ledger::{
    ChargeCommand, ChargeId, ChargeRequest, Command, GrantRequest, Micros, OperationId, OperationPrice,
    Source, Submission, Timestamp, WorkerId, WorkspaceId,
};

use super::{OVERFULL_ROWS, WIDE_ROWS};
use crate::embedded::core::delta::Wanted;
use crate::embedded::test_commands::{submission, workspace};
use crate::embedded::{Core, CoreOptions, Embedded, Options};
use crate::{Output, Page, Reads};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// A workspace with credit, beside a price.
fn begin() -> Vec<Submission> {
    let id = OperationId::new("message").expect("the id is valid");
    let price = OperationPrice { id, price: Micros::new(1).into(), timeout_seconds: None };
    let prices = Command::SetPrices { operations: vec![price], effective_at: None };
    let credit = GrantRequest::new(Source::Promotional, Micros::new(1_000_000));
    vec![
        submission(WorkspaceId::platform(), "prices", prices),
        submission(workspace("acme"), "new", Command::CreateWorkspace(Default::default())),
        submission(workspace("acme"), "credit", Command::Grant(credit)),
    ]
}

/// A directory with that workspace, and its core.
fn begun() -> (tempfile::TempDir, Core) {
    let scratch = tempfile::tempdir().expect("a directory");
    let mut core = Core::open(scratch.path(), CoreOptions::default()).expect("an empty directory opens");
    core.run_batch(begin(), NOW).expect("a healthy disk");
    (scratch, core)
}

/// Charges that each count for another worker.
fn charges(numbers: std::ops::Range<usize>) -> Vec<Submission> {
    let charge = |n| {
        let operation = OperationId::new("message").expect("the id is valid");
        let worker = Some(WorkerId::new(format!("worker-{n}")).expect("the id is valid"));
        let request = ChargeRequest { worker, ..ChargeRequest::new(operation, 1) };
        submission(workspace("acme"), &format!("charge-{n}"), Command::Charge(request))
    };
    numbers.map(charge).collect()
}

fn unpersisted_rows(core: &mut Core) -> (usize, usize) {
    let machine = core.ensure_loaded().expect("it is loaded");
    let index = machine.find_workspace(&workspace("acme")).expect("it is sound").expect("it exists");
    let slot = machine.accounts.get(index);
    let given = slot.being_persisted.as_ref().map_or(0, |given| given.usage.len());
    (slot.unpersisted.rows(), given)
}

/// Opens a pending charge.
fn open_charge(core: &mut Core, key: &str) -> ChargeId {
    let operation = OperationId::new("message").expect("the id is valid");
    let request = ChargeRequest { await_outcome: true, ..ChargeRequest::new(operation, 1) };
    let charge = submission(workspace("acme"), key, Command::Charge(request));
    let answer = core.run_batch(vec![charge], NOW).expect("a healthy disk").pop().expect("one answer");
    let Output::Charge(charge, _) = answer.expect("it is accepted").output else {
        panic!("a charge is answered")
    };
    charge.details.id
}

fn succeed(core: &mut Core, charge: ChargeId) {
    let command = ChargeCommand::Succeed { quantity: None }.for_charge(charge);
    let outcome = submission(workspace("acme"), &format!("outcome-{charge}"), command);
    let answer = core.run_batch(vec![outcome], NOW).expect("a healthy disk").pop().expect("one answer");
    answer.expect("it is accepted");
}

/// The number of deadlines of the workspace that wait to be persisted, and of those in the state
/// file.
fn deadlines(core: &mut Core) -> (usize, usize) {
    let machine = core.ensure_loaded().expect("it is loaded");
    let index = machine.find_workspace(&workspace("acme")).expect("it is sound").expect("it exists");
    let meta = machine.state.meta().expect("the file is whole");
    let stored = machine.state.pending(&meta).expect("the file is whole");
    (machine.accounts.get(index).unpersisted.pending.len(), stored.len())
}

#[test]
fn a_charge_settled_before_it_is_persisted_leaves_no_deadline_to_write() {
    let (_scratch, mut core) = begun();
    let persisted = open_charge(&mut core, "persisted");
    assert_eq!(deadlines(&mut core), (1, 0));
    core.checkpoint_all().expect("a healthy disk");
    assert_eq!(deadlines(&mut core), (0, 1));

    let brief = open_charge(&mut core, "brief");
    assert_eq!(deadlines(&mut core), (1, 1));
    succeed(&mut core, brief);
    assert_eq!(deadlines(&mut core), (0, 1), "it has no row to delete");

    let heartbeat = ChargeCommand::Heartbeat { extend_seconds: 3_600 }.for_charge(persisted);
    let heartbeat = submission(workspace("acme"), "heartbeat", heartbeat);
    core.run_batch(vec![heartbeat], NOW).expect("a healthy disk").remove(0).expect("it is accepted");
    succeed(&mut core, persisted);
    assert_eq!(deadlines(&mut core), (1, 1), "its row is to be deleted");
    core.checkpoint_all().expect("a healthy disk");
    assert_eq!(deadlines(&mut core), (0, 0));
}

#[test]
fn a_charge_from_before_a_restart_loses_its_row_with_its_outcome() {
    let (scratch, mut core) = begun();
    let charge = open_charge(&mut core, "before");
    core.checkpoint_all().expect("a healthy disk");
    drop(core);

    let mut core = Core::open(scratch.path(), CoreOptions::default()).expect("it opens again");
    assert_eq!(deadlines(&mut core), (0, 1));
    succeed(&mut core, charge);
    core.checkpoint_all().expect("a healthy disk");
    assert_eq!(deadlines(&mut core), (0, 0));
}

#[test]
fn an_outcome_soon_after_its_charge_reads_nothing_from_the_file() {
    let (scratch, mut core) = begun();
    let charge = open_charge(&mut core, "charge");
    let before = core.entries_read().expect("it is loaded");
    succeed(&mut core, charge);
    assert_eq!(core.entries_read().expect("it is loaded"), before);

    let options = CoreOptions { recent_bytes: 0, ..CoreOptions::default() };
    drop(core);
    let mut core = Core::open(scratch.path(), options).expect("it opens again");
    let charge = open_charge(&mut core, "not kept");
    let before = core.entries_read().expect("it is loaded");
    succeed(&mut core, charge);
    assert!(core.entries_read().expect("it is loaded") > before, "nothing is kept in memory");
}

#[test]
fn a_wide_account_is_handed_over_in_bounded_pieces_without_a_round() {
    let scratch = tempfile::tempdir().expect("a directory");
    let mut core = Core::open(scratch.path(), CoreOptions::default()).expect("an empty directory opens");
    let run = |core: &mut Core, batch| {
        for answer in core.run_batch(batch, NOW).expect("a healthy disk") {
            answer.expect("it is accepted");
        }
        core.maintain().expect("a healthy disk");
    };
    run(&mut core, begin());
    let (batch, batches) = (1_000, 13);
    for n in 0..batches {
        run(&mut core, charges(n * batch..(n + 1) * batch));
        let (waiting, given) = unpersisted_rows(&mut core);
        assert!(waiting < WIDE_ROWS && given < WIDE_ROWS + batch, "{waiting} and {given} rows in memory");
    }
    assert!(!core.ensure_loaded().expect("it is loaded").accounts.in_round(), "no round was due");
    core.checkpoint_all().expect("a healthy disk");
    let machine = core.ensure_loaded().expect("it is loaded");
    let index = machine.find_workspace(&workspace("acme")).expect("it is sound").expect("it exists");
    let hours = NOW.hour()..NOW.hour() + 1;
    let rows = machine.state.usage(index, hours).expect("the file is whole");
    assert_eq!(rows.len(), batch * batches);
}

#[test]
fn rows_that_come_faster_than_they_are_written_wait() {
    let (_scratch, mut core) = begun();
    core.run_batch(charges(0..OVERFULL_ROWS), NOW).expect("a healthy disk");
    assert!(core.ensure_loaded().expect("it is loaded").accounts.is_overfull());
    core.maintain().expect("a healthy disk");
    let machine = core.ensure_loaded().expect("it is loaded");
    assert!(!machine.accounts.is_overfull() && !core.must_wait(), "the checkpointer has taken them");
}

#[test]
fn a_read_takes_no_usage_and_no_grants_that_it_does_not_show() {
    let (_scratch, mut core) = begun();
    core.run_batch(charges(0..3_000), NOW).expect("a healthy disk");
    let machine = core.ensure_loaded().expect("it is loaded");
    let index = machine.find_workspace(&workspace("acme")).expect("it is sound").expect("it exists");
    let rows = |wanted| {
        let delta = machine.account_delta(index, 0, &wanted).expect("the file holds nothing yet");
        (delta.usage.rows.len(), delta.new_grants.len(), delta.changed_grants.len())
    };
    assert_eq!(rows(Wanted::Entries { up_to: None }), (0, 0, 0));
    assert_eq!(rows(Wanted::Entries { up_to: Some(NOW.hour()) }), (0, 0, 0));
    let hour = NOW.hour();
    assert_eq!(rows(Wanted::Usage { hours: hour..hour + 1 }), (3_000, 0, 0));
    assert_eq!(rows(Wanted::Usage { hours: hour + 1..hour + 2 }), (0, 0, 0));
    let grants = |before| Wanted::Grants { before, most: 1, in_file: Vec::new() };
    assert_eq!(rows(grants(u64::MAX)), (0, 1, 1));
    assert_eq!(rows(grants(1)), (0, 0, 0));
}

#[test]
fn a_wide_account_reads_the_same_while_it_is_handed_over() {
    let scratch = tempfile::tempdir().expect("a directory");
    let engine = Embedded::open(scratch.path(), Options::default()).expect("an empty directory opens");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    runtime.block_on(async {
        use crate::Engine;
        engine.run_batch(begin(), NOW).await.expect("a healthy disk");
        for n in 0..12 {
            engine.run_batch(charges(n * 800..(n + 1) * 800), NOW).await.expect("a healthy disk");
            let hours = NOW.hour()..NOW.hour() + 1;
            let usage = engine.usage(&workspace("acme"), hours).await.expect("it can be read");
            assert_eq!(usage.len(), (n + 1) * 800);
            let page = Page { limit: 1, cursor: None };
            let grants =
                engine.grants(&workspace("acme"), page).await.expect("it can be read").expect("it exists");
            let left = 1_000_000 - (n as i64 + 1) * 800;
            assert_eq!(grants.data[0].grant.remaining, Micros::new(left));
        }
        engine.close().await.expect("a healthy disk");
    });
}
