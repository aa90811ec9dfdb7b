//! Reading bodies: every error has its code and its field, and moves nothing.

use super::*;

/// Sends a body to a route and expects an error: status, code, field.
async fn check(world: &World, path: &str, body: &str, expected: (u16, &str, &str)) {
    let key = if path == "/v1/workspaces" { "" } else { "k" };
    let reply = world.post(path, key, body).await;
    let (status, code, field) = expected;
    let problem = reply.problem(status, code);
    assert_eq!(problem["field"].as_str().unwrap_or(""), field, "{body}: {}", reply.text);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed() {
    let world = world_with(100_000).await;
    let deeper = format!("{{\"metadata\":{}}}", "{\"a\":".repeat(50_000));
    for body in [
        "",
        "{",
        "null x",
        "{\"operation\":}",
        "{\"operation\":\"support_message\"} {}",
        "{\"operation\":\"support_message\",}",
        "{'operation':1}",
        "{\"operation\":\"\\ud800\"}",
        "{\"operation\":\"a\nb\"}",
        "{\"quantity\":01}",
        "{\"quantity\":NaN}",
        "{\"price\":1,\"operation\":}",
        &deeper,
    ] {
        check(&world, "/v1/workspaces/acme/charges", body, (400, "malformed_json", "")).await;
    }
    let bearer = format!("Bearer {KEY}");
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", "k")];
    let invalid = b"{\"operation\":\"\xff\xfe\"}".to_vec();
    let reply = world.ask("POST", "/v1/workspaces/acme/charges", &headers, invalid).await;
    reply.problem(400, "malformed_json");
    let twice = r#"{"operation":"support_message","operation":"virtual_try_on"}"#;
    check(&world, "/v1/workspaces/acme/charges", twice, (400, "malformed_json", "operation")).await;
    let twice = r#"{"operation":"support_message","metadata":{"a":1,"a":2}}"#;
    check(&world, "/v1/workspaces/acme/charges", twice, (400, "malformed_json", "metadata.a")).await;
    assert_eq!(world.balance().await, (100_000, 0));
}

#[tokio::test]
async fn a_wrong_value_is_refused_by_field() {
    let world = world_with(100_000).await;
    for (rest, field) in [
        (r#""quantity":0"#, "quantity"),
        (r#""quantity":-1"#, "quantity"),
        (r#""quantity":1000001"#, "quantity"),
        (r#""quantity":1.5"#, "quantity"),
        (r#""quantity":1.0"#, "quantity"),
        (r#""quantity":1e2"#, "quantity"),
        (r#""quantity":1e999"#, "quantity"),
        (r#""quantity":"3""#, "quantity"),
        (r#""quantity":null"#, "quantity"),
        (r#""quantity":true"#, "quantity"),
        (r#""quantity":[1]"#, "quantity"),
        (r#""quantity":9223372036854775807"#, "quantity"),
        (r#""quantity":9223372036854775808"#, "quantity"),
        (r#""quantity":99999999999999999999999999"#, "quantity"),
        (r#""worker":5"#, "worker"),
        (r#""worker":"""#, "worker"),
        (r#""worker":"a b""#, "worker"),
        (r#""member":{}"#, "member"),
        (r#""await_outcome":"yes""#, "await_outcome"),
        (r#""timeout_seconds":0"#, "timeout_seconds"),
        (r#""timeout_seconds":604801"#, "timeout_seconds"),
        (r#""timeout_seconds":-1"#, "timeout_seconds"),
        (r#""timeout_seconds":4294967296"#, "timeout_seconds"),
        (r#""timeout_seconds":1.5"#, "timeout_seconds"),
        (r#""timeout_seconds":5,"await_outcome":false"#, "timeout_seconds"),
        (r#""reference":7"#, "reference"),
        (r#""reference":" ""#, "reference"),
        (r#""metadata":[]"#, "metadata"),
        (r#""metadata":"{}""#, "metadata"),
    ] {
        let body = format!(r#"{{"operation":"support_message",{rest}}}"#);
        check(&world, "/v1/workspaces/acme/charges", &body, (422, "invalid_field", field)).await;
    }
    for (body, field) in [
        ("{}", "operation"),
        (r#"{"operation":null}"#, "operation"),
        (r#"{"operation":""}"#, "operation"),
        (r#"{"operation":["support_message"]}"#, "operation"),
        (r#"["support_message"]"#, "body"),
        (r#""support_message""#, "body"),
        ("null", "body"),
        ("1", "body"),
    ] {
        check(&world, "/v1/workspaces/acme/charges", body, (422, "invalid_field", field)).await;
    }
    let long = format!(r#"{{"operation":"support_message","reference":"{}"}}"#, "x".repeat(256));
    check(&world, "/v1/workspaces/acme/charges", &long, (422, "invalid_field", "reference")).await;
    for metadata in [
        format!(r#"{{"a":"{}"}}"#, "x".repeat(4_096)),
        format!(r#"{{"a":{}1{}}}"#, "[".repeat(200), "]".repeat(200)),
        format!("{{\"a\":[{}0]}}", "[[]],".repeat(180_000)),
    ] {
        let large = format!(r#"{{"operation":"support_message","metadata":{metadata}}}"#);
        check(&world, "/v1/workspaces/acme/charges", &large, (422, "invalid_field", "metadata")).await;
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    check(&world, "/v1/workspaces/acme/charges", &deep, (422, "invalid_field", "body")).await;
    assert_eq!(world.balance().await, (100_000, 0));
}

#[tokio::test]
async fn an_unknown_field_is_named() {
    let world = world().await;
    for (path, body, field) in [
        ("/v1/workspaces/acme/charges", r#"{"operation":"x","price":1}"#, "price"),
        ("/v1/workspaces/acme/charges", r#"{"Operation":"x"}"#, "Operation"),
        ("/v1/workspaces", r#"{"name":"x","credit":1}"#, "credit"),
        ("/v1/workspaces/acme/quote", r#"{"operation":"x","worker":"w"}"#, "worker"),
        ("/v1/workspaces/acme/grants", r#"{"expires_at":null}"#, "expires_at"),
        ("/v1/charges/batch", r#"{"charges":[],"atomic":true}"#, "atomic"),
    ] {
        check(&world, path, body, (400, "unknown_field", field)).await;
    }
    let body = r#"{"operations":[{"id":"x","unit_price":1,"cost":2}]}"#;
    let problem = world.put("PUT", "/v1/price-book", "", body).await.problem(400, "unknown_field");
    assert_eq!(problem["field"], "operations[0].cost");
    for body in [
        format!(r#"{{"name":"x","{}":1}}"#, "n".repeat(1_000_000)),
        format!(r#"{{"name":{{"{}":1}}}}"#, "n".repeat(1_000_000)),
        format!(r#"{{"name":"x","metadata":"{}"}}"#, "n".repeat(1_000_000)),
    ] {
        let reply = world.post("/v1/workspaces", "", &body).await;
        assert!(reply.text.len() < 1_500, "an error must not repeat the body: {}", reply.text.len());
    }
}

#[tokio::test]
async fn amounts_are_integers_or_exact_dollars_and_never_both() {
    let world = world().await;
    let path = "/v1/workspaces/acme/grants";
    for (given, field) in [
        (r#""amount":1.5"#, "amount"),
        (r#""amount":"5""#, "amount"),
        (r#""amount":null"#, "amount"),
        (r#""amount":0"#, "amount"),
        (r#""amount":-5"#, "amount"),
        (r#""amount":9007199254740992"#, "amount"),
        (r#""amount":9223372036854775807"#, "amount"),
        (r#""amount":9223372036854775808"#, "amount"),
        (r#""amount_usd":1"#, "amount_usd"),
        (r#""amount_usd":1.5"#, "amount_usd"),
        (r#""amount_usd":null"#, "amount_usd"),
        (r#""amount_usd":"-1""#, "amount_usd"),
        (r#""amount_usd":"1e3""#, "amount_usd"),
        (r#""amount_usd":"0.000001""#, "amount_usd"),
        (r#""amount_usd":"99999999999999999999""#, "amount_usd"),
        (r#""amount":100,"amount_usd":"0.001""#, "amount_usd"),
        (r#""x":1"#, "x"),
    ] {
        let body = format!(r#"{{"source":"adjustment","reason":"r",{given}}}"#);
        let expected = if field == "x" { (400, "unknown_field") } else { (422, "invalid_field") };
        check(&world, path, &body, (expected.0, expected.1, field)).await;
    }
    check(&world, path, r#"{"source":"adjustment","reason":"r"}"#, (422, "invalid_field", "amount")).await;
    for source in ["top_up", "subscription", "gift", ""] {
        let body = format!(r#"{{"source":"{source}","reason":"r","amount":1}}"#);
        check(&world, path, &body, (422, "invalid_field", "source")).await;
    }
    check(&world, path, r#"{"source":"adjustment","amount":1}"#, (422, "invalid_field", "reason")).await;
    assert_eq!(world.balance().await, (0, 0));
    let body = r#"{"source":"adjustment","amount_usd":"12.34567","reason":"r"}"#;
    let reply = world.post(path, "usd", body).await;
    assert_eq!((reply.status, &reply.json()["amount"]), (201, &1_234_567.into()), "{}", reply.text);
}
