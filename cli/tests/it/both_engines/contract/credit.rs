//! Grants, the price book, and the journal.

use serde_json::{Value, json};

use super::server;
use crate::harness::assert_members;

const GRANT: &str =
    "id workspace source amount amount_usd remaining remaining_usd reason created_at voided_at balance";

#[test]
fn a_grant_adds_credit_and_returns_the_new_balance() {
    let Some(server) = server() else { return };
    server.workspace("acme", 0);
    let body = json!({"source": "promotional", "amount": 150_000, "reason": "welcome"});
    let grant = server.post("/v1/workspaces/acme/grants", "g", body.clone()).expect(201);
    assert_members(&grant.json, GRANT);
    assert!(grant.id().starts_with("gr_"));
    assert_eq!((grant.int("/amount"), &grant.json["amount_usd"]), (150_000, &json!("1.50")));
    assert_eq!(grant.int("/balance/available"), 150_000);
    let again = server.post("/v1/workspaces/acme/grants", "g", body).expect(201);
    assert!(again.replayed() && again.text == grant.text);
    let listed = server.all("/v1/workspaces/acme/grants");
    assert_eq!(
        (listed.len(), &listed[0]["remaining"], &listed[0]["reason"]),
        (1, &json!(150_000), &json!("welcome"))
    );
    for source in ["subscription", "top_up", "gift"] {
        let body = json!({"source": source, "amount": 1, "reason": "r"});
        server.post("/v1/workspaces/acme/grants", source, body).problem(422, "invalid_field");
    }
    assert_eq!(server.available("acme"), 150_000);
}

#[test]
fn promotional_credit_is_drawn_first_and_refunds_go_back_to_the_same_grants() {
    let Some(server) = server() else { return };
    server.workspace("acme", 0);
    let adjustment = server.grant("acme", "a", "adjustment", 15_000);
    let promotional = server.grant("acme", "p", "promotional", 15_000);
    let id = server.charge("acme", "k", json!({"operation": "virtual_try_on"})).expect(201).id();
    let remaining = || -> Vec<(Value, Value)> {
        let grants = server.all("/v1/workspaces/acme/grants");
        grants.iter().map(|grant| (grant["id"].clone(), grant["remaining"].clone())).collect()
    };
    let (a, p) = (json!(adjustment), json!(promotional));
    assert_eq!(remaining(), [(p.clone(), json!(0)), (a.clone(), json!(10_000))]);
    let draws = server.charge_now("acme", &id).json["draws"].clone();
    assert_eq!((&draws[0]["grant"], &draws[1]["grant"]), (&p, &a));
    server.outcome("acme", &id, json!({"result": "failed", "fault": "system"})).expect(200);
    assert_eq!(remaining(), [(p, json!(15_000)), (a, json!(15_000))]);
}

#[test]
fn a_void_takes_back_what_is_unspent() {
    let Some(server) = server() else { return };
    server.workspace("acme", 0);
    let grant = server.grant("acme", "g", "promotional", 30_000);
    server.charge("acme", "k", json!({"operation": "virtual_try_on"})).expect(201);
    let path = format!("/v1/workspaces/acme/grants/{grant}/void");
    let voided = server.post(&path, "v", json!({"reason": "given by mistake"})).expect(200);
    assert_eq!((voided.int("/remaining"), voided.int("/balance/available")), (0, 0));
    let again = server.post(&path, "v", json!({"reason": "given by mistake"})).expect(200);
    assert!(again.replayed());
    assert_eq!(server.available("acme"), 0);
    let unknown = "/v1/workspaces/acme/grants/gr_01991234-5678-7abc-bfff-0123456789ab/void";
    server.post(unknown, "v2", json!({})).problem(404, "grant_not_found");
}

#[test]
fn a_balance_never_exceeds_the_exact_integers_of_json_readers() {
    let Some(server) = server() else { return };
    server.workspace("acme", 0);
    let largest = (1_i64 << 53) - 1;
    server.grant("acme", "g", "adjustment", largest);
    assert_eq!(server.available("acme"), largest);
    let body = json!({"source": "adjustment", "amount": 1, "reason": "one too many"});
    server.post("/v1/workspaces/acme/grants", "g2", body).problem(422, "invalid_field");
    assert_eq!(server.get("/v1/workspaces/acme/balance").json["available_usd"], "90071992547.40991");
}

#[test]
fn a_new_version_of_the_prices_applies_to_later_charges() {
    let Some(server) = server() else { return };
    server.workspace("acme", 100_000);
    let old = server.charge("acme", "old", json!({"operation": "virtual_try_on"})).expect(201);
    let book = json!({"operations": [
        {"id": "virtual_try_on", "unit_price": 30_000},
        {"id": "video", "unit_price": 1_000, "timeout_seconds": 600},
    ]});
    let version = server.send("PUT", "/v1/price-book", book).expect(200);
    assert_eq!(version.int("/version"), 2);
    let new = server.charge("acme", "new", json!({"operation": "virtual_try_on"})).expect(201);
    assert_eq!((new.int("/amount"), new.int("/price_version")), (30_000, 2));
    let video = server.charge("acme", "v", json!({"operation": "video"})).expect(201);
    assert_eq!(
        video.json["status"], "pending",
        "the price book sets a timeout, so the charge awaits an outcome"
    );
    server.charge("acme", "r", json!({"operation": "smart_pricing"})).problem(404, "operation_not_found");
    assert_eq!(
        server.charge_now("acme", &old.id()).int("/amount"),
        20_000,
        "earlier charges keep their amount"
    );
    let again = server.charge("acme", "old", json!({"operation": "virtual_try_on"})).expect(201);
    assert!(again.replayed() && again.text == old.text, "the first answer keeps the old price");
    let versions = server.get("/v1/price-book/versions").expect(200);
    let numbers: Vec<_> = versions.json["data"]
        .as_array()
        .expect("the answer is a list")
        .iter()
        .map(|v| v["version"].as_i64())
        .collect();
    assert_eq!(numbers, [Some(2), Some(1)]);
}

#[test]
fn invalid_prices_are_refused() {
    let Some(server) = server() else { return };
    let one = |line: Value| json!({"operations": [line]});
    for (body, code, status) in [
        (json!({"operations": []}), "invalid_field", 422),
        (one(json!({"id": "a", "unit_price": -5})), "invalid_field", 422),
        (one(json!({"id": "a", "unit_price": 1.5})), "invalid_field", 422),
        (one(json!({"id": "a", "unit_price": 9_000_000_001_i64})), "invalid_field", 422),
        (one(json!({"id": "a b", "unit_price": 1})), "invalid_field", 422),
        (one(json!({"id": "a", "unit_price": 1, "timeout_seconds": 0})), "invalid_field", 422),
        (one(json!({"id": "a", "unit_price": 1, "colour": "red"})), "unknown_field", 400),
        (
            json!({"operations": [{"id": "a", "unit_price": 1}, {"id": "a", "unit_price": 2}]}),
            "invalid_field",
            422,
        ),
        (
            json!({"operations": [{"id": "a", "unit_price": 1}], "effective_at": "2001-01-01T00:00:00Z"}),
            "invalid_field",
            422,
        ),
    ] {
        server.send("PUT", "/v1/price-book", body).problem(status, code);
    }
    assert_eq!(server.get("/v1/price-book").expect(200).int("/version"), 1);
}

#[test]
fn future_prices_are_not_in_force_yet() {
    let Some(server) = server() else { return };
    server.workspace("acme", 100_000);
    let book =
        json!({"operations": [{"id": "video", "unit_price": 1}], "effective_at": "2999-01-01T00:00:00Z"});
    server.send("PUT", "/v1/price-book", book).expect(200);
    assert_eq!(server.get("/v1/price-book").expect(200).int("/version"), 1);
    server.charge("acme", "k", json!({"operation": "virtual_try_on"})).expect(201);
}

#[test]
fn the_journal_lists_all_entries_and_is_chained() {
    let Some(server) = server() else { return };
    server.workspace("acme", 100_000);
    let awaited = json!({"operation": "virtual_try_on", "await_outcome": true});
    let charge = server.charge("acme", "k", awaited).expect(201).id();
    server.outcome("acme", &charge, json!({"result": "failed", "fault": "system"})).expect(200);
    let entries = server.all("/v1/workspaces/acme/entries");
    let kinds: Vec<_> = entries.iter().map(|entry| entry["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["charge.refunded", "charge.opened", "grant.created", "workspace.created"]);
    let numbers: Vec<_> = entries.iter().map(|entry| entry["number"].as_i64()).collect();
    assert_eq!(numbers, [4, 3, 2, 1].map(Some));
    let hashes: std::collections::BTreeSet<_> =
        entries.iter().map(|entry| entry["hash"].as_str().expect("a hash")).collect();
    assert_eq!(hashes.len(), 4);
    for pair in entries.windows(2) {
        assert_eq!(
            pair[0]["previous_hash"], pair[1]["hash"],
            "each entry carries the hash of the one before"
        );
    }
    assert_eq!((&entries[0]["amount"], &entries[1]["amount"]), (&json!(20_000), &json!(20_000)));
}
