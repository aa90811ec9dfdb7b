//! The PostgreSQL engine: the contract, random commands beside the model, and an audit that detects
//! changed rows.

mod citus;
mod clocks;
mod damage;
mod deliveries;
mod due_payments;
mod failures;
mod settings;
mod teams;
mod tls;
mod versions;

use std::time::Duration;

use tollkeeper_engine::DisagreementKind::{self, Derived, Journal};
use tollkeeper_engine::postgres::{Options, audit, migrate};
use tollkeeper_ledger::ChargeCommand;
use tollkeeper_sim::contract::{CLAUSES, Clause, STORE_CLAUSES, Store, TestClient, awaited, charge};
use tollkeeper_sim::engines::postgres::{self, InDatabase, small};
use tollkeeper_sim::random::Random;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{Database, is_missing, shared};
use tollkeeper_testkit::retry::retry_for;

use crate::contract::check_contract;
use crate::seeds::{is_long, seeds};

/// Steps of one run.
const STEPS: usize = 300;

/// All clauses in a long run, each sixth one every day: each clause makes a database of its own.
fn some_clauses() -> Vec<Clause> {
    CLAUSES.iter().copied().step_by(if is_long() { 1 } else { 6 }).collect()
}

#[test]
fn the_postgres_engine_meets_the_contract() {
    if is_missing() {
        return;
    }
    check_contract(CLAUSES, || Box::new(InDatabase(shared().database(), Options::default())));
    check_contract(STORE_CLAUSES, || Box::new(InDatabase(shared().database(), Options::default())));
}

#[test]
fn the_postgres_engine_meets_the_contract_with_little_memory() {
    if is_missing() {
        return;
    }
    for seed in 0..if is_long() { 2 } else { 1 } {
        let options = small(&mut Random::new(seed));
        check_contract(&some_clauses(), || Box::new(InDatabase(shared().database(), options.clone())));
    }
}

/// Makes an empty database one of which the engine believes that Citus distributes it, by the list
/// of shards: it sends the same statements as there.
pub fn divide_into_shards(database: &Database) {
    migrate(&database.url()).expect("an empty database");
    database.sql(
        "CREATE TABLE pg_dist_shard (logicalrelid regclass, shardminvalue text);
         GRANT SELECT ON pg_dist_shard TO PUBLIC;
         INSERT INTO pg_dist_shard VALUES ('entry', '-2147483648'), ('entry', '-1073741824'), ('entry', '0'),
             ('entry', '1073741824')",
    );
}

#[test]
fn the_contract_is_met_shard_by_shard() {
    if is_missing() {
        return;
    }
    check_contract(&some_clauses(), || {
        let database = shared().database();
        divide_into_shards(&database);
        Box::new(InDatabase(database, Options::default()))
    });
}

#[test]
fn a_start_reads_a_bounded_number_of_accounts() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    migrate(&store.0.url()).expect("the migration runs");
    store.0.sql(
        "INSERT INTO account SELECT 'w' || n, 1, 0, '', '' FROM generate_series(1, 30000) AS n; ANALYZE account",
    );
    let engine = store.open();
    assert!(engine.stats().entries > 0, "they were counted or estimated");
    block_on(engine.close()).expect("it ends");
    drop(engine);
    let others =
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    retry_for(Duration::from_secs(60), "the sessions have ended", || {
        store.0.sql(others).is_empty().then_some(())
    });
    let read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'account'";
    let read: u64 = store.0.sql(read).parse().expect("a number of rows");
    assert!((1..=10_001).contains(&read), "{read} of 30,000 accounts were read");
}

#[test]
fn the_postgres_engine_agrees_with_the_model() {
    if is_missing() {
        return;
    }
    for seed in seeds(1) {
        if let Err(difference) = postgres::run(&shared().database().url(), 1, seed, STEPS) {
            panic!("{difference}");
        }
    }
}

#[test]
fn two_servers_on_one_database_agree_with_the_model() {
    if is_missing() {
        return;
    }
    for seed in seeds(1) {
        if let Err(difference) = postgres::run(&shared().database().url(), 2, seed, STEPS) {
            panic!("{difference}");
        }
    }
}

/// A change of the tables, a word of the audit's message about it, and its kind.
const DAMAGE: [(&str, &str, DisagreementKind); 14] = [
    ("UPDATE entry SET data = set_byte(data, 40, get_byte(data, 40) # 1) WHERE n = 9", "", Journal),
    (
        "UPDATE entry SET key = NULL WHERE n = (SELECT max(n) FROM entry WHERE key IS NOT NULL)",
        "key",
        Journal,
    ),
    (
        "UPDATE entry SET opened = 1 WHERE opened IS NOT NULL AND n = (SELECT max(n) FROM entry WHERE opened > 1)",
        "charge",
        Journal,
    ),
    ("DELETE FROM entry WHERE n = 5", "number", Journal),
    ("DELETE FROM entry WHERE n = (SELECT max(n) FROM entry)", "missing", Journal),
    ("UPDATE account SET n = n + 1 WHERE workspace <> '*'", "account", Derived),
    ("UPDATE account SET created_at = created_at + 1 WHERE workspace <> '*'", "account", Derived),
    ("DELETE FROM account WHERE workspace <> '*'", "account", Derived),
    ("UPDATE usage SET charged = charged + 1", "i08", Derived),
    ("DELETE FROM lot WHERE n = (SELECT min(n) FROM lot)", "not stored", Derived),
    ("INSERT INTO pending SELECT workspace, 3, gen_random_uuid(), 0, 0 FROM account", "deadline", Derived),
    ("DELETE FROM pending", "deadline", Derived),
    (
        "INSERT INTO usage VALUES ('nobody', 1, 'op', '', '', 1, 1, 1, 0, '00000000-0000-0000-0000-000000000000')",
        "account",
        Derived,
    ),
    ("UPDATE platform SET n = n + 1", "platform", Derived),
];

/// A ledger with rows in every table.
fn ledger() -> Database<'static> {
    let store = InDatabase(shared().database(), Options::default());
    let mut client = TestClient::with_credit(&store, 100_000);
    let (paid, _) = client.charge("a", charge("message", 1));
    client.charge("b", awaited("message", 1, 600));
    client
        .submit_keyed(
            "r",
            ChargeCommand::Refund { amount: None, reason: "courtesy".into() }.for_charge(paid.details.id),
        )
        .expect("a refund");
    client.advance_clock(3_600);
    for key in ["c", "d", "e", "f"] {
        client.charge(key, charge("message", 1));
    }
    drop(client);
    store.0
}

#[test]
fn an_audit_detects_changed_rows() {
    if is_missing() {
        return;
    }
    let database = ledger();
    let report = audit(&database.url()).expect("the database can be read");
    assert!(report.disagreement.is_none(), "{report:?}");
    assert_eq!((report.entries, report.workspaces, report.available.get()), (10, 1, 97_500));
    for (sql, word, kind) in DAMAGE {
        let database = ledger();
        database.sql(sql);
        let report = audit(&database.url()).expect("the database can be read");
        let found = report.disagreement.unwrap_or_else(|| panic!("the audit passed after {sql}"));
        assert!(found.what.contains(word), "{sql}: {}", found.what);
        assert_eq!(found.kind, kind, "{sql}: {}", found.what);
    }
}

#[test]
fn an_audit_of_an_empty_database_is_an_error() {
    if is_missing() {
        return;
    }
    assert!(audit(&shared().database().url()).expect_err("no tables").is_unusable());
}
