//! Charges: their members, outcomes, refunds, batches and quotes.

use serde_json::{Value, json};

use super::server;
use crate::harness::assert_members;

const CHARGE: &str = "id workspace operation quantity unit_price amount amount_usd status outcome \
    refunded_amount refunded_amount_usd price_version worker member reference metadata deadline created_at balance";

#[test]
fn a_charge_has_all_its_members() {
    let Some(server) = server() else { return };
    server.workspace("acme", 100_000);
    let body = json!({
        "operation": "smart_pricing", "quantity": 3, "worker": "pricer-1", "member": "ada",
        "await_outcome": true, "timeout_seconds": 600, "reference": "order 17", "metadata": {"sku": [1, 2]},
    });
    let charge = server.charge("acme", "k", body).expect(201);
    assert_members(&charge.json, CHARGE);
    assert!(charge.id().starts_with("ch_"));
    assert_members(&charge.json["balance"], "available available_usd");
    for (member, value) in [
        ("workspace", json!("acme")),
        ("operation", json!("smart_pricing")),
        ("quantity", json!(3)),
        ("unit_price", json!(1_000)),
        ("amount", json!(3_000)),
        ("amount_usd", json!("0.03")),
        ("status", json!("pending")),
        ("outcome", Value::Null),
        ("refunded_amount", json!(0)),
        ("refunded_amount_usd", json!("0.00")),
        ("price_version", json!(1)),
        ("worker", json!("pricer-1")),
        ("member", json!("ada")),
        ("reference", json!("order 17")),
        ("metadata", json!({"sku": [1, 2]})),
        ("balance", json!({"available": 97_000, "available_usd": "0.97"})),
    ] {
        assert_eq!(charge.json[member], value, "{member}");
    }
    assert!(charge.json["deadline"].as_str() > charge.json["created_at"].as_str());

    let shown = server.charge_now("acme", &charge.id());
    assert_members(&shown.json, &format!("{CHARGE} draws refunds"));
    let grant = server.all("/v1/workspaces/acme/grants")[0]["id"].clone();
    let draws = shown.json["draws"].as_array().expect("the answer has draws");
    assert_eq!((draws.len(), &draws[0]["grant"], &draws[0]["amount"]), (1, &grant, &json!(3_000)));
    assert_eq!(shown.json["refunds"], json!([]));
    // A charge is found only in its workspace.
    server.workspace("other", 0);
    server.get(&format!("/v1/workspaces/other/charges/{}", charge.id())).problem(404, "charge_not_found");
}

#[test]
fn a_smaller_quantity_refunds_the_difference() {
    let Some(server) = server() else { return };
    server.workspace("acme", 100_000);
    let awaited = json!({"operation": "smart_pricing", "quantity": 37, "await_outcome": true});
    let id = server.charge("acme", "k", awaited).expect(201).id();
    for more in [38, 0, -1] {
        let refused = server.outcome("acme", &id, json!({"result": "succeeded", "quantity": more}));
        assert_eq!(refused.problem(422, "invalid_field").json["field"], "quantity");
    }
    let settled = server.outcome("acme", &id, json!({"result": "succeeded", "quantity": 30})).expect(200);
    assert_eq!(
        (settled.json["status"].as_str(), settled.json["outcome"].as_str()),
        (Some("settled"), Some("succeeded"))
    );
    assert_eq!(settled.int("/refunded_amount"), 7_000);
    assert_eq!(server.available("acme"), 70_000);
    let shown = server.charge_now("acme", &id);
    let refunds = shown.json["refunds"].as_array().expect("the answer has refunds");
    assert_eq!(
        (refunds.len(), &refunds[0]["amount"], &refunds[0]["reason"]),
        (1, &json!(7_000), &json!("partly_used"))
    );
}

#[test]
fn the_same_outcome_again_changes_nothing_and_another_is_refused() {
    let Some(server) = server() else { return };
    server.workspace("acme", 100_000);
    let awaited = json!({"operation": "virtual_try_on", "await_outcome": true});
    let (settled, refunded) =
        (server.charge("acme", "1", awaited.clone()).id(), server.charge("acme", "2", awaited).id());
    let (succeeded, by_system) =
        (json!({"result": "succeeded"}), json!({"result": "failed", "fault": "system", "detail": "no GPU"}));
    let by_user = json!({"result": "failed", "fault": "user"});
    server.outcome("acme", &settled, succeeded.clone()).expect(200);
    server.outcome("acme", &settled, succeeded.clone()).expect(200);
    server.outcome("acme", &settled, by_user.clone()).problem(409, "charge_already_settled");
    server.outcome("acme", &refunded, by_system.clone()).expect(200);
    server.outcome("acme", &refunded, by_system).expect(200);
    server.outcome("acme", &refunded, succeeded).problem(409, "charge_already_refunded");
    server.outcome("acme", &refunded, by_user).problem(409, "charge_already_refunded");
    assert_eq!(server.available("acme"), 80_000);
    for wrong in [
        json!({"result": "lost"}),
        json!({"result": "failed"}),
        json!({"result": "failed", "fault": "mine"}),
        json!({}),
    ] {
        server.outcome("acme", &settled, wrong).problem(422, "invalid_field");
    }
    let unknown = server.outcome("acme", &settled, json!({"result": "succeeded", "why": "x"}));
    unknown.problem(400, "unknown_field");
}

#[test]
fn a_heartbeat_never_moves_the_deadline_earlier() {
    let Some(server) = server() else { return };
    server.workspace("acme", 100_000);
    let awaited = json!({"operation": "virtual_try_on", "await_outcome": true, "timeout_seconds": 600});
    let charge = server.charge("acme", "k", awaited).expect(201);
    let heartbeat = |seconds: i64| {
        let path = format!("/v1/workspaces/acme/charges/{}/heartbeat", charge.id());
        server.send("POST", &path, json!({"extend_seconds": seconds}))
    };
    let later = heartbeat(3_600).expect(200);
    assert!(later.json["deadline"].as_str() > charge.json["deadline"].as_str());
    assert_eq!(heartbeat(1).expect(200).json["deadline"], later.json["deadline"]);
    heartbeat(0).problem(422, "invalid_field");
    server.outcome("acme", &charge.id(), json!({"result": "succeeded"})).expect(200);
    heartbeat(60).problem(409, "charge_already_settled");
    assert_eq!(server.available("acme"), 80_000);
}

#[test]
fn the_platform_refunds_partly_then_wholly_and_never_more_than_the_charge() {
    let Some(server) = server() else { return };
    server.workspace("acme", 20_000);
    let id = server.charge("acme", "k", json!({"operation": "virtual_try_on"})).expect(201).id();
    let path = format!("/v1/workspaces/acme/charges/{id}/refund");
    let part = json!({"amount_usd": "0.05", "reason": "blurred"});
    let first = server.post(&path, "r1", part.clone()).expect(200);
    assert_eq!((first.int("/refunded_amount"), first.json["status"].as_str()), (5_000, Some("settled")));
    let again = server.post(&path, "r1", part).expect(200);
    assert!(again.replayed());
    assert_eq!(again.text, first.text);
    let more = server.post(&path, "r2", json!({"amount": 15_001, "reason": "x"}));
    assert_eq!(more.problem(409, "refund_exceeds_charge").int("/refundable"), 15_000);
    let rest = server.post(&path, "r3", json!({"reason": "all of it"})).expect(200);
    assert_eq!(
        (rest.json["status"].as_str(), rest.json["outcome"].as_str()),
        (Some("refunded"), Some("reversed"))
    );
    server.post(&path, "r4", json!({"reason": "again"})).problem(409, "charge_already_refunded");
    server.post(&path, "r5", json!({})).problem(422, "invalid_field");
    server.send("POST", &path, json!({"reason": "no key"})).problem(400, "idempotency_key_required");
    assert_eq!(server.available("acme"), 20_000);
}

#[test]
fn a_batch_answers_each_item_in_order_and_is_safe_to_repeat() {
    let Some(server) = server() else { return };
    server.workspace("acme", 25_000);
    server.workspace("other", 500);
    let batch = json!({"charges": [
        {"workspace": "acme", "idempotency_key": "1", "operation": "virtual_try_on"},
        {"workspace": "acme", "idempotency_key": "2", "operation": "virtual_try_on"},
        {"workspace": "acme", "idempotency_key": "3", "operation": "product_listing"},
        {"workspace": "nobody", "idempotency_key": "4", "operation": "product_listing"},
        {"workspace": "other", "idempotency_key": "5", "operation": "support_message"},
        {"workspace": "acme", "idempotency_key": "1", "operation": "virtual_try_on"},
    ]});
    let first = server.send("POST", "/v1/charges/batch", batch.clone()).expect(200);
    let results = first.json["results"].as_array().expect("the answer has results");
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_i64()).collect();
    assert_eq!(statuses, [201, 402, 201, 404, 201, 201].map(Some));
    assert_eq!(results[1]["problem"]["code"], "insufficient_credits");
    assert_eq!(results[1]["problem"]["shortfall"], 15_000);
    assert_eq!(results[3]["problem"]["code"], "workspace_not_found");
    assert_eq!(results[0]["charge"]["id"], results[5]["charge"]["id"], "the same key is the same charge");
    assert_members(&results[0]["charge"], CHARGE);
    assert_eq!((server.available("acme"), server.available("other")), (0, 0));

    let again = server.send("POST", "/v1/charges/batch", batch).expect(200);
    let ids = |reply: &crate::harness::Reply| -> Vec<Value> {
        let results = reply.json["results"].as_array().expect("the answer has results");
        results.iter().map(|result| result["charge"]["id"].clone()).collect()
    };
    assert_eq!(ids(&again), ids(&first));
    assert_eq!((server.available("acme"), server.available("other")), (0, 0));
}

#[test]
fn a_batch_has_1_to_1000_items() {
    let Some(server) = server() else { return };
    server.workspace("acme", 1_000_000);
    let item = |n: usize| json!({"workspace": "acme", "idempotency_key": n.to_string(), "operation": "support_message"});
    let of = |count: usize| json!({"charges": (0..count).map(item).collect::<Vec<_>>()});
    server.send("POST", "/v1/charges/batch", of(0)).problem(422, "invalid_field");
    server.send("POST", "/v1/charges/batch", of(1_001)).problem(422, "invalid_field");
    assert_eq!(server.available("acme"), 1_000_000);
    server.send("POST", "/v1/charges/batch", of(1_000)).expect(200);
    assert_eq!(server.available("acme"), 500_000);
    assert_eq!(server.all("/v1/workspaces/acme/charges").len(), 1_000);
}

#[test]
fn a_quote_changes_nothing() {
    let Some(server) = server() else { return };
    server.workspace("acme", 2_500);
    let quote = |body: Value| server.send("POST", "/v1/workspaces/acme/quote", body);
    let three = quote(json!({"operation": "smart_pricing", "quantity": 3})).expect(200);
    assert_members(
        &three.json,
        "amount amount_usd affordable refusal affordable_quantity available available_usd",
    );
    assert_eq!((three.int("/amount"), &three.json["affordable"]), (3_000, &json!(false)));
    assert_eq!((three.int("/affordable_quantity"), three.int("/available")), (2, 2_500));
    assert_eq!(quote(json!({"operation": "smart_pricing"})).expect(200).json["affordable"], true);
    quote(json!({"operation": "teleport"})).problem(404, "operation_not_found");
    quote(json!({"operation": "smart_pricing", "quantity": 0})).problem(422, "invalid_field");
    assert_eq!(server.available("acme"), 2_500);
}
