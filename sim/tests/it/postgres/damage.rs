//! Derived rows are damaged while servers use them. Nothing that is derived goes into the journal
//! unchecked: the account is rebuilt from its entries, and no other workspace notices. If the
//! journal itself is damaged, its workspace alone is refused.

use std::sync::Arc;
use std::time::Duration;

use tollkeeper_engine::postgres::{self, Options, Postgres};
use tollkeeper_engine::{AuditDisagreement, DisagreementKind, Engine, Error, Page, Reads};
use tollkeeper_ledger::{
    ChargeCommand, ChargeRequest, Command, MemberId, Micros, PaymentCommand, Role, Source, Submission,
    TeamCommand, TopUpBounds, TopUpWay, WorkerId,
};
use tollkeeper_sim::contract::{BEGINNING, TestClient, acme, awaited, charge, submission, workspace};
use tollkeeper_sim::engines::postgres::InDatabase;
use tollkeeper_sim::faults::bank::{self, NOW, PRICE};
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{Database, is_missing, shared};
use tollkeeper_testkit::retry::retry_for;

use crate::seeds::is_long;

use super::teams::{added, check_audit, new_key};

/// How long a repair of a small journal may take.
const REPAIR_TIMEOUT: Duration = Duration::from_secs(30);

/// A ledger of the workspace `acme` with a team, a spent grant and a pending charge.
fn ledger() -> InDatabase {
    let store = InDatabase(shared().database(), Options::default());
    let mut client = TestClient::with_credit(&store, 1_500);
    let (paid, _) = client.charge("spent", charge("message", 3));
    client.grant("more", Source::Promotional, 100_000);
    client.charge("known", charge("message", 1));
    client.charge("open", awaited("message", 1, 600));
    client
        .submit_keyed(
            "refund",
            ChargeCommand::Refund { amount: Some(Micros::new(500)), reason: "courtesy".into() }
                .for_charge(paid.details.id),
        )
        .expect("a refund");
    client.charge("after the refund", charge("message", 1));
    new_key(&client, "the first");
    store
}

/// A command that is repeated while the account is being rebuilt.
fn after_repair<T>(what: &str, ask: impl Fn() -> Result<T, Error>) -> T {
    retry_for(REPAIR_TIMEOUT, what, || match ask() {
        Ok(answer) => Some(answer),
        Err(error) if error.is_account_refused() => None,
        Err(error) => panic!("{what}: {error}"),
    })
}

/// Serves every known key, every list and a new charge from the database, and audits it.
#[track_caller]
fn check_served(store: &InDatabase, what: &str, new_charges: &mut i64) {
    let client = TestClient::open(store, BEGINNING);
    let charged = |key: &str, quantity: i64| {
        let charge = submission(acme(), Some(key), Command::Charge(charge("message", quantity)));
        after_repair(what, || block_on(client.engine.run(charge.clone(), client.now))).expect("it is paid")
    };
    assert!(charged("spent", 3).replayed && charged("known", 1).replayed, "{what}");
    let balance = || block_on(client.engine.balance(&acme(), None));
    let available = |new: i64| 100_000 + 500 - 500 * (3 + new);
    let before = after_repair(what, balance).expect("the workspace exists").balance.available.get();
    assert_eq!(before, available(*new_charges), "{what}");
    let page = || Page { limit: 10, cursor: None };
    let grants = after_repair(what, || block_on(client.engine.grants(&acme(), page()))).expect("it exists");
    assert_eq!(grants.data.len(), 2, "{what}");
    let team = after_repair(what, || block_on(client.engine.team(&acme()))).expect("it exists");
    assert_eq!(team.keys.len(), 1, "{what}");
    *new_charges += 1;
    assert!(!charged(&format!("new {new_charges}"), 1).replayed, "{what}");
    let after = after_repair(what, balance).expect("the workspace exists").balance.available.get();
    assert_eq!(after, available(*new_charges), "{what}");
    drop(client);
    check_audit(&store.0);
}

/// True if `tollkeeper repair acme` mends it.
fn is_derived_of_acme(found: &AuditDisagreement) -> bool {
    found.kind == DisagreementKind::Derived && found.workspace == Some(acme())
}

#[test]
fn a_changed_bit_of_a_derived_row_is_mended_from_the_journal() {
    if is_missing() {
        return;
    }
    let store = ledger();
    let mut new_charges = 0;
    check_served(&store, "without damage", &mut new_charges);
    let times = if is_long() { 4 } else { 1 };
    for (table, column, trials) in
        [("account", "data", 8), ("account", "usage", 2), ("team", "data", 2), ("lot", "data", 2)]
    {
        let trials = trials * times;
        for trial in 0..trials {
            // Spread over all bytes, with another bit each time.
            let at = format!("({trial} * length({column}) / {trials})");
            let bit = 1 << (trial % 8);
            let flip = format!(
                "UPDATE {table} SET {column} = set_byte({column}, {at}, get_byte({column}, {at}) # {bit})
                 WHERE workspace <> '*'"
            );
            store.0.sql(&flip);
            check_served(&store, &flip, &mut new_charges);
        }
    }
    for change in [
        "UPDATE account SET n = n + 1 WHERE workspace <> '*'",
        "UPDATE account SET n = n - 1 WHERE workspace <> '*'",
        "DELETE FROM account WHERE workspace <> '*'",
    ] {
        store.0.sql(change);
        check_served(&store, change, &mut new_charges);
    }
}

#[test]
fn usage_and_deadlines_that_an_audit_names_are_repaired_from_the_journal() {
    if is_missing() {
        return;
    }
    let store = ledger();
    let mut client = TestClient::open(&store, BEGINNING);
    client.advance_clock(3_600);
    client.charge("an hour later", charge("message", 1));
    let (open, _) = client.charge("open later", awaited("message", 1, 60));
    let (database, url) = (&store.0, store.0.url());
    let disagreement = || postgres::audit(&url).expect("the database is read").disagreement;
    for change in [
        "UPDATE usage SET charged = charged + 1",
        "UPDATE usage SET hour = hour + 1",
        "UPDATE usage SET operation = 'another'",
        "DELETE FROM usage",
        "DELETE FROM pending",
        "UPDATE pending SET deadline = deadline + 1",
        "UPDATE pending SET n = n + 1",
    ] {
        assert_ne!(
            database.sql(&format!("WITH done AS ({change} RETURNING 1) SELECT count(*) FROM done")),
            "0"
        );
        assert!(disagreement().is_some_and(|found| is_derived_of_acme(&found)), "{change}");
        postgres::repair(&url, &acme()).expect("the journal is whole");
        assert_eq!(disagreement().map(|found| found.what), None, "{change}");
        // A server that has the account in memory goes on with it.
        client.charge(change, charge("message", 1));
        assert_eq!(disagreement().map(|found| found.what), None, "after a charge: {change}");
    }
    // More than the account's row holds: all of them are in the table.
    client.advance_clock(3_600);
    for number in 0..40 {
        let worker = Some(WorkerId::new(format!("w{number}")).expect("a name"));
        client.charge(&format!("worker {number}"), ChargeRequest { worker, ..charge("message", 1) });
    }
    for change in [
        "UPDATE usage SET charged = charged + 1 WHERE worker = 'w1'",
        "DELETE FROM usage WHERE worker = 'w2'",
    ] {
        assert_eq!(
            database.sql(&format!("WITH done AS ({change} RETURNING 1) SELECT count(*) FROM done")),
            "1"
        );
        postgres::repair(&url, &acme()).expect("the journal is whole");
        client.charge(change, charge("message", 1));
        assert_eq!(disagreement().map(|found| found.what), None, "after a charge: {change}");
    }
    let due = block_on(client.engine.due(client.now.plus_seconds(60), 10)).expect("the database is read");
    assert!(due.contains(&(acme(), open.details.id)), "{due:?}");
    let unknown = postgres::repair(&url, &workspace("unknown")).expect_err("it has no journal");
    assert!(unknown.is_damaged() && unknown.to_string().contains("is missing"), "{unknown}");
}

/// The derived tables beside the accounts, with the columns that join an older row to the present
/// one and those that are older in it.
const DERIVED: [(&str, &str, &str); 5] = [
    ("team", "o.workspace = t.workspace", "data = o.data"),
    ("lot", "o.workspace = t.workspace AND o.n = t.n", "data = o.data"),
    ("usage", "o.workspace = t.workspace AND o.hour = t.hour", "charged = o.charged, runs = o.runs"),
    ("pending", "o.workspace = t.workspace AND o.n = t.n", "deadline = o.deadline"),
    ("search", "o.workspace = t.workspace", "name = o.name, suspended = o.suspended"),
];

#[test]
fn rows_of_an_older_dump_are_named_by_an_audit_and_repaired() {
    if is_missing() {
        return;
    }
    let store = ledger();
    let database = &store.0;
    let mut client = TestClient::open(&store, BEGINNING);
    client.advance_clock(3_600);
    client.charge("of the next hour", charge("message", 1));
    for (table, ..) in DERIVED {
        database.sql(&format!("CREATE TABLE old_{table} AS TABLE {table}"));
    }
    new_key(&client, "made after the dump");
    // The account holds an open grant. Once it is spent, only its row does.
    let left = client.balance().available.get();
    client.charge("spends all", charge("message", left / 500));
    client.grant("later", Source::Promotional, 10_000);
    client.advance_clock(3_600);
    client.charge("an hour later", charge("message", 1));
    let disagreement = || postgres::audit(&database.url()).expect("the database is read").disagreement;
    assert_eq!(disagreement().map(|found| found.what), None);
    // Whole rows with their own valid seals, but of the past. The columns of a dump that did not
    // change until now are changed by hand.
    database.sql(
        "UPDATE old_pending SET deadline = deadline - 1000;
         UPDATE old_search SET name = 'the name before';
         UPDATE old_usage SET charged = charged - 1, runs = runs - 1",
    );
    for (table, same, older) in DERIVED {
        let restore = format!(
            "WITH done AS (UPDATE {table} AS t SET {older} FROM old_{table} AS o
             WHERE {same} AND t.workspace <> '*' RETURNING 1) SELECT count(*) > 0 FROM done"
        );
        assert_eq!(database.sql(&restore), "t", "{table}");
        assert!(disagreement().is_some_and(|found| is_derived_of_acme(&found)), "{table}");
        postgres::repair(&database.url(), &acme()).expect("the journal is whole");
        assert_eq!(disagreement().map(|found| found.what), None, "{table}");
    }
}

/// A charge of a workspace of the bank under a key.
type Payment = fn(usize, &str) -> Submission;

/// A server with one lane and two workspaces. The journal of the first one is damaged.
fn beside_a_damaged_journal(database: &Database<'_>) -> (Arc<dyn Engine>, Payment) {
    let open = || -> Arc<dyn Engine> {
        let options = Options { lanes: Some(1), ..Options::default() };
        Arc::new(block_on(Postgres::open(&database.url(), options)).expect("the database opens"))
    };
    bank::open(&*open(), 2, Micros::new(100_000));
    database.sql(&format!(
        "UPDATE entry SET data = set_byte(data, 20, get_byte(data, 20) # 1) WHERE workspace = '{0}'
         AND n = (SELECT max(n) FROM entry WHERE workspace = '{0}')",
        bank::workspace(0)
    ));
    let payment: Payment =
        |place, key| bank::ask(bank::workspace(place), Some(key.to_owned()), bank::charge(1, false));
    (open(), payment)
}

#[test]
fn a_damaged_journal_refuses_its_own_workspace_only() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let (server, payment) = beside_a_damaged_journal(&database);
    let payment = |place: usize| payment(place, "k");
    let refused = block_on(server.run(payment(0), NOW)).expect_err("its journal is damaged");
    assert!(refused.is_account_refused(), "{refused}");
    assert!(refused.hint().is_some_and(|hint| hint.contains("tollkeeper audit")), "{refused:?}");
    let answer = block_on(server.run(payment(1), NOW)).expect("its journal is whole");
    assert!(!answer.expect("there is enough credit").replayed);
    let balance =
        block_on(server.balance(&bank::workspace(1), None)).expect("it is read").expect("it exists");
    assert_eq!(balance.balance.available.get(), 100_000 - PRICE.get());
    assert_eq!((server.stats().accounts_refused, server.stats().accounts_rebuilt), (1, 0));
    let error = block_on(server.run_batch(vec![payment(0), payment(1)], NOW)).expect_err("one is refused");
    assert!(error.is_account_refused(), "{error}");
}

#[test]
fn a_refused_workspace_costs_the_others_of_its_lane_nothing() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let (server, payment) = beside_a_damaged_journal(&database);
    let refused = || {
        let error = block_on(server.run(payment(0, "k"), NOW)).expect_err("its journal is damaged");
        assert!(error.is_account_refused(), "{error}");
    };
    refused();
    let pay = |key: &str| {
        block_on(server.run(payment(1, key), NOW)).expect("its journal is whole").expect("there is credit")
    };
    pay("first");
    let before = database.sql("SELECT clock_timestamp()");
    for _ in 0..3 {
        refused();
    }
    let too_much = bank::ask(bank::workspace(1), Some("too much".to_owned()), bank::charge(1_000_000, false));
    block_on(server.run(too_much, NOW)).expect("it is decided").expect_err("there is less credit");
    // The lane reads nothing for what it refuses, so it keeps its connection.
    let opened = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
         AND pid <> pg_backend_pid() AND backend_start > '{before}'"
    );
    assert_eq!(database.sql(&opened), "0");
    // It takes no locks for the others: a command that changes nothing leaves no mark on its row.
    let locked_by =
        database.sql(&format!("SELECT xmax FROM account WHERE workspace = '{}'", bank::workspace(1)));
    assert_eq!(locked_by, "0");
}

#[test]
fn an_export_names_a_journal_without_an_account() {
    if is_missing() {
        return;
    }
    let store = ledger();
    let (database, url) = (&store.0, store.0.url());
    postgres::export(&url, Vec::new()).expect("every journal has its account");
    database.sql("DELETE FROM account WHERE workspace = 'acme'");
    let refused = postgres::export(&url, Vec::new()).expect_err("a journal would be left out");
    assert!(refused.is_damaged() && refused.to_string().contains("acme is missing"), "{refused}");
    postgres::repair(&url, &acme()).expect("the journal is whole");
    postgres::export(&url, Vec::new()).expect("the account is there again");
}

#[test]
fn a_repair_does_not_wait_for_a_forgotten_transaction() {
    if is_missing() {
        return;
    }
    let store = ledger();
    let forgotten = store.0.open_transaction("UPDATE account SET n = n WHERE workspace = 'acme'");
    let error = postgres::repair(&store.0.url(), &acme()).expect_err("the account is locked");
    assert!(error.is_unavailable(), "{error}");
    drop(forgotten);
    postgres::repair(&store.0.url(), &acme()).expect("the journal is whole");
    check_audit(&store.0);
}

#[test]
fn the_damaged_row_of_a_team_that_is_empty_again_is_repaired() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let client = TestClient::with_credit(&store, 10_000);
    client.accepted(added("ben", Role::Member));
    let ben = MemberId::new("ben").expect("a name");
    client.accepted(Command::Team(TeamCommand::RemoveMember(ben)));
    drop(client);
    let change = "UPDATE team SET data = set_byte(data, 2, get_byte(data, 2) # 1) WHERE workspace = 'acme'";
    assert_eq!(store.0.sql(&format!("WITH done AS ({change} RETURNING 1) SELECT count(*) FROM done")), "1");
    let found = postgres::audit(&store.0.url()).expect("it is read").disagreement;
    assert!(is_derived_of_acme(&found.expect("the row is damaged")), "a repair mends it");
    postgres::repair(&store.0.url(), &acme()).expect("the journal is whole");
    check_audit(&store.0);
    TestClient::open(&store, BEGINNING).charge("after the repair", charge("message", 1));
}

#[test]
fn a_row_of_an_earlier_time_or_of_another_workspace_is_found_and_rebuilt() {
    if is_missing() {
        return;
    }
    let store = ledger();
    let client = TestClient::open(&store, BEGINNING);
    let open_top_up = || {
        let (way, allowed) = (TopUpWay::Manual, TopUpBounds::WIDEST);
        Command::Payment(PaymentCommand::OpenTopUp { cents: 100, way, allowed })
    };
    client.create_workspace(workspace("globex"));
    client.submit(workspace("globex"), None, open_top_up()).expect("it is opened");
    client.submit(workspace("globex"), None, added("ada", Role::Admin)).expect("she is added");
    client.accepted(open_top_up());
    let copy = |table: &str| format!("CREATE TABLE earlier_{table} AS SELECT * FROM {table};");
    store.0.sql(&["payments", "team"].map(copy).concat());
    client.accepted(open_top_up());
    client.accepted(added("bob", Role::Admin));
    drop(client);
    let rows = "SELECT md5(string_agg(encode(data, 'hex'), ',' ORDER BY workspace)) FROM";
    let valid = || ["payments", "team"].map(|table| store.0.sql(&format!("{rows} {table}")));
    let before = valid();
    let mut damages = Vec::new();
    for table in ["payments", "team"] {
        for from in ["acme", "globex"] {
            damages.push(format!(
                "UPDATE {table} SET data = (SELECT data FROM earlier_{table} WHERE workspace = '{from}')
                 WHERE workspace = 'acme'"
            ));
        }
        damages.push(format!("DELETE FROM {table} WHERE workspace = 'acme'"));
    }
    for damage in damages {
        store.0.sql(&damage);
        assert_ne!(valid(), before, "{damage}");
        let found = postgres::audit(&store.0.url()).expect("the database can be read").disagreement;
        assert_eq!(found.and_then(|found| found.workspace), Some(acme()), "{damage}");
        let client = TestClient::open(&store, BEGINNING);
        let known = submission(acme(), Some("known"), Command::Charge(charge("message", 1)));
        let answer = after_repair(&damage, || block_on(client.engine.run(known.clone(), client.now)));
        assert!(answer.expect("it is paid").replayed, "{damage}");
        let payments = after_repair(&damage, || block_on(client.engine.payments(&acme())));
        assert_eq!(payments.map(|payments| payments.top_ups.len()), Some(2), "{damage}");
        drop(client);
        assert_eq!(valid(), before, "{damage}");
        check_audit(&store.0);
    }
    // Who reads only one of the two rows believes no other row either.
    for table in ["payments", "team"] {
        store.0.sql(&format!(
            "UPDATE {table} SET data = (SELECT data FROM earlier_{table} WHERE workspace = 'acme')
             WHERE workspace = 'acme'"
        ));
        let client = TestClient::open(&store, BEGINNING);
        let team = after_repair("a read", || block_on(client.engine.team(&acme())));
        let payments = after_repair("a read", || block_on(client.engine.payments(&acme())));
        assert_eq!(team.map(|team| team.members.len()), Some(1));
        assert_eq!(payments.map(|payments| payments.top_ups.len()), Some(2));
        drop(client);
        assert_eq!(valid(), before, "{table}");
    }
}
