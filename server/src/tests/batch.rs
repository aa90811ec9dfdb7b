//! Batches over HTTP: each item is decided alone, in order, with the result of a single request.

use std::time::Duration;

use super::*;

async fn batch(world: &World, items: &str) -> Reply {
    world.post("/v1/charges/batch", "", &format!(r#"{{"charges":[{items}]}}"#)).await
}

#[tokio::test]
async fn every_item_is_decided_alone_and_in_order() {
    let world = world_with(1_200).await;
    let items = [
        r#"{"workspace":"acme","idempotency_key":"a","operation":"support_message"}"#,
        r#"{"workspace":"acme","idempotency_key":"b","operation":"smart_pricing"}"#,
        r#"{"workspace":"unknown","idempotency_key":"c","operation":"support_message"}"#,
    ]
    .join(",");
    let reply = batch(&world, &items).await;
    let id = reply.json()["results"][0]["charge"]["id"].as_str().unwrap_or_default().to_owned();
    let expected = String::from(r#"{"results":[{"status":201,"charge":{"#)
        + &format!(r#""id":"{id}","workspace":"acme","operation":"support_message","quantity":1,"#)
        + r#""unit_price":500,"amount":500,"amount_usd":"0.005","status":"settled","outcome":null,"#
        + r#""refunded_amount":0,"refunded_amount_usd":"0.00","price_version":1,"#
        + r#""worker":null,"member":null,"reference":null,"metadata":null,"#
        + r#""deadline":null,"created_at":"2026-11-23T15:04:05.678Z","#
        + r#""balance":{"available":700,"available_usd":"0.007"}}},"#
        + r#"{"status":402,"problem":{"type":"urn:tollkeeper:problem:insufficient_credits","#
        + r#""title":"Not enough credits","status":402,"#
        + r#""detail":"This costs 0.01 USD and 0.007 USD are available; 0.003 USD are missing. Nothing was deducted.","#
        + r#""code":"insufficient_credits","retryable":false,"#
        + r#""required":1000,"required_usd":"0.01","available":700,"available_usd":"0.007","#
        + r#""shortfall":300,"shortfall_usd":"0.003","affordable_quantity":0,"#
        + r#""add_credits_url":"https://shop.example/acme/credits"}},"#
        + r#"{"status":404,"problem":{"type":"urn:tollkeeper:problem:workspace_not_found","#
        + r#""title":"No such workspace","status":404,"detail":"There is no workspace `unknown`.","#
        + r#""code":"workspace_not_found","retryable":false}}]}"#;
    assert_eq!((reply.status, reply.text), (200, expected));

    let again = batch(&world, &items).await.json();
    assert_eq!(again["results"][0]["charge"]["id"], id.as_str());
    assert_eq!(again["results"][0]["replayed"], true);
    assert_eq!(again["results"][1]["status"], 402);
    assert_eq!(world.balance().await, (700, 0));
}

/// Malformed items, each with the status, code and field of its problem.
const MALFORMED: &[(&str, i64, &str, &str)] = &[
    (r#"{"workspace":"acme","operation":"support_message"}"#, 400, "idempotency_key_required", ""),
    (r#"{"workspace":"acme","idempotency_key":"","operation":"x"}"#, 422, "invalid_field", "idempotency_key"),
    (r#"{"workspace":"a b","idempotency_key":"x","operation":"x"}"#, 422, "invalid_field", "workspace"),
    (r#"{"idempotency_key":"x","operation":"x"}"#, 422, "invalid_field", "workspace"),
    (
        r#"{"workspace":"acme","idempotency_key":"x","operation":"x","quantity":1.5}"#,
        422,
        "invalid_field",
        "quantity",
    ),
    (
        r#"{"workspace":"acme","idempotency_key":"x","operation":"x","quantity":0}"#,
        404,
        "operation_not_found",
        "",
    ),
    (
        r#"{"workspace":"acme","idempotency_key":"x","operation":"support_message","quantity":0}"#,
        422,
        "invalid_field",
        "quantity",
    ),
    (
        r#"{"workspace":"acme","idempotency_key":"x","operation":"x","await_outcome":false,"timeout_seconds":1}"#,
        422,
        "invalid_field",
        "timeout_seconds",
    ),
    (
        r#"{"workspace":"acme","idempotency_key":"x","operation":"x","price":1}"#,
        400,
        "unknown_field",
        "price",
    ),
    ("7", 422, "invalid_field", "body"),
    (r#"["acme","x","support_message"]"#, 422, "invalid_field", "body"),
];

#[tokio::test]
async fn a_malformed_item_fails_alone() {
    let world = world_with(10_000).await;
    let good = |key: &str| {
        format!(r#"{{"workspace":"acme","idempotency_key":"{key}","operation":"support_message"}}"#)
    };
    for &(wrong, status, code, field) in MALFORMED {
        let before = world.balance().await.0;
        let (one, two) =
            (good(&format!("1{wrong}").replace('"', "'")), good(&format!("2{wrong}").replace('"', "'")));
        let reply = batch(&world, &format!("{one},{wrong},{two}")).await;
        let json = reply.json();
        let results = json["results"].as_array().expect("a batch has results");
        let statuses: Vec<_> = results.iter().map(|result| result["status"].as_i64().unwrap_or(0)).collect();
        assert_eq!(statuses, [201, status, 201], "{wrong}: {}", reply.text);
        let problem = &results[1]["problem"];
        assert_eq!((problem["code"].as_str(), problem["field"].as_str().unwrap_or("")), (Some(code), field));
        assert_eq!(world.balance().await.0, before - 1_000);
        world.grant("acme", wrong, 1_000).await;
    }
}

#[tokio::test]
async fn a_malformed_envelope_fails_whole() {
    let world = world_with(10_000).await;
    let path = "/v1/charges/batch";
    for (body, status, code) in [
        ("{}", 422, "invalid_field"),
        (r#"{"charges":[]}"#, 422, "invalid_field"),
        (r#"{"charges":{}}"#, 422, "invalid_field"),
        (r#"{"charges":null}"#, 422, "invalid_field"),
        (r#"[]"#, 422, "invalid_field"),
        (r#"{"charges":["#, 400, "malformed_json"),
        (r#"{"charges":[{"workspace":]}"#, 400, "malformed_json"),
        (r#"{"charges":[],"charges":[]}"#, 400, "malformed_json"),
    ] {
        world.post(path, "", body).await.problem(status, code);
    }
    let item = |n: usize| format!(r#"{{"workspace":"acme","idempotency_key":"{n}","operation":"none"}}"#);
    let many = |count: usize| (0..count).map(item).collect::<Vec<_>>().join(",");
    let problem = batch(&world, &many(1_001)).await.problem(422, "invalid_field");
    assert_eq!(problem["field"], "charges");
    // Reading ends at item 1,001: neither the items nor what follows them change that.
    for items in
        [format!("{},", many(1_000)) + "{]", vec!["{}"; 300_000].join(","), vec!["1"; 500_000].join(",")]
    {
        let reply = batch(&world, &items).await;
        assert!(matches!(reply.status, 400 | 422) && reply.text.len() < 500, "{}", reply.text);
    }
    let all = batch(&world, &many(1_000)).await.json();
    assert_eq!(all["results"].as_array().map(Vec::len), Some(1_000));
    assert!(all["results"].as_array().is_some_and(|all| all.iter().all(|one| one["status"] == 404)));
}

#[tokio::test]
async fn a_large_body_waits_for_the_share_of_its_tenant_and_a_small_one_does_not() {
    let world = world_with(1_000_000).await;
    let tenant = crate::access::large::Tenant::Platform;
    let item = |key: &str| {
        format!(r#"{{"workspace":"acme","idempotency_key":"{key}","operation":"support_message"}}"#)
    };
    let bearer = format!("Bearer {KEY}");
    for declares in [true, false] {
        let items: Vec<String> = (0..400).map(|n| item(&format!("{declares}-{n}"))).collect();
        let body = format!(r#"{{"charges":[{}]}}"#, items.join(","));
        let length = body.len().to_string();
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        if declares {
            headers.push(("content-length", &length));
        }
        let taken = world.app.large_bodies.share(&tenant, 16 << 20).await.expect("no other body is there");
        let mut large = Box::pin(world.ask("POST", "/v1/charges/batch", &headers, body));
        let waits = tokio::time::timeout(Duration::from_millis(200), &mut large).await.is_err();
        assert!(waits, "the bytes of its tenant are under way, declares {declares}");
        assert_eq!(batch(&world, &item(&format!("{declares}-small"))).await.status, 200);
        drop(taken);
        let reply = large.await;
        assert_eq!((reply.status, reply.json()["results"][399]["status"].as_i64()), (200, Some(201)));
    }
    assert_eq!(world.balance().await, (1_000_000 - 2 * 401 * 500, 0));
}
