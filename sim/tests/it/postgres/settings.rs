//! What the database or its role is set to does not change what an answer means: a commit is on
//! disk, only a missing standby makes it doubtful, and a read-only database is not ready. Long work
//! is not subject to the time limits of the role.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tollkeeper_engine::postgres::{
    Options, Postgres, audit, export, mark_restored, migrate, migrate_further,
};
use tollkeeper_engine::{Engine, Reads};
use tollkeeper_ledger::{Micros, Submission, Timestamp};
use tollkeeper_sim::faults::bank::{self, NOW};
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{Database, is_missing, shared};
use tollkeeper_testkit::retry::retry_for;

use super::teams::check_audit;

const EACH: Micros = Micros::new(100_000);

/// How long a server may take to notice a change of the database.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(30);

fn serve(database: &Database<'_>) -> Arc<dyn Engine> {
    let options = Options { retry_for_millis: Some(200), ..Options::default() };
    Arc::new(block_on(Postgres::open(&database.url(), options)).expect("the database opens"))
}

/// A server whose ledger has one workspace with credit.
fn bank_in(database: &Database<'_>) -> Arc<dyn Engine> {
    let server = serve(database);
    bank::open(&*server, 1, EACH);
    server
}

fn payment(key: &str) -> Submission {
    bank::ask(bank::workspace(0), Some(key.to_owned()), bank::charge(1, false))
}

#[track_caller]
fn assert_paid_and_replayed(server: &dyn Engine, key: &str) {
    let pay = || block_on(server.run(payment(key), NOW)).expect("it is served").expect("there is credit");
    assert!(!pay().replayed);
    assert!(pay().replayed);
}

/// The number of sessions of servers that began after an instant of the database's clock. A
/// connection that is given up is replaced by one of these.
fn sessions_since(database: &Database<'_>, instant: &str) -> String {
    database.sql(&format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
         AND application_name = 'tollkeeper' AND backend_start > '{instant}'"
    ))
}

#[test]
fn a_warning_that_concerns_no_standby_does_not_make_a_commit_doubtful() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let server = bank_in(&database);
    database.sql(
        "SET ROLE tollkeeper;
         CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql
             AS 'BEGIN RAISE WARNING ''the budget of entry % is low'', new.n; RETURN new; END';
         CREATE TRIGGER warn BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION warn()",
    );
    let before = database.sql("SELECT clock_timestamp()");
    for key in ["a", "b", "c"] {
        assert_paid_and_replayed(&*server, key);
    }
    assert_eq!(sessions_since(&database, &before), "0", "no connection was given up");
    check_audit(&database);
}

#[test]
fn a_server_commits_to_disk_where_synchronous_commit_is_off() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    drop(bank_in(&database));
    database.sql(
        "SET ROLE tollkeeper;
         CREATE TABLE seen (synchronous_commit text);
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql
             AS 'BEGIN INSERT INTO seen VALUES (current_setting(''synchronous_commit'')); RETURN new; END';
         CREATE TRIGGER see BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION see()",
    );
    for (set_to, used) in [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")] {
        database.sql(&format!("ALTER DATABASE {} SET synchronous_commit = {set_to}", database.name()));
        assert_paid_and_replayed(&*serve(&database), set_to);
        assert_eq!(database.sql("SELECT DISTINCT synchronous_commit FROM seen"), used, "set to {set_to}");
        database.sql("DELETE FROM seen");
    }
}

#[test]
fn a_read_only_database_is_not_ready_until_it_takes_writes() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let server = bank_in(&database);
    let alter = |what: &str| {
        shared().sql("postgres", &format!("ALTER DATABASE {} {what}", database.name()));
    };
    alter("SET default_transaction_read_only = on");
    database.end_sessions();
    let refused = block_on(server.run(payment("a"), NOW)).expect_err("the database is read-only");
    assert!(refused.is_unavailable(), "{refused}");
    let begun_last = || {
        database.sql(
            "SELECT max(backend_start) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
    };
    for _ in 0..2 {
        let before = begun_last();
        retry_for(NOTICE_TIMEOUT, "the server asks on a new connection", || {
            assert!(!server.stats().writable);
            (begun_last() != before).then_some(())
        });
    }
    let late = serve(&database);
    assert!(!late.stats().writable, "not ready from the first moment");
    let balance = block_on(late.balance(&bank::workspace(0), None)).expect("reads are served");
    assert!(balance.is_some());
    alter("RESET default_transaction_read_only");
    for server in [&server, &late] {
        retry_for(NOTICE_TIMEOUT, "the server is ready again", || server.stats().writable.then_some(()));
    }
    assert_paid_and_replayed(&*server, "a");
    assert_paid_and_replayed(&*late, "b");
    check_audit(&database);
}

/// A limit of the role, and a wait that exceeds it.
const LIMIT: &str = "200ms";
const LONGER: &str = "500ms";

/// Sets the limits that the documentation recommends for the role, but much shorter.
fn limit_role(database: &Database<'_>) {
    for setting in ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"] {
        database
            .sql(&format!("ALTER ROLE tollkeeper IN DATABASE {} SET {setting} = '{LIMIT}'", database.name()));
    }
}

/// Runs `work` while another transaction holds a lock, until it has waited longer than the limits
/// of the role allow. Then the lock is released.
fn run_behind_a_lock<T: Send>(database: &Database<'_>, lock: &str, work: impl FnOnce(&str) -> T + Send) -> T {
    let held = database.open_transaction(lock);
    let url = database.url();
    thread::scope(|scope| {
        let working = scope.spawn(|| work(&url));
        let waits = format!(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
             AND clock_timestamp() - query_start > '{LONGER}'"
        );
        retry_for(NOTICE_TIMEOUT, "the work waits for the lock", || {
            (working.is_finished() || !database.sql(&waits).is_empty()).then_some(())
        });
        drop(held);
        working.join().expect("the work does not panic")
    })
}

#[test]
fn a_migration_waits_for_another_server_beyond_the_limits_of_the_role() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    limit_role(&database);
    let other_server = "DO 'BEGIN PERFORM pg_advisory_xact_lock(8390043843728598384); END'";
    let migrated = run_behind_a_lock(&database, other_server, migrate);
    migrated.expect("the migration waits");
    check_audit(&database);
}

#[test]
fn a_migration_waits_for_a_table_that_is_in_use() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    migrate(&database.url()).expect("the migration runs");
    limit_role(&database);
    let later = ["ALTER TABLE usage ADD COLUMN later bigint NOT NULL DEFAULT 7"];
    let migrated = run_behind_a_lock(&database, "LOCK TABLE usage IN ACCESS SHARE MODE", |url| {
        migrate_further(url, &later)
    });
    migrated.expect("the migration of a later release waits");
    assert_eq!(database.sql("SELECT max(later) FROM usage"), "");
}

#[test]
fn an_audit_and_an_export_take_longer_than_the_limits_of_the_role_allow() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    drop(bank_in(&database));
    limit_role(&database);
    let report = run_behind_a_lock(&database, "LOCK TABLE lot", audit);
    assert!(report.expect("the audit waits").disagreement.is_none());
    let mut stream = Vec::new();
    let exported = run_behind_a_lock(&database, "LOCK TABLE entry", |url| export(url, &mut stream));
    exported.expect("the export waits");
    assert!(!stream.is_empty());
}

#[test]
fn the_end_of_a_long_journal_is_read_without_time_limits_after_a_restore() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    drop(bank_in(&database));
    // It stands in for accounts whose reading takes longer than a statement may.
    database.sql(&format!(
        "CREATE FUNCTION slowly(bytea, bytea, bytea) RETURNS bytea LANGUAGE plpgsql AS 'BEGIN
             IF current_setting(''statement_timeout'') <> ''0'' THEN
                 RAISE EXCEPTION ''it takes too long'' USING ERRCODE = ''query_canceled'';
             END IF; RETURN coalesce($1, '''') || $2; END';
         CREATE AGGREGATE string_agg(bytea, bytea) (SFUNC = slowly, STYPE = bytea);
         ALTER DATABASE {} SET search_path = public, pg_catalog",
        database.name()
    ));
    let server = serve(&database);
    let limited = block_on(server.journal_head()).expect_err("a query of a server has a time limit");
    assert!(limited.is_unavailable() && limited.to_string().contains("it takes too long"), "{limited}");
    let clock = database.sql("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint");
    let present = Timestamp::from_millis(clock.parse().expect("a number"));
    for epoch in [2, 3] {
        let head = mark_restored(&database.url(), present).expect("the journal is read to its end");
        assert_eq!((head.epoch, head.place), (epoch, head.entries));
        assert_eq!(database.sql("SELECT count(*) FROM entry"), head.entries.to_string());
    }
    check_audit(&database);
}

#[test]
fn an_audit_names_a_missing_index_of_keys() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    drop(bank_in(&database));
    database
        .sql("DROP INDEX entry_key; CREATE INDEX entry_key ON entry (workspace, key) WHERE key IS NOT NULL");
    let report = audit(&database.url()).expect("the database can be read");
    let found = report.disagreement.expect("keys may occur twice");
    assert!(found.what.contains("i07") && found.what.contains("entry_key"), "{}", found.what);
}
