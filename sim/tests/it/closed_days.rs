//! Closed days that are damaged or lost are noticed by the report that needs them and by an audit,
//! and are made again from the rows that they sum up.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tollkeeper_engine::embedded::{Embedded, audit};
use tollkeeper_engine::postgres;
use tollkeeper_engine::{
    Engine, Error, GroupBy, Options, Reads, TimeStep, UsageFilter, UsageReport, UsageRequest,
};
use tollkeeper_sim::contract::{BEGINNING, Store, TestClient, acme, charge};
use tollkeeper_sim::engines::postgres::InDatabase;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{is_missing, shared};
use tollkeeper_testkit::retry::retry_for;
use tollkeeper_testkit::scratch::Scratch;

const DAY: i64 = 86_400;

/// How long mending of a small ledger may take.
const MENDED_WITHIN: Duration = Duration::from_secs(30);

/// The days on which the workspace is charged.
const DAYS: u64 = 8;

struct InDirectory(Scratch);

impl Store for InDirectory {
    fn open(&self) -> Arc<dyn Engine> {
        Arc::new(Embedded::open(self.0.path(), Options::default()).expect("the directory opens"))
    }
}

/// A workspace with a charge on each of some days, all of which are closed.
fn with_closed_days(store: &dyn Store) -> TestClient {
    let mut client = TestClient::with_credit(store, 1_000_000);
    for day in 0..DAYS {
        client.charge(&format!("day {day}"), charge("message", 1 + day as i64));
        client.advance_clock(DAY);
    }
    client.advance_clock(3 * DAY);
    // A database moves the rows of an hour to the others with the first charge of a later one.
    client.charge("today", charge("message", 1));
    let mut days = 0;
    loop {
        let closed = block_on(client.engine.close_days(client.now, 100)).expect("the engine writes");
        days += closed.days;
        if !closed.has_more {
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(days, DAYS, "every day with use was closed");
    client
}

fn report(client: &TestClient) -> Result<UsageReport, Error> {
    let request = UsageRequest {
        from: BEGINNING,
        to: BEGINNING.plus_seconds(30 * DAY),
        timezone: None,
        group_by: GroupBy { operation: true, time: Some(TimeStep::Day), ..GroupBy::default() },
        filter: UsageFilter::default(),
    };
    let answer = block_on(client.engine.usage_report(&acme(), request))?;
    let report = answer.expect("it exists").expect("the request is right");
    Ok(UsageReport { rebuilding: false, ..report })
}

/// The report, once what is damaged was mended.
fn mended_report(client: &TestClient, what: &str) -> UsageReport {
    retry_for(MENDED_WITHIN, what, || report(client).ok())
}

/// Statements that damage closed days; `{day}` and `{until}` are the names of the tables.
const CHANGES: [&str; 5] = [
    "DELETE FROM {day} WHERE day = (SELECT min(day) FROM {day})",
    "DELETE FROM {day} WHERE day = (SELECT max(day) FROM {day})",
    "UPDATE {day} SET day = day + 3600000 WHERE day = (SELECT max(day) FROM {day})",
    "DELETE FROM {day}",
    "UPDATE {until} SET until = until + 86400000, last = last + 86400000",
];

fn change(template: &str, day: &str, until: &str) -> String {
    template.replace("{day}", day).replace("{until}", until)
}

#[test]
fn a_damaged_closed_day_of_a_directory_is_audited_and_mended() {
    for template in CHANGES {
        let store = InDirectory(Scratch::new());
        let client = with_closed_days(&store);
        let expected = report(&client).expect("the engine reads");
        block_on(client.engine.close()).expect("a healthy engine closes");
        let now = client.now;
        drop(client);
        assert!(audit(store.0.path()).expect("it can be read").disagreement.is_none(), "{template}");
        let database = Connection::open(store.0.path().join("state.db")).expect("the file opens");
        let sql = change(template, "day", "closed");
        assert!(database.execute(&sql, []).expect("the statement runs") > 0, "{sql}");
        drop(database);
        let found = audit(store.0.path()).expect("it can be read").disagreement;
        assert!(found.is_some(), "{sql}: the audit must find it");
        let client = TestClient { engine: store.open(), now };
        assert_eq!(mended_report(&client, &sql), expected, "{sql}");
    }
}

#[test]
fn a_damaged_closed_day_of_a_database_is_audited_and_mended() {
    if is_missing() {
        return;
    }
    for template in CHANGES {
        let store = InDatabase(shared().database(), postgres::Options::default());
        let client = with_closed_days(&store);
        let expected = report(&client).expect("the engine reads");
        let found = || postgres::audit(&store.0.url()).expect("it can be read").disagreement;
        assert!(found().is_none(), "{template}: {:?}", found());
        let sql = change(template, "closed_day", "closed_until");
        store.0.sql(&sql);
        assert!(found().is_some(), "{sql}: the audit must find it");
        assert_eq!(mended_report(&client, &sql), expected, "{sql}");
        postgres::repair(&store.0.url(), &acme()).expect("the journal is whole");
        assert!(found().is_none(), "{sql}: {:?}", found());
    }
}

#[test]
fn two_servers_close_each_day_once() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), postgres::Options::default());
    let mut client = TestClient::with_credit(&store, 1_000_000);
    for day in 0..DAYS {
        client.charge(&format!("day {day}"), charge("message", 1));
        client.advance_clock(DAY);
    }
    client.advance_clock(3 * DAY);
    client.charge("today", charge("message", 1));
    let engines = [store.open(), store.open()];
    let now = client.now;
    let closed: u64 = std::thread::scope(|scope| {
        let step = |engine: &Arc<dyn Engine>| block_on(engine.close_days(now, 100)).expect("it writes").days;
        let steps: Vec<_> = engines.iter().map(|engine| scope.spawn(move || step(engine))).collect();
        steps.into_iter().map(|step| step.join().expect("it ends")).sum()
    });
    assert_eq!(closed, DAYS, "a day is closed by one of them");
    assert!(postgres::audit(&store.0.url()).expect("it can be read").disagreement.is_none());
    let total = report(&client).expect("the engine reads").total;
    assert_eq!(total.runs, DAYS as i64 + 1);
}
