//! Tables of another version: an older or newer one is refused, and a running server that is too
//! old writes nothing.

use tollkeeper_engine::postgres::{Options, audit, migrate, migrate_further};
use tollkeeper_ledger::Command;
use tollkeeper_sim::contract::{TestClient, acme, awaited, charge, submission};
use tollkeeper_sim::engines::postgres::InDatabase;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{is_missing, shared};

use super::teams::check_audit;

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
        empty.sql(&format!("UPDATE migration SET version = {other}"));
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
                               'search_word', 'platform', 'migration')",
    );
    let later = ["ALTER TABLE team ADD COLUMN later bigint"];
    migrate_further(&database.url(), &later).expect("the migration of a later release runs");
    let team = "SELECT by, beside FROM pg_dist_partition WHERE logicalrelid = 'team'::regclass";
    assert_eq!(database.sql(team), "workspace|entry");
}
