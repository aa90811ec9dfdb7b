//! Migrations of a database with tables of version 1: a plain one, and one whose tables are
//! distributed.

use tollkeeper_engine::Reads;
use tollkeeper_engine::postgres::{Options, audit, migrate};
use tollkeeper_ledger::{
    Actor, ChargeRequest, Command, MemberId, Micros, Period, Subject, Submission, Timestamp, UsageKey,
    UsageSums, WorkerId, WorkspaceChanges, WorkspaceId,
};
use tollkeeper_sim::contract::{TestClient, acme, awaited, charge, submission};
use tollkeeper_sim::engines::postgres::InDatabase;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{Database, is_missing, shared};

use super::teams::{check_audit, new_key, used};

const TABLES: &str = include_str!("../../../../engine/src/postgres/migrations/0001_tables.sql");
const ROWS: &str = include_str!("../../formats/version_1.sql");

/// When its first entry was made: 2026-01-01, midnight in UTC.
const BEGUN: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// A database with tables of version 1.
pub(crate) fn version_1() -> Database<'static> {
    let database = shared().database();
    database.sql(&format!("SET ROLE tollkeeper; {TABLES}; {ROWS}"));
    database
}

fn by_ann(quantity: i64) -> ChargeRequest {
    ChargeRequest {
        worker: Some(WorkerId::new("w1").expect("a name")),
        member: Some(MemberId::new("ann").expect("a name")),
        ..charge("message", quantity)
    }
}

/// The sums of runs, charged and refunded micro-units.
fn counted(usage: &[(UsageKey, UsageSums)]) -> (i64, i64, i64) {
    let mut sum = UsageSums::default();
    usage.iter().for_each(|(_, used)| sum.add(*used));
    (sum.runs, sum.charged.get(), sum.refunded.get())
}

#[test]
fn a_migrated_database_keeps_all_data() {
    if is_missing() {
        return;
    }
    let store = InDatabase(version_1(), Options::default());
    let acme = WorkspaceId::new("acme").expect("a name");
    let mut client = TestClient::open(&store, BEGUN.plus_seconds(7 * 3_600));
    check_audit(&store.0);
    assert_eq!((client.balance().available.get(), client.balance().pending.get()), (71_700, 20_000));
    assert!(
        block_on(client.engine.team(&acme)).expect("the engine reads").is_some_and(|team| team.is_empty())
    );
    let hours = BEGUN.hour()..BEGUN.hour() + 24;
    let usage =
        |client: &TestClient| block_on(client.engine.usage(&acme, hours.clone())).expect("the engine reads");
    assert_eq!(counted(&usage(&client)), (6, 29_500, 500));
    assert!(usage(&client).iter().all(|(key, _)| key.spender.api_key.is_none()), "version 1 had no API keys");
    assert!(client.submit_keyed("f", Command::Charge(by_ann(1))).expect("the first answer").replayed);

    // A new time zone recounts the limits from the stored usage and that of the current hour.
    assert_eq!(used(&client), [23_500, 2_500]);
    client.accepted(Command::UpdateWorkspace(WorkspaceChanges {
        timezone: Some("UTC".into()),
        ..WorkspaceChanges::default()
    }));
    assert_eq!(used(&client), [29_000, 4_000]);
    let key = new_key(&client, "the first");
    client.accepted(Command::SetLimits(vec![(Subject::ApiKey(key), Period::Day, Micros::new(1_000))]));
    let pay = || Submission {
        workspace: acme.clone(),
        key: None,
        actor: Actor::ApiKey(key),
        command: Command::Charge(charge("message", 1)),
    };
    let paid =
        block_on(client.engine.run_batch(vec![pay(), pay(), pay()], client.now)).expect("a healthy engine");
    assert_eq!(paid.iter().filter(|ran| ran.is_ok()).count(), 2, "the third exceeds the limit of the key");
    assert_eq!(counted(&usage(&client)), (8, 30_500, 500));
    client.advance_clock(86_400);
    client.charge("g", charge("message", 1));
    let through: Vec<_> =
        usage(&client).into_iter().filter(|(used, _)| used.spender.api_key == Some(key)).collect();
    assert_eq!(counted(&through), (2, 1_000, 0));
    check_audit(&store.0);
}

#[test]
fn an_audit_names_the_version_of_an_old_database() {
    if is_missing() {
        return;
    }
    let database = version_1();
    let refused = audit(&database.url()).expect_err("the tables are of version 1");
    assert!(refused.is_unusable(), "{refused}");
    assert_eq!(
        refused.to_string(),
        "the database has tables of version 1, this program reads those of version 4"
    );
    let empty = audit(&shared().database().url()).expect_err("the database is empty");
    assert_eq!(empty.to_string(), "the database holds no ledger");
    migrate(&database.url()).expect("the migration runs");
    check_audit(&database);
}

#[test]
fn a_running_server_that_is_too_old_for_the_tables_writes_nothing() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let client = TestClient::with_credit(&store, 10_000);
    let pay = |key: &str| {
        let payment = submission(acme(), Some(key), Command::Charge(charge("message", 1)));
        block_on(client.engine.run(payment, client.now))
    };
    let min_version = |version: u32| store.0.sql(&format!("UPDATE platform SET min_version = {version}"));
    client.charge("awaited", awaited("message", 1, 60));
    let late = client.now.plus_seconds(60);
    let due = || block_on(client.engine.due(late, 10)).expect("the engine reads").len();
    min_version(1_000);
    assert_eq!(due(), 0, "it could not time the charge out");
    let refused = pay("fenced").expect_err("a newer program has migrated the tables");
    assert!(refused.is_unavailable(), "{refused}");
    assert!(refused.to_string().contains("a newer tollkeeper has migrated the tables"), "{refused}");
    assert!(!client.engine.stats().writable);
    assert_eq!(client.balance().available.get(), 9_500);
    min_version(0);
    assert_eq!(due(), 1, "no outdated server has claimed it");
    assert!(!pay("fenced").expect("it is current again").expect("there is credit").replayed);
    min_version(1_000);
    pay("fenced again").expect_err("the guard of a known account fails too");
    min_version(0);
    assert_eq!(client.balance().available.get(), 9_000);
    check_audit(&store.0);
}

#[test]
fn a_migration_distributes_new_tables_like_the_others() {
    if is_missing() {
        return;
    }
    let database = version_1();
    // A stand-in with the names that Citus gives.
    database.sql(
        "SET ROLE tollkeeper;
         CREATE TABLE pg_dist_partition (logicalrelid regclass, by text, beside text);
         CREATE FUNCTION create_distributed_table(regclass, text, colocate_with text) RETURNS void LANGUAGE sql
             AS 'INSERT INTO pg_dist_partition VALUES ($1, $2, $3)';
         INSERT INTO pg_dist_partition SELECT relname::regclass, 'workspace', 'entry' FROM pg_class
             WHERE relname IN ('entry', 'account', 'usage', 'lot', 'pending', 'moved', 'platform', 'migration')",
    );
    migrate(&database.url()).expect("the migration runs");
    let team = "SELECT by, beside FROM pg_dist_partition WHERE logicalrelid = 'team'::regclass";
    assert_eq!(database.sql(team), "workspace|entry");
    check_audit(&database);
}
