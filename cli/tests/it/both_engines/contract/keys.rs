//! Idempotency: the same key and request give the same answer, byte for byte; another request with
//! the key is refused, and the answer names the field that differs.

use super::server;
use serde_json::{Value, json};

/// The header that says what became of the charge of a first answer.
const STATUS: &str = "tollkeeper-charge-status";

#[test]
fn a_replay_has_the_bytes_of_the_first_answer_also_after_other_changes() {
    let Some(server) = server() else { return };
    server.workspace("acme", 100_000);
    let body = json!({"operation": "virtual_try_on", "await_outcome": true, "metadata": {"z": 1, "a": 2}});
    let first = server.charge("acme", "k", body.clone()).expect(201);
    assert!(!first.replayed());
    assert_eq!(first.header(STATUS), None, "it has the status that the answer says");
    assert_eq!(server.charge("acme", "k", body.clone()).expect(201).header(STATUS), Some("pending"));
    server.charge("acme", "other", json!({"operation": "smart_pricing"})).expect(201);
    server.outcome("acme", &first.id(), json!({"result": "failed", "fault": "system"})).expect(200);
    server.send("PATCH", "/v1/workspaces/acme", json!({"suspended": true})).expect(200);
    let again = server.charge("acme", "k", body).expect(201);
    assert!(again.replayed());
    assert_eq!(again.text, first.text);
    assert_eq!(again.header(STATUS), Some("refunded"), "the operation must not be run any more");
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!(server.available("acme"), 99_000);
    // The same request with other spacing and order of members.
    let spelled = r#" {"metadata": {"a": 2, "z": 1}, "quantity": 1, "await_outcome": true, "operation": "virtual_try_on"} "#;
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let again = server.raw("POST", "/v1/workspaces/acme/charges", &headers, spelled).expect("an answer");
    assert_eq!((again.status, again.text), (201, first.text));
}

#[test]
fn another_request_with_a_used_key_is_refused_and_names_the_field_that_differs() {
    let Some(server) = server() else { return };
    server.workspace("acme", 100_000);
    let body =
        json!({"operation": "smart_pricing", "quantity": 2, "worker": "w", "member": "m", "reference": "r"});
    server.charge("acme", "k", body.clone()).expect(201);
    let with = |field: &str, value: Value| {
        let mut other = body.clone();
        other[field] = value;
        server.charge("acme", "k", other)
    };
    for (field, value) in [
        ("operation", json!("virtual_try_on")),
        ("quantity", json!(3)),
        ("worker", json!("w2")),
        ("member", json!("m2")),
        ("await_outcome", json!(true)),
        ("reference", json!("r2")),
        ("metadata", json!({"a": 1})),
    ] {
        let refused = with(field, value).problem(422, "idempotency_key_reused");
        assert_eq!(refused.json["field"], field, "{}", refused.text);
    }
    let grant = json!({"source": "promotional", "amount": 1, "reason": "r"});
    let refused =
        server.post("/v1/workspaces/acme/grants", "k", grant).problem(422, "idempotency_key_reused");
    assert_eq!(refused.json["field"], "path");
    assert_eq!(server.available("acme"), 98_000);
    // A key is unique only within its workspace.
    server.workspace("other", 100_000);
    server.charge("other", "k", json!({"operation": "virtual_try_on"})).expect(201);
}

#[test]
fn a_refund_again_says_what_became_of_the_charge_since() {
    let Some(server) = server() else { return };
    server.workspace("acme", 100_000);
    let charge = server.charge("acme", "k", json!({"operation": "virtual_try_on"})).expect(201).id();
    let refund = |key: &str| {
        let path = format!("/v1/workspaces/acme/charges/{charge}/refund");
        server.post(&path, key, json!({"amount": 10_000, "reason": "r"})).expect(200)
    };
    let first = refund("half");
    assert_eq!((first.header(STATUS), &first.json["status"]), (None, &json!("settled")));
    refund("other half");
    let again = refund("half");
    assert_eq!((again.header(STATUS), &again.text), (Some("refunded"), &first.text));
}

#[test]
fn the_first_refusal_in_order_is_the_one_reported() {
    let Some(server) = server() else { return };
    server.workspace("acme", 500);
    let charge = |workspace: &str, key: &str, operation: &str, quantity: i64| {
        server.charge(workspace, key, json!({"operation": operation, "quantity": quantity}))
    };
    charge("acme", "paid", "support_message", 1).expect(201);
    // Order: the first answer again, unknown workspace, suspended, operation, quantity, credit.
    charge("nobody", "k", "teleport", 0).problem(404, "workspace_not_found");
    charge("acme", "k", "teleport", 0).problem(404, "operation_not_found");
    charge("acme", "k", "smart_pricing", 0).problem(422, "invalid_field");
    charge("acme", "k", "smart_pricing", 1).problem(402, "insufficient_credits");
    server.send("PATCH", "/v1/workspaces/acme", json!({"suspended": true})).expect(200);
    charge("acme", "k", "teleport", 0).problem(403, "workspace_suspended");
    assert!(charge("acme", "paid", "support_message", 1).expect(201).replayed());
    charge("acme", "paid", "teleport", 1).problem(422, "idempotency_key_reused");
}
