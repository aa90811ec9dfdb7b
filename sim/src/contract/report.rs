//! The clause about reports: a month by hand.

use std::collections::BTreeMap;

use tollkeeper_engine::report::{Aged, Debt, Line, Movement, Position, Provider, Unmatched};
use tollkeeper_engine::{Month, Output, Reads, Report, ReportTime};
use tollkeeper_ledger::{
    ChargeCommand, CollectedCommand, Command, Interval, LedgerAccount, Micros, PaymentCommand,
    PaymentRefundCommand, Plan, PlanId, Source, SubscriptionCommand, Terms, TopUp, TopUpBounds, TopUpWay,
    UnmatchedPayment, WorkspaceId,
};

use super::Store;
use super::test_client::{TestClient, acme, awaited, charge};
use tollkeeper_testkit::blocking::block_on;

const MONTH_SECONDS: i64 = 31 * 24 * 60 * 60;

fn month(text: &str) -> Month {
    text.parse().expect("it is a month")
}

fn report_of(client: &TestClient, text: &str) -> Report {
    let time = ReportTime { from: month(text).start(), to: month(text).end() };
    *block_on(client.engine.report(time)).expect("the engine reads")
}

/// What came in and went out of an account.
fn moved(position: &Position, account: LedgerAccount) -> (i128, i128) {
    let Movement { inward, outward } = Movement::get(&position.movements, account);
    (inward, outward)
}

/// Three cents are topped up in January and partly used. In February the rest of a cent is earned,
/// a subscription is paid, partly used and partly lost.
pub(super) fn a_report_adds_up_a_month(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 1_000);
    let (way, allowed) = (TopUpWay::Manual, TopUpBounds::WIDEST);
    let open = Command::Payment(PaymentCommand::OpenTopUp { cents: 3, way, allowed });
    let opened = client.submit_keyed("three-cents", open).expect("it is accepted").output;
    let Output::TopUp(top_up) = opened else { panic!("a top-up is answered by {opened:?}") };
    client.accepted(Command::Payment(PaymentCommand::ConfirmTopUp(top_up.id)));
    client.charge("january", charge("message", 3));

    client.advance_clock(MONTH_SECONDS);
    let pending = client.charge("awaited", awaited("message", 1, 60)).0.details.id;
    let grant = client.grant("period", Source::Subscription, 2_000);
    client.charge("february", charge("message", 2));
    let open = report_of(&client, "2026-02");
    assert_eq!(open.closing.total().pending, 500, "a pending charge is neither unspent nor consumed");
    client.accepted(ChargeCommand::Succeed { quantity: None }.for_charge(pending));
    client.accepted(Command::SetLost { grant, lost_cents: 500, evidence: "dp_1".into() });
    let february = report_of(&client, "2026-02");

    let gift = Line { grants: 1, granted: 1_000, consumed: 1_000, consumed_free: 1_000, ..Line::default() };
    let top_up = Line { grants: 1, granted: 3_000, consumed: 500, sold_cents: 3, ..Line::default() };
    let opening =
        [((Source::Promotional, Provider::Platform), gift), ((Source::TopUp, Provider::Manual), top_up)];
    assert_eq!(february.opening.lines, opening.into());
    let top_up = Line { consumed: 1_000, recognised_cents: 1, ..top_up };
    let subscription = Line {
        grants: 1,
        granted: 2_000,
        consumed: 1_000,
        taken: 500,
        sold_cents: 2_000,
        lost_cents: 500,
        recognised_cents: 1_000,
        ..Line::default()
    };
    let closing = [
        opening[0],
        ((Source::Subscription, Provider::Platform), subscription),
        ((Source::TopUp, Provider::Manual), top_up),
    ];
    assert_eq!(february.closing.lines, closing.into());
    assert_eq!((top_up.deferred_cents(), subscription.deferred_cents()), (2, 500));
    let used = |bought, remaining, deferred_cents| {
        let key = (month(bought), Some(month("2026-02")));
        (key, Aged { grants: 1, remaining, deferred_cents })
    };
    assert_eq!(february.closing.ageing, [used("2026-01", 2_000, 2), used("2026-02", 500, 500)].into());
    assert_eq!(february.closing.debt, Debt::default());
    let accounts = [
        (LedgerAccount::Funding, (0, 4_000), (0, 6_000)),
        (LedgerAccount::Available, (4_000, 1_500), (6_000, 3_500)),
        (LedgerAccount::Pending, (0, 0), (500, 500)),
        (LedgerAccount::Consumed, (1_500, 0), (3_000, 0)),
        (LedgerAccount::ClawedBack, (0, 0), (500, 0)),
    ];
    for (account, opening, closing) in accounts {
        let found = (moved(&february.opening, account), moved(&february.closing, account));
        assert_eq!(found, (opening, closing), "{account:?}");
    }

    // A month that is over does not change, and the next one begins where it ended.
    client.advance_clock(MONTH_SECONDS);
    let client = client.restarted(store);
    client.charge("march", charge("message", 2));
    assert_eq!(report_of(&client, "2026-02"), february);
    let march = report_of(&client, "2026-03");
    assert_eq!((march.opening, march.closing.total().consumed), (february.closing, 4_000));
    assert_eq!(report_of(&client, "2025-12"), Report::default());
}

fn year() -> Plan {
    Plan {
        id: PlanId::new("year").expect("a name"),
        name: "A year".into(),
        price_cents: 12_000,
        credits: Micros::new(1_000_000),
        interval: Interval::Year,
    }
}

fn five_euros() -> UnmatchedPayment {
    UnmatchedPayment {
        payment: "pi_1".into(),
        cents: 500,
        currency: "eur".into(),
        workspace: None,
        why: "The currency is not usd.".into(),
    }
}

/// A month of 120 dollars is paid at a provider with tax, then a change of 60 dollars. The tax is
/// apart, and the balance of the provider's money is without it.
pub(super) fn a_report_shows_the_tax_on_a_subscription(store: &dyn Store) {
    let client = TestClient::with_credit(store, 1_000);
    let plan = |id: &str, price_cents, credits| Plan {
        id: PlanId::new(id).expect("a name"),
        name: id.into(),
        price_cents,
        credits: Micros::new(credits),
        interval: Interval::Month,
    };
    let plans = vec![plan("small", 12_000, 1_000_000), plan("large", 18_000, 2_000_000)];
    let [small, large] = [0, 1].map(|index| Terms::of(&plans[index]));
    client.submit(WorkspaceId::platform(), None, Command::SetPlans { plans }).expect("the platform may");
    let says = |command| Command::Payment(PaymentCommand::Subscription(command));
    let start = |id: &str| SubscriptionCommand::StartOrChange {
        plan: PlanId::new(id).expect("a name"),
        collected_by: Some(tollkeeper_ledger::Provider::Stripe),
    };
    client.accepted(says(start("small")));
    let payments = block_on(client.engine.payments(&acme())).expect("the engine reads").expect("it pays");
    let subscription = payments.subscription.as_deref().expect("it was started").id;
    let collected = |command| says(SubscriptionCommand::Collected { subscription, command });
    let payment = |name: &str| TopUp::provider_payment(tollkeeper_ledger::Provider::Stripe, name).into();
    let now = client.now;
    client.accepted(collected(CollectedCommand::PayPeriod {
        payment: payment("in_1"),
        terms: small,
        start: now,
        cents: 12_000,
        tax_cents: 2_280,
    }));
    client.accepted(says(start("large")));
    let pay_change = CollectedCommand::PayChange {
        number: 1,
        payment: payment("in_2"),
        terms: large,
        cents: 6_000,
        tax_cents: 1_140,
    };
    client.accepted(collected(pay_change));
    let of_plan = |client: &TestClient| {
        report_of(client, "2026-01").closing.lines[&(Source::Subscription, Provider::Stripe)]
    };
    let expected =
        Line { grants: 2, granted: 2_000_000, sold_cents: 18_000, tax_cents: 3_420, ..Line::default() };
    assert_eq!(of_plan(&client), expected);
    let client = client.restarted(store);
    assert_eq!(of_plan(&client), expected, "it is read from the journal");
}

/// A year of 120 dollars is paid in January. In February a fifth of it is disputed and a tenth is
/// refunded, and a payment in euros comes in that fits nothing.
pub(super) fn a_report_shows_what_is_paid_and_not_granted(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 1_000);
    let year = year();
    let to_platform = |client: &TestClient, command| {
        client.submit(WorkspaceId::platform(), None, command).expect("the platform may");
    };
    to_platform(&client, Command::SetPlans { plans: vec![year.clone()] });
    let run = |client: &TestClient, command| {
        client.submit(acme(), None, Command::Payment(command)).expect("it is accepted");
    };
    let start = SubscriptionCommand::StartOrChange { plan: year.id, collected_by: None };
    run(&client, PaymentCommand::Subscription(start));
    let paid = SubscriptionCommand::Confirm { change: false, payment: "manual:one".into() };
    run(&client, PaymentCommand::Subscription(paid));
    client.charge("january", charge("message", 1_000));
    let january = report_of(&client, "2026-01");

    client.advance_clock(MONTH_SECONDS);
    run(&client, PaymentCommand::Subscription(SubscriptionCommand::Tick { renews: false }));
    let loss = |elsewhere_cents, disputed_cents| {
        let (payment, evidence) = ("manual:one".into(), "dp_1 re_1".into());
        let loss = PaymentRefundCommand::ReportLoss { payment, elsewhere_cents, disputed_cents, evidence };
        PaymentCommand::Refund(loss)
    };
    run(&client, loss(3_600, 2_400));
    to_platform(&client, Command::ReportUnmatched(five_euros()));
    let february = report_of(&client, "2026-02");

    let plan = (Source::Subscription, Provider::Manual);
    let of_january = Line {
        grants: 1,
        granted: 1_000_000,
        consumed: 499_000,
        sold_cents: 12_000,
        not_granted_cents: 11_000,
        recognised_cents: 499,
        ..Line::default()
    };
    assert_eq!(january.closing.lines[&plan], of_january);
    assert_eq!(january.closing.unmatched, BTreeMap::new());
    // Three tenths of each month are lost: 300,000 of each of the two that were granted, and 300
    // cents of each of the ten to come.
    let of_february = Line {
        grants: 2,
        granted: 2_000_000,
        taken: 600_000,
        not_granted_cents: 7_000,
        lost_cents: 3_600,
        refunded_cents: 1_200,
        ..of_january
    };
    assert_eq!(february.closing.lines[&plan], of_february);
    assert_eq!(of_february.disputed_cents(), 2_400);
    assert_eq!(of_february.deferred_cents(), 12_000 - 3_600 - 499);
    let euros = (Box::from("eur"), Unmatched { payments: 1, cents: 500 });
    assert_eq!(february.closing.unmatched, [euros].into());

    client.advance_clock(MONTH_SECONDS);
    let client = client.restarted(store);
    run(&client, loss(12_000, 0));
    assert_eq!(report_of(&client, "2026-02"), february, "a month that is over does not change");
    let march = report_of(&client, "2026-03").closing.lines[&plan];
    assert_eq!((march.lost_cents, march.refunded_cents, march.not_granted_cents), (12_000, 12_000, 0));
}
