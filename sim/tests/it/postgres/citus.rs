//! The PostgreSQL engine on a cluster of Citus: the contract, random commands beside the model, and
//! which transactions of a charge are on one node.
//!
//! They need a cluster, whose address is in `TOLLKEEPER_TEST_CITUS_URL`.

use std::collections::BTreeSet;
use std::sync::Arc;

use tollkeeper_engine::Engine;
use tollkeeper_engine::postgres::{Options, Postgres, audit, distribute, migrate, migrate_further};
use tollkeeper_ledger::{Command, GrantRequest, Micros, Source, Submission, WorkspaceId};
use tollkeeper_sim::contract::{
    BEGINNING, CLAUSES, STORE_CLAUSES, Store, TestClient, charge, submission, workspace,
};
use tollkeeper_sim::engines::postgres;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::citus::{Schema, is_missing};

use super::STEPS;
use crate::contract::check_contract;
use crate::seeds::seeds;

/// A ledger on all nodes, and whether Citus counts the statements of its engine.
struct OnNodes(Schema, bool);

impl OnNodes {
    fn create(is_counted: bool) -> OnNodes {
        let schema = Schema::create();
        migrate(&schema.url()).expect("the tables are created");
        let tables = distribute(&schema.url(), None).expect("the tables are distributed");
        assert_eq!(tables.len(), 18, "{tables:?}");
        OnNodes(schema, is_counted)
    }
}

impl Store for OnNodes {
    fn open(&self) -> Arc<dyn Engine> {
        let url = if self.1 { self.0.counted_url() } else { self.0.url() };
        let engine = block_on(Postgres::open(&url, Options::default()));
        Arc::new(engine.expect("a schema of its own opens"))
    }
}

#[test]
fn the_contract_is_met_on_citus() {
    if is_missing() {
        return;
    }
    check_contract(CLAUSES, || Box::new(OnNodes::create(false)));
    check_contract(STORE_CLAUSES, || Box::new(OnNodes::create(false)));
}

#[test]
fn random_commands_on_citus_agree_with_the_model() {
    if is_missing() {
        return;
    }
    for seed in seeds(1) {
        for servers in [1, 2] {
            let store = OnNodes::create(false);
            if let Err(difference) = postgres::run(&store.0.url(), servers, seed, STEPS) {
                panic!("{difference}");
            }
        }
    }
}

#[test]
fn a_running_server_goes_on_while_its_tables_are_distributed() {
    if is_missing() {
        return;
    }
    let store = OnNodes(Schema::create(), false);
    let client = TestClient::with_credit(&store, 10_000);
    let (before, _) = client.charge("before", charge("message", 1));
    distribute(&store.0.url(), Some(3)).expect("the tables are distributed");
    let (after, _) = client.charge("after", charge("message", 1));
    assert_ne!(before.details.id, after.details.id);
    let (again, _) = client.charge("before", charge("message", 1));
    assert_eq!(again.details.id, before.details.id);
    assert_eq!(store.0.sql("SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'entry'::regclass"), "3");
    drop(client);
    let report = audit(&store.0.url()).expect("the tables can be read");
    assert!(report.disagreement.is_none(), "{report:?}");
}

#[test]
fn distributed_tables_are_upgraded() {
    if is_missing() {
        return;
    }
    let store = OnNodes::create(false);
    let client = TestClient::with_credit(&store, 10_000);
    let further = "-- A column, also of the key.
        ALTER TABLE team ADD COLUMN later bigint NOT NULL DEFAULT 0;
        ALTER TABLE team DROP CONSTRAINT team_pkey;
        ALTER TABLE team ADD PRIMARY KEY (workspace, later);
        UPDATE platform SET min_version = 5";
    migrate_further(&store.0.url(), &[further]).expect("the tables are upgraded");
    assert_eq!(store.0.sql("SELECT count(later) FROM team"), "0", "the column is there");
    client.charge("afterwards", charge("message", 1));
}

/// The transactions in two phases of the sessions in a schema. Citus forgets one a minute after its
/// end.
fn prepared(schema: &Schema) -> BTreeSet<String> {
    let sql = format!(
        "SELECT gid FROM pg_dist_transaction WHERE split_part(gid, '_', 3) IN
             (SELECT pid::text FROM pg_stat_activity WHERE application_name = '{}')",
        schema.name()
    );
    schema.sql(&sql).lines().map(str::to_owned).collect()
}

/// How many statements of all counted sessions went to one shard, and to several.
fn counted(schema: &Schema) -> (u64, u64) {
    let counted = schema.sql(
        "SELECT query_execution_single_shard || ' ' || query_execution_multi_shard FROM citus_stat_counters
         WHERE name = current_database()",
    );
    let (one, several) = counted.split_once(' ').expect("two numbers");
    (one.parse().expect("a number"), several.parse().expect("a number"))
}

/// Workspaces and charges of each.
const WORKSPACES: usize = 100;
const CHARGES: usize = 100;

#[test]
fn ten_thousand_charges_commit_on_one_node_each() {
    if is_missing() {
        return;
    }
    let store = OnNodes::create(true);
    let client = TestClient::with_credit(&store, 1_000);
    let names: Vec<WorkspaceId> = (0..WORKSPACES).map(|n| workspace(&format!("w{n}"))).collect();
    let run = |batch: Vec<Submission>| {
        for answer in block_on(client.engine.run_batch(batch, BEGINNING)).expect("a healthy cluster") {
            answer.expect("it is accepted");
        }
    };
    let create =
        |name: &WorkspaceId| submission(name.clone(), None, Command::CreateWorkspace(Default::default()));
    run(names.iter().map(create).collect());
    let credit = || Command::Grant(GrantRequest::new(Source::Promotional, Micros::new(1_000_000)));
    run(names.iter().map(|name| submission(name.clone(), None, credit())).collect());
    let charges = |round: usize| {
        let one = |name: &WorkspaceId| {
            submission(name.clone(), Some(&format!("charge-{round}")), Command::Charge(charge("message", 1)))
        };
        names.iter().map(one).collect::<Vec<_>>()
    };
    run(charges(0));
    let (prepared_before, before) = (prepared(&store.0), counted(&store.0));
    for round in 1..CHARGES {
        run(charges(round));
    }
    let prepared_after = prepared(&store.0);
    assert!(prepared_after.is_subset(&prepared_before), "charges were committed on several nodes at once");
    let (one, several) = counted(&store.0);
    assert_eq!(several, before.1, "a statement went to several shards");
    assert!(one >= before.0 + 2 * CHARGES as u64, "the statements of each batch are counted");
    drop(client);
    let report = audit(&store.0.url()).expect("the tables can be read");
    assert!(report.disagreement.is_none(), "{report:?}");
}
