//! Clauses about the days of usage: an hour in which a local day begins is counted in two parts, so
//! that a new limit counts exactly what was used since the day began.

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{
    ChargeCommand, Command, HourPart, Micros, Period, Subject, Timestamp, WorkspaceChanges,
};

use super::Store;
use super::test_client::{BEGINNING, TestClient, acme, charge};
use tollkeeper_testkit::blocking::block_on;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn new_time_zone(zone: &str) -> Command {
    Command::UpdateWorkspace(WorkspaceChanges { timezone: Some(zone.into()), ..Default::default() })
}

fn limit(period: Period) -> Command {
    Command::SetLimits(vec![(Subject::Workspace, period, Micros::new(1_000_000))])
}

fn refund(client: &TestClient, id: tollkeeper_ledger::ChargeId, amount: i64) {
    let command = ChargeCommand::Refund { amount: Some(Micros::new(amount)), reason: "courtesy".into() };
    client.accepted(command.for_charge(id));
}

/// The parts of an hour in which usage is stored, with what was charged in each.
fn parts(client: &TestClient, hour: i64) -> Vec<(HourPart, i64)> {
    let rows = block_on(client.engine.usage(&acme(), hour..hour + 1)).expect("the engine reads");
    let mut parts: Vec<_> = rows.iter().map(|(key, sums)| (key.part, sums.charged.get())).collect();
    parts.sort_unstable();
    parts
}

/// Charges one second before each day begins, at its beginning and after it, and compares what a
/// new limit counts.
fn check_days(store: &dyn Store, zone: &str, begins: &[Timestamp]) {
    let mut client = TestClient::with_credit(store, 1_000_000);
    client.accepted(new_time_zone(zone));
    for (day, begin) in begins.iter().enumerate() {
        client.now = begin.plus_seconds(-1);
        let (before, _) = client.charge(&format!("before {day}"), charge("message", 4));
        refund(&client, before.details.id, 500);
        client.now = *begin;
        client.charge(&format!("at the beginning {day}"), charge("message", 3));
        refund(&client, before.details.id, 500);
        client = client.restarted(store);
        client.accepted(limit(Period::Day));
        assert_eq!(client.used(), [1_000], "{zone}, {begin:?}: what came since the day began");
        client.accepted(Command::SetLimits(Vec::new()));
        client.advance_clock(5 * HOUR);
        client.charge(&format!("later {day}"), charge("message", 2));
        client.accepted(limit(Period::Day));
        assert_eq!(client.used(), [2_000], "{zone}, {begin:?}: five hours later");
        client.accepted(Command::SetLimits(Vec::new()));
    }
}

fn at(day: i64, hour: i64, minute: i64) -> Timestamp {
    BEGINNING.plus_seconds(day * DAY + hour * HOUR + minute * MINUTE)
}

pub(super) fn a_day_that_begins_within_an_hour_is_exact(store: &dyn Store) {
    // Midnight in Kathmandu is 18:15 in UTC.
    check_days(store, "Asia/Kathmandu", &[at(3, 18, 15), at(4, 18, 15), at(30, 18, 15)]);
}

pub(super) fn days_of_23_and_25_hours_are_exact(store: &dyn Store) {
    // 8 and 9 March, 1 and 2 November 2026.
    let begins = [at(66, 5, 0), at(67, 4, 0), at(304, 4, 0), at(305, 5, 0)];
    check_days(store, "America/New_York", &begins);
}

pub(super) fn days_with_half_an_hour_of_summer_time_are_exact(store: &dyn Store) {
    // 5 and 6 April, 4 and 5 October 2026: summer time adds half an hour to ten and a half.
    let begins = [at(93, 13, 0), at(94, 13, 30), at(275, 13, 30), at(276, 13, 0)];
    check_days(store, "Australia/Lord_Howe", &begins);
}

pub(super) fn a_day_without_a_midnight_is_exact(store: &dyn Store) {
    // 29 March 2026 in Beirut begins at 01:00, an hour after the end of the day before by the clock
    // on the wall and at once after it in truth.
    check_days(store, "Asia/Beirut", &[at(86, 22, 0), at(87, 21, 0)]);
}

pub(super) fn rows_follow_the_time_zone_of_their_time(store: &dyn Store) {
    let (before, after) = (HourPart { begin: 0, end: 15 }, HourPart { begin: 15, end: 60 });
    let mut client = TestClient::with_credit(store, 1_000_000);
    let midnight = at(10, 18, 15);
    client.now = midnight.plus_seconds(-60);
    client.charge("in UTC, before", charge("message", 1));
    client.now = midnight;
    client.charge("in UTC, after", charge("message", 2));
    assert_eq!(parts(&client, midnight.hour()), [(HourPart::WHOLE, 1_500)]);

    client.accepted(new_time_zone("Asia/Kathmandu"));
    let (charged, _) = client.charge("in Kathmandu", charge("message", 4));
    refund(&client, charged.details.id, 500);
    let mut client = client.restarted(store);
    assert_eq!(parts(&client, midnight.hour()), [(HourPart::WHOLE, 1_500), (after, 2_000)]);
    client.accepted(limit(Period::Day));
    assert_eq!(client.used(), [3_000], "a row that covers the beginning of the day counts as a whole");
    client.accepted(Command::SetLimits(Vec::new()));

    let midnight = midnight.plus_seconds(DAY);
    client.now = midnight.plus_seconds(-1);
    client.charge("the next day, before", charge("message", 1));
    client.now = midnight.plus_seconds(59);
    client.charge("the next day, after", charge("message", 2));
    assert_eq!(parts(&client, midnight.hour()), [(before, 500), (after, 1_000)]);
    client.accepted(limit(Period::Day));
    assert_eq!(client.used(), [1_000], "the hour was split at the beginning of the day");
    client.accepted(new_time_zone("Asia/Kolkata"));
    assert_eq!(client.used(), [5_000], "the day of Kolkata began a day ago at 18:30, within two rows");
    client.accepted(new_time_zone("America/New_York"));
    assert_eq!(client.used(), [1_500], "the day of New York began at five in the morning");
}
