//! Charges over HTTP: prices (P2), deduction before the operation (P3, P8), repeated requests,
//! lists.

use super::*;

#[tokio::test]
async fn a_number_in_metadata_keeps_its_digits() {
    let world = world_with(100_000).await;
    for (place, numbers) in [
        ["12345678901234567890123", "12345678901234567890124"],
        ["0.1234567890123456789", "0.1234567890123456780"],
        ["-0", "0"],
        ["1E2", "100"],
        ["1e999", "1e998"],
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("k{place}");
        let body =
            |number: &str| format!(r#"{{"operation":"support_message","metadata":{{"order":{number}}}}}"#);
        let sent = format!(r#""metadata":{{"order":{}}}"#, numbers[0]);
        let first = world.charge(&key, &body(numbers[0])).await;
        assert!(first.status == 201 && first.text.contains(&sent), "{}", first.text);
        let again = world.charge(&key, &body(numbers[0])).await;
        assert_eq!((again.header("idempotent-replayed"), &again.text), (Some("true"), &first.text));
        let other = world.charge(&key, &body(numbers[1])).await.problem(422, "idempotency_key_reused");
        assert_eq!(other["field"], "metadata");
        let patch = format!(r#"{{"metadata":{{"order":{}}}}}"#, numbers[0]);
        let changed = world.put("PATCH", "/v1/workspaces/acme", "", &patch).await;
        assert!(changed.text.contains(&sent), "{}", changed.text);
        let entries = world.get("/v1/workspaces/acme/entries?limit=1").await;
        assert!(entries.text.contains(&sent), "{}", entries.text);
    }
}

#[tokio::test]
async fn the_five_operations_have_the_reference_prices() {
    let world = world_with(100_000).await;
    let mut available = 100_000;
    for (operation, quantity, amount, usd) in [
        ("virtual_try_on", 1, 20_000, "0.20"),
        ("product_listing", 1, 5_000, "0.05"),
        ("background_removal", 1, 2_000, "0.02"),
        ("support_message", 1, 500, "0.005"),
        ("smart_pricing", 37, 37_000, "0.37"),
    ] {
        let body = format!(r#"{{"operation":"{operation}","quantity":{quantity}}}"#);
        let reply = world.charge(operation, &body).await;
        let charge = reply.json();
        assert_eq!(reply.status, 201, "{}", reply.text);
        assert_eq!((&charge["amount"], &charge["amount_usd"]), (&amount.into(), &usd.into()));
        available -= amount;
        assert_eq!(charge["balance"]["available"], available);
    }
    assert_eq!(world.balance().await, (35_500, 0));
}

#[tokio::test]
async fn a_charge_has_all_fields() {
    let world = world_with(100_000).await;
    let body = r#"{"operation":"smart_pricing","quantity":3,"worker":"w-1","member":"ada@acme","timeout_seconds":60,
                   "reference":"run 17","metadata":{"b":2,"a":{"x":null}}}"#;
    let reply = world.charge("k", body).await;
    let id = reply.id();
    let expected = format!(
        r#"{{"id":"{id}","workspace":"acme","operation":"smart_pricing","quantity":3,"unit_price":1000,"#
    ) + r#""amount":3000,"amount_usd":"0.03","status":"pending","outcome":null,"#
        + r#""refunded_amount":0,"refunded_amount_usd":"0.00","price_version":1,"#
        + r#""worker":"w-1","member":"ada@acme","reference":"run 17","metadata":{"a":{"x":null},"b":2},"#
        + r#""deadline":"2026-11-23T15:05:05.678Z","created_at":"2026-11-23T15:04:05.678Z","#
        + r#""balance":{"available":97000,"available_usd":"0.97"}}"#;
    assert_eq!(reply.text, expected);
    assert!(id.starts_with("ch_"));

    let plain = world.charge("plain", r#"{"operation":"support_message","worker":null}"#).await;
    let id = plain.id();
    let expected = format!(
        r#"{{"id":"{id}","workspace":"acme","operation":"support_message","quantity":1,"unit_price":500,"#
    ) + r#""amount":500,"amount_usd":"0.005","status":"settled","outcome":null,"#
        + r#""refunded_amount":0,"refunded_amount_usd":"0.00","price_version":1,"#
        + r#""worker":null,"member":null,"reference":null,"metadata":null,"#
        + r#""deadline":null,"created_at":"2026-11-23T15:04:05.678Z","#
        + r#""balance":{"available":96500,"available_usd":"0.965"}}"#;
    assert_eq!(plain.text, expected);
    assert_eq!(world.balance().await, (96_500, 3_000));
}

#[tokio::test]
async fn a_charge_that_the_credit_does_not_cover_is_refused_with_the_shortfall() {
    let world = world_with(12_500).await;
    let reply = world.charge("k", r#"{"operation":"product_listing","quantity":3}"#).await;
    reply.problem(402, "insufficient_credits");
    let expected = String::from(r#"{"type":"urn:tollkeeper:problem:insufficient_credits","#)
        + r#""title":"Not enough credits","status":402,"#
        + r#""detail":"This costs 0.15 USD and 0.125 USD are available; 0.025 USD are missing. Nothing was deducted.","#
        + r#""code":"insufficient_credits","retryable":false,"#
        + r#""required":15000,"required_usd":"0.15","available":12500,"available_usd":"0.125","#
        + r#""shortfall":2500,"shortfall_usd":"0.025","affordable_quantity":2,"#
        + r#""add_credits_url":"https://shop.example/acme/credits"}"#;
    assert_eq!(reply.text, expected);
    assert_eq!(world.balance().await, (12_500, 0));
    world.grant("acme", "more", 2_500).await;
    let again = world.charge("k", r#"{"operation":"product_listing","quantity":3}"#).await;
    assert_eq!(again.status, 201, "a refusal does not use up its key");
    assert_eq!(world.balance().await, (0, 0));
}

#[tokio::test]
async fn a_replay_has_the_same_bytes_and_another_request_is_refused() {
    let world = world_with(100_000).await;
    let first = world.charge("k", r#"{"operation":"background_removal","metadata":{"a":1,"b":2}}"#).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, None));
    world.charge("other", r#"{"operation":"virtual_try_on"}"#).await;
    world.pass_seconds(3_600);
    let again = world.charge("k", r#"{"metadata":{"b":2,"a":1},"operation":"background_removal"}"#).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!(again.text, first.text);
    for (body, field) in [
        (r#"{"operation":"virtual_try_on","metadata":{"a":1,"b":2}}"#, "operation"),
        (r#"{"operation":"background_removal","quantity":2,"metadata":{"a":1,"b":2}}"#, "quantity"),
        (r#"{"operation":"background_removal","metadata":{"a":1}}"#, "metadata"),
        (
            r#"{"operation":"background_removal","timeout_seconds":9,"metadata":{"a":1,"b":2}}"#,
            "await_outcome",
        ),
    ] {
        let problem = world.charge("k", body).await.problem(422, "idempotency_key_reused");
        assert_eq!(problem["field"], field);
    }
    assert_eq!(world.balance().await, (78_000, 0));
}

#[tokio::test]
async fn other_refusals_of_a_charge_have_their_codes() {
    let world = world_with(100_000).await;
    world.charge("k", r#"{"operation":"teleport"}"#).await.problem(404, "operation_not_found");
    let elsewhere = world.post("/v1/workspaces/unknown/charges", "k", r#"{"operation":"teleport"}"#).await;
    elsewhere.problem(404, "workspace_not_found");
    let suspended = world.put("PATCH", "/v1/workspaces/acme", "", r#"{"suspended":true}"#).await;
    assert_eq!(suspended.json()["suspended"], true);
    let refused = world.charge("k", r#"{"operation":"support_message"}"#).await;
    refused.problem(403, "workspace_suspended");
    assert_eq!(world.balance().await, (100_000, 0));
}

#[tokio::test]
async fn a_charge_shows_its_draws_and_refunds() {
    let world = world_with(700).await;
    let gift = world.get("/v1/workspaces/acme/grants").await.json()["data"][0]["id"].clone();
    let body = r#"{"source":"adjustment","amount":10000,"reason":"more"}"#;
    let more = world.post("/v1/workspaces/acme/grants", "more", body).await.id();
    let id = world.charge("k", r#"{"operation":"background_removal"}"#).await.id();
    world.pass_seconds(1);
    let refund = format!("/v1/workspaces/acme/charges/{id}/refund");
    let refunded = world.post(&refund, "r", r#"{"amount":500,"reason":"blurred"}"#).await;
    assert_eq!(refunded.status, 200, "{}", refunded.text);
    let charge = world.get(&format!("/v1/workspaces/acme/charges/{id}")).await.json();
    assert_eq!(
        charge["draws"],
        serde_json::json!([
            { "grant": gift, "amount": 700, "amount_usd": "0.007" },
            { "grant": more, "amount": 800, "amount_usd": "0.008" },
        ]),
        "the draws less the refund"
    );
    assert_eq!(
        charge["refunds"],
        serde_json::json!([{ "amount": 500, "amount_usd": "0.005", "reason": "requested", "detail": "blurred",
                             "gives": [{ "grant": more, "amount": 500, "amount_usd": "0.005" }],
                             "created_at": "2026-11-23T15:04:06.678Z" }])
    );
    assert_eq!((&charge["status"], &charge["refunded_amount"]), (&"settled".into(), &500.into()));
    assert_eq!(charge["balance"]["available"], 9_200);
}

#[tokio::test]
async fn an_unknown_charge_differs_from_an_unknown_workspace() {
    let world = world().await;
    let unknown = "ch_01991234-5678-7abc-bfff-0123456789ab";
    for id in [unknown, "ch_1", "gr_01991234-5678-7abc-bfff-0123456789ab"] {
        let path = format!("/v1/workspaces/acme/charges/{id}");
        world.get(&path).await.problem(404, "charge_not_found");
        for (call, body) in [
            ("outcome", r#"{"result":"succeeded"}"#),
            ("heartbeat", r#"{"extend_seconds":5}"#),
            ("refund", r#"{"reason":"x"}"#),
        ] {
            world.post(&format!("{path}/{call}"), "k", body).await.problem(404, "charge_not_found");
        }
        let elsewhere = world.get(&format!("/v1/workspaces/unknown/charges/{id}")).await;
        elsewhere.problem(404, "workspace_not_found");
    }
}

#[tokio::test]
async fn charges_are_listed_newest_first_with_filters_and_pages() {
    let world = world_with(1_000_000).await;
    for n in 0..7 {
        let (operation, worker) =
            if n % 2 == 0 { ("support_message", "even") } else { ("smart_pricing", "odd") };
        let body = format!(r#"{{"operation":"{operation}","worker":"{worker}","reference":"r{n}"}}"#);
        assert_eq!(world.charge(&format!("k{n}"), &body).await.status, 201);
        world.pass_seconds(1);
    }
    let references = async |query: &str| {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/workspaces/acme/charges?limit=2{query}{cursor}");
            let page = world.get(&path).await.json();
            let rows = page["data"].as_array().expect("a list has rows");
            assert!(rows.len() <= 2 && rows.iter().all(|row| row.get("balance").is_none()));
            all.extend(rows.iter().filter_map(|row| row["reference"].as_str().map(str::to_owned)));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all.join(" "),
            }
        }
    };
    assert_eq!(references("").await, "r6 r5 r4 r3 r2 r1 r0");
    assert_eq!(references("&operation=smart_pricing").await, "r5 r3 r1");
    assert_eq!(references("&worker=even").await, "r6 r4 r2 r0");
    assert_eq!(references("&member=ada").await, "");
    assert_eq!(references("&reference=r3").await, "r3");
    assert_eq!(references("&status=settled&worker=odd").await, "r5 r3 r1");
    assert_eq!(references("&status=pending").await, "");
    let (from, to) = ("2026-11-23T15:04:07.678Z", "2026-11-23T16:04:09.678%2B01:00");
    assert_eq!(references(&format!("&from={from}&to={to}")).await, "r3 r2");
}

#[tokio::test]
async fn a_caller_in_this_process_gets_a_new_charge_as_it_is_and_else_the_response() {
    let world = world_with(1_000).await;
    let router = router(Arc::clone(&world.app));
    let request = |method: &str, path: &str, key: &str| {
        let request = Request::builder().method(method).uri(path).header("idempotency-key", key);
        let request = request.header("authorization", format!("Bearer {KEY}"));
        let request = request.header("content-type", "application/json");
        request.body(Body::from(r#"{"operation":"support_message"}"#)).expect("it is well-formed")
    };
    let charge =
        async |key| crate::charge(&router, request("POST", "/v1/workspaces/acme/charges", key)).await;
    let new = charge("once").await.expect("it is new");
    assert_eq!((new.workspace.as_str(), new.charge.details.amount.get()), ("acme", 500));
    assert_eq!(new.balance.available.get(), 500);
    let counted = concat!(
        r#"tollkeeper_http_requests_total{method="POST","#,
        r#"route="/v1/workspaces/{workspace}/charges",status="201"}"#,
    );
    assert_eq!(world.counted(counted).await, 1);
    let again = charge("once").await.expect_err("it was there already");
    assert_eq!(again.status().as_u16(), 201);
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    charge("twice").await.expect("the credit covers it");
    assert_eq!(charge("thrice").await.expect_err("no credit is left").status().as_u16(), 402);
    for (method, path) in [("GET", "/v1/workspaces/acme/charges"), ("POST", "/v1/workspaces/acme/grants")] {
        let other = crate::charge(&router, request(method, path, "other")).await;
        assert_eq!(other.expect_err("it opens no charge").status().as_u16(), 404, "{method} {path}");
    }
}
