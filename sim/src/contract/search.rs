//! Clauses about the operators' search of workspaces.

use tollkeeper_engine::{NameQuery, Page, Reads, WorkspaceFilter};
use tollkeeper_ledger::{Command, Micros, Source, WorkspaceChanges};
use tollkeeper_testkit::blocking::block_on;

use super::Store;
use super::test_client::{
    BEGINNING, TestClient, charge, charged, credit, pages, prices, submission, workspace,
};

const DAY: i64 = 86_400;

fn all() -> WorkspaceFilter {
    WorkspaceFilter::default()
}

fn named(text: &str) -> WorkspaceFilter {
    WorkspaceFilter { name: Some(NameQuery::new(text).expect("it has a letter")), ..all() }
}

/// The ids of the workspaces that are found, read in pages of two.
fn found(client: &TestClient, filter: &WorkspaceFilter) -> Vec<String> {
    let page = |page| block_on(client.engine.workspaces(filter.clone(), page)).expect("the engine reads");
    pages(2, page).into_iter().map(|record| record.profile.id.to_string()).collect()
}

fn changes(name: &str) -> WorkspaceChanges {
    WorkspaceChanges { name: Some(name.into()), ..WorkspaceChanges::default() }
}

fn change(client: &TestClient, id: &str, changes: WorkspaceChanges) {
    client.submit(workspace(id), None, Command::UpdateWorkspace(changes)).expect("it exists");
}

/// A store with five workspaces, each created a minute after the one before: acme, b, c, d and e.
fn five_workspaces(store: &dyn Store) -> TestClient {
    let mut client = TestClient::open(store, BEGINNING);
    client.accepted_by_platform(prices(&[("message", 500)]));
    for (id, name) in [
        ("acme", "Acme Fashion"),
        ("b", "Berlin Fashion-House"),
        ("c", "MÜLLER & Söhne"),
        ("d", "The Fashionable ACME"),
        ("e", "Unfashionable"),
    ] {
        client.submit(workspace(id), None, Command::CreateWorkspace(changes(name))).expect("it is new");
        client.advance_clock(60);
    }
    client
}

pub(super) fn workspaces_are_found_by_name(store: &dyn Store) {
    let client = five_workspaces(store);
    let check = |client: &TestClient| {
        assert_eq!(found(client, &named("fashion")), ["d", "b", "acme"], "by the beginning of a word");
        assert_eq!(found(client, &named("ACME")), ["d", "acme"]);
        assert_eq!(found(client, &named("acme fash")), ["acme"], "and by what follows");
        assert_eq!(found(client, &named("müll")), ["c"]);
        assert_eq!(found(client, &named("söhne")), ["c"]);
        assert!(found(client, &named("acme house")).is_empty());
    };
    check(&client);
    let client = client.restarted(store);
    check(&client);
    change(&client, "b", changes("Paris Mode"));
    assert_eq!(found(&client, &named("fashion")), ["d", "acme"], "a new name counts at once");
    assert_eq!(found(&client, &named("mode")), ["b"]);
    let client = client.restarted(store);
    assert_eq!(found(&client, &named("fashion")), ["d", "acme"]);
    assert_eq!(found(&client, &named("mode")), ["b"]);
}

pub(super) fn workspaces_are_found_by_suspension_and_debt(store: &dyn Store) {
    let mut client = five_workspaces(store);
    let suspended = |is_so| WorkspaceFilter { suspended: Some(is_so), ..all() };
    let owing = |is_so| WorkspaceFilter { debt: Some(is_so), ..all() };
    let suspend = |client: &TestClient, id: &str, is_so| {
        change(client, id, WorkspaceChanges { suspended: Some(is_so), ..WorkspaceChanges::default() });
    };
    suspend(&client, "b", true);
    suspend(&client, "d", true);
    let grant = client.grant("payment", Source::TopUp, 1_000);
    client.charge("k", charge("message", 1));
    client.accepted(Command::SetLost { grant, lost_cents: 1_000, evidence: "dp_1".into() });
    let check = |client: &TestClient| {
        assert_eq!(found(client, &suspended(true)), ["d", "b"]);
        assert_eq!(found(client, &suspended(false)), ["e", "c", "acme"]);
        assert_eq!(found(client, &owing(true)), ["acme"]);
        assert_eq!(found(client, &owing(false)), ["e", "d", "c", "b"]);
        let both = WorkspaceFilter { suspended: Some(true), debt: Some(false), ..named("fashion") };
        assert_eq!(found(client, &both), ["d", "b"], "all conditions hold at once");
        let page = Page { limit: 5, cursor: None };
        let listed = block_on(client.engine.workspaces(owing(true), page)).expect("the engine reads");
        assert_eq!(listed.data[0].debt, Micros::new(500));
    };
    check(&client);
    let client = client.restarted(store);
    check(&client);
    suspend(&client, "d", false);
    client.submit_keyed("repays", Command::Grant(credit("gift", Source::Promotional, 600))).expect("credit");
    assert_eq!(found(&client, &suspended(true)), ["b"]);
    assert!(found(&client, &owing(true)).is_empty(), "the debt was repaid");
    let client = client.restarted(store);
    assert_eq!(found(&client, &suspended(true)), ["b"]);
    assert!(found(&client, &owing(true)).is_empty());
}

pub(super) fn workspaces_are_found_by_their_last_use(store: &dyn Store) {
    let mut client = five_workspaces(store);
    client.grant("opening", Source::Promotional, 100_000);
    client
        .submit(workspace("c"), Some("g"), Command::Grant(credit("gift", Source::Promotional, 100_000)))
        .expect("credit");
    let unused =
        |client: &TestClient, since| found(client, &WorkspaceFilter { unused_since: Some(since), ..all() });
    client.advance_clock(3 * DAY);
    let third_day = client.now;
    let (paid, _) = client.charge("k", charge("message", 1));
    client.advance_clock(4 * DAY);
    charged(client.submit(workspace("c"), Some("k"), Command::Charge(charge("message", 1))));
    // A grant is no use.
    client.grant("later", Source::Promotional, 1_000);
    let check = |client: &TestClient| {
        assert_eq!(unused(client, client.now.plus_seconds(1)), ["e", "d", "c", "b", "acme"]);
        assert_eq!(unused(client, client.now), ["e", "d", "b", "acme"]);
        assert_eq!(unused(client, third_day.plus_seconds(1)), ["e", "d", "b", "acme"]);
        assert_eq!(unused(client, third_day), ["e", "d", "b"], "to the millisecond");
        assert_eq!(
            unused(client, BEGINNING.plus_seconds(61)),
            ["b"],
            "one without a charge counts from its creation"
        );
        assert!(unused(client, BEGINNING).is_empty());
        let page = Page { limit: 5, cursor: None };
        let listed = block_on(client.engine.workspaces(all(), page)).expect("the engine reads").data;
        let uses: Vec<_> = listed.iter().map(|record| record.last_used_at).collect();
        assert_eq!(uses, [None, None, Some(client.now), None, Some(paid.created_at)]);
    };
    check(&client);
    let client = client.restarted(store);
    check(&client);
    client.charge("again", charge("message", 1));
    assert_eq!(unused(&client, client.now), ["e", "d", "b"], "a charge counts at once");
}

pub(super) fn a_cursor_belongs_to_its_conditions(store: &dyn Store) {
    let client = five_workspaces(store);
    let page = |cursor: Option<String>| Page { limit: 1, cursor };
    let ask = |filter: WorkspaceFilter, page| block_on(client.engine.workspaces(filter, page));
    let first = ask(named("fashion"), page(None)).expect("the engine reads");
    let cursor = first.next.expect("three are found");
    client.create_workspace(workspace("newer"));
    let second = ask(named("fashion"), page(Some(cursor.clone()))).expect("the engine reads");
    assert_eq!(second.data[0].profile.id.as_str(), "b", "new workspaces do not shift the pages");
    for filter in [all(), named("acme"), WorkspaceFilter { suspended: Some(false), ..named("fashion") }] {
        let refused = ask(filter, page(Some(cursor.clone()))).expect_err("it has other conditions");
        assert!(refused.is_bad_cursor(), "{refused}");
    }
}

/// More workspaces than an index nominates for one request.
const MANY: usize = 5_000;

pub(super) fn a_search_looks_at_a_bounded_number_of_workspaces(store: &dyn Store) {
    let client = TestClient::open(store, BEGINNING);
    let create = |n: usize| {
        submission(workspace(&format!("w{n}")), None, Command::CreateWorkspace(changes(&format!("Shop {n}"))))
    };
    let created = client.codes((0..MANY).map(create).collect());
    assert!(created.iter().all(|code| *code == "yes"));
    let check = |client: &TestClient| {
        // The index knows days, so it nominates them all; none of them was created before.
        let never = WorkspaceFilter { unused_since: Some(BEGINNING), ..named("shop") };
        let mut requests = 0;
        let rows = pages(200, |page| {
            requests += 1;
            block_on(client.engine.workspaces(never.clone(), page)).expect("the engine reads")
        });
        assert!(rows.is_empty() && (2..20).contains(&requests), "{requests} pages, each bounded");
        assert_eq!(found(client, &named("shop 4999")), ["w4999"]);
        assert!(found(client, &named("nobody")).is_empty());
        let page = Page { limit: 200, cursor: None };
        let dense = block_on(client.engine.workspaces(named("shop"), page)).expect("the engine reads");
        assert_eq!(dense.data.len(), 200, "a dense condition fills a page");
    };
    check(&client);
    check(&client.restarted(store));
}
