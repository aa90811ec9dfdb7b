//! Clauses about workspaces, prices, plans, and platform keys.

use tollkeeper_engine::{ChargeFilter, Output, Page, Reads, WorkspaceFilter};
use tollkeeper_ledger::{
    ChargeCommand, ChargeId, Command, Interval, Micros, Plan, PlanId, PlanVersion, PlatformSettings,
    WorkspaceChanges, WorkspaceId,
};

use super::Store;
use super::test_client::{BEGINNING, TestClient, acme, charge, pages, prices, workspace};
use crate::model::step::unknown_id;
use tollkeeper_testkit::blocking::block_on;

pub(super) fn a_workspace_is_created_once(store: &dyn Store) {
    let mut client = TestClient::open(store, BEGINNING);
    let named = |name: &str| WorkspaceChanges { name: Some(name.into()), ..Default::default() };
    let Output::Workspace(profile) = client.accepted(Command::CreateWorkspace(named("Acme"))) else {
        panic!("a workspace is answered by its profile");
    };
    assert_eq!((profile.id.as_str(), &*profile.name, &*profile.timezone), ("acme", "Acme", "UTC"));
    assert_eq!((profile.suspended, profile.created_at), (false, BEGINNING));
    assert_eq!(client.refused(Command::CreateWorkspace(named("Other"))), "workspace_exists");
    client.advance_clock(5);
    let changes = WorkspaceChanges {
        timezone: Some("Europe/Berlin".into()),
        metadata: Some(Some("{\"tier\":1}".into())),
        suspended: Some(true),
        ..Default::default()
    };
    client.accepted(Command::UpdateWorkspace(changes.clone()));
    let before = client.entry_count();
    client.accepted(Command::UpdateWorkspace(changes));
    assert_eq!(client.entry_count(), before, "an unchanged workspace writes no entry");
    let profile = block_on(client.engine.workspace(&acme())).expect("the engine reads").expect("it exists");
    assert_eq!((&*profile.name, &*profile.timezone), ("Acme", "Europe/Berlin"));
    assert_eq!((profile.metadata.as_deref(), profile.suspended), (Some("{\"tier\":1}"), true));
    for name in ["b", "c", "d"] {
        client.create_workspace(workspace(name));
    }
    let all = WorkspaceFilter::default;
    let listed = pages(3, |page| block_on(client.engine.workspaces(all(), page)).expect("the engine reads"));
    let names: Vec<&str> = listed.iter().map(|record| record.profile.id.as_str()).collect();
    assert_eq!(names, ["d", "c", "b", "acme"], "newest first, without the platform's journal");
}

pub(super) fn an_unknown_workspace_is_not_found(store: &dyn Store) {
    let client = TestClient::with_credit(store, 500);
    let unknown = workspace("unknown");
    let page = || Page { limit: 5, cursor: None };
    let refused = client.submit(unknown.clone(), Some("k"), Command::Charge(charge("message", 1)));
    assert_eq!(refused.expect_err("it does not exist").code(), "workspace_not_found");
    assert_eq!(block_on(client.engine.workspace(&unknown)).expect("the engine reads"), None);
    assert_eq!(block_on(client.engine.team(&unknown)).expect("the engine reads"), None);
    assert_eq!(block_on(client.engine.limits(&unknown, client.now)).expect("the engine reads"), None);
    assert_eq!(block_on(client.engine.balance(&unknown, None)).expect("the engine reads"), None);
    assert_eq!(block_on(client.engine.balance(&unknown, Some(BEGINNING))).expect("the engine reads"), None);
    assert_eq!(
        block_on(client.engine.charges(&unknown, ChargeFilter::default(), page())).expect("the engine reads"),
        None
    );
    assert_eq!(block_on(client.engine.grants(&unknown, page())).expect("the engine reads"), None);
    assert_eq!(block_on(client.engine.entries(&unknown, page())).expect("the engine reads"), None);
    let (paid, _) = client.charge("k", charge("message", 1));
    client.create_workspace(unknown.clone());
    for (id, charge) in [(&unknown, paid.details.id), (&acme(), ChargeId(unknown_id()))] {
        assert_eq!(
            block_on(client.engine.charge(id, charge)).expect("the engine reads"),
            None,
            "{charge} of {id}"
        );
    }
    let outcome = ChargeCommand::Succeed { quantity: None }.for_charge(paid.details.id);
    let refused = client.submit(unknown, None, outcome).expect_err("a charge of another workspace");
    assert_eq!(refused.code(), "charge_not_found");
}

pub(super) fn prices_have_versions(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    let Output::Prices(version) = client.accepted_by_platform(prices(&[("message", 700)])) else {
        panic!("a price list is answered by its version");
    };
    assert_eq!((version.version, version.effective_at), (2, BEGINNING));
    let Command::SetPrices { operations, .. } = prices(&[("message", 900)]) else { unreachable!() };
    let effective_at = Some(client.now.plus_seconds(60));
    client.accepted_by_platform(Command::SetPrices { operations, effective_at });
    let (now, _) = client.charge("now", charge("message", 1));
    assert_eq!((now.details.price.unit_price().map_or(0, Micros::get), now.details.price_version), (700, 2));
    assert_eq!(client.refused(Command::Charge(charge("removal", 1))), "operation_not_found");
    let Output::Prices(same) = client.accepted_by_platform(prices(&[("message", 700)])) else {
        panic!("a price list is answered by its version");
    };
    assert_eq!(same.version, 2, "equal prices are no new version");
    client.advance_clock(60);
    let (later, _) = client.charge("later", charge("message", 1));
    assert_eq!(
        (later.details.price.unit_price().map_or(0, Micros::get), later.details.price_version),
        (900, 3)
    );
    let client = client.restarted(store);
    let versions = client.engine.platform().price_book.versions().to_vec();
    assert_eq!(versions.iter().map(|version| version.version).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(versions[0].operations.len(), 3);
    assert_eq!(client.record(now.details.id).charge.details.price_version, 2);
}

pub(super) fn plans_have_versions(store: &dyn Store) {
    let client = TestClient::with_credit(store, 1_000);
    assert!(client.engine.platform().plans.newest().is_sample(), "no plans are set yet");
    let plan = |id: &str, price_cents, interval| Plan {
        id: PlanId::new(id).expect("a name"),
        name: "Größter Plan".into(),
        price_cents,
        credits: Micros::new(6_000_000),
        interval,
    };
    let (pro, yearly) = (plan("pro", 4_900, Interval::Month), plan("yearly", 49_000, Interval::Year));
    let set = |plans: &[&Plan]| Command::SetPlans { plans: plans.iter().copied().cloned().collect() };
    let first = PlanVersion { version: 1, plans: vec![pro.clone(), yearly.clone()] };
    let answer = client.accepted_by_platform(set(&[&yearly, &pro]));
    assert_eq!(answer, Output::Plans(first.clone()), "plans are sorted by their id");
    let head = |client: &TestClient| block_on(client.engine.journal_head()).expect("the engine reads");
    let before = head(&client);
    assert_eq!(client.accepted_by_platform(set(&[&pro, &yearly])), answer);
    assert_eq!(head(&client), before, "equal plans write nothing");
    let free = plan("free", 0, Interval::Month);
    let second = PlanVersion { version: 2, plans: vec![free.clone()] };
    assert_eq!(client.accepted_by_platform(set(&[&free])), Output::Plans(second.clone()));
    let refused = client.submit(WorkspaceId::platform(), None, set(&[&free, &free]));
    assert_eq!(refused.expect_err("a plan is named twice").code(), "invalid_field");
    assert_eq!(client.refused(set(&[&pro])), "workspace_not_found", "a workspace has no plans of its own");
    let client = client.restarted(store);
    assert_eq!(client.engine.platform().plans.versions(), [first, second]);
    assert_eq!(client.engine.platform().plans.newest().find(&pro.id), None, "it is retired");
}

pub(super) fn platform_keys_are_stored(store: &dyn Store) {
    let client = TestClient::open(store, BEGINNING);
    assert!(client.engine.platform().key_hashes.is_empty());
    client.accepted_by_platform(Command::SetPlatformKey { hash: [1; 32] });
    client.accepted_by_platform(Command::SetPlatformKey { hash: [2; 32] });
    assert_eq!(client.engine.platform().key_hashes, [[1; 32], [2; 32]]);
    let client = client.restarted(store);
    assert_eq!(client.engine.platform().key_hashes, [[1; 32], [2; 32]]);
}

pub(super) fn the_refund_window_is_a_setting_of_the_platform(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 10_000);
    let window = |days| Command::SetSettings(PlatformSettings { refund_window_days: days });
    assert_eq!(client.engine.platform().settings, PlatformSettings { refund_window_days: 30 });
    let (one, _) = client.charge("one", charge("message", 1));
    client.advance_clock(2 * 86_400);
    let fail = ChargeCommand::Fail { by_system: true, detail: None }.for_charge(one.details.id);
    let set = client.accepted_by_platform(window(1));
    assert_eq!(set, Output::Settings(PlatformSettings { refund_window_days: 1 }));
    let before = block_on(client.engine.journal_head()).expect("the engine reads");
    assert_eq!(client.accepted_by_platform(window(1)), set);
    let after = block_on(client.engine.journal_head()).expect("the engine reads");
    assert_eq!(after, before, "equal settings write nothing");
    assert_eq!(client.refused(fail.clone()), "refund_window_closed");
    let client = client.restarted(store);
    assert_eq!(client.engine.platform().settings, PlatformSettings { refund_window_days: 1 });
    assert_eq!(client.refused(fail.clone()), "refund_window_closed");
    client.accepted_by_platform(window(2));
    client.accepted(fail);
}

pub(super) fn an_epoch_is_an_entry_of_the_platform(store: &dyn Store) {
    let client = TestClient::with_credit(store, 1_000);
    let head = |client: &TestClient| block_on(client.engine.journal_head()).expect("the engine reads");
    let before = head(&client);
    client.accepted_by_platform(Command::MarkRestored);
    let after = head(&client);
    assert_eq!((before.epoch, after.epoch), (1, 2));
    assert_eq!((after.entries, client.engine.platform().epoch), (before.entries + 1, 2));
    let client = client.restarted(store);
    client.accepted_by_platform(Command::MarkRestored);
    assert_eq!(head(&client).epoch, 3);
}
