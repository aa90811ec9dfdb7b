//! Deliveries of several servers: each message is handed to the server that has the turn.

use std::sync::Arc;

use tollkeeper_engine::postgres::Options;
use tollkeeper_engine::{DeliveryNotes, Subscriber};
use tollkeeper_ledger::{Command, MessageType, MessageTypes};
use tollkeeper_sim::contract::{Store, TestClient, charge, endpoint};
use tollkeeper_sim::engines::postgres::InDatabase;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{is_missing, shared};

fn distribute(client: &TestClient) {
    block_on(client.engine.deliveries().distribute()).expect("the engine distributes");
}

fn may_serve(client: &TestClient, subscriber: &Subscriber) -> bool {
    let turn = client.engine.deliveries().take_turn(subscriber.clone(), client.now);
    block_on(turn).expect("the engine reads").is_some()
}

/// How many messages a server is given to send.
fn given(client: &TestClient, subscriber: &Subscriber) -> usize {
    let portion = client.engine.deliveries().portion(subscriber.clone(), 10);
    block_on(portion).expect("the engine reads").entries.len()
}

/// Notes all that a server was given, and ends its turn.
fn finish(client: &TestClient, subscriber: &Subscriber) {
    let deliveries = client.engine.deliveries();
    let portion = block_on(deliveries.portion(subscriber.clone(), 10)).expect("the engine reads");
    let notes = DeliveryNotes { reached: portion.end, ends_turn: true, ..DeliveryNotes::default() };
    block_on(deliveries.note(subscriber.clone(), notes, client.now)).expect("the engine writes");
}

#[test]
fn only_the_server_that_has_the_turn_is_given_messages() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let one = TestClient::with_credit(&store, 1_000);
    let endpoint = endpoint(1, MessageTypes::These(vec![MessageType::ChargeSettled]), None);
    one.accepted_by_platform(Command::SetWebhookEndpoint(Box::new(endpoint.clone())));
    let subscriber = Subscriber::Endpoint(Arc::new(endpoint));
    let two = TestClient { engine: store.open(), now: one.now };
    distribute(&one);
    assert!(may_serve(&one, &subscriber), "what was committed with it is owed");
    finish(&one, &subscriber);

    assert!(may_serve(&two, &subscriber), "nothing is to be done");
    one.charge("a", charge("message", 1));
    distribute(&one);
    assert_eq!(given(&two, &subscriber), 0, "it found nothing to do, and took no turn");
    assert!(may_serve(&one, &subscriber));
    assert!(!may_serve(&two, &subscriber));
    assert_eq!((given(&one, &subscriber), given(&two, &subscriber)), (1, 0));

    one.charge("b", charge("message", 1));
    finish(&one, &subscriber);
    distribute(&two);
    assert_eq!(given(&one, &subscriber), 0, "its turn has ended");
    assert!(may_serve(&two, &subscriber));
    assert_eq!((given(&one, &subscriber), given(&two, &subscriber)), (0, 1), "nothing is lost");
}
