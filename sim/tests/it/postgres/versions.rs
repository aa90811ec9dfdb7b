//! Tables of another version: an older or newer one is refused, and a running server that is too
//! old writes nothing.

use std::thread;
use std::time::Duration;

use tollkeeper_engine::postgres::{Options, audit, migrate, migrate_further, repair};
use tollkeeper_ledger::Command;
use tollkeeper_sim::contract::{TestClient, acme, awaited, charge, submission};
use tollkeeper_sim::engines::postgres::InDatabase;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{is_missing, shared};
use tollkeeper_testkit::retry::retry_for;

use super::teams::check_audit;

/// How long a batch may take to reach the guard.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);

#[test]
fn tables_of_another_version_are_refused_by_name() {
    if is_missing() {
        return;
    }
    let empty = shared().database();
    assert_eq!(audit(&empty.url()).expect_err("it is empty").to_string(), "the database holds no ledger");
    let version = migrate(&empty.url()).expect("the migration runs");
    check_audit(&empty);
    for (other, why) in [(3, "of a build before the first release"), (1_000, "this program knows up to")] {
        empty.sql(&format!("DELETE FROM migration; INSERT INTO migration (version) VALUES ({other})"));
        for refused in [audit(&empty.url()).map(|_| ()), migrate(&empty.url()).map(|_| ())] {
            let refused = refused.expect_err("the tables are of another version");
            assert!(refused.is_unusable() && refused.hint().is_some(), "{refused}");
            let what = format!("the database has tables of version {other}, ");
            assert!(refused.to_string().starts_with(&what) && refused.to_string().contains(why), "{refused}");
        }
    }
    empty.sql(&format!("UPDATE migration SET version = {version}"));
    check_audit(&empty);
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
fn a_repair_by_a_program_that_is_too_old_for_the_tables_is_refused() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let client = TestClient::with_credit(&store, 10_000);
    client.charge("paid", charge("message", 1));
    drop(client);
    let account = "SELECT encode(data, 'hex'), xmin FROM account WHERE workspace = 'acme'";
    // To the older program the row of the newer one looks damaged.
    store.0.sql(
        "UPDATE platform SET min_version = 1000;
         UPDATE account SET data = set_byte(data, 9, get_byte(data, 9) # 1) WHERE workspace = 'acme'",
    );
    let before = store.0.sql(account);
    let refused = repair(&store.0.url(), &acme()).expect_err("a newer program has migrated the tables");
    assert!(refused.is_unavailable() && refused.hint().is_some(), "{refused}");
    assert!(refused.to_string().contains("a newer tollkeeper has migrated the tables"), "{refused}");
    assert_eq!(store.0.sql(account), before, "the row is not written");
    store.0.sql("UPDATE platform SET min_version = 0");
    repair(&store.0.url(), &acme()).expect("the program is new enough");
    assert_ne!(store.0.sql(account), before);
    check_audit(&store.0);
}

/// A migration of a later release that older servers cannot live with.
const FURTHER: &str = "ALTER TABLE team ADD COLUMN later bigint; UPDATE platform SET min_version = 1000";

#[test]
fn a_migration_waits_for_a_server_that_has_read_the_guard_before_it() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let client = TestClient::with_credit(&store, 10_000);
    // A batch of a server between its guard and its commit.
    let batch =
        store.0.open_transaction("DO $$ BEGIN PERFORM n FROM platform WHERE min_version <= 8; END $$");
    thread::scope(|scope| {
        let migration = scope.spawn(|| migrate_further(&store.0.url(), &[FURTHER]));
        store.0.wait_for_lock();
        assert!(!migration.is_finished(), "the batch is still open");
        drop(batch);
        migration.join().expect("it does not panic").expect("the migration runs after the batch");
    });
    let late = submission(acme(), Some("late"), Command::Charge(charge("message", 1)));
    block_on(client.engine.run(late, client.now)).expect_err("the server is too old for the tables");
}

#[test]
fn a_batch_that_waits_for_a_migration_sees_what_it_raised() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let client = TestClient::with_credit(&store, 10_000);
    client.charge("before", charge("message", 1));
    let entries = || store.0.sql("SELECT max(n) FROM entry WHERE workspace = 'acme'");
    let before = entries();
    // The migration has the platform and waits for a table that a reader uses.
    let reader = store.0.open_transaction("SELECT FROM team");
    thread::scope(|scope| {
        let migration = scope.spawn(|| migrate_further(&store.0.url(), &[FURTHER]));
        store.0.wait_for_lock();
        let during = submission(acme(), Some("during"), Command::Charge(charge("message", 1)));
        let charged = scope.spawn(|| block_on(client.engine.run(during, client.now)));
        let two_wait = "SELECT count(*) > 1 FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        retry_for(WAIT_TIMEOUT, "the batch waits too", || (store.0.sql(two_wait) == "t").then_some(()));
        drop(reader);
        migration.join().expect("it does not panic").expect("the migration runs after the reader");
        let refused =
            charged.join().expect("it does not panic").expect_err("it was decided by an old program");
        assert!(refused.is_unavailable(), "{refused}");
    });
    assert_eq!(entries(), before, "nothing is written after the migration");
}

#[test]
fn a_migration_distributes_new_tables_like_the_others() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    migrate(&database.url()).expect("the migration runs");
    // A stand-in with the names that Citus gives.
    database.sql(
        "SET ROLE tollkeeper;
         CREATE TABLE pg_dist_partition (logicalrelid regclass, by text, beside text);
         CREATE FUNCTION create_distributed_table(regclass, text, colocate_with text) RETURNS void LANGUAGE sql
             AS 'INSERT INTO pg_dist_partition VALUES ($1, $2, $3)';
         INSERT INTO pg_dist_partition SELECT relname::regclass, 'workspace', 'entry' FROM pg_class
             WHERE relname IN ('entry', 'account', 'usage', 'lot', 'pending', 'moved', 'personal', 'search',
                               'search_word', 'platform', 'migration', 'subscriber')",
    );
    let later = ["ALTER TABLE team ADD COLUMN later bigint"];
    migrate_further(&database.url(), &later).expect("the migration of a later release runs");
    let team = "SELECT by, beside FROM pg_dist_partition WHERE logicalrelid = 'team'::regclass";
    assert_eq!(database.sql(team), "workspace|entry");
}
