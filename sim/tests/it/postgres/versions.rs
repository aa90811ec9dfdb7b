//! A database that an earlier program has kept is brought to the present version, with all that is in it: a plain one, and
//! one whose tables are distributed.

use tollkeeper_engine::Reads;
use tollkeeper_engine::postgres::{Options, audit, migrate};
use tollkeeper_ledger::{
    Actor, ChargeRequest, Command, MemberId, Micros, Period, Subject, Submission, Timestamp, UsageKey, Used,
    WorkerId, WorkspaceChanges, WorkspaceId,
};
use tollkeeper_sim::contract::{TestClient, charge};
use tollkeeper_sim::engines::postgres::InDatabase;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{Database, is_missing, shared};

use super::teams::{agrees, new_key, used};

const TABLES: &str = include_str!("../../../../engine/src/postgres/migrations/0001_tables.sql");
const ROWS: &str = include_str!("../../formats/version_1.sql");

/// When its first entry was made: 2026-01-01, midnight in UTC.
const BEGUN: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// A database as a server of version 1 left it.
fn version_1() -> Database<'static> {
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

/// Runs, charged and refunded.
fn counted(usage: &[(UsageKey, Used)]) -> (i64, i64, i64) {
    let mut sum = Used::default();
    usage.iter().for_each(|(_, used)| sum.add(*used));
    (sum.runs, sum.charged.get(), sum.refunded.get())
}

#[test]
fn a_database_of_version_1_keeps_all_that_is_in_it() {
    if is_missing() {
        return;
    }
    let store = InDatabase(version_1(), Options::default());
    let acme = WorkspaceId::new("acme").expect("a name");
    let mut client = TestClient::open(&store, BEGUN.plus_seconds(7 * 3_600));
    agrees(&store.0);
    assert_eq!((client.balance().available.get(), client.balance().pending.get()), (71_700, 20_000));
    assert!(block_on(client.engine.team(&acme)).expect("it reads").is_some_and(|team| team.is_empty()));
    let hours = BEGUN.hour()..BEGUN.hour() + 24;
    let usage = |client: &TestClient| block_on(client.engine.usage(&acme, hours.clone())).expect("it reads");
    assert_eq!(counted(&usage(&client)), (6, 29_500, 500));
    assert!(usage(&client).iter().all(|(key, _)| key.spender.api_key.is_none()), "there were none");
    assert!(client.submit_keyed("f", Command::Charge(by_ann(1))).expect("it was paid before").replayed);

    // The rollups that are in the table and those of the present hour are found where limits are counted anew.
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
    assert_eq!(paid.iter().filter(|ran| ran.is_ok()).count(), 2, "the third is more than the key may spend");
    assert_eq!(counted(&usage(&client)), (8, 30_500, 500));
    client.advance_clock(86_400);
    client.charge("g", charge("message", 1));
    let through: Vec<_> =
        usage(&client).into_iter().filter(|(used, _)| used.spender.api_key == Some(key)).collect();
    assert_eq!(counted(&through), (2, 1_000, 0));
    agrees(&store.0);
}

#[test]
fn an_audit_says_that_a_database_is_of_version_1() {
    if is_missing() {
        return;
    }
    let database = version_1();
    let refused = audit(&database.url()).expect_err("it lacks tables that this program reads");
    assert!(refused.is_unusable(), "{refused}");
    assert_eq!(
        refused.to_string(),
        "the database has tables of version 1, this program reads those of version 2"
    );
    let empty = audit(&shared().database().url()).expect_err("there is nothing to audit");
    assert_eq!(empty.to_string(), "the database holds no ledger");
    migrate(&database.url()).expect("it is brought to this version");
    agrees(&database);
}

#[test]
fn tables_that_a_migration_brings_are_distributed_where_the_others_are() {
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
    migrate(&database.url()).expect("it is brought to this version");
    let team = "SELECT by, beside FROM pg_dist_partition WHERE logicalrelid = 'team'::regclass";
    assert_eq!(database.sql(team), "workspace|entry");
    agrees(&database);
}
