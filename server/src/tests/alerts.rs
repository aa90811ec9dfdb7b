//! Low-balance thresholds: setting and reading them, the entries that they cause, and the notices
//! that follow refused charges.

use super::*;
use crate::jobs::alert_checks::AlertChecks;
use crate::jobs::polling::Polling;

const PATH: &str = "/v1/workspaces/acme/alerts";

/// The answer without thresholds, members and recipients.
const NO_ALERTS: &str = r#"{"thresholds":[],"cooldown_hours":24,"recipients":"admins","emails":[]}"#;

/// 500 micro-units.
const MESSAGE: &str = r#"{"operation":"support_message"}"#;

/// How often an entry is looked for that a task writes.
const LOOKS: usize = 2_000;

impl World {
    /// The entries of a kind, oldest first.
    async fn of_kind(&self, kind: &str) -> Vec<Value> {
        let entries = self.get("/v1/workspaces/acme/entries?limit=200").await.json();
        let entries = entries["data"].as_array().expect("a list").iter().rev();
        entries.filter(|entry| entry["kind"] == kind).cloned().collect()
    }

    /// The details of the entries of a kind, once there are `count`.
    async fn details_of(&self, kind: &str, count: usize) -> Vec<Value> {
        for _ in 0..LOOKS {
            let found = self.of_kind(kind).await;
            if found.len() == count {
                return found.iter().map(|entry| entry["details"].clone()).collect();
            }
            assert!(found.len() < count, "{found:?}");
        }
        panic!("there are no {count} entries {kind}");
    }

    async fn set_alerts(&self, thresholds: &str) -> Reply {
        self.put("PUT", PATH, "", &format!(r#"{{"thresholds":[{thresholds}]}}"#)).await
    }
}

#[tokio::test]
async fn thresholds_are_set_and_read() {
    let world = world_with(100_000).await;
    assert_eq!(world.get(PATH).await.text, NO_ALERTS);
    let set = r#"{"thresholds":[{"runway_days":30},{"amount_usd":"0.50"},{"runway_days":7},{"amount":20000},
        {"amount_usd":"0.20"}],"cooldown_hours":1}"#;
    let expected = r#"{"thresholds":[{"amount":20000,"amount_usd":"0.20","runway_days":null,"state":"armed","fired_at":null},{"amount":50000,"amount_usd":"0.50","runway_days":null,"state":"armed","fired_at":null},{"amount":null,"amount_usd":null,"runway_days":7,"state":"armed","fired_at":null},{"amount":null,"amount_usd":null,"runway_days":30,"state":"armed","fired_at":null}],"cooldown_hours":1,"recipients":"admins","emails":[]}"#;
    let reply = world.put("PUT", PATH, "", set).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, expected));
    assert_eq!(world.get(PATH).await.text, expected);
    let entry = &world.of_kind("alerts.set").await[0];
    let details = serde_json::json!({
        "thresholds": [20_000, 50_000], "runway_days": [7, 30], "cooldown_seconds": 3_600
    });
    assert_eq!(entry["details"], details);
    assert_eq!(world.set_alerts("").await.text, NO_ALERTS);
}

#[tokio::test]
async fn a_wrong_threshold_is_refused_by_its_place() {
    let world = world().await;
    for (threshold, field) in [
        ("{}", "thresholds[0].amount"),
        (r#"{"amount":1,"amount_usd":"1"}"#, "thresholds[0].amount_usd"),
        (r#"{"amount":5,"runway_days":7}"#, "thresholds[0].runway_days"),
        (r#"{"amount":1},{"amount":0}"#, "thresholds[1].amount"),
        (r#"{"amount_usd":"0"}"#, "thresholds[0].amount_usd"),
        (r#"{"runway_days":0}"#, "thresholds[0].runway_days"),
        (r#"{"runway_days":366}"#, "thresholds[0].runway_days"),
    ] {
        let problem = world.set_alerts(threshold).await.problem(422, "invalid_field");
        assert_eq!(problem["field"], field, "{threshold}");
    }
    let eleven = [r#"{"amount":1}"#; 11].join(",");
    assert_eq!(world.set_alerts(&eleven).await.problem(422, "invalid_field")["field"], "thresholds");
    for hours in [-1, 8_785] {
        let body = format!(r#"{{"thresholds":[],"cooldown_hours":{hours}}}"#);
        let problem = world.put("PUT", PATH, "", &body).await.problem(422, "invalid_field");
        assert_eq!(problem["field"], "cooldown_hours");
    }
    world.set_alerts(r#"{"amount":1,"email":"ada@example.com"}"#).await.problem(400, "unknown_field");
    world.get("/v1/workspaces/nobody/alerts").await.problem(404, "workspace_not_found");
    let missing = world.put("PUT", "/v1/workspaces/nobody/alerts", "", r#"{"thresholds":[]}"#).await;
    missing.problem(404, "workspace_not_found");
}

#[tokio::test]
async fn a_charge_that_crosses_a_threshold_writes_what_a_message_needs() {
    let world = world_with(2_000).await;
    world.set_alerts(r#"{"amount":1500},{"runway_days":7}"#).await;
    world.charge("one", MESSAGE).await;
    assert_eq!(world.of_kind("balance.low").await.len(), 0);
    world.charge("two", MESSAGE).await;
    let low = world.of_kind("balance.low").await;
    let details = serde_json::json!({ "threshold": 1_500, "threshold_usd": "0.015", "runway_days": null });
    assert_eq!((low.len(), &low[0]["details"]), (1, &details));
    assert_eq!((&low[0]["balance"]["available"], &low[0]["amount"]), (&1_000.into(), &Value::Null));
    let first = world.get(PATH).await.json()["thresholds"][0].clone();
    assert_eq!((&first["state"], &first["fired_at"]), (&"low".into(), &"2026-11-23T15:04:05.678Z".into()));
    world.grant("acme", "more", 500).await;
    let recovered = world.of_kind("balance.recovered").await;
    assert_eq!((recovered.len(), &recovered[0]["details"]), (1, &details));
    assert_eq!(world.get(PATH).await.json()["thresholds"][0]["state"], "armed");
}

#[tokio::test]
async fn a_flood_of_refusals_is_one_entry_and_the_next_one_carries_the_count() {
    let world = world_with(100).await;
    for attempt in 0..100 {
        world.charge(&format!("a{attempt}"), MESSAGE).await.problem(402, "insufficient_credits");
    }
    let noted = world.details_of("balance.refused", 1).await;
    assert_eq!(
        noted[0],
        serde_json::json!({
            "required": 500, "required_usd": "0.005", "available": 100, "available_usd": "0.001",
            "shortfall": 400, "shortfall_usd": "0.004", "refusals": 1,
        })
    );
    let entry = &world.of_kind("balance.refused").await[0];
    assert_eq!((&entry["operation"], &entry["actor"]["kind"]), (&"support_message".into(), &"system".into()));
    // Within the cooldown, a command that the ledger answers with nothing keeps the count.
    world.pass_seconds(3_600);
    world.charge("b", MESSAGE).await.problem(402, "insufficient_credits");
    world.pass_seconds(24 * 3_600);
    world.charge("c", MESSAGE).await.problem(402, "insufficient_credits");
    assert_eq!(world.details_of("balance.refused", 2).await[1]["refusals"], 101);
}

#[tokio::test]
async fn the_refused_items_of_a_batch_are_noted_together() {
    let world = world_with(700).await;
    let item = |key: usize| {
        format!(r#"{{"workspace":"acme","idempotency_key":"k{key}","operation":"support_message"}}"#)
    };
    let items: Vec<String> = (0..8).map(item).collect();
    let batch = format!(r#"{{"charges":[{}]}}"#, items.join(","));
    assert_eq!(world.post("/v1/charges/batch", "", &batch).await.status, 200);
    let noted = world.details_of("balance.refused", 1).await;
    assert_eq!((&noted[0]["refusals"], &noted[0]["shortfall"]), (&7.into(), &300.into()));
}

#[tokio::test]
async fn a_limit_that_refuses_is_noted_once_a_period() {
    let world = world_with(100_000).await;
    let limits = r#"{"limits":[{"subject":"workspace","period":"day","amount":400}]}"#;
    world.put("PUT", "/v1/workspaces/acme/limits", "", limits).await;
    for attempt in 0..5 {
        world.charge(&format!("a{attempt}"), MESSAGE).await.problem(402, "limit_exceeded");
        world.pass_seconds(61);
    }
    let reached = world.details_of("limit.reached", 1).await;
    assert_eq!(
        reached[0],
        serde_json::json!({
            "subject": "workspace", "id": null, "period": "day", "limit": 400, "limit_usd": "0.004",
            "resets_at": "2026-11-24T00:00:00.000Z",
        })
    );
    world.pass_seconds(24 * 3_600);
    world.charge("next", MESSAGE).await.problem(402, "limit_exceeded");
    let reached = world.details_of("limit.reached", 2).await;
    assert_eq!(reached[1]["resets_at"], "2026-11-25T00:00:00.000Z");
    assert_eq!(world.of_kind("balance.refused").await.len(), 0);
}

#[tokio::test]
async fn days_of_runway_are_compared_with_the_forecast_each_hour() {
    let world = world_with(30_000).await;
    world.set_alerts(r#"{"runway_days":7}"#).await;
    let mut job = AlertChecks::without_rests();
    job.poll(&world.app).await;
    assert_eq!(world.of_kind("balance.low").await.len(), 0, "nothing was used yet");
    for day in 0..2 {
        let day_of_use = r#"{"operation":"product_listing"}"#;
        assert_eq!(world.charge(&format!("day-{day}"), day_of_use).await.status, 201);
        world.pass_seconds(24 * 3_600);
    }
    // Seven days need 35,000, and 20,000 are left.
    job.poll(&world.app).await;
    job.poll(&world.app).await;
    world.pass_seconds(3_600);
    job.poll(&world.app).await;
    let low = world.of_kind("balance.low").await;
    assert_eq!(low.len(), 1, "one alert for one fall");
    let details = serde_json::json!({ "threshold": 35_000, "threshold_usd": "0.35", "runway_days": 7 });
    assert_eq!((&low[0]["details"], &low[0]["actor"]["kind"]), (&details, &"system".into()));
    world.grant("acme", "more", 20_000).await;
    assert_eq!(world.of_kind("balance.recovered").await.len(), 1);
}

#[tokio::test]
async fn a_fall_that_a_cooldown_silenced_is_found_by_the_check() {
    let world = world_with(2_000).await;
    world.set_alerts(r#"{"amount":1500}"#).await;
    world.charge("one", r#"{"operation":"smart_pricing"}"#).await;
    world.grant("acme", "more", 1_000).await;
    world.charge("two", r#"{"operation":"smart_pricing"}"#).await;
    assert_eq!(world.of_kind("balance.low").await.len(), 1, "the second fall is within the cooldown");
    let mut job = AlertChecks::without_rests();
    job.poll(&world.app).await;
    assert_eq!(world.of_kind("balance.low").await.len(), 1);
    world.pass_seconds(24 * 3_600);
    job.poll(&world.app).await;
    assert_eq!(world.of_kind("balance.low").await.len(), 2);
}
