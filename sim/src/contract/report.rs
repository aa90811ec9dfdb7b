//! The clause about reports: a month by hand.

use tollkeeper_engine::report::{Aged, Debt, Line, Movement, Position, Provider};
use tollkeeper_engine::{Month, Output, Reads, Report, ReportTime};
use tollkeeper_ledger::{
    ChargeCommand, Command, LedgerAccount, PaymentCommand, Source, TopUpBounds, TopUpWay,
};

use super::Store;
use super::test_client::{TestClient, awaited, charge};
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
