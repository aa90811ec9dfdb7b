//! The clock of the server: timers that are held until an operator confirms it.

use super::*;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::polling::Polling;
use crate::jobs::time_outs::TimeOuts;

const CHARGE: &str = r#"{"operation":"support_message","timeout_seconds":60,"await_outcome":true}"#;

/// The same store, opened by a server whose clock has moved by some days.
async fn restarted_after(world: World, days: i64) -> World {
    let World { app, clock, _dir } = world;
    app.engine().close().await.expect("the engine closes");
    drop(app);
    clock.fetch_add(days * 86_400_000, Ordering::Relaxed);
    World { app: open(_dir.path(), &settings(), &clock).into(), clock, _dir }
}

#[tokio::test]
async fn a_start_far_from_the_newest_entry_holds_the_timers_until_the_clock_is_confirmed() {
    for days in [500, -1] {
        let world = world_with(10_000).await;
        assert_eq!(world.charge("open", CHARGE).await.status, 201);
        let world = restarted_after(world, days).await;
        world.pass_seconds(86_400 + 61);
        TimeOuts::default().poll(&world.app).await;
        assert_eq!(world.balance().await, (9_500, 500), "no charge is timed out");
        let ready = world.get("/readyz").await;
        assert_eq!((ready.status, ready.text.as_str()), (200, r#"{"status":"ok","timers":"held"}"#));
        assert!(world.get("/metrics").await.text.contains("\ntollkeeper_timers_held 1\n"));
        assert_eq!(world.charge("more", r#"{"operation":"support_message"}"#).await.status, 201);

        let confirmed = world.post("/v1/clock/confirm", "", "{}").await;
        assert_eq!((confirmed.status, &confirmed.json()["was_held"]), (200, &Value::Bool(true)));
        TimeOuts::default().poll(&world.app).await;
        assert_eq!(world.balance().await, (9_500, 0), "the open charge is refunded");
        assert_eq!(world.get("/readyz").await.text, r#"{"status":"ok"}"#);
        assert!(world.get("/metrics").await.text.contains("\ntollkeeper_timers_held 0\n"));
        let again = world.post("/v1/clock/confirm", "", "{}").await;
        assert_eq!(again.json()["was_held"], Value::Bool(false));
    }
}

#[tokio::test]
async fn held_timers_hold_the_work_of_payments() {
    let world = world_with(10_000).await;
    let path = "/v1/workspaces/acme/top-ups";
    let path = format!("{path}/{}", world.post(path, "one", r#"{"amount_usd":"25.00"}"#).await.id());
    let world = restarted_after(world, 500).await;
    DuePayments::default().poll(&world.app).await;
    assert_eq!(world.get(&path).await.json()["status"], "pending");
    assert_eq!(world.post("/v1/clock/confirm", "", "{}").await.status, 200);
    DuePayments::default().poll(&world.app).await;
    assert_eq!(world.get(&path).await.json()["status"], "expired");
}

#[tokio::test]
async fn a_clock_that_is_ahead_ends_no_month() {
    let world = restarted_after(world_with(10_000).await, 500).await;
    let month = "/v1/report?month=2026-11";
    assert_eq!(world.get(month).await.json()["is_final"], false);
    assert_eq!(world.post("/v1/clock/confirm", "", "{}").await.status, 200);
    assert_eq!(world.get(month).await.json()["is_final"], true);
}

#[tokio::test]
async fn months_of_sleep_hold_nothing() {
    let world = world_with(10_000).await;
    assert_eq!(world.charge("open", CHARGE).await.status, 201);
    let world = restarted_after(world, 90).await;
    TimeOuts::default().poll(&world.app).await;
    assert_eq!(world.balance().await, (10_000, 0));
}

#[tokio::test]
async fn an_entry_made_while_a_clock_was_ahead_is_counted_and_shown() {
    let world = world_with(10_000).await;
    world.pass_seconds(366 * 86_400);
    world.charge("ahead", r#"{"operation":"support_message"}"#).await;
    world.pass_seconds(-366 * 86_400);
    let charge = world.charge("present", CHARGE).await.json();
    assert_eq!(charge["deadline"], "2026-11-23T15:05:05.678Z");
    let newest = &world.get("/v1/workspaces/acme/entries?limit=1").await.json()["data"][0];
    assert_eq!(newest["created_at"], "2027-11-24T15:04:05.678Z");
    assert_eq!(newest["decided_at"], "2026-11-23T15:04:05.678Z");
    let metrics = world.get("/metrics").await.text;
    assert!(metrics.contains("\ntollkeeper_entries_decided_ahead_total 1\n"), "{metrics}");
    assert!(metrics.contains("\ntollkeeper_clock_deviation_seconds 0.000\n"), "{metrics}");
}

#[tokio::test]
async fn times_up_to_the_end_of_9999_are_accepted_and_signed_years_are_not() {
    let world = world_with(10_000).await;
    const LAST: &str = "9999-12-31T23:59:59Z";
    let key = world
        .post(
            "/v1/workspaces/acme/api-keys",
            "",
            &format!(r#"{{"name":"k","scopes":["read"],"expires_at":"{LAST}"}}"#),
        )
        .await;
    assert_eq!((key.status, &key.json()["expires_at"]), (201, &"9999-12-31T23:59:59.000Z".into()));
    let prices = format!(r#"{{"operations":[{{"id":"x","unit_price":1}}],"effective_at":"{LAST}"}}"#);
    let planned = world.put("PUT", "/v1/price-book", "", &prices).await;
    assert_eq!((planned.status, &planned.json()["effective_at"]), (200, &"9999-12-31T23:59:59.000Z".into()));
    for path in ["charges?to=", "charges?from=", "balance?at="] {
        let path = format!("/v1/workspaces/acme/{path}");
        assert_eq!(world.get(&format!("{path}{LAST}")).await.status, 200, "{path}");
        for signed in ["-009999-01-02T01:59:59Z", "%2B009999-01-02T01:59:59Z", "10000-01-01T00:00:00Z"] {
            let refused = world.get(&format!("{path}{signed}")).await;
            refused.problem(400, "invalid_parameter");
        }
    }
}

#[tokio::test]
async fn a_clock_after_the_year_9999_breaks_no_assertion() {
    let world = world_with(10_000).await;
    let limit = r#"{"limits":[{"subject":"workspace","period":"day","amount":500}]}"#;
    assert_eq!(world.put("PUT", "/v1/workspaces/acme/limits", "", limit).await.status, 200);
    world.pass_seconds(8_000 * 366 * 86_400);
    assert_eq!(world.charge("late", r#"{"operation":"support_message"}"#).await.status, 201);
    let refused = world.charge("again", r#"{"operation":"support_message"}"#).await;
    refused.problem(402, "limit_exceeded");
    assert_eq!(world.get("/v1/workspaces/acme/limits").await.status, 200);
}
