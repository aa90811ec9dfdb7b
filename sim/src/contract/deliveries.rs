//! What a subscriber is handed out of the journal, until it is noted.

use std::sync::Arc;

use tollkeeper_engine::{
    DeliveryException, DeliveryNotes, DeliveryPortion, FollowedEntry, Subscriber, SubscriberState,
};
use tollkeeper_ledger::{
    AlertLine, Command, EndpointFault, Id, Kind, MessageType, MessageTypes, Micros, Source, WebhookEndpoint,
    WebhookEndpointId, WorkspaceId,
};
use tollkeeper_testkit::blocking::block_on;

use super::test_client::{TestClient, acme, charge, credit, workspace};
use super::{BEGINNING, Store};

/// An endpoint of this number, of one workspace or of all.
#[must_use]
pub fn endpoint(number: i64, types: MessageTypes, workspace: Option<WorkspaceId>) -> WebhookEndpoint {
    WebhookEndpoint {
        id: WebhookEndpointId(Id::v7(number, 0, 1)),
        version: 1,
        url: "https://receiver.example/hook".into(),
        types,
        workspace,
        enabled: true,
        fault: None,
        generation: 1,
        previous_signs_until: None,
        beginning: 1,
        secret_digest: [5; 32],
        created_at: BEGINNING,
    }
}

fn set(client: &TestClient, endpoint: &WebhookEndpoint) -> Subscriber {
    client.accepted_by_platform(Command::SetWebhookEndpoint(Box::new(endpoint.clone())));
    Subscriber::Endpoint(Arc::new(endpoint.clone()))
}

/// Gives the subscribers their share and returns the next portion of one.
fn portion(client: &TestClient, subscriber: &Subscriber, most: usize) -> DeliveryPortion {
    let deliveries = client.engine.deliveries();
    block_on(deliveries.distribute()).expect("the engine distributes");
    let turn = block_on(deliveries.take_turn(subscriber.clone(), client.now)).expect("the engine reads");
    assert!(turn.is_some(), "no other server has the turn");
    block_on(deliveries.portion(subscriber.clone(), most)).expect("the engine reads")
}

fn note(client: &TestClient, subscriber: &Subscriber, notes: DeliveryNotes) -> SubscriberState {
    let noted = client.engine.deliveries().note(subscriber.clone(), notes, client.now);
    block_on(noted).expect("the engine writes")
}

fn reached(portion: &DeliveryPortion) -> DeliveryNotes {
    DeliveryNotes { reached: portion.end.clone(), ..DeliveryNotes::default() }
}

fn kinds(portion: &DeliveryPortion) -> Vec<Kind> {
    portion.entries.iter().map(|followed| followed.record.entry.body.kind()).collect()
}

/// Hands out all that is owed, in portions of `most`, and notes it.
fn all(client: &TestClient, subscriber: &Subscriber, most: usize) -> Vec<FollowedEntry> {
    let mut found = Vec::new();
    for _ in 0..1_000 {
        let next = portion(client, subscriber, most);
        note(client, subscriber, reached(&next));
        found.extend(next.entries);
        if !next.more {
            return found;
        }
    }
    panic!("a portion is the last one some time");
}

pub(super) fn an_endpoint_is_handed_what_follows_it(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    block_on(client.engine.deliveries().prepare()).expect("the engine prepares");
    let types = MessageTypes::These(vec![MessageType::ChargeSettled, MessageType::BalanceLow]);
    let some = set(&client, &endpoint(1, types, None));
    assert_eq!(portion(&client, &some, 10).entries, [], "what came before is not handed out");
    let all_types = set(&client, &endpoint(2, MessageTypes::All, None));
    client.charge("one", charge("message", 1));
    client.grant("more", Source::Promotional, 500);
    client.charge("two", charge("message", 2));
    let first = portion(&client, &some, 10);
    assert_eq!(kinds(&first), [Kind::ChargeOpened, Kind::ChargeOpened]);
    let entry = &first.entries[0];
    assert_eq!((&entry.place.workspace, entry.place.n), (&acme(), entry.record.entry.n));
    assert_eq!(entry.place.hash, entry.record.hash);
    assert_eq!(portion(&client, &some, 10), first, "it is handed out until it is noted");
    let found = block_on(client.engine.deliveries().entry_at(entry.place.clone())).expect("it reads");
    assert_eq!(found.as_ref(), Some(entry));
    let mut other = entry.place.clone();
    other.hash = [0; 32];
    assert_eq!(block_on(client.engine.deliveries().entry_at(other)).expect("it reads"), None);
    note(&client, &some, reached(&first));
    assert_eq!(portion(&client, &some, 10).entries, []);
    let both = all(&client, &all_types, 1);
    let messages: Vec<_> = both.iter().map(|entry| entry.record.entry.body.kind()).collect();
    assert_eq!(messages, [Kind::ChargeOpened, Kind::Granted, Kind::ChargeOpened], "one at a time, in order");
    client.charge("three", charge("message", 1));
    assert_eq!(all(&client, &some, 10).len(), 1);
}

pub(super) fn what_was_noted_is_not_handed_out_again(store: &dyn Store) {
    let client = TestClient::with_credit(store, 100_000);
    block_on(client.engine.deliveries().prepare()).expect("the engine prepares");
    let types = MessageTypes::These(vec![MessageType::ChargeSettled]);
    let endpoint = set(&client, &endpoint(1, types, None));
    client.charge("one", charge("message", 1));
    let deliveries = client.engine.deliveries();
    block_on(deliveries.distribute()).expect("the engine distributes");
    block_on(deliveries.take_turn(endpoint.clone(), client.now)).expect("the engine reads");
    // This one is committed between the distribution and the portion.
    client.charge("two", charge("message", 1));
    let first = block_on(client.engine.deliveries().portion(endpoint.clone(), 10)).expect("the engine reads");
    note(&client, &endpoint, reached(&first));
    let rest = all(&client, &endpoint, 10);
    let numbers = first.entries.iter().chain(&rest).map(|followed| followed.place.n);
    assert_eq!(numbers.collect::<Vec<_>>(), [3, 4], "each once");
}

pub(super) fn a_place_survives_a_restart_and_a_part_of_a_portion_counts(store: &dyn Store) {
    let client = TestClient::with_credit(store, 100_000);
    block_on(client.engine.deliveries().prepare()).expect("the engine prepares");
    let types = MessageTypes::These(vec![MessageType::ChargeSettled]);
    let endpoint = set(&client, &endpoint(1, types, None));
    for n in 0..5 {
        client.charge(&format!("charge {n}"), charge("message", 1));
    }
    let next = portion(&client, &endpoint, 10);
    assert_eq!(next.entries.len(), 5);
    let place = next.entries[1].place.clone();
    let failed = DeliveryException {
        message: "msg_1".into(),
        place: place.clone(),
        attempts: 1,
        first_at: client.now,
        next_at: Some(client.now.plus_seconds(5)),
        outcome: "the receiver answered 500".into(),
    };
    let exceptions = vec![failed.clone()];
    let kept = note(
        &client,
        &endpoint,
        DeliveryNotes { reached: vec![place], exceptions, ends_turn: true, ..DeliveryNotes::default() },
    );
    assert_eq!(kept.exceptions, std::slice::from_ref(&failed));
    let client = client.restarted(store);
    let next = portion(&client, &endpoint, 10);
    assert_eq!(next.entries.len(), 3, "two were noted");
    let state = block_on(client.engine.deliveries().state(endpoint.clone())).expect("it reads");
    assert_eq!(state.exceptions, [failed]);
    let notes = DeliveryNotes { done: vec!["msg_1".into()], ..reached(&next) };
    assert_eq!(note(&client, &endpoint, notes).exceptions, []);
    assert_eq!(portion(&client, &endpoint, 10).entries, []);
}

pub(super) fn an_endpoint_of_a_workspace_is_handed_its_own(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    block_on(client.engine.deliveries().prepare()).expect("the engine prepares");
    let of_other = set(&client, &endpoint(1, MessageTypes::All, Some(workspace("other"))));
    let of_all = set(&client, &endpoint(2, MessageTypes::All, None));
    client.charge("one", charge("message", 1));
    assert_eq!(portion(&client, &of_other, 10).entries, [], "the workspace is not there yet");
    client.create_workspace(workspace("other"));
    let grant = Command::Grant(credit("welcome", Source::Promotional, 7));
    client.submit(workspace("other"), Some("welcome"), grant).expect("it is accepted");
    client.accepted_by_platform(Command::MarkRestored);
    client.advance_clock(60);
    let workspaces = |endpoint| -> Vec<WorkspaceId> {
        all(&client, endpoint, 10).into_iter().map(|entry| entry.place.workspace).collect()
    };
    assert_eq!(workspaces(&of_other), [workspace("other"), workspace("other")]);
    let mut found = workspaces(&of_all);
    found.sort();
    let expected = [WorkspaceId::platform(), acme(), workspace("other"), workspace("other")];
    assert_eq!(found, expected, "each workspace in its order, and the platform too");
}

pub(super) fn an_endpoint_can_begin_again(store: &dyn Store) {
    let client = TestClient::with_credit(store, 100_000);
    block_on(client.engine.deliveries().prepare()).expect("the engine prepares");
    let types = MessageTypes::These(vec![MessageType::ChargeSettled]);
    let mut record = endpoint(1, types, None);
    set(&client, &record);
    client.charge("one", charge("message", 1));
    (record.version, record.enabled, record.fault) = (2, false, Some(EndpointFault::Failing));
    let stopped = set(&client, &record);
    client.charge("two", charge("message", 1));
    (record.version, record.enabled, record.fault) = (3, true, None);
    let again = set(&client, &record);
    assert_eq!(again.name(), stopped.name());
    let next = portion(&client, &again, 10);
    assert_eq!(next.entries.len(), 2, "it goes on where it stopped");
    (record.version, record.beginning) = (4, 2);
    let anew = set(&client, &record);
    assert_eq!(portion(&client, &anew, 10).entries, [], "what it has missed is left out");
    client.charge("three", charge("message", 1));
    assert_eq!(all(&client, &anew, 10).len(), 1);
    client.accepted_by_platform(Command::RemoveWebhookEndpoint(record.id));
    block_on(client.engine.deliveries().distribute()).expect("the engine distributes");
    let state = block_on(client.engine.deliveries().state(anew)).expect("it reads");
    assert_eq!(state, SubscriberState::default());
}

pub(super) fn the_sender_of_mail_begins_when_it_is_first_served(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    let thresholds = [20_000, 90_000].map(|amount| AlertLine::Amount(Micros::new(amount)));
    let set_alerts = Command::SetAlerts { thresholds: thresholds.into(), cooldown_seconds: 0 };
    client.submit(acme(), None, set_alerts).expect("it is accepted");
    block_on(client.engine.deliveries().prepare()).expect("the engine prepares");
    client.charge("one", charge("try_on", 1));
    assert_eq!(portion(&client, &Subscriber::Mail, 10).entries, [], "what came before is not handed out");
    client.grant("more", Source::Promotional, 50_000);
    client.create_workspace(workspace("other"));
    client.charge("two", charge("try_on", 6));
    let next = portion(&client, &Subscriber::Mail, 10);
    assert_eq!(kinds(&next), [Kind::BalanceRecovered, Kind::BalanceLow, Kind::BalanceLow]);
    // The next process is another server.
    note(&client, &Subscriber::Mail, DeliveryNotes { ends_turn: true, ..DeliveryNotes::default() });
    let client = client.restarted(store);
    assert_eq!(portion(&client, &Subscriber::Mail, 10), next, "it is handed out until it is noted");
    note(&client, &Subscriber::Mail, reached(&next));
    let some = MessageTypes::These(vec![MessageType::GrantCreated]);
    let mut record = endpoint(1, some, None);
    set(&client, &record);
    (record.version, record.enabled, record.fault) = (2, false, Some(EndpointFault::Gone));
    set(&client, &record);
    client.accepted_by_platform(Command::RemoveWebhookEndpoint(record.id));
    let found = all(&client, &Subscriber::Mail, 1);
    let of: Vec<_> = found.iter().map(|found| (&found.place.workspace, found.record.entry.n)).collect();
    assert_eq!(of.len(), 2, "an endpoint was set twice: {of:?}");
    assert!(of.iter().all(|(workspace, _)| workspace.is_platform()), "{of:?}");
}
