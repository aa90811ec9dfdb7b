//! Due work of payments on several servers, and in tables of an older version.

use tollkeeper_engine::postgres::{Options, audit, migrate, repair};
use tollkeeper_ledger::{Command, PaymentCommand, TopUpBounds, TopUpWay, WorkspaceId};
use tollkeeper_sim::contract::{Store, TestClient, acme, workspace};
use tollkeeper_sim::engines::postgres::InDatabase;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{is_missing, shared};

use super::teams::check_audit;

/// How long a top-up waits for its payment.
const WAITS_SECONDS: i64 = 90 * 24 * 3_600;

fn open_top_up() -> Command {
    let allowed = TopUpBounds::WIDEST;
    Command::Payment(PaymentCommand::OpenTopUp { cents: 2_500, way: TopUpWay::Manual, allowed })
}

fn sorted(client: &TestClient) -> Vec<WorkspaceId> {
    let mut due = client.due_payments();
    due.sort();
    due
}

#[test]
fn two_servers_share_due_payments_and_do_each_work_once() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let mut one = TestClient::with_credit(&store, 500);
    for name in ["globex", "initech"] {
        one.create_workspace(workspace(name));
        one.submit(workspace(name), None, open_top_up()).expect("it is accepted");
    }
    one.accepted(open_top_up());
    one.advance_clock(WAITS_SECONDS);
    let mut two = TestClient { engine: store.open(), now: one.now };
    let all = [acme(), workspace("globex"), workspace("initech")];
    assert_eq!(sorted(&one), all);
    let claim = |client: &TestClient, names: &[WorkspaceId]| {
        block_on(client.engine.claim_payments(client.now, names.to_vec())).expect("the database is read")
    };
    assert_eq!(claim(&one, &all[1..]), all[1..]);
    assert_eq!((claim(&two, &all), claim(&one, &all)), (vec![acme()], vec![]), "each is given to one server");
    assert_eq!(sorted(&two), all, "what is claimed is still due");
    // A server that stopped does not keep what it claimed.
    two.advance_clock(30);
    assert_eq!(claim(&two, &all), all);
    let entries = one.entry_count();
    assert_eq!(one.do_due_work(), 1);
    two.do_due_work();
    assert_eq!(two.entry_count(), entries + 1, "the same work of two servers writes one entry");
    assert_eq!(claim(&two, &all), [], "what was done is due no more, and the rest is claimed");
    two.advance_clock(30);
    assert_eq!((sorted(&two), claim(&two, &all)), (all[1..].to_vec(), all[1..].to_vec()));
    check_audit(&store.0);
}

/// Makes the tables as they were before version 9.
const BEFORE_VERSION_9: &str =
    "DROP TABLE closed_day, closed_until; ALTER TABLE usage DROP CONSTRAINT usage_pkey, DROP COLUMN minute, DROP COLUMN until,
    ADD PRIMARY KEY (workspace, hour, operation, worker, member, api_key);
    DROP TABLE unsent, owed, subscriber; ALTER TABLE platform DROP COLUMN one";

#[test]
fn a_migration_computes_when_the_payments_of_older_tables_are_due() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let mut client = TestClient::with_credit(&store, 500);
    client.create_workspace(workspace("globex"));
    client.accepted(open_top_up());
    client.advance_clock(WAITS_SECONDS);
    client.submit(workspace("globex"), None, open_top_up()).expect("it is accepted");
    let due = "SELECT workspace, due_at, claimed_until FROM payments ORDER BY workspace";
    let before = store.0.sql(due);
    block_on(client.engine.close()).expect("a healthy engine closes");
    store.0.sql(BEFORE_VERSION_9);
    store.0.sql(
        "ALTER TABLE payments DROP COLUMN due_at, DROP COLUMN claimed_until;
         UPDATE platform SET min_version = 5; DELETE FROM migration WHERE version > 5",
    );
    migrate(&store.0.url()).expect("the tables are upgraded");
    assert_eq!(store.0.sql(due), before);
    check_audit(&store.0);
    let upgraded = TestClient { engine: store.open(), now: client.now };
    assert_eq!(upgraded.due_payments(), [acme()]);
}

#[test]
fn a_migration_computes_the_times_of_payments_again() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let client = TestClient::with_credit(&store, 500);
    client.accepted(open_top_up());
    let due = "SELECT due_at FROM payments";
    let before = store.0.sql(due);
    block_on(client.engine.close()).expect("a healthy engine closes");
    // The rules of the version before asked no provider daily, and had no time for that.
    store.0.sql(BEFORE_VERSION_9);
    store.0.sql(
        "UPDATE payments SET due_at = NULL; UPDATE platform SET min_version = 7;
         DELETE FROM migration WHERE version > 7",
    );
    migrate(&store.0.url()).expect("the tables are upgraded");
    assert_eq!(store.0.sql(due), before);
    check_audit(&store.0);
}

#[test]
fn an_audit_detects_a_wrong_time_and_a_repair_mends_it() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let client = TestClient::with_credit(&store, 500);
    client.accepted(open_top_up());
    check_audit(&store.0);
    for wrong in ["due_at + 1", "NULL"] {
        store.0.sql(&format!("UPDATE payments SET due_at = {wrong}"));
        let found = audit(&store.0.url()).expect("the database can be read").disagreement;
        let found = found.expect("the time is wrong");
        assert!(found.what.contains("the payments are due"), "{}", found.what);
        repair(&store.0.url(), &acme()).expect("the journal is whole");
        check_audit(&store.0);
    }
}
