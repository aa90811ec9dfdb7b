//! Clauses about restarts, concurrency, stats and closing.

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{ChargeCommand, Command, Micros, Status};

use super::Store;
use super::test_client::{TestClient, acme, awaited, charge, submission};
use tollkeeper_testkit::blocking::block_on;

pub(super) fn a_restart_loses_nothing(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    let (paid, _) = client.charge("k", charge("message", 3));
    let (open, _) = client.charge("open", awaited("message", 1, 600));
    client.advance_clock(10);
    let (profile, balance) =
        (block_on(client.engine.workspace(&acme())).expect("the engine reads"), client.balance());
    let (count, record) = (client.entry_count(), client.record(paid.details.id));
    let mut client = client;
    for _ in 0..3 {
        client = client.restarted(store);
        assert_eq!(block_on(client.engine.workspace(&acme())).expect("the engine reads"), profile);
        assert_eq!((client.balance(), client.entry_count()), (balance, count));
        assert_eq!(client.record(paid.details.id), record);
        assert_eq!(client.record(open.details.id).charge.state.status, Status::Pending);
    }
    client.accepted(ChargeCommand::Succeed { quantity: None }.for_charge(open.details.id));
    assert_eq!(client.entry_count(), count + 1);
}

pub(super) fn the_head_of_the_journal_moves_with_each_entry(store: &dyn Store) {
    let client = TestClient::with_credit(store, 100_000);
    let head = |client: &TestClient| block_on(client.engine.journal_head()).expect("the engine reads");
    let before = head(&client);
    client.charge("k", charge("message", 1));
    let after = head(&client);
    assert_eq!((after.entries, after.place), (before.entries + 1, before.place + 1));
    assert!(after.hash != before.hash && after.epoch == before.epoch);
    client.charge("k", charge("message", 1));
    assert_eq!(head(&client), after, "a repeated request adds nothing");
    assert_eq!(head(&client.restarted(store)), after);
}

pub(super) fn an_old_key_is_still_known(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 1_000_000);
    let first = client
        .submit_keyed("the first", Command::Charge(charge("message", 1)))
        .expect("the command is accepted");
    for round in 0..3 {
        let batch = (0..500).map(|n| {
            let key = format!("{round} {n}");
            submission(acme(), Some(&key), Command::Charge(charge("message", 1)))
        });
        let ran = block_on(client.engine.run_batch(batch.collect(), client.now)).expect("a healthy engine");
        assert!(ran.iter().all(Result::is_ok));
        client.advance_clock(86_400 * 400);
        client = client.restarted(store);
    }
    let again = client
        .submit_keyed("the first", Command::Charge(charge("message", 1)))
        .expect("the command is accepted");
    assert_eq!((again.replayed, again.output), (true, first.output));
    for key in ["0 0", "1 250", "2 499"] {
        assert!(
            client
                .submit_keyed(key, Command::Charge(charge("message", 1)))
                .expect("the command is accepted")
                .replayed,
            "{key}"
        );
    }
    assert_eq!(client.balance().available, Micros::new(1_000_000 - 1_501 * 500));
}

pub(super) fn concurrent_large_batches_run_each_key_once(store: &dyn Store) {
    let client = TestClient::with_credit(store, 10_000_000);
    let batch = |caller: usize| {
        // Two callers each send the same requests under the same keys.
        let line = |n| {
            submission(acme(), Some(&format!("{} {n}", caller / 2)), Command::Charge(charge("message", 1)))
        };
        (0..1_500).map(line).collect::<Vec<_>>()
    };
    let ask = |caller: usize| {
        let rounds = (0..3).map(|_| block_on(client.engine.run_batch(batch(caller), client.now)));
        rounds
            .flat_map(|ran| ran.expect("a healthy engine"))
            .map(|ran| ran.expect("credit").replayed)
            .collect::<Vec<_>>()
    };
    let answers: Vec<Vec<bool>> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4).map(|caller| scope.spawn(move || ask(caller))).collect();
        let mut least = client.balance().available.get();
        while !callers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            let available = client.balance().available.get();
            assert!(available <= least && available % 500 == 0, "{available} after {least}");
            least = available;
        }
        callers.into_iter().map(|caller| caller.join().expect("a caller does not panic")).collect()
    });
    let first = answers.iter().flatten().filter(|replayed| !**replayed).count();
    assert_eq!(first, 3_000, "each key is charged once");
    assert_eq!(client.balance().available.get(), 10_000_000 - 3_000 * 500);
    let client = client.restarted(store);
    assert_eq!(client.balance().available.get(), 10_000_000 - 3_000 * 500);
    let again = block_on(client.engine.run_batch(batch(0), client.now)).expect("a healthy engine");
    assert!(again.iter().all(|ran| ran.as_ref().is_ok_and(|answer| answer.replayed)));
}

pub(super) fn a_pending_charge_is_due_after_a_restart(store: &dyn Store) {
    let client = TestClient::with_credit(store, 10_000);
    let (open, _) = client.charge("k", awaited("message", 4, 60));
    let mut client = client.restarted(store);
    assert_eq!(client.due(), []);
    client.advance_clock(60);
    let client = client.restarted(store);
    assert_eq!(client.due(), [(acme(), open.details.id)]);
    client.accepted(ChargeCommand::TimeOut.for_charge(open.details.id));
    assert_eq!(client.balance().available.get(), 10_000);
    let client = client.restarted(store);
    assert_eq!(client.due(), []);
}

pub(super) fn stats_count_entries_and_commands(store: &dyn Store) {
    let client = TestClient::with_credit(store, 10_000);
    let before = client.engine.stats();
    client.charge("a", charge("message", 1));
    client.charge("b", awaited("message", 1, 60));
    client.charge("b", awaited("message", 1, 60));
    // The stats may lag behind an answer for a moment; a read comes after both.
    let _ = client.balance();
    let after = client.engine.stats();
    assert_eq!(after.entries - before.entries, 2);
    assert_eq!(after.commands - before.commands, 3);
    assert!(after.commits > before.commits && after.commits - before.commits <= 3);
    assert_eq!((after.pending_charges, after.writable), (1, true));
}

pub(super) fn a_closed_engine_takes_no_commands(store: &dyn Store) {
    let client = TestClient::with_credit(store, 10_000);
    block_on(client.engine.close()).expect("a healthy engine closes");
    let late = submission(acme(), Some("late"), Command::Charge(charge("message", 1)));
    let error = block_on(client.engine.run(late.clone(), client.now)).expect_err("it is closed");
    assert!(error.is_unavailable(), "{error}");
    let error = block_on(client.engine.run_batch(vec![late], client.now)).expect_err("it is closed");
    assert!(error.is_unavailable(), "{error}");
    drop(client);
    let client = TestClient::open(store, super::test_client::BEGINNING);
    assert_eq!(client.balance().available.get(), 10_000);
}
