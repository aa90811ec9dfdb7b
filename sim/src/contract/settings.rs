//! What is set: workspaces, prices, platform keys, alerts.

use tollkeeper_engine::{ChargeFilter, Output, Page, Reads};
use tollkeeper_ledger::{ChargeCommand, ChargeId, Command, Kind, Micros, WorkspaceChanges};

use super::Store;
use super::test_client::{BEGINNING, TestClient, acme, charge, pages, prices, workspace};
use crate::model::step::unknown_id;
use tollkeeper_testkit::blocking::block_on;

pub(super) fn a_workspace_is_opened_once(store: &dyn Store) {
    let mut client = TestClient::open(store, BEGINNING);
    let described = |name: &str| WorkspaceChanges { name: Some(name.into()), ..Default::default() };
    let Output::Workspace(profile) = client.accepted(Command::CreateWorkspace(described("Acme"))) else {
        panic!("a workspace is told as it is described");
    };
    assert_eq!((profile.id.as_str(), &*profile.name, &*profile.timezone), ("acme", "Acme", "UTC"));
    assert_eq!((profile.suspended, profile.created_at), (false, BEGINNING));
    assert_eq!(client.refused(Command::CreateWorkspace(described("Other"))), "workspace_exists");
    client.advance_clock(5);
    let changes = WorkspaceChanges {
        timezone: Some("Europe/Berlin".into()),
        metadata: Some("{\"tier\":1}".into()),
        suspended: Some(true),
        ..Default::default()
    };
    client.accepted(Command::UpdateWorkspace(changes.clone()));
    let before = client.entry_count();
    client.accepted(Command::UpdateWorkspace(changes));
    assert_eq!(client.entry_count(), before, "what is so already is not written again");
    let profile = block_on(client.engine.workspace(&acme())).expect("it reads").expect("it is there");
    assert_eq!((&*profile.name, &*profile.timezone), ("Acme", "Europe/Berlin"));
    assert_eq!((profile.metadata.as_deref(), profile.suspended), (Some("{\"tier\":1}"), true));
    for name in ["b", "c", "d"] {
        client.create_workspace(workspace(name));
    }
    let listed = pages(3, |page| block_on(client.engine.workspaces(page)).expect("it reads"));
    let names: Vec<&str> = listed.iter().map(|profile| profile.id.as_str()).collect();
    assert_eq!(names, ["d", "c", "b", "acme"], "newest first, the platform's own chain is none");
}

pub(super) fn what_nobody_opened_is_not_there(store: &dyn Store) {
    let client = TestClient::with_credit(store, 500);
    let nobody = workspace("nobody");
    let page = || Page { limit: 5, cursor: None };
    let refused = client.submit(nobody.clone(), Some("k"), Command::Charge(charge("message", 1)));
    assert_eq!(refused.expect_err("nobody pays").code(), "workspace_not_found");
    assert_eq!(block_on(client.engine.workspace(&nobody)).expect("it reads"), None);
    assert_eq!(block_on(client.engine.team(&nobody)).expect("it reads"), None);
    assert_eq!(block_on(client.engine.limits(&nobody, client.now)).expect("it reads"), None);
    assert_eq!(block_on(client.engine.balance(&nobody, None)).expect("it reads"), None);
    assert_eq!(block_on(client.engine.balance(&nobody, Some(BEGINNING))).expect("it reads"), None);
    assert_eq!(
        block_on(client.engine.charges(&nobody, ChargeFilter::default(), page())).expect("it reads"),
        None
    );
    assert_eq!(block_on(client.engine.grants(&nobody, page())).expect("it reads"), None);
    assert_eq!(block_on(client.engine.entries(&nobody, page())).expect("it reads"), None);
    let (paid, _) = client.charge("k", charge("message", 1));
    client.create_workspace(nobody.clone());
    for (id, charge) in [(&nobody, paid.details.id), (&acme(), ChargeId(unknown_id()))] {
        assert_eq!(block_on(client.engine.charge(id, charge)).expect("it reads"), None, "{charge} of {id}");
    }
    let outcome = ChargeCommand::Succeed { quantity: None }.for_charge(paid.details.id);
    let refused = client.submit(nobody, None, outcome).expect_err("a charge of another workspace");
    assert_eq!(refused.code(), "charge_not_found");
}

pub(super) fn prices_have_versions(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    let Output::Prices(version) = client.accepted_by_platform(prices(&[("message", 700)])) else {
        panic!("a price list is told as its version");
    };
    assert_eq!((version.version, version.effective_at), (2, BEGINNING));
    let Command::SetPrices { operations, .. } = prices(&[("message", 900)]) else { unreachable!() };
    let effective_at = Some(client.now.plus_seconds(60));
    client.accepted_by_platform(Command::SetPrices { operations, effective_at });
    let (now, _) = client.charge("now", charge("message", 1));
    assert_eq!((now.details.unit_price.get(), now.details.price_version), (700, 2));
    assert_eq!(client.refused(Command::Charge(charge("removal", 1))), "operation_not_found");
    client.advance_clock(60);
    let (later, _) = client.charge("later", charge("message", 1));
    assert_eq!((later.details.unit_price.get(), later.details.price_version), (900, 3));
    let client = client.restarted(store);
    let versions = client.engine.platform().price_book.versions().to_vec();
    assert_eq!(versions.iter().map(|version| version.version).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(versions[0].operations.len(), 3);
    assert_eq!(client.record(now.details.id).charge.details.price_version, 2);
}

pub(super) fn platform_keys_are_kept(store: &dyn Store) {
    let client = TestClient::open(store, BEGINNING);
    assert!(client.engine.platform().key_hashes.is_empty());
    client.accepted_by_platform(Command::SetPlatformKey { hash: [1; 32] });
    client.accepted_by_platform(Command::SetPlatformKey { hash: [2; 32] });
    assert_eq!(client.engine.platform().key_hashes, [[1; 32], [2; 32]]);
    let client = client.restarted(store);
    assert_eq!(client.engine.platform().key_hashes, [[1; 32], [2; 32]]);
}

pub(super) fn an_alert_is_an_entry(store: &dyn Store) {
    let client = TestClient::with_credit(store, 2_000);
    let thresholds = vec![Micros::new(1_000), Micros::new(1_600)];
    client.accepted(Command::SetAlerts { thresholds, cooldown_seconds: 3_600 });
    client.charge("one", charge("message", 1));
    client.charge("two", charge("message", 2));
    let entries =
        pages(50, |page| block_on(client.engine.entries(&acme(), page)).expect("it reads").expect("there"));
    let low: Vec<u64> = entries
        .iter()
        .filter(|record| record.entry.body.kind() == Kind::BalanceLow)
        .map(|record| record.entry.n)
        .collect();
    assert_eq!(low, [7, 5], "one after each charge that crossed a line");
}
