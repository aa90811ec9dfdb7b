//! Workspaces, grants, balances and the journal over HTTP.

use super::*;

#[tokio::test]
async fn a_workspace_is_created_read_and_changed() {
    let world = world().await;
    let body = r#"{"id":"shop.1:eu@x","name":"Shop","timezone":"Europe/Berlin","metadata":{"plan":"x"}}"#;
    let reply = world.post("/v1/workspaces", "", body).await;
    let expected = String::from(r#"{"id":"shop.1:eu@x","name":"Shop","timezone":"Europe/Berlin","#)
        + r#""metadata":{"plan":"x"},"suspended":false,"created_at":"2026-11-23T15:04:05.678Z"}"#;
    assert_eq!((reply.status, &reply.text), (201, &expected));
    assert_eq!(world.get("/v1/workspaces/shop.1:eu@x").await.text, expected);
    world.post("/v1/workspaces", "", body).await.problem(409, "workspace_exists");

    let body = r#"{"name":"Shop 2","metadata":{}}"#;
    let changed = world.put("PATCH", "/v1/workspaces/shop.1:eu@x", "", body).await.json();
    assert_eq!((&changed["name"], &changed["timezone"]), (&"Shop 2".into(), &"Europe/Berlin".into()));
    assert_eq!(changed["metadata"], serde_json::json!({}));
    let same = world.put("PATCH", "/v1/workspaces/shop.1:eu@x", "", "{}").await;
    assert_eq!((same.status, same.json()), (200, changed));
    world.put("PATCH", "/v1/workspaces/unknown", "", "{}").await.problem(404, "workspace_not_found");

    let made = world.post("/v1/workspaces", "", r#"{"name":"No id"}"#).await;
    let id = made.id();
    assert!(id.starts_with("ws_01") && id.len() == 39 && id.as_bytes()[17] == b'7', "{id}");
    assert_eq!(made.json()["timezone"], "UTC");
    let list = world.get("/v1/workspaces").await.json();
    let ids: Vec<_> = list["data"].as_array().into_iter().flatten().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, [id.as_str(), "shop.1:eu@x", "acme"]);
    assert_eq!(list["next_cursor"], Value::Null);
}

#[tokio::test]
async fn workspaces_are_found_by_each_filter() {
    let world = world_with(1_000).await;
    world.charge("k", r#"{"operation":"support_message"}"#).await;
    let other = r#"{"id":"globex","name":"Globex Müller","timezone":"Europe/Berlin"}"#;
    assert_eq!(world.post("/v1/workspaces", "", other).await.status, 201);
    let suspended = r#"{"suspended":true}"#;
    assert_eq!(world.put("PATCH", "/v1/workspaces/globex", "", suspended).await.status, 200);
    for (query, found) in [
        ("", &["globex", "acme"][..]),
        ("?name=M%C3%9CLL", &["globex"]),
        ("?name=ller", &[]),
        ("?suspended=true", &["globex"]),
        ("?suspended=false", &["acme"]),
        ("?debt=true", &[]),
        ("?debt=false&suspended=true", &["globex"]),
        ("?unused_since=9999-01-01T00:00:00Z", &["globex", "acme"]),
        ("?unused_since=2001-01-01T00:00:00Z", &[]),
    ] {
        let list = world.get(&format!("/v1/workspaces{query}")).await.json();
        let ids: Vec<&str> =
            list["data"].as_array().into_iter().flatten().filter_map(|row| row["id"].as_str()).collect();
        assert_eq!(ids, found, "{query}");
    }
    let list = world.get("/v1/workspaces").await.json();
    assert_eq!(
        (&list["data"][0]["last_used_at"], &list["data"][0]["debt_usd"]),
        (&Value::Null, &"0.00".into())
    );
    assert!(list["data"][1]["last_used_at"].is_string() && list["data"][1]["debt"] == 0, "{list}");
    let first = world.get("/v1/workspaces?debt=false&limit=1").await.json();
    let cursor = first["next_cursor"].as_str().expect("a page follows");
    let next = world.get(&format!("/v1/workspaces?debt=false&limit=1&cursor={cursor}")).await.json();
    assert_eq!(next["data"][0]["id"], "acme");
    world.get(&format!("/v1/workspaces?cursor={cursor}")).await.problem(400, "invalid_parameter");
}

#[tokio::test]
async fn an_invalid_workspace_is_refused_by_field() {
    let world = world().await;
    for (body, field) in [
        (r#"{"id":"x"}"#, "name"),
        (r#"{"id":"x","name":""}"#, "name"),
        (r#"{"id":"a b","name":"x"}"#, "id"),
        (r#"{"id":"*","name":"x"}"#, "id"),
        (r#"{"name":"x","timezone":"Mars/Olympus"}"#, "timezone"),
        (r#"{"name":"x","timezone":"../../etc/passwd"}"#, "timezone"),
        (r#"{"name":"x","metadata":1}"#, "metadata"),
    ] {
        let problem = world.post("/v1/workspaces", "", body).await.problem(422, "invalid_field");
        assert_eq!(problem["field"], field, "{body}");
    }
}

#[tokio::test]
async fn grants_are_created_listed_and_voided() {
    let world = world().await;
    let path = "/v1/workspaces/acme/grants";
    let body = r#"{"source":"adjustment","amount_usd":"1.50","reason":"sorry"}"#;
    let reply = world.post(path, "g", body).await;
    let id = reply.id();
    let expected = format!(r#"{{"id":"{id}","workspace":"acme","source":"adjustment","amount":150000,"#)
        + r#""amount_usd":"1.50","remaining":150000,"remaining_usd":"1.50","reason":"sorry","#
        + r#""created_at":"2026-11-23T15:04:05.678Z","voided_at":null,"#
        + r#""balance":{"available":150000,"available_usd":"1.50"}}"#;
    assert_eq!((reply.status, &reply.text), (201, &expected));
    world.charge("c", r#"{"operation":"virtual_try_on"}"#).await;
    let again = world.post(path, "g", r#"{"source":"adjustment","amount":150000,"reason":"sorry"}"#).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!(
        again.text, expected,
        "a repeated request gets the first answer, although the grant was drawn from since"
    );
    let other = world.post(path, "g", r#"{"source":"adjustment","amount":1,"reason":"sorry"}"#).await;
    assert_eq!(other.problem(422, "idempotency_key_reused")["field"], "amount");
    assert_eq!(world.get(path).await.json()["data"][0]["remaining"], 130_000);

    let void = world.post(&format!("{path}/{id}/void"), "v", r#"{"reason":"mistake"}"#).await;
    let voided = void.json();
    assert_eq!((void.status, &voided["remaining"]), (200, &0.into()), "{}", void.text);
    assert_eq!(voided["balance"]["available"], 0);
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "w")];
    let bare = world.ask("POST", &format!("{path}/{id}/void"), &headers, Body::empty()).await;
    assert_eq!(bare.status, 200, "a void needs no body: {}", bare.text);
    let unknown = "gr_01991234-5678-7abc-bfff-0123456789ab";
    for id in [unknown, "x"] {
        world.post(&format!("{path}/{id}/void"), "z", "{}").await.problem(404, "grant_not_found");
    }
    assert_eq!(world.balance().await, (0, 0));
}

#[tokio::test]
async fn the_balance_is_returned_in_both_units_now_and_at_a_past_time() {
    let world = world_with(100_000).await;
    world.pass_seconds(60);
    world.charge("c", r#"{"operation":"support_message","await_outcome":true}"#).await;
    world.pass_seconds(60);
    let now = world.get("/v1/workspaces/acme/balance").await;
    let expected = String::from(r#"{"workspace":"acme","available":99500,"available_usd":"0.995","#)
        + r#""pending":500,"pending_usd":"0.005","debt":0,"debt_usd":"0.00","as_of":"2026-11-23T15:06:05.678Z"}"#;
    assert_eq!(now.text, expected);
    let at = async |at: &str| world.get(&format!("/v1/workspaces/acme/balance?at={at}")).await.json();
    let then = at("2026-11-23T15:04:30Z").await;
    assert_eq!((&then["available"], &then["pending"]), (&100_000.into(), &0.into()));
    assert_eq!(then["as_of"], "2026-11-23T15:04:30.000Z");
    let ahead = at("2030-01-01T00:00:00Z").await;
    assert_eq!((&ahead["available"], &ahead["as_of"]), (&99_500.into(), &"2026-11-23T15:06:05.678Z".into()));
}

#[tokio::test]
async fn the_journal_shows_actors_and_is_chained() {
    let world = world_with(100_000).await;
    let charge = world.charge("c-1", r#"{"operation":"support_message"}"#).await.id();
    let list = world.get("/v1/workspaces/acme/entries").await.json();
    let rows = list["data"].as_array().expect("a list has rows");
    let kinds: Vec<_> = rows.iter().map(|row| row["kind"].as_str().unwrap_or("")).collect();
    assert_eq!(kinds, ["charge.opened", "grant.created", "workspace.created"]);
    for pair in rows.windows(2) {
        assert_eq!(pair[0]["previous_hash"], pair[1]["hash"]);
    }
    assert_eq!(rows[2]["previous_hash"], "0".repeat(64));
    let newest = &rows[0];
    assert_eq!((&newest["number"], &newest["idempotency_key"]), (&3.into(), &"c-1".into()));
    assert_eq!((&newest["from"], &newest["to"]), (&"available".into(), &"consumed".into()));
    assert_eq!((&newest["amount"], &newest["amount_usd"]), (&500.into(), &"0.005".into()));
    assert_eq!((&newest["charge"], &newest["operation"]), (&charge.into(), &"support_message".into()));
    assert_eq!(newest["actor"], serde_json::json!({ "kind": "platform", "id": null }));
    assert_eq!(newest["balance"]["available"], 99_500);
    assert_eq!((&rows[2]["amount"], &rows[1]["reason"]), (&Value::Null, &"hello".into()));
}

#[tokio::test]
async fn a_quote_returns_the_price_and_moves_nothing() {
    let world = world_with(12_500).await;
    let path = "/v1/workspaces/acme/quote";
    let reply = world.post(path, "", r#"{"operation":"product_listing","quantity":3}"#).await;
    let expected = String::from(
        r#"{"amount":15000,"amount_usd":"0.15","affordable":false,"refusal":"insufficient_credits","#,
    ) + r#""affordable_quantity":2,"available":12500,"available_usd":"0.125"}"#;
    assert_eq!((reply.status, reply.text), (200, expected));
    let one = world.post(path, "", r#"{"operation":"product_listing"}"#).await.json();
    assert_eq!(one["affordable"], true);
    world.post(path, "", r#"{"operation":"none"}"#).await.problem(404, "operation_not_found");
    let problem = world.post(path, "", r#"{"operation":"product_listing","quantity":0}"#).await;
    assert_eq!(problem.problem(422, "invalid_field")["field"], "quantity");
    let unknown = world.post("/v1/workspaces/unknown/quote", "", r#"{"operation":"none"}"#).await;
    unknown.problem(404, "workspace_not_found");
    assert_eq!(world.balance().await, (12_500, 0));
}

#[tokio::test]
async fn a_key_that_reads_sees_the_grants_of_its_workspace() {
    let world = world_with(100_000).await;
    let key = world.make_key("acme", r#"{"name":"reader","scopes":["read"]}"#).await.1;
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    let list = world.ask("GET", "/v1/workspaces/acme/grants", &headers, Body::empty()).await;
    assert_eq!((list.status, &list.json()["data"][0]["remaining"]), (200, &100_000.into()), "{}", list.text);
    world.post("/v1/workspaces", "", r#"{"id":"other","name":"Other"}"#).await;
    let other = world.ask("GET", "/v1/workspaces/other/grants", &headers, Body::empty()).await;
    other.problem(404, "workspace_not_found");
}
