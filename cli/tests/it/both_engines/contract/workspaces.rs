//! Workspaces and their balances.

use serde_json::json;

use super::server;
use crate::harness::{assert_members, eventually};

const WORKSPACE: &str = "id name timezone metadata suspended created_at";

#[test]
fn a_workspace_is_created_shown_listed_and_changed() {
    let Some(server) = server() else { return };
    let body = json!({"id": "acme", "name": "Acme Fashion", "timezone": "Europe/Berlin", "metadata": {"plan": "gold"}});
    let made = server.send("POST", "/v1/workspaces", body).expect(201);
    assert_members(&made.json, WORKSPACE);
    assert_eq!(made.json["name"], "Acme Fashion");
    assert_eq!(made.json["timezone"], "Europe/Berlin");
    assert_eq!(made.json["metadata"], json!({"plan": "gold"}));
    assert_eq!(made.json["suspended"], false);
    assert_eq!(server.get("/v1/workspaces/acme").expect(200).json, made.json);
    let mut listed = server.all("/v1/workspaces");
    assert_members(&listed[0], &format!("{WORKSPACE} debt debt_usd last_used_at"));
    let row = listed[0].as_object_mut().expect("a row is an object");
    row.retain(|member, _| WORKSPACE.split(' ').any(|name| name == member));
    assert_eq!(listed, std::slice::from_ref(&made.json));

    let changed = server.send("PATCH", "/v1/workspaces/acme", json!({"name": "Acme"})).expect(200);
    assert_eq!((&changed.json["name"], &changed.json["timezone"]), (&json!("Acme"), &json!("Europe/Berlin")));
    assert_eq!(changed.json["created_at"], made.json["created_at"]);

    server
        .send("POST", "/v1/workspaces", json!({"id": "acme", "name": "again"}))
        .problem(409, "workspace_exists");
    assert_eq!(server.get("/v1/workspaces/acme").json["name"], "Acme");
}

#[test]
fn an_id_is_generated_if_none_is_given() {
    let Some(server) = server() else { return };
    let first = server.send("POST", "/v1/workspaces", json!({"name": "One"})).expect(201).id();
    let second = server.send("POST", "/v1/workspaces", json!({"name": "Two"})).expect(201).id();
    assert_ne!(first, second);
    assert_eq!(server.get(&format!("/v1/workspaces/{second}")).expect(200).json["name"], "Two");
}

#[test]
fn invalid_ids_names_and_time_zones_are_refused() {
    let Some(server) = server() else { return };
    for (body, field) in [
        (json!({"id": "a b", "name": "x"}), "id"),
        (json!({"id": "", "name": "x"}), "id"),
        (json!({"id": "*", "name": "x"}), "id"),
        (json!({"id": "x".repeat(65), "name": "x"}), "id"),
        (json!({"id": "acme", "name": ""}), "name"),
        (json!({"id": "acme"}), "name"),
        (json!({"id": "acme", "name": "x", "timezone": "Mars/Olympus"}), "timezone"),
        // These names mean different zones on different machines.
        (json!({"id": "acme", "name": "x", "timezone": "localtime"}), "timezone"),
        (json!({"id": "acme", "name": "x", "timezone": "posixrules"}), "timezone"),
    ] {
        let refused = server.send("POST", "/v1/workspaces", body).problem(422, "invalid_field");
        assert_eq!(refused.json["field"], field, "{}", refused.text);
    }
    assert!(server.all("/v1/workspaces").is_empty());
}

#[test]
fn charges_of_a_suspended_workspace_are_refused() {
    let Some(server) = server() else { return };
    server.workspace("acme", 20_000);
    server.send("PATCH", "/v1/workspaces/acme", json!({"suspended": true})).expect(200);
    server.charge("acme", "k", json!({"operation": "virtual_try_on"})).problem(403, "workspace_suspended");
    assert_eq!(server.available("acme"), 20_000);
    server.send("PATCH", "/v1/workspaces/acme", json!({"suspended": false})).expect(200);
    server.charge("acme", "k", json!({"operation": "virtual_try_on"})).expect(201);
}

#[test]
fn the_balance_has_both_units_and_answers_for_a_past_instant() {
    let Some(server) = server() else { return };
    server.workspace("acme", 100_000);
    let before = server.get("/v1/workspaces/acme/balance").expect(200);
    assert_members(&before.json, "workspace available available_usd pending pending_usd debt debt_usd as_of");
    // The times of the entries give an instant after the grant and before the charge.
    let granted_at = server.all("/v1/workspaces/acme/entries")[0]["created_at"].clone();
    let charged_at = eventually("a charge in a later millisecond", || {
        let n = server.all("/v1/workspaces/acme/entries").len();
        server.charge("acme", &n.to_string(), json!({"operation": "support_message"})).expect(201);
        let at = server.all("/v1/workspaces/acme/entries")[0]["created_at"].clone();
        (at != granted_at).then_some(at)
    });
    let at = |instant: &serde_json::Value| {
        let instant = instant.as_str().expect("a time");
        server.get(&format!("/v1/workspaces/acme/balance?at={instant}")).expect(200).int("/available")
    };
    assert_eq!(at(&charged_at), server.available("acme"));
    assert!(at(&granted_at) > at(&charged_at));
    assert_eq!(at(&json!("2001-01-01T00:00:00Z")), 0);
    server.get("/v1/workspaces/nobody/balance").problem(404, "workspace_not_found");
}
