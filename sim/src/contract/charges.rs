//! Clauses about credit in and out, the answers, and repeated requests.

use tollkeeper_engine::{Answer, Output, Page, Reads};
use tollkeeper_ledger::{
    Balance, ChargeCommand, Command, Micros, Outcome, RefundReason, Source, Status, bounds,
};

use super::Store;
use super::test_client::{
    BEGINNING, TestClient, acme, awaited, charge, charged, credit, submission, workspace,
};
use tollkeeper_testkit::blocking::block_on;

pub(super) fn a_charge_deducts_its_price(store: &dyn Store) {
    let client = TestClient::with_credit(store, 100_000);
    let (paid, balance) = client.charge("k", charge("try_on", 2));
    assert_eq!(
        (paid.details.amount.get(), paid.details.price.unit_price().map_or(0, Micros::get)),
        (40_000, 20_000)
    );
    assert_eq!((paid.state.status, paid.state.outcome), (Status::Settled, None));
    assert_eq!((paid.created_at, balance.available.get()), (BEGINNING, 60_000));
    assert_eq!(client.balance(), balance);
    let record = client.record(paid.details.id);
    assert_eq!(record.charge, paid);
    assert_eq!(record.draws.iter().map(|(_, amount)| amount.get()).sum::<i64>(), 40_000);
    assert!(record.refunds.is_empty());
}

pub(super) fn a_repeated_key_gets_the_first_answer(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    let first =
        client.submit_keyed("k", Command::Charge(charge("message", 3))).expect("the command is accepted");
    assert!(!first.replayed);
    let id = charged(Ok(first.clone())).0.details.id;
    let refund =
        ChargeCommand::Refund { amount: Some(Micros::new(500)), reason: "courtesy".into() }.for_charge(id);
    let refunded = client.submit_keyed("r", refund.clone()).expect("the command is accepted");
    client.advance_clock(86_400);
    let again =
        client.submit_keyed("k", Command::Charge(charge("message", 3))).expect("the command is accepted");
    assert!(again.replayed);
    assert_eq!(again.output, first.output, "the first answer, not the current state");
    let again = client.submit_keyed("r", refund).expect("the command is accepted");
    assert_eq!((again.replayed, again.output), (true, refunded.output));
    let refused =
        client.submit_keyed("k", Command::Charge(charge("message", 4))).expect_err("another request");
    assert_eq!(refused, tollkeeper_ledger::Refusal::IdempotencyKeyReused { field: "quantity" });
    client.create_workspace(workspace("b"));
    let elsewhere = client.submit(workspace("b"), Some("k"), Command::Charge(charge("message", 3)));
    assert_eq!(elsewhere.expect_err("no credit there").code(), "insufficient_credits");
    let top_up = client.grant("pay_1", Source::TopUp, 1_000);
    assert_eq!(client.grant("pay_1", Source::TopUp, 1_000), top_up, "a payment brings credit once");
    assert_eq!(client.balance().available.get(), 100_000 - 1_500 + 500 + 1_000);
}

pub(super) fn a_refusal_changes_nothing(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 499);
    let before = client.entry_count();
    for _ in 0..2 {
        let refused =
            client.submit_keyed("k", Command::Charge(charge("message", 1))).expect_err("too little");
        assert_eq!(refused.code(), "insufficient_credits");
    }
    assert_eq!((client.entry_count(), client.balance().available.get()), (before, 499));
    client.grant("more", Source::Adjustment, 1);
    let (paid, balance) = client.charge("k", charge("message", 1));
    assert_eq!((paid.details.amount.get(), balance.available), (500, Micros::ZERO));
}

pub(super) fn a_batch_is_decided_in_order(store: &dyn Store) {
    let client = TestClient::with_credit(store, 1_000);
    let ask =
        |key: &str, quantity| submission(acme(), Some(key), Command::Charge(charge("message", quantity)));
    let opened = workspace("later");
    let batch = vec![
        ask("a", 1),
        ask("b", 2),
        ask("a", 1),
        ask("a", 2),
        submission(opened.clone(), None, Command::CreateWorkspace(Default::default())),
        submission(opened.clone(), None, Command::CreateWorkspace(Default::default())),
        ask("c", 1),
        ask("d", 1),
    ];
    let expected = [
        "yes",
        "insufficient_credits",
        "replay",
        "idempotency_key_reused",
        "yes",
        "workspace_exists",
        "yes",
        "insufficient_credits",
    ];
    assert_eq!(client.codes(batch), expected);
    let again = vec![ask("a", 1), ask("b", 2), ask("c", 1)];
    assert_eq!(client.codes(again), ["replay", "insufficient_credits", "replay"]);
    assert_eq!(client.balance().available, Micros::ZERO);
    assert_eq!(client.balance_of(opened).available, Micros::ZERO);
    assert_eq!(block_on(client.engine.run_batch(Vec::new(), client.now)).expect("a healthy engine"), []);
}

pub(super) fn an_outcome_settles_or_refunds(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 10_000);
    let open = |key: &str| client.charge(key, awaited("message", 4, 60)).0.details.id;
    let (kept, partly, failed) = (open("kept"), open("partly"), open("failed"));
    assert_eq!((client.balance().available.get(), client.balance().pending.get()), (4_000, 6_000));
    client.advance_clock(1);
    let (charge, _) =
        charged(Ok(answer(client.accepted(ChargeCommand::Succeed { quantity: None }.for_charge(kept)))));
    assert_eq!((charge.state.status, charge.state.outcome), (Status::Settled, Some(Outcome::Succeeded)));
    client.accepted(ChargeCommand::Succeed { quantity: Some(1.into()) }.for_charge(partly));
    let fail = ChargeCommand::Fail { by_system: true, detail: Some("broken".into()) }.for_charge(failed);
    let (charge, balance) = charged(Ok(answer(client.accepted(fail.clone()))));
    assert_eq!(charge.state.status, Status::Refunded);
    assert_eq!((balance.available.get(), balance.pending), (7_500, Micros::ZERO));
    client.accepted(fail);
    assert_eq!(client.balance(), balance, "repeating an outcome changes nothing");
    assert_eq!(
        client.refused(ChargeCommand::Succeed { quantity: None }.for_charge(failed)),
        "charge_already_refunded"
    );
    let record = client.record(partly);
    let refunds: Vec<_> =
        record.refunds.iter().map(|r| (r.refund.amount.get(), r.refund.reason, r.at)).collect();
    assert_eq!(refunds, [(1_500, RefundReason::PartlyUsed, client.now)]);
    assert_eq!(record.charge.state.quantity, 1);
    let record = client.record(failed);
    assert_eq!(record.refunds[0].refund.detail.as_deref(), Some("broken"));
}

fn answer(output: Output) -> tollkeeper_engine::Answer {
    tollkeeper_engine::Answer { replayed: false, changed: true, output }
}

pub(super) fn a_refund_returns_to_its_grants(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 1_000);
    let bought = client.grant("pay_1", Source::TopUp, 5_000);
    let (paid, _) = client.charge("k", charge("removal", 2));
    let draws = client.record(paid.details.id).draws;
    assert_eq!(draws.iter().map(|(_, amount)| amount.get()).collect::<Vec<_>>(), [1_000, 3_000]);
    assert_eq!(draws[1].0, bought);
    let refund =
        |amount| ChargeCommand::Refund { amount, reason: "courtesy".into() }.for_charge(paid.details.id);
    client.submit_keyed("r", refund(Some(Micros::new(3_500)))).expect("the command is accepted");
    assert_eq!(client.refused(refund(Some(Micros::new(501)))), "refund_exceeds_charge");
    let remaining = |client: &TestClient| {
        let page = tollkeeper_engine::Page { limit: 10, cursor: None };
        let listing =
            block_on(client.engine.grants(&acme(), page)).expect("the engine reads").expect("it exists");
        listing.data.iter().map(|record| record.grant.remaining.get()).collect::<Vec<_>>()
    };
    assert_eq!(remaining(&client), [5_000, 500], "newest first; the last draw returned first");
    let client = client.restarted(store);
    client.accepted(refund(None));
    assert_eq!(remaining(&client), [5_000, 1_000]);
    assert_eq!(client.record(paid.details.id).charge.state.outcome, Some(Outcome::Reversed));
}

pub(super) fn a_charge_takes_a_bounded_number_of_refunds(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 10_000);
    let (paid, _) = client.charge("k", awaited("message", 3, 10));
    let id = paid.details.id;
    for _ in 0..5 {
        client.advance_clock(5);
        client.accepted(ChargeCommand::Heartbeat { extend_seconds: 10 }.for_charge(id));
    }
    client.accepted(ChargeCommand::Succeed { quantity: None }.for_charge(id));
    let refund = |amount| ChargeCommand::Refund { amount, reason: "courtesy".into() }.for_charge(id);
    let one = || refund(Some(Micros::new(1)));
    let many = (1..bounds::REFUNDS_MAX).map(|n| submission(acme(), Some(&format!("r{n}")), one())).collect();
    assert!(client.codes(many).iter().all(|code| *code == "yes"));
    assert_eq!(client.refused(one()), "invalid_field");
    let client = client.restarted(store);
    client.accepted(refund(None));
    let record = client.record(id);
    let amounts: Vec<i64> = record.refunds.iter().map(|refund| refund.refund.amount.get()).collect();
    assert_eq!((amounts.len(), amounts[0], amounts[999]), (1_000, 1, 501), "oldest first");
    let state = record.charge.state;
    assert_eq!((state.status, state.refunded, state.refunds), (Status::Refunded, paid.details.amount, 1_000));
    let page = Page { limit: 1, cursor: None };
    let listed =
        block_on(client.engine.charges(&acme(), Default::default(), page)).expect("a healthy engine");
    assert_eq!(listed.expect("the workspace exists").data, [record.charge]);
}

pub(super) fn a_passed_deadline_is_due(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 10_000);
    let (early, _) = client.charge("early", awaited("message", 1, 30));
    let (late, _) = client.charge("late", awaited("message", 1, 60));
    let (early, late) = (early.details.id, late.details.id);
    client.advance_clock(29);
    assert_eq!(client.due(), []);
    client.advance_clock(1);
    assert_eq!(client.due(), [(acme(), early)]);
    client.accepted(ChargeCommand::Heartbeat { extend_seconds: 60 }.for_charge(early));
    assert_eq!(client.due(), []);
    client.advance_clock(30);
    assert_eq!(client.due(), [(acme(), late)]);
    client.accepted(ChargeCommand::TimeOut.for_charge(late));
    assert_eq!(client.due(), []);
    assert_eq!(client.record(late).charge.state.outcome, Some(Outcome::TimedOut));
    client.advance_clock(30);
    client.accepted(ChargeCommand::Succeed { quantity: None }.for_charge(early));
    assert_eq!(client.due(), []);
    assert_eq!(client.balance().available.get(), 9_500);
}

pub(super) fn a_heartbeat_that_moves_the_deadline_little_changes_nothing(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 10_000);
    let (charge, _) = client.charge("long", awaited("message", 1, 1_000));
    let id = charge.details.id;
    let entries = client.entry_count();
    let deadline = |client: &TestClient| client.record(id).charge.state.deadline;
    let first = deadline(&client);
    let heartbeat = |client: &TestClient, extend_seconds| {
        client.accepted(ChargeCommand::Heartbeat { extend_seconds }.for_charge(id));
    };
    for _ in 0..199 {
        // 801 to 999 seconds are left, and the deadline would move by 1 to 199.
        client.advance_clock(1);
        heartbeat(&client, 1_000);
    }
    assert_eq!((client.entry_count(), deadline(&client)), (entries, first));
    client.advance_clock(1);
    heartbeat(&client, 1_000);
    assert_eq!(client.entry_count(), entries + 1, "the deadline moves by a quarter of what is left");
    assert_eq!(deadline(&client), Some(client.now.plus_seconds(1_000)));
    heartbeat(&client, 1_249);
    assert_eq!(client.entry_count(), entries + 1);
    heartbeat(&client, 1_250);
    assert_eq!(deadline(&client), Some(client.now.plus_seconds(1_250)));
    client.accepted(ChargeCommand::Succeed { quantity: None }.for_charge(id));
    assert_eq!(client.record(id).charge.state.status, Status::Settled);
    assert_eq!(deadline(&client), None);
}

pub(super) fn a_grant_can_be_voided(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 1_000);
    let grant = client.grant("wrong", Source::Adjustment, 2_000);
    client.charge("k", charge("message", 1));
    let void = Command::VoidGrant { grant, reason: Some("a mistake".into()) };
    let first = client.submit_keyed("v", void.clone()).expect("the command is accepted");
    let Output::Grant(record, balance) = &first.output else { panic!("a void is answered by its grant") };
    assert_eq!((record.grant.amount.get(), record.grant.remaining), (2_000, Micros::ZERO));
    assert_eq!(balance.available.get(), 500);
    let again = client.submit_keyed("v", void).expect("the command is accepted");
    assert_eq!((again.replayed, again.output), (true, first.output));
    let unknown = Command::VoidGrant {
        grant: tollkeeper_ledger::GrantId(crate::model::step::unknown_id()),
        reason: None,
    };
    assert_eq!(client.refused(unknown), "grant_not_found");
}

pub(super) fn credit_that_goes_back_to_a_voided_grant_is_taken(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 10_000);
    let grant = client.grant("wrong", Source::Adjustment, 20_000);
    let paid = client.charge("k", charge("try_on", 1)).0.details.id;
    let pending = client.charge("p", awaited("removal", 1, 60)).0.details.id;
    let void = Command::VoidGrant { grant, reason: None };
    let voided = client.submit_keyed("v", void.clone()).expect("the command is accepted").output;
    let Output::Grant(record, _) = &voided else { panic!("a void is answered by its grant") };
    assert_eq!(record.grant.voided_at, Some(client.now));
    let mut client = client.restarted(store);
    client.advance_clock(60);
    client.accepted(ChargeCommand::TimeOut.for_charge(pending));
    assert_eq!(client.balance(), Balance::default());
    let refund = || ChargeCommand::Refund { amount: None, reason: "fraud".into() }.for_charge(paid);
    let refunded = client.submit_keyed("r", refund()).expect("the command is accepted");
    let Output::Charge(_, balance) = refunded.output else { panic!("a refund is answered by its charge") };
    // Of 20,000 that the charge took, 10,000 came from the grant that stands.
    assert_eq!((balance.available.get(), client.balance()), (10_000, balance));
    let again = client.submit_keyed("r", refund()).expect("the command is accepted");
    assert_eq!((again.replayed, again.output), (true, refunded.output));
    let page = Page { limit: 10, cursor: None };
    let listing = block_on(client.engine.grants(&acme(), page)).expect("a healthy engine");
    let grants = listing.expect("the workspace exists").data;
    assert_eq!(grants[0].grant.voided_at, record.grant.voided_at);
    let repeated = client.submit_keyed("another", void).expect("the command is accepted");
    assert_eq!(
        (repeated.replayed, repeated.output),
        (false, Output::Grant(Box::new(grants[0].clone()), balance))
    );
}

pub(super) fn a_lost_payment_is_clawed_back(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 500);
    let grant = client.grant("pay_1", Source::TopUp, 2_000);
    client.charge("k", charge("message", 3));
    let lost = Command::SetLost { grant, lost_cents: 2_000, evidence: "dp_1".into() };
    client.accepted(lost.clone());
    let owed = client.balance();
    assert_eq!((owed.available, owed.debt.get()), (Micros::ZERO, 1_000));
    let client = client.restarted(store);
    client.accepted(lost);
    assert_eq!(client.balance(), owed, "the same report takes nothing more");
    assert_eq!(client.refused(Command::Charge(charge("message", 1))), "debt_outstanding");
    let more = client.submit_keyed("more", Command::Grant(credit("more", Source::Promotional, 400)));
    let Ok(Answer { output: Output::Grant(record, balance), .. }) = &more else {
        panic!("credit is granted")
    };
    assert_eq!((record.grant.remaining, *balance), (Micros::ZERO, client.balance()));
    let again = client.submit_keyed("more", Command::Grant(credit("more", Source::Promotional, 400)));
    assert_eq!(again.map(|again| again.output), more.map(|more| more.output));
    assert_eq!((client.balance().available, client.balance().debt.get()), (Micros::ZERO, 600));
    client.accepted(Command::SetLost { grant, lost_cents: 0, evidence: "won".into() });
    assert_eq!((client.balance().available.get(), client.balance().debt), (1_400, Micros::ZERO));
}

pub(super) fn what_is_lost_of_a_payment_is_a_target(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 500);
    let grant = client.grant("pay_1", Source::TopUp, 2_000);
    let spent = client.charge("k", charge("message", 5)).0.details.id;
    let given = client.grant("gift", Source::Promotional, 700);
    let lost = |lost_cents| Command::SetLost { grant, lost_cents, evidence: "dp_1".into() };
    let now = |client: &TestClient| (client.balance().available.get(), client.balance().debt.get());
    client.accepted(lost(1_500));
    assert_eq!(now(&client), (0, 800), "the grant itself is spent");
    // What was taken from is spent, so another process has to load it.
    let client = client.restarted(store);
    client.accepted(lost(1_500));
    client.accepted(lost(2_000));
    assert_eq!(now(&client), (0, 1_300));
    client.accepted(lost(500));
    assert_eq!(now(&client), (200, 0), "debt is forgiven before credit is given back");
    let refused = client.refused(lost(2_001));
    assert_eq!(refused, "invalid_field");
    let free = Command::SetLost { grant: given, lost_cents: 0, evidence: "dp_1".into() };
    assert_eq!(client.refused(free), "invalid_field");
    client.accepted(lost(2_000));
    let refund = ChargeCommand::Refund { amount: None, reason: "broken".into() }.for_charge(spent);
    client.submit_keyed("r", refund).expect("the command is accepted");
    assert_eq!(now(&client), (1_200, 0), "the gift is back, because the lost grant gives its own");
    let client = client.restarted(store);
    let kept = client.submit_keyed("won", lost(0)).map(|answer| answer.output);
    assert_eq!(kept, Ok(Output::Done));
    assert_eq!(now(&client), (3_200, 0));
    client.accepted(lost(2_000));
    let again = client.submit_keyed("won", lost(0)).expect("the command is accepted");
    assert!(again.replayed, "what was said under a key is not said again");
    assert_eq!(now(&client), (1_200, 0));
}
