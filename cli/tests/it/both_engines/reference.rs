//! The reference policy (P1–P4, P6–P10, P14) with its five operations and prices, over HTTP.

use serde_json::json;

use super::{server, store};

/// The price list of P2: operation, price in micro-units, price in dollars.
const PRICES: [(&str, i64, &str); 5] = [
    ("virtual_try_on", 20_000, "0.20"),
    ("product_listing", 5_000, "0.05"),
    ("background_removal", 2_000, "0.02"),
    ("support_message", 500, "0.005"),
    ("smart_pricing", 1_000, "0.01"),
];

#[test]
fn p1_a_hundred_thousand_micro_units_are_one_dollar() {
    let Some(server) = server() else { return };
    server.workspace("acme", 0);
    let bought = json!({"source": "adjustment", "amount_usd": "12.34567", "reason": "bought in dollars"});
    let grant = server.post("/v1/workspaces/acme/grants", "g", bought).expect(201);
    assert_eq!((grant.int("/amount"), grant.json["amount_usd"].as_str()), (1_234_567, Some("12.34567")));
    let balance = server.get("/v1/workspaces/acme/balance").expect(200);
    assert_eq!(
        (balance.int("/available"), balance.json["available_usd"].as_str()),
        (1_234_567, Some("12.34567"))
    );
}

#[test]
fn p2_each_operation_has_its_price() {
    let Some(server) = server() else { return };
    let book = server.get("/v1/price-book").expect(200);
    let listed = book.json["operations"].as_array().expect("the answer has operations");
    assert_eq!(listed.len(), PRICES.len());
    server.workspace("acme", 1_000_000);
    let mut left = 1_000_000;
    for (operation, price, usd) in PRICES {
        let line = listed.iter().find(|line| line["id"] == operation).expect(operation);
        assert_eq!(line["unit_price"], price);
        let charge = server.charge("acme", operation, json!({"operation": operation})).expect(201);
        left -= price;
        assert_eq!((charge.int("/unit_price"), charge.int("/amount")), (price, price), "{operation}");
        assert_eq!(charge.json["amount_usd"], usd, "{operation}");
        assert_eq!(charge.int("/balance/available"), left, "{operation}");
    }
    assert_eq!(server.available("acme"), left);
}

#[test]
fn p2_smart_pricing_is_per_product_37_cost_37_000() {
    let Some(server) = server() else { return };
    server.workspace("acme", 40_000);
    let charge =
        server.charge("acme", "k", json!({"operation": "smart_pricing", "quantity": 37})).expect(201);
    assert_eq!((charge.int("/quantity"), charge.int("/amount")), (37, 37_000));
    assert_eq!(charge.json["amount_usd"], "0.37");
    assert_eq!(server.available("acme"), 3_000);
}

#[test]
fn p3_p8_the_price_is_deducted_before_the_operation_runs() {
    let Some(server) = server() else { return };
    server.workspace("acme", 20_000);
    let body = json!({"operation": "virtual_try_on", "await_outcome": true});
    let charge = server.charge("acme", "k", body).expect(201);
    assert_eq!(charge.json["status"], "pending");
    assert_eq!(charge.int("/balance/available"), 0, "the price is deducted before the operation runs");
    let balance = server.get("/v1/workspaces/acme/balance").expect(200);
    assert_eq!((balance.int("/available"), balance.int("/pending")), (0, 20_000));
    server.outcome("acme", &charge.id(), json!({"result": "succeeded"})).expect(200);
    let balance = server.get("/v1/workspaces/acme/balance").expect(200);
    assert_eq!((balance.int("/available"), balance.int("/pending")), (0, 0));
}

#[test]
fn p3_p8_a_charge_above_the_balance_is_refused_with_the_missing_amount() {
    let Some(store) = store() else { return };
    let mut command = store.command();
    command.env("TOLLKEEPER_ADD_CREDITS_URL", "https://app.example.com/{workspace}/billing");
    let server = store.server_with(command);
    server.workspace("acme", 2_500);
    let asked = json!({"operation": "smart_pricing", "quantity": 37});
    let refused = server.charge("acme", "k", asked.clone()).problem(402, "insufficient_credits");
    assert_eq!(
        (refused.int("/required"), refused.int("/available"), refused.int("/shortfall")),
        (37_000, 2_500, 34_500)
    );
    assert_eq!(refused.json["required_usd"], "0.37");
    assert_eq!(refused.json["available_usd"], "0.025");
    assert_eq!(refused.json["shortfall_usd"], "0.345");
    assert_eq!(refused.int("/affordable_quantity"), 2);
    assert_eq!(refused.json["retryable"], false);
    assert_eq!(refused.json["add_credits_url"], "https://app.example.com/acme/billing");
    assert_eq!(server.available("acme"), 2_500, "nothing moved");
    assert!(server.all("/v1/workspaces/acme/charges").is_empty());

    // A refusal does not use up its key: after a grant, the same request succeeds.
    server.grant("acme", "more", "adjustment", 34_500);
    server.charge("acme", "k", asked).expect(201);
    assert_eq!(server.available("acme"), 0, "the balance is 0 and not negative");
    server.charge("acme", "k2", json!({"operation": "support_message"})).problem(402, "insufficient_credits");
    assert_eq!(server.available("acme"), 0);
}

#[test]
fn p4_each_plan_says_what_it_brings_every_month() {
    let Some(store) = store() else { return };
    let mut server = store.start_server(store.command());
    let samples = server.get("/v1/plans").expect(200);
    let samples = samples.json["plans"].as_array().expect("the answer has plans");
    assert!(samples.len() == 3 && samples.iter().all(|plan| plan["sample"] == true), "{samples:?}");
    let plans = json!({"plans": [
        {"id": "yearly", "name": "Yearly", "price_usd": "490.00", "credits": 6_000_000, "interval": "year"},
        {"id": "monthly", "name": "Monthly", "price_usd": "49.00", "credits_usd": "60", "interval": "month"},
    ]});
    let set = server.send("PUT", "/v1/plans", plans).expect(200);
    assert_eq!(set.int("/version"), 1);
    for (index, id) in ["monthly", "yearly"].into_iter().enumerate() {
        let plan = &set.json["plans"][index];
        assert_eq!((&plan["id"], &plan["credits"]), (&json!(id), &json!(6_000_000)));
        assert_eq!((&plan["credits_usd"], &plan["sample"]), (&json!("60.00"), &json!(false)));
    }
    assert_eq!(server.stop().code(), Some(0));
    let server = store.start_server(store.command());
    assert_eq!(server.get("/v1/plans").expect(200).text, set.text, "plans hold after a restart");
    let refused = server.send("PUT", "/v1/plans", json!({"plans": [{"id": "a"}]}));
    refused.problem(422, "invalid_field");
}

#[test]
fn p6_p7_credit_of_old_grants_never_expires_and_has_no_cap() {
    let Some(server) = server() else { return };
    server.workspace("acme", 0);
    for month in 0..24 {
        server.grant("acme", &format!("month-{month}"), "promotional", 5_000);
    }
    assert_eq!(server.available("acme"), 24 * 5_000);
    let grants = server.all("/v1/workspaces/acme/grants");
    assert_eq!(grants.len(), 24);
    for grant in &grants {
        assert_eq!(grant["remaining"], 5_000);
        assert!(grant.get("expires_at").is_none(), "a grant never expires: {grant}");
    }
    // All of it can be spent.
    server.charge("acme", "k", json!({"operation": "smart_pricing", "quantity": 120})).expect(201);
    assert_eq!(server.available("acme"), 0);
}

#[test]
fn p9_a_system_failure_is_refunded_automatically_and_a_user_failure_is_not() {
    let Some(server) = server() else { return };
    server.workspace("acme", 100_000);
    let awaited = json!({"operation": "virtual_try_on", "await_outcome": true});
    let system = server.charge("acme", "s", awaited.clone()).expect(201).id();
    let user = server.charge("acme", "u", awaited).expect(201).id();
    assert_eq!(server.available("acme"), 60_000);

    let refunded =
        server.outcome("acme", &system, json!({"result": "failed", "fault": "system"})).expect(200);
    assert_eq!(refunded.json["status"], "refunded");
    assert_eq!(refunded.json["outcome"], "failed_system");
    assert_eq!(refunded.int("/refunded_amount"), 20_000);
    assert_eq!(server.available("acme"), 80_000);

    let kept = server.outcome("acme", &user, json!({"result": "failed", "fault": "user"})).expect(200);
    assert_eq!(
        (kept.json["status"].as_str(), kept.json["outcome"].as_str()),
        (Some("settled"), Some("failed_user"))
    );
    assert_eq!(kept.int("/refunded_amount"), 0);
    assert_eq!(server.available("acme"), 80_000);

    // The same outcome again changes nothing.
    server.outcome("acme", &system, json!({"result": "failed", "fault": "system"})).expect(200);
    assert_eq!(server.available("acme"), 80_000);
}

#[test]
fn p9_a_charge_that_awaits_no_outcome_is_refunded_by_a_late_system_failure() {
    let Some(server) = server() else { return };
    server.workspace("acme", 5_000);
    let charge = server.charge("acme", "k", json!({"operation": "product_listing"})).expect(201);
    assert_eq!(charge.json["status"], "settled");
    server.outcome("acme", &charge.id(), json!({"result": "failed", "fault": "system"})).expect(200);
    assert_eq!(server.available("acme"), 5_000);
}

#[test]
fn p10_the_balance_is_shown_in_both_units() {
    let Some(server) = server() else { return };
    server.workspace("acme", 20_500);
    let awaited = json!({"operation": "support_message", "await_outcome": true});
    server.charge("acme", "k", awaited).expect(201);
    let balance = server.get("/v1/workspaces/acme/balance").expect(200).json;
    assert_eq!(balance["workspace"], "acme");
    assert_eq!((&balance["available"], &balance["available_usd"]), (&json!(20_000), &json!("0.20")));
    assert_eq!((&balance["pending"], &balance["pending_usd"]), (&json!(500), &json!("0.005")));
    assert_eq!((&balance["debt"], &balance["debt_usd"]), (&json!(0), &json!("0.00")));
}

#[test]
fn p14_all_members_share_one_pool() {
    let Some(server) = server() else { return };
    server.workspace("acme", 40_000);
    let of = |member: &str| json!({"operation": "virtual_try_on", "member": member});
    let first = server.charge("acme", "a", of("ada")).expect(201);
    let second = server.charge("acme", "b", of("ben")).expect(201);
    assert_eq!((first.int("/balance/available"), second.int("/balance/available")), (20_000, 0));
    server.charge("acme", "c", of("ada")).problem(402, "insufficient_credits");
    let of_ada = server.all("/v1/workspaces/acme/charges?member=ada");
    assert_eq!(of_ada.len(), 1, "the charges of each member can be listed");
    // Another workspace has its own pool.
    server.workspace("other", 0);
    server.charge("other", "a", of("ada")).problem(402, "insufficient_credits");
}
