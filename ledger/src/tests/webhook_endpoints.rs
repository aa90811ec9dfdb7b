//! Webhook endpoints: what may be set, that a change follows the one before, and what is followed.

use super::check;
use crate::tests::world::World;
use crate::{
    Balance, Entry, EntryBody, Kind, Kinds, MessageType, MessageTypes, Micros, Timestamp, WebhookEndpoint,
};

#[test]
fn an_endpoint_is_set_changed_and_removed() {
    let world = check(
        "
        endpoint 1 => endpoint 1
        endpoint 1 version=1 => unchanged
        endpoint 2 kinds=charge.settled,balance.low workspace=acme => endpoint 1
        endpoint 1 url=http://b.example/x rotate=1 until=9 => endpoint 2
        endpoint 1 fault=gone => endpoint 3
        endpoint 1 begin=1 => endpoint 4
        no_endpoint 2 => endpoint removed
        no_endpoint 2 => unchanged
        ",
    );
    let [endpoint] = &world.platform.webhook_endpoints[..] else { panic!("one is left") };
    assert_eq!((endpoint.version, endpoint.generation, endpoint.beginning), (4, 2, 2));
    assert_eq!((&*endpoint.url, endpoint.enabled), ("http://b.example/x", true));
    assert!(endpoint.subscriber().ends_with(".2"), "{}", endpoint.subscriber());
    assert_eq!(endpoint.previous_signs_until, None);
}

#[test]
fn an_endpoint_has_bounds() {
    let longest = format!("https://a.example/{}", "x".repeat(500 - 18));
    check(&format!(
        "
        endpoint 1 url={longest}x => no invalid_field url
        endpoint 1 url=ftp://a.example => no invalid_field url
        endpoint 1 url=https://ä.example => no invalid_field url
        endpoint 1 kinds= => no invalid_field kinds
        endpoint 1 kinds=charge.settled,charge.opened => no invalid_field kinds
        endpoint 1 kinds=charge.settled,charge.settled => no invalid_field kinds
        endpoint 1 fault=gone enabled=true => no invalid_field enabled
        endpoint 1 enabled=false => no invalid_field enabled
        endpoint 1 until=9 => no invalid_field enabled
        endpoint 1 version=2 => no invalid_field version
        endpoint 1 rotate=1 => no invalid_field version
        endpoint 1 begin=1 => no invalid_field version
        endpoint 1 url={longest} => endpoint 1
        endpoint 2 secret=8 => no invalid_field secret_key
        endpoint 1 secret=8 => no invalid_field secret_key
        "
    ));
    let many: String = (1..=100).map(|n| format!("endpoint {n} => endpoint 1\n")).collect();
    let world = check(&format!("{many}endpoint 101 => no invalid_field webhook_endpoints\nendpoint 7"));
    assert_eq!(world.platform.webhook_endpoints.len(), 100);
}

#[test]
fn a_change_that_does_not_follow_is_refused() {
    check(
        "
        endpoint 1
        endpoint 1 version=3 => no invalid_field version
        endpoint 1 url=https://b.example version=1 => no invalid_field version
        endpoint 1 rotate=2 => no invalid_field generation
        endpoint 1 begin=2 => no invalid_field from
        endpoint 1 workspace=acme => no invalid_field workspace
        join ada admin
        endpoint 1 by=ada => no unauthenticated
        no_endpoint 1 by=ada => no unauthenticated
        ",
    );
}

#[test]
fn a_repeated_request_is_answered_again_and_another_names_its_field() {
    check(
        "
        endpoint 1 key=a => endpoint 1
        endpoint 2 key=a => replay
        endpoint 2 url=https://b.example key=a => no idempotency_key_reused url
        endpoint 2 kinds=grant.created key=a => no idempotency_key_reused kinds
        endpoint 2 workspace=acme key=a => no idempotency_key_reused workspace
        endpoint 1 key=a => no idempotency_key_reused path
        ",
    );
}

#[test]
fn the_kinds_that_somebody_follows_are_known() {
    let followed = |script: &str| check(script).platform.followed;
    assert!(followed("balance => 0").is_empty());
    let one = followed("endpoint 1 kinds=balance.low");
    assert!(one.contains(Kind::BalanceLow) && !one.contains(Kind::ChargeOpened));
    // An endpoint that is disabled may begin again where it stopped.
    let stopped = followed("endpoint 1 kinds=charge.settled\nendpoint 1 fault=failing");
    assert!(stopped.contains(Kind::ChargeOpened) && stopped.contains(Kind::ChargeSettled));
    assert!(followed("endpoint 1\nno_endpoint 1").is_empty());
    let all = MessageTypes::All.kinds();
    assert!(all.contains(Kind::Granted) && !all.contains(Kind::ApiKeyUsed));
    assert!(!all.contains_code(200) && Kinds::default().is_empty());
}

/// The types of the messages about the entries of a script, in order.
fn types(script: &str) -> Vec<&'static str> {
    let world: World = check(script);
    let types = world.journal.iter().filter_map(|(entry, _)| MessageType::of(entry));
    types.map(MessageType::as_str).collect()
}

#[test]
fn an_entry_has_at_most_one_message() {
    assert_eq!(
        types(
            "
            grant promotional 5_000
            charge message
            charge message await
            succeed c2
            charge message await
            fail c3 system
            "
        ),
        [
            "workspace.created",
            "grant.created",
            "charge.settled",
            "charge.opened",
            "charge.settled",
            "charge.opened",
            "charge.refunded"
        ]
    );
    let debts = types(
        "
        grant top_up 5_000 origin=pay_1 paid=5
        charge message x8
        lost g1 5 evidence=dp_1
        grant adjustment 9_000
        ",
    );
    assert_eq!(debts[3..], ["debt.opened", "grant.created", "debt.cleared"], "{debts:?}");
}

#[test]
fn an_endpoint_that_the_system_disables_has_a_message() {
    let world = check("endpoint 1");
    let entry = |endpoint: WebhookEndpoint| Entry {
        n: 1,
        at: Timestamp::ZERO,
        decided_at: Timestamp::ZERO,
        actor: crate::Actor::System,
        key: None,
        balance: Balance { available: Micros::ZERO, pending: Micros::ZERO, debt: Micros::ZERO },
        previous: [0; 32],
        body: EntryBody::WebhookEndpointSet(Box::new(endpoint)),
    };
    let endpoint = (*world.platform.webhook_endpoints[0]).clone();
    assert_eq!(MessageType::of(&entry(endpoint.clone())), None);
    let disabled = WebhookEndpoint { enabled: false, fault: Some(crate::EndpointFault::Gone), ..endpoint };
    assert_eq!(MessageType::of(&entry(disabled)), Some(MessageType::EndpointDisabled));
}
