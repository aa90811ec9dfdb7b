//! Clauses about closed days: a report shows the same sums before days are closed and after, also
//! if a clock is set back, or the time zone changes.

use tollkeeper_engine::{GroupBy, Named, Reads, TimeStep, UsageFilter, UsageReport, UsageRequest};
use tollkeeper_ledger::{
    ChargeCommand, ChargeRequest, Command, Micros, OperationId, WorkerId, WorkspaceChanges,
};

use super::Store;
use super::test_client::{BEGINNING, TestClient, acme, charge};
use tollkeeper_testkit::blocking::block_on;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Steps of closing days, more than any clause needs.
const STEPS_MAX: usize = 1_000_000;

/// Closes all days that can be closed; returns how many.
fn close_days(client: &TestClient) -> u64 {
    let mut days = 0;
    for _ in 0..STEPS_MAX {
        let closed = block_on(client.engine.close_days(client.now, 2)).expect("the engine writes");
        days += closed.days;
        if !closed.has_more {
            return days;
        }
        std::thread::yield_now();
    }
    panic!("closing days has no end");
}

fn new_time_zone(zone: &str) -> Command {
    Command::UpdateWorkspace(WorkspaceChanges { timezone: Some(zone.into()), ..Default::default() })
}

fn request(time: Option<TimeStep>) -> UsageRequest {
    UsageRequest {
        from: BEGINNING.plus_seconds(-2 * DAY),
        to: BEGINNING.plus_seconds(40 * DAY),
        timezone: None,
        group_by: GroupBy { operation: true, worker: true, time, ..GroupBy::default() },
        filter: UsageFilter::default(),
    }
}

/// Reports of all kinds that can use closed days, and one that cannot.
fn requests() -> Vec<UsageRequest> {
    let by_day = request(Some(TimeStep::Day));
    let filtered = UsageFilter {
        operation: Named::Is(OperationId::new("message").expect("a name")),
        worker: Named::Absent,
        ..UsageFilter::default()
    };
    vec![
        request(None),
        request(Some(TimeStep::Month)),
        request(Some(TimeStep::Hour)),
        UsageRequest { filter: filtered, ..by_day.clone() },
        // From the middle of a day to the middle of another.
        UsageRequest {
            from: BEGINNING.plus_seconds(DAY + 9 * HOUR),
            to: BEGINNING.plus_seconds(3 * DAY + 7 * HOUR),
            ..by_day.clone()
        },
        UsageRequest { timezone: Some("Europe/Berlin".into()), ..by_day.clone() },
        by_day,
    ]
}

fn report(client: &TestClient, request: &UsageRequest) -> UsageReport {
    let answer = block_on(client.engine.usage_report(&acme(), request.clone())).expect("the engine reads");
    answer.expect("it exists").expect("the request is right")
}

/// The reports without the note that days are being closed.
fn reports(client: &TestClient) -> Vec<UsageReport> {
    let all = requests().iter().map(|request| report(client, request)).collect::<Vec<_>>();
    all.into_iter().map(|report| UsageReport { rebuilding: false, ..report }).collect()
}

/// Charges and refunds of eight days, every five hours.
fn used(store: &dyn Store, zone: &str) -> TestClient {
    let mut client = TestClient::with_credit(store, 10_000_000);
    client.accepted(new_time_zone(zone));
    for n in 0..40 {
        let worker = (n % 3 > 0).then(|| WorkerId::new(format!("w{}", n % 3)).expect("a name"));
        let operation = if n % 2 == 0 { "message" } else { "removal" };
        let (charged, _) =
            client.charge(&format!("k{n}"), ChargeRequest { worker, ..charge(operation, 1 + n % 4) });
        if n % 5 == 0 {
            let amount = Some(Micros::new(100));
            let back = ChargeCommand::Refund { amount, reason: "courtesy".into() };
            client.advance_clock(HOUR);
            client.accepted(back.for_charge(charged.details.id));
        }
        client.advance_clock(5 * HOUR);
    }
    client.advance_clock(8 * DAY);
    client
}

fn check_closing(store: &dyn Store, zone: &str) {
    let client = used(store, zone);
    client.charge("now", charge("message", 1));
    let before = reports(&client);
    let days = close_days(&client);
    assert_eq!(reports(&client), before, "{zone}: with {days} closed days");
    assert_eq!(close_days(&client), 0, "{zone}: all is closed");
    let by_day = request(Some(TimeStep::Day));
    assert!(days == 0 || !report(&client, &by_day).rebuilding, "{zone}: no day is late");
    let mut client = client.restarted(store);
    assert_eq!(reports(&client), before, "{zone}: after a restart");

    client.advance_clock(-14 * DAY);
    client.charge("the clock was set back", charge("message", 3));
    client.advance_clock(14 * DAY);
    let added: i64 = 3 * 500;
    let total = |reports: &[UsageReport]| reports[0].total.charged.get();
    let set_back = reports(&client);
    assert_eq!(total(&set_back), total(&before) + added, "{zone}: a late row counts at once");
    // The next charge lets a database move the late row to the others.
    client.charge("at the right time", charge("message", 1));
    let client = client.restarted(store);
    let later = reports(&client);
    assert_eq!(total(&later), total(&set_back) + 500, "{zone}: it took back closed days");
    assert!((days == 0) == (close_days(&client) == 0), "{zone}: they are closed again");
    assert_eq!(reports(&client), later, "{zone}: with the late row");
}

pub(super) fn a_report_is_the_same_with_closed_days(store: &dyn Store) {
    check_closing(store, "America/New_York");
}

pub(super) fn days_that_begin_within_hours_are_closed(store: &dyn Store) {
    check_closing(store, "Asia/Kathmandu");
}

pub(super) fn a_new_time_zone_takes_back_closed_days(store: &dyn Store) {
    let client = used(store, "UTC");
    let days = close_days(&client);
    let in_utc = reports(&client);
    for zone in ["Asia/Kathmandu", "America/New_York", "UTC"] {
        client.accepted(new_time_zone(zone));
        let before = reports(&client);
        let closed = close_days(&client);
        assert_eq!(reports(&client), before, "{zone}: {closed} days were closed after {days}");
    }
    assert_eq!(reports(&client), in_utc);
    let client = client.restarted(store);
    close_days(&client);
    assert_eq!(reports(&client), in_utc);
}
