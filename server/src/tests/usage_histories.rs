//! Random histories over HTTP: what reports and limits show are the sums of the journal, in time
//! zones whose days begin within an hour or without a midnight, and after a change of the time
//! zone.
//!
//! The sums are made here from the entries alone, with a calendar of their own.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ToSpan};
use tollkeeper_testkit::random::Random;

use tollkeeper_engine::{GroupBy, Named, TimeStep, UsageFilter, UsageRequest};
use tollkeeper_ledger::{MemberId, WorkspaceId};

use super::*;
use crate::reports::usage::UsageSource;

const USAGE: &str = "/v1/workspaces/acme/usage";

/// The charges of a history.
const CHARGES: usize = 110;

/// A history: where it begins, the time zone at the beginning, and those that come later with the
/// number of charges before them.
struct History {
    seed: u64,
    begins: &'static str,
    zone: &'static str,
    changes: &'static [(usize, &'static str)],
}

/// What an entry used.
#[derive(Clone, Debug)]
struct Used {
    at: Instant,
    operation: String,
    member: Option<String>,
    /// When its charge was opened.
    opened_at: Instant,
    /// Runs, charged and refunded.
    sums: [i64; 3],
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("the zone is known")
}

fn day_of(zone: &TimeZone, at: Instant) -> Date {
    zone.to_datetime(at).date()
}

fn start_of(zone: &TimeZone, date: Date) -> Instant {
    let midnight = date.to_zoned(zone.clone()).and_then(|midnight| midnight.start_of_day());
    midnight.expect("the date is of these years").timestamp()
}

/// The day or month around an instant: its first instant, and the first one after it.
fn period_of(zone: &TimeZone, at: Instant, period: &str) -> [Instant; 2] {
    let day = day_of(zone, at);
    let (first, next) = match period {
        "day" => (day, day.saturating_add(1.day())),
        _ => (day.first_of_month(), day.last_of_month().saturating_add(1.day())),
    };
    [start_of(zone, first), start_of(zone, next)]
}

impl World {
    fn instant(&self) -> Instant {
        let millis = self.clock.load(Ordering::Relaxed);
        Instant::from_millisecond(millis).expect("the clock shows these years")
    }

    async fn set_zone(&self, zone: &str) {
        let body = format!(r#"{{"timezone":"{zone}"}}"#);
        let set = self.put("PATCH", "/v1/workspaces/acme", "", &body).await;
        assert_eq!(set.status, 200, "{}", set.text);
    }

    /// What every entry of `acme` used, oldest first.
    async fn used(&self) -> Vec<Used> {
        let (mut used, mut opened) = (Vec::new(), BTreeMap::new());
        let mut after = "0".to_owned();
        loop {
            let path = format!("/v1/workspaces/acme/entries?limit=200&after={after}");
            let page = self.get(&path).await.json();
            let entries = page["data"].as_array().expect("a list has rows");
            let Some(last) = entries.last() else { return used };
            after = last["number"].to_string();
            for entry in entries {
                let at = entry["created_at"].as_str().and_then(|at| at.parse().ok());
                let at: Instant = at.expect("an entry has a time");
                let amount = entry["amount"].as_i64().unwrap_or_default();
                let charge = entry["charge"].as_str().unwrap_or_default().to_owned();
                let text = |name: &str| entry[name].as_str().map(str::to_owned);
                if entry["kind"] == "charge.opened" {
                    let operation = text("operation").expect("a charge has an operation");
                    let member = text("member");
                    let one = Used { at, operation, member, opened_at: at, sums: [1, amount, 0] };
                    opened.insert(charge, one.clone());
                    used.push(one);
                } else if entry["kind"] == "charge.refunded" {
                    used.push(Used { at, sums: [0, 0, amount], ..opened[&charge].clone() });
                }
            }
        }
    }

    /// Compares each limit whose period began after `since` with the sums of the journal.
    async fn check_limits(&self, zone_name: &str, since: Instant) {
        let used = self.used().await;
        let zone = zone(zone_name);
        let answer = self.get("/v1/workspaces/acme/limits").await.json();
        for limit in answer["limits"].as_array().expect("a list") {
            let period = limit["period"].as_str().expect("a limit has a period");
            let [first, next] = period_of(&zone, self.instant(), period);
            let resets_at = limit["resets_at"].as_str().and_then(|at| at.parse().ok());
            assert_eq!(resets_at, Some(next), "{zone_name}: {limit}");
            let is_in = |at: Instant| first <= at && at < next;
            let covers = |one: &&Used| match limit["subject"].as_str() {
                Some("operation") => limit["id"] == one.operation.as_str(),
                Some("member") => one.member.as_deref() == limit["id"].as_str(),
                _ => true,
            };
            let counts = |one: &&Used| covers(one) && is_in(one.at) && is_in(one.opened_at);
            let sum: i64 = used.iter().filter(counts).map(|one| one.sums[1] - one.sums[2]).sum();
            if first >= since {
                assert_eq!(limit["used"], sum, "{zone_name}: {limit}");
            }
        }
    }

    /// Compares parts of days that were read before with the reports of the engine.
    async fn check_parts(&self, zone_name: &str) {
        const DAYS: u32 = 12;
        let acme = WorkspaceId::new("acme").expect("an allowed name");
        let ada = Named::Is(MemberId::new("ada").expect("an allowed name"));
        let (engine, now, zone) = (self.app.engine(), self.app.now(), zone(zone_name));
        let today = day_of(&zone, self.instant());
        let start = |days_ago: i32| start_of(&zone, today.saturating_sub(days_ago.days())).as_millisecond();
        let end = now.millis() + 1;
        let keys = |operation, time| GroupBy { operation, time, ..GroupBy::default() };
        for filter in [UsageFilter::default(), UsageFilter { member: ada, ..UsageFilter::default() }] {
            let kept = UsageSource::with_last_days(engine, &acme, DAYS, filter.clone(), now).await;
            let (kept, asked) = (kept.expect("days can be read"), UsageSource::new(engine, &acme));
            let parts = [(start(12), end, true), (start(7), end, true), (start(9), start(2), true)];
            let others =
                [(start(13), end, false), (start(7) + 1, end, false), (start(9), start(2) - 1, false)];
            for (from, to, is_part) in parts.into_iter().chain(others) {
                for group_by in [
                    keys(true, Some(TimeStep::Day)),
                    keys(false, Some(TimeStep::Day)),
                    keys(true, None),
                    keys(false, None),
                ] {
                    let request = UsageRequest {
                        from: Timestamp::from_millis(from),
                        to: Timestamp::from_millis(to),
                        timezone: Some(zone_name.into()),
                        group_by,
                        filter: filter.clone(),
                    };
                    assert_eq!(kept.kept_part(&request).is_some(), is_part, "{zone_name}: {request:?}");
                    let [part, report] = [&kept, &asked].map(|source| source.report(request.clone()));
                    let (part, report) = (part.await.expect("an answer"), report.await.expect("an answer"));
                    assert_eq!(part, report, "{zone_name}: {request:?}");
                    assert!(report.total.runs > 0, "something was used: {request:?}");
                }
            }
            let other_filter = UsageFilter { operation: Named::Absent, ..filter.clone() };
            let other_keys = GroupBy { member: true, ..GroupBy::default() };
            for (filter, group_by, timezone) in [
                (other_filter, GroupBy::default(), zone_name),
                (filter.clone(), other_keys, zone_name),
                (filter.clone(), keys(true, Some(TimeStep::Hour)), zone_name),
                (filter.clone(), keys(true, None), "Pacific/Apia"),
            ] {
                let [from, to] = [start(7), end].map(Timestamp::from_millis);
                let request = UsageRequest { from, to, timezone: Some(timezone.into()), group_by, filter };
                assert_eq!(kept.kept_part(&request), None, "only the engine has it: {request:?}");
            }
        }
    }

    /// Compares a report with the sums of the journal, and its CSV with its JSON.
    async fn check_report(&self, zone_name: &str, keys: &str, used: &[Used]) {
        let first = day_of(&zone("UTC"), used.first().expect("something was used").at);
        let [from, to] = [first.saturating_sub(2.days()), first.saturating_add(29.days())];
        let path = format!("{USAGE}?group_by={keys}&timezone={zone_name}&from={from}&to={to}");
        let answer = self.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let answer = answer.json();
        let mut expected: BTreeMap<Vec<String>, [i64; 3]> = BTreeMap::new();
        for one in used {
            let key =
                keys.split(',').filter(|key| !key.is_empty()).map(|key| text_of(key, &zone(zone_name), one));
            let sums = expected.entry(key.collect()).or_default();
            sums.iter_mut().zip(one.sums).for_each(|(sum, part)| *sum += part);
        }
        let numbers =
            |row: &Value| ["runs", "charged", "refunded"].map(|name| row[name].as_i64().expect("a number"));
        let rows = answer["rows"].as_array().expect("a table has rows");
        let texts = |row: &Value| {
            let keys = keys.split(',').filter(|key| !key.is_empty());
            keys.map(|key| row[key].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        let found: BTreeMap<_, _> = rows.iter().map(|row| (texts(row), numbers(row))).collect();
        assert_eq!(found, expected, "{path}");
        assert_eq!(found.len(), rows.len(), "no key comes twice: {path}");
        let mut total = [0; 3];
        expected.values().for_each(|sums| total.iter_mut().zip(sums).for_each(|(sum, part)| *sum += part));
        assert_eq!(numbers(&answer["total"]), total, "{path}");
        assert_eq!(answer["total"]["net"], total[1] - total[2], "{path}");
        let csv = self.csv(&path).await;
        let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let head = lines.next().expect("the names of the columns");
        let column = |name: &str| head.iter().position(|found| *found == name).expect("the column is there");
        let of_csv = lines.map(|line| {
            let number = |name: &str| line[column(name)].parse::<i64>().expect("a number");
            let names = keys.split(',').filter(|key| !key.is_empty()).map(|key| line[column(key)].to_owned());
            (names.collect::<Vec<_>>(), ["runs", "charged", "refunded"].map(number))
        });
        assert_eq!(of_csv.collect::<BTreeMap<_, _>>(), expected, "{path}");
    }
}

/// The text of a key of the row in which an entry counts.
fn text_of(key: &str, zone: &TimeZone, one: &Used) -> String {
    let day = day_of(zone, one.at);
    match key {
        "hour" => {
            let in_hour = one.at.as_millisecond().rem_euclid(3_600_000);
            let hour = Instant::from_millisecond(one.at.as_millisecond() - in_hour).expect("these years");
            let begins = hour.max(start_of(zone, day));
            begins.display_with_offset(zone.to_offset(begins)).to_string()
        }
        "day" => day.to_string(),
        "month" => format!("{:04}-{:02}", day.year(), day.month()),
        "operation" => one.operation.clone(),
        _ => one.member.clone().unwrap_or_default(),
    }
}

/// Lets a history happen, and compares limits and reports with its journal.
async fn check(history: History) {
    let History { seed, begins, zone, changes } = history;
    let mut random = Random::new(seed);
    let begins: Instant = begins.parse().expect("a time");
    let world = world_of(&settings(), begins.as_millisecond()).await;
    world.grant("acme", "start", 1_000_000_000).await;
    world.set_zone(zone).await;
    let limits = r#"{"limits":[{"subject":"workspace","period":"day","amount":900000000},
        {"subject":"workspace","period":"month","amount":900000000},
        {"subject":"operation","id":"smart_pricing","period":"day","amount":900000000},
        {"subject":"member","id":"ada","period":"month","amount":900000000}]}"#;
    assert_eq!(world.put("PUT", "/v1/workspaces/acme/limits", "", limits).await.status, 200);
    let (mut current, mut changed_at) = (zone, Instant::MIN);
    let mut charges: Vec<String> = Vec::new();
    for n in 0..CHARGES {
        if let Some((_, next)) = changes.iter().find(|(before, _)| *before == n) {
            world.set_zone(next).await;
            (current, changed_at) = (next, world.instant());
        }
        let operation = random.pick(&["support_message", "smart_pricing", "product_listing"]);
        let member = random.pick(&["", r#","member":"ada""#, r#","member":"bob""#]);
        let body = format!(r#"{{"operation":"{operation}","quantity":{}{member}}}"#, 1 + random.below(9));
        let made = world.charge(&format!("k{n}"), &body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        charges.push(made.id());
        // Pauses of minutes and of hours, so that hours have several entries and days have some.
        world.pass_seconds(if random.percent(50) { random.below(900) } else { random.below(36_000) } as i64);
        if random.percent(35) {
            let charge = random.pick(&charges).clone();
            let refund = format!("/v1/workspaces/acme/charges/{charge}/refund");
            let refunded = world.post(&refund, &format!("r{n}"), r#"{"reason":"courtesy","amount":1}"#).await;
            assert_eq!(refunded.status, 200, "{}", refunded.text);
        }
        if n % 10 == 9 {
            world.check_limits(current, changed_at).await;
        }
    }
    let used = world.used().await;
    let zones = changes.iter().map(|(_, zone)| *zone).chain([zone, "UTC", "Asia/Tokyo"]);
    for zone in zones {
        for keys in ["day,operation", "hour", "month,member", "operation,member", ""] {
            world.check_report(zone, keys, &used).await;
        }
    }
    world.check_parts(current).await;
}

#[tokio::test]
async fn days_that_begin_within_an_hour() {
    check(History { seed: 1, begins: "2026-11-20T17:00:00Z", zone: "Asia/Kathmandu", changes: &[] }).await;
}

#[tokio::test]
async fn days_without_a_midnight() {
    // The clocks go from 23:59 to 01:00: in Santiago on 6 September, in Beirut on 29 March.
    for (begins, zone) in
        [("2026-09-01T00:00:00Z", "America/Santiago"), ("2026-03-24T00:00:00Z", "Asia/Beirut")]
    {
        check(History { seed: 2, begins, zone, changes: &[] }).await;
    }
}

#[tokio::test]
async fn days_of_other_lengths_when_the_clocks_go_back() {
    check(History { seed: 3, begins: "2026-10-26T04:00:00Z", zone: "America/New_York", changes: &[] }).await;
}

#[tokio::test]
async fn a_change_of_the_time_zone_within_a_month() {
    for (seed, zone, changes) in [
        (4, "UTC", &[(40, "Asia/Kathmandu")][..]),
        (5, "Asia/Kathmandu", &[(30, "America/Santiago"), (70, "Asia/Beirut")]),
        (6, "America/Santiago", &[(35, "Asia/Kathmandu"), (36, "Australia/Lord_Howe")]),
    ] {
        check(History { seed, begins: "2026-09-02T01:00:00Z", zone, changes }).await;
    }
}
