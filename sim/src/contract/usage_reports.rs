//! Clauses about the use of a workspace: keys, filters, time zones and refusals.

use tollkeeper_engine::{
    EntryRecord, GroupBy, Named, Reads, TimeStep, UsageAnswer, UsageFilter, UsageRefusal, UsageReport,
    UsageRequest,
};
use tollkeeper_ledger::{
    Actor, ChargeCommand, ChargeRequest, Command, Micros, OperationId, Timestamp, WorkerId, WorkspaceChanges,
};

use super::Store;
use super::test_client::{BEGINNING, TestClient, acme, charge, key, member, pages, workspace};
use crate::model::{usage_report, used_by};
use tollkeeper_testkit::blocking::block_on;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Groups that are asked for: by each key alone, by none, and by all.
fn groups() -> Vec<GroupBy> {
    let none = GroupBy::default();
    let by_time = |time| GroupBy { time: Some(time), ..none };
    vec![
        none,
        GroupBy { operation: true, ..none },
        GroupBy { worker: true, ..none },
        GroupBy { member: true, ..none },
        GroupBy { api_key: true, ..none },
        by_time(TimeStep::Hour),
        by_time(TimeStep::Day),
        by_time(TimeStep::Month),
        GroupBy { meter: true, ..none },
        GroupBy { meter: true, operation: true, ..by_time(TimeStep::Month) },
        GroupBy {
            operation: true,
            worker: true,
            member: true,
            api_key: true,
            meter: true,
            time: Some(TimeStep::Day),
        },
    ]
}

fn request(from: Timestamp, to: Timestamp, group_by: GroupBy) -> UsageRequest {
    UsageRequest { from, to, timezone: None, group_by, filter: UsageFilter::default() }
}

fn ask(client: &TestClient, request: &UsageRequest) -> UsageAnswer {
    let answer = block_on(client.engine.usage_report(&acme(), request.clone())).expect("the engine reads");
    // The sums are the same while days are being closed.
    answer.expect("the workspace exists").map(|report| UsageReport { rebuilding: false, ..report })
}

fn report(client: &TestClient, request: &UsageRequest) -> UsageReport {
    ask(client, request).expect("the request can be answered")
}

/// Compares the answer with what the entries say one by one.
fn expect_what_the_entries_say(client: &TestClient, request: &UsageRequest) {
    let entries: Vec<EntryRecord> = pages(200, |page| {
        block_on(client.engine.entries(&acme(), page)).expect("the engine reads").expect("it exists")
    });
    let profile = block_on(client.engine.workspace(&acme())).expect("the engine reads").expect("it exists");
    let used = entries.iter().flat_map(|record| used_by(&record.entry));
    let expected = usage_report(&profile.timezone, request, used);
    assert_eq!(ask(client, request), expected, "{request:?}");
}

fn of(worker: Option<&str>, name: Option<&str>, request: ChargeRequest) -> ChargeRequest {
    let worker = worker.map(|name| WorkerId::new(name).expect("a name"));
    ChargeRequest { worker, member: name.map(member), ..request }
}

pub(super) fn use_is_added_up_by_each_key(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000_000);
    let api_key = client.create_key(key("one"));
    let from = client.now.plus_seconds(HOUR);
    let mut charged = Vec::new();
    for n in 0..60 {
        let worker = [None, Some("w1"), Some("w2")][n % 3];
        let name = [Some("ada"), None][n % 2];
        let operation = ["message", "removal", "message", "try_on"][n % 4];
        let of_key = Command::Charge(charge("message", 2));
        client.submit_as(Actor::ApiKey(api_key), of_key).expect("there is credit");
        charged.push(client.charge(&format!("k{n}"), of(worker, name, charge(operation, 1 + n as i64))).0);
        client.advance_clock(7 * HOUR + 11);
    }
    for charge in charged.iter().step_by(3) {
        let refund = ChargeCommand::Refund { amount: Some(Micros::new(300)), reason: "courtesy".into() };
        client.accepted(refund.for_charge(charge.details.id));
    }
    let none = UsageFilter::default;
    let message = OperationId::new("message").expect("a name");
    let filters = [
        none(),
        UsageFilter { operation: Named::Is(message), ..none() },
        UsageFilter { worker: Named::Absent, member: Named::Is(member("ada")), ..none() },
        UsageFilter { api_key: Named::Is(api_key), ..none() },
        UsageFilter {
            api_key: Named::Absent,
            worker: WorkerId::new("w2").map_or(Named::Any, Named::Is),
            ..none()
        },
        UsageFilter { member: Named::Is(member("nobody")), ..none() },
    ];
    let compare = |client: &TestClient| {
        for group_by in groups() {
            for (filter, zone) in filters.iter().zip([None, Some("America/New_York")].into_iter().cycle()) {
                let to = client.now.plus_seconds(HOUR);
                let timezone = zone.map(Into::into);
                expect_what_the_entries_say(
                    client,
                    &UsageRequest { timezone, filter: filter.clone(), ..request(from, to, group_by) },
                );
            }
        }
    };
    compare(&client);
    let client = client.restarted(store);
    compare(&client);
    client.charge("after", charge("message", 1));
    compare(&client);
    let all = report(&client, &request(BEGINNING, client.now.plus_seconds(1), GroupBy::default()));
    assert_eq!((all.rows.len(), all.total.runs, all.total.refunded.get()), (1, 121, 20 * 300));
    assert_eq!(&*all.timezone, "UTC");
}

pub(super) fn a_range_is_widened_to_whole_hours(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    for n in 0..4 {
        client.charge(&format!("k{n}"), charge("message", 1));
        client.advance_clock(HOUR);
    }
    let at = |seconds| BEGINNING.plus_seconds(seconds);
    let asked = report(&client, &request(at(HOUR + 1), at(2 * HOUR + 1), GroupBy::default()));
    assert_eq!((asked.from, asked.to, asked.total.runs), (at(HOUR), at(3 * HOUR), 2));
    let asked = report(&client, &request(at(HOUR), at(2 * HOUR), GroupBy::default()));
    assert_eq!((asked.from, asked.to, asked.total.runs), (at(HOUR), at(2 * HOUR), 1));
    let asked = report(&client, &request(at(-DAY), at(-1), GroupBy::default()));
    assert_eq!((asked.rows.len(), asked.total.runs), (0, 0), "nothing was used before");
}

/// The runs of each day of a time zone, which must begin at these instants.
fn expect_days(client: &TestClient, zone: &str, from: &str, days: &[(&str, i64)]) {
    let instant = |text: &str| time(text);
    let asked = UsageRequest {
        timezone: Some(zone.into()),
        ..request(instant(from), client.now, GroupBy { time: Some(TimeStep::Day), ..GroupBy::default() })
    };
    let rows = report(client, &asked).rows;
    let found: Vec<_> = rows.iter().map(|(group, sums)| (group.time, sums.runs)).collect();
    let expected: Vec<_> = days.iter().map(|(begin, runs)| (Some(instant(begin)), *runs)).collect();
    assert_eq!(found, expected, "{zone}");
    expect_what_the_entries_say(client, &asked);
}

/// The instant of a text such as `2026-03-08T05:00`, in UTC.
fn time(text: &str) -> Timestamp {
    let part = |from: usize, to: usize| text[from..to].parse::<i64>().expect("digits");
    let (month, day) = (part(5, 7) as u32, part(8, 10));
    let year = u32::try_from(part(0, 4) - 1970).expect("a year since 1970");
    let first = Timestamp::ZERO.plus_months(12 * year + month - 1);
    first.plus_seconds((day - 1) * DAY + part(11, 13) * HOUR + part(14, 16) * 60)
}

pub(super) fn a_day_has_the_hours_of_its_time_zone(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 10_000_000);
    let charge_each_hour = |client: &mut TestClient, from: &str, to: &str| {
        client.now = time(from);
        while client.now < time(to) {
            client.charge(&format!("{:?}", client.now), charge("message", 1));
            client.advance_clock(HOUR);
        }
    };
    // Clocks go forward at 02:00, and back at 02:00.
    charge_each_hour(&mut client, "2026-03-07T05:00", "2026-03-10T04:00");
    expect_days(
        &client,
        "America/New_York",
        "2026-03-07T05:00",
        &[("2026-03-07T05:00", 24), ("2026-03-08T05:00", 23), ("2026-03-09T04:00", 24)],
    );
    // Clocks go forward at 00:00, so that the day begins at 01:00.
    charge_each_hour(&mut client, "2026-04-22T22:00", "2026-04-25T21:00");
    expect_days(
        &client,
        "Africa/Cairo",
        "2026-04-22T22:00",
        &[("2026-04-22T22:00", 24), ("2026-04-23T22:00", 23), ("2026-04-24T21:00", 24)],
    );
    charge_each_hour(&mut client, "2026-10-31T04:00", "2026-11-03T05:00");
    expect_days(
        &client,
        "America/New_York",
        "2026-10-31T04:00",
        &[("2026-10-31T04:00", 24), ("2026-11-01T04:00", 25), ("2026-11-02T05:00", 24)],
    );
}

pub(super) fn days_are_those_of_the_time_zone_now(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 10_000_000);
    let days = GroupBy { time: Some(TimeStep::Day), ..GroupBy::default() };
    for zone in ["America/New_York", "Europe/Berlin"] {
        for n in 0..20 {
            client.charge(&format!("{zone} {n}"), charge("message", 1));
            client.advance_clock(5 * HOUR);
        }
        let changes = WorkspaceChanges { timezone: Some(zone.into()), ..Default::default() };
        client.accepted(Command::UpdateWorkspace(changes));
        let asked = request(BEGINNING, client.now, days);
        assert_eq!(&*report(&client, &asked).timezone, zone);
        expect_what_the_entries_say(&client, &asked);
    }
}

pub(super) fn a_day_that_begins_within_an_hour_is_exact(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 10_000_000);
    let charge_around_midnight = |client: &mut TestClient, days: i64| {
        for _ in 0..days {
            for minutes in [20, 9, 1, 25, 5] {
                client.charge(&format!("{:?}", client.now), charge("message", 1));
                client.advance_clock(minutes * 60);
            }
            client.advance_clock(DAY - HOUR);
        }
    };
    // Midnight in Kathmandu is 18:15 in UTC.
    client.now = time("2026-01-05T17:50");
    charge_around_midnight(&mut client, 3);
    expect_days(
        &client,
        "Asia/Kathmandu",
        "2026-01-05T17:00",
        &[("2026-01-04T18:15", 2), ("2026-01-05T18:15", 5), ("2026-01-06T18:15", 5), ("2026-01-07T18:15", 3)],
    );
    // Each becomes the workspace's own zone. Lord Howe ends its summer time of 30 minutes.
    client.now = time("2026-04-03T00:00");
    let begin = client.now;
    for zone in ["Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "UTC"] {
        let changes = WorkspaceChanges { timezone: Some(zone.into()), ..Default::default() };
        client.accepted(Command::UpdateWorkspace(changes));
        for _ in 0..58 {
            client.charge(&format!("{:?}", client.now), charge("message", 1));
            client.advance_clock(50 * 60);
        }
        for asked in [None, Some("Asia/Kathmandu"), Some("Australia/Lord_Howe")] {
            for (group_by, hours) in groups().into_iter().zip([0, 18, 19].into_iter().cycle()) {
                let (from, timezone) = (begin.plus_seconds(hours * HOUR), asked.map(Into::into));
                let asked = UsageRequest { timezone, ..request(from, client.now, group_by) };
                expect_what_the_entries_say(&client, &asked);
            }
        }
    }
    let client = client.restarted(store);
    for group_by in groups() {
        let from = time("2026-01-06T18:15");
        let asked = UsageRequest {
            timezone: Some("Asia/Kathmandu".into()),
            ..request(from, time("2026-01-09T18:15"), group_by)
        };
        expect_what_the_entries_say(&client, &asked);
        assert_eq!(report(&client, &asked).from, from, "the day begins within the hour");
    }
}

pub(super) fn a_request_that_cannot_be_answered_says_why(store: &dyn Store) {
    let client = TestClient::with_credit(store, 100_000);
    client.charge("k", charge("message", 1));
    let days = GroupBy { time: Some(TimeStep::Day), ..GroupBy::default() };
    let (from, to) = (BEGINNING, BEGINNING.plus_seconds(2 * DAY));
    let refused = |request: UsageRequest| ask(&client, &request).expect_err("it has no answer");
    let zoned = |zone: &str, request: UsageRequest| UsageRequest { timezone: Some(zone.into()), ..request };
    assert_eq!(refused(zoned("Mars/Olympus", request(from, to, days))), UsageRefusal::UnknownTimezone);
    assert_eq!(refused(request(to, from, days)), UsageRefusal::EmptyRange);
    assert_eq!(refused(request(from, from, days)), UsageRefusal::EmptyRange);
    let far = from.plus_seconds(11 * 366 * DAY);
    assert_eq!(refused(request(from, far, days)), UsageRefusal::RangeTooLong);
    let (first, last) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
    assert_eq!(refused(request(first, last, days)), UsageRefusal::RangeTooLong);
    let of_unknown = block_on(client.engine.usage_report(&workspace("unknown"), request(from, to, days)));
    assert_eq!(of_unknown.expect("the engine reads"), None);
}
