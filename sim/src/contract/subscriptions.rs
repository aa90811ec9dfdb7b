//! Clauses about subscriptions: plans that run, and the credit that their months bring.

use tollkeeper_engine::{Answer, Output, Reads};
use tollkeeper_ledger::{
    Actor, Command, GrantRequest, Interval, Kind, Micros, PaymentCommand, PaymentRefundCommand, Plan, PlanId,
    Source, Subscription, SubscriptionCommand, SubscriptionStatus, WorkspaceId,
};
use tollkeeper_testkit::blocking::block_on;

use super::Store;
use super::test_client::{TestClient, acme, charge, key, pages, submission};

const DAY_SECONDS: i64 = 86_400;

const fn subscribe(command: SubscriptionCommand) -> Command {
    Command::Payment(PaymentCommand::Subscription(command))
}

fn start(plan: &str) -> Command {
    let plan = PlanId::new(plan).expect("a name");
    subscribe(SubscriptionCommand::StartOrChange { plan, collected_by: None })
}

fn confirm(change: bool, payment: &str) -> Command {
    subscribe(SubscriptionCommand::Confirm { change, payment: payment.into() })
}

const fn tick(renews: bool) -> Command {
    subscribe(SubscriptionCommand::Tick { renews })
}

fn set_plans(client: &TestClient) {
    let plan = |id: &str, price_cents, credits, interval| Plan {
        id: PlanId::new(id).expect("a name"),
        name: id.into(),
        price_cents,
        credits: Micros::new(credits),
        interval,
    };
    let plans = vec![
        plan("basic", 3_000, 3_000_000, Interval::Month),
        plan("pro", 6_000, 7_000_000, Interval::Month),
        plan("year", 10_000, 1_000_000, Interval::Year),
    ];
    client.submit(WorkspaceId::platform(), None, Command::SetPlans { plans }).expect("they are plans");
}

fn subscription(client: &TestClient) -> Option<Subscription> {
    let payments = block_on(client.engine.payments(&acme())).expect("the engine reads");
    payments.expect("the workspace exists").subscription.as_deref().cloned()
}

fn run(client: &TestClient, command: Command) -> Answer {
    client.submit(acme(), None, command).expect("it is accepted")
}

fn granted(answer: &Answer) -> (i64, i64) {
    match &answer.output {
        Output::Grant(record, _) => (record.grant.amount.get(), record.paid_cents),
        other => panic!("a payment is answered by its grant, not by {other:?}"),
    }
}

/// Ticks until nothing is written; returns how often something was.
fn ticks(client: &TestClient, renews: bool) -> u64 {
    let before = client.entry_count();
    let mut written = before;
    for _ in 0..100 {
        run(client, tick(renews));
        let now = client.entry_count();
        if now == written {
            return written - before;
        }
        written = now;
    }
    panic!("each tick is one step, and the steps end");
}

pub(super) fn a_period_grants_once_it_is_paid(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 500);
    set_plans(&client);
    assert_eq!(subscription(&client), None);
    assert_eq!(client.refused(confirm(false, "none")), "subscription_not_found");
    assert_eq!(client.refused(start("unknown")), "plan_not_found");
    run(&client, start("basic"));
    let pending = subscription(&client).expect("it was started");
    assert_eq!((pending.status(), pending.due_at()), (SubscriptionStatus::Pending, None));
    assert_eq!(client.balance().available, Micros::new(500));

    let paid = run(&client, confirm(false, "one"));
    assert_eq!(granted(&paid), (3_000_000, 3_000));
    let entries = client.entry_count();
    let again = client.submit_keyed("any", confirm(false, "one")).expect("it is repeated");
    assert!(again.replayed && again.output == paid.output, "{again:?}");
    assert_eq!(client.refused(confirm(true, "one")), "idempotency_key_reused");
    assert_eq!(client.refused(confirm(false, "two")), "nothing_due");
    assert_eq!(client.entry_count(), entries);

    client.advance_clock(DAY_SECONDS);
    run(&client, start("pro"));
    let upgrade = subscription(&client).and_then(|current| current.upgrade).expect("it waits");
    assert_eq!(granted(&run(&client, confirm(true, "up"))).0, upgrade.credits.get());
    assert_eq!(client.refused(start("year")), "plan_interval_differs");

    client.advance_clock(100 * DAY_SECONDS);
    assert_eq!(ticks(&client, false), 1, "the period is past due");
    assert_eq!(granted(&run(&client, confirm(false, "two"))), (7_000_000, 6_000));
    let client = client.restarted(store);
    assert_eq!(granted(&run(&client, confirm(false, "three"))), (7_000_000, 6_000));
    assert_eq!(ticks(&client, true), 2, "the last period renews by itself");
    let current = subscription(&client).expect("it runs");
    assert_eq!((current.months_paid, current.status()), (4, SubscriptionStatus::Active));
    run(&client, subscribe(SubscriptionCommand::Cancel));
    assert_eq!(subscription(&client).expect("it runs").cancels_at, current.due_at());
    run(&client, start("pro"));
    assert_eq!(subscription(&client), Some(current), "taken back");
    let page = |page| {
        block_on(client.engine.entries(&acme(), page)).expect("the engine reads").expect("it is there")
    };
    let kinds: Vec<Kind> = pages(10, page).iter().rev().map(|record| record.entry.body.kind()).collect();
    let renewed = [Kind::Granted, Kind::SubscriptionRenewed];
    let last = [&renewed[..], &renewed, &[Kind::SubscriptionCancelAsked, Kind::SubscriptionResumed]].concat();
    assert!(kinds.ends_with(&last), "{kinds:?}");
}

pub(super) fn plans_that_race_leave_one_subscription(store: &dyn Store) {
    let client = TestClient::with_credit(store, 500);
    set_plans(&client);
    let manager = client.create_key(key("manager"));
    let by_key = client.submit_as(Actor::ApiKey(manager), confirm(false, "one"));
    assert_eq!(by_key.expect_err("a key says that money came in").code(), "forbidden");
    let asked = |command| submission(acme(), None, command);
    let batch = vec![
        asked(start("basic")),
        asked(start("pro")),
        asked(start("basic")),
        asked(confirm(false, "one")),
        asked(start("pro")),
        asked(confirm(false, "one")),
        asked(confirm(false, "two")),
        asked(confirm(true, "three")),
        asked(confirm(true, "three")),
        asked(start("pro")),
    ];
    let codes = ["yes", "yes", "yes", "yes", "yes", "replay", "nothing_due", "yes", "replay", "yes"];
    assert_eq!(client.codes(batch), codes);
    // Paid at the very beginning, the change brings the whole difference.
    assert_eq!(client.balance().available, Micros::new(7_000_500));
    let current = subscription(&client).expect("it runs");
    assert_eq!((current.plan.id.as_str(), current.changes), ("pro", 1));
}

pub(super) fn a_year_is_granted_month_by_month(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 500);
    set_plans(&client);
    run(&client, start("year"));
    assert_eq!(granted(&run(&client, confirm(false, "one"))), (1_000_000, 833));
    assert_eq!(client.due_payments(), []);
    client.advance_clock(200 * DAY_SECONDS);
    // A server may claim what is due, so it is asked for once.
    let mut client = client.restarted(store);
    assert_eq!(client.due_payments(), [acme()], "a restart forgets no step");
    assert_eq!(client.do_due_work(), 1);
    // Six further months have begun, each granted by a grant and an entry of its month.
    assert_eq!(ticks(&client, false), 10);
    assert_eq!(client.due_payments(), []);
    client.advance_clock(170 * DAY_SECONDS);
    assert_eq!(ticks(&client, false), 11, "the last five months, and the year that is past due");
    let current = subscription(&client).expect("it runs");
    assert_eq!((current.months_granted, current.cents_left), (12, 0));
    assert_eq!(client.balance().available, Micros::new(12_000_500));
}

fn report_loss(payment: &str, elsewhere_cents: i64) -> Command {
    let (payment, disputed_cents, evidence) = (payment.into(), elsewhere_cents, "dp_1".into());
    let loss = PaymentRefundCommand::ReportLoss { payment, elsewhere_cents, disputed_cents, evidence };
    Command::Payment(PaymentCommand::Refund(loss))
}

pub(super) fn a_lost_payment_of_a_year_takes_its_months_as_they_come(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 500);
    set_plans(&client);
    run(&client, start("year"));
    run(&client, confirm(false, "one"));
    client.advance_clock(70 * DAY_SECONDS);
    ticks(&client, false);
    // The first three months are spent, so that their grants leave memory.
    client.charge("k", charge("try_on", 150));
    let balance = |client: &TestClient| (client.balance().available.get(), client.balance().debt.get());
    assert_eq!(balance(&client), (500, 0));
    assert_eq!(client.refused(report_loss("two", 1)), "invalid_field");
    run(&client, report_loss("one", 5_000));
    assert_eq!(balance(&client), (0, 1_499_500));
    let mut client = client.restarted(store);
    client.advance_clock(60 * DAY_SECONDS);
    assert_eq!(ticks(&client, false), 8, "two months, each with a repayment and a loss of its own");
    assert_eq!(balance(&client), (0, 499_500));
    run(&client, report_loss("one", 10_000));
    assert_eq!(balance(&client), (0, 2_999_500));
    let client = client.restarted(store);
    run(&client, report_loss("one", 0));
    assert_eq!(balance(&client), (2_000_500, 0));
    let payments = block_on(client.engine.payments(&acme())).expect("the engine reads");
    let kept = payments.expect("the workspace exists").of_subscriptions.clone();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].parts.len(), kept[0].months_left, kept[0].cents_left()), (5, 7, 10_000 - 5 * 833));
}

pub(super) fn a_grant_of_a_free_plan_is_voided_and_a_paid_one_is_not(store: &dyn Store) {
    let client = TestClient::with_credit(store, 500);
    let grant = |origin: &str, paid_cents| {
        let request = GrantRequest {
            origin: Some(origin.into()),
            paid_cents,
            ..GrantRequest::new(Source::Subscription, Micros::new(1_000))
        };
        match run(&client, Command::Grant(request)).output {
            Output::Grant(record, _) => record.grant.id,
            other => panic!("a grant is answered by {other:?}"),
        }
    };
    let (free, paid) = (grant("sub_1:2026-01", 0), grant("sub_1:2026-02", 1));
    let client = client.restarted(store);
    let void = |grant| Command::VoidGrant { grant, reason: None };
    assert_eq!(client.refused(void(paid)), "grant_was_paid");
    run(&client, void(free));
    assert_eq!(client.balance().available, Micros::new(1_500));
    assert_eq!(
        client.refused(Command::SetLost { grant: free, lost_cents: 0, evidence: "none".into() }),
        "invalid_field"
    );
}
