//! Outcomes over HTTP (P9): success, failure, heartbeats, time-outs, refunds.

use super::*;
use crate::jobs::polling::Polling;

async fn pending(world: &World, key: &str) -> String {
    let body = r#"{"operation":"smart_pricing","quantity":10,"await_outcome":true}"#;
    let reply = world.charge(key, body).await;
    assert_eq!(reply.json()["status"], "pending", "{}", reply.text);
    format!("/v1/workspaces/acme/charges/{}", reply.id())
}

#[tokio::test]
async fn success_keeps_the_charge_and_refunds_unused_units() {
    let world = world_with(100_000).await;
    let whole = pending(&world, "whole").await;
    let reply = world.post(&format!("{whole}/outcome"), "", r#"{"result":"succeeded"}"#).await;
    let charge = reply.json();
    assert_eq!(
        (reply.status, &charge["status"], &charge["outcome"]),
        (200, &"settled".into(), &"succeeded".into())
    );
    assert_eq!(world.balance().await, (90_000, 0));
    let part = pending(&world, "part").await;
    for _ in 0..2 {
        let body = r#"{"result":"succeeded","quantity":4}"#;
        let charge = world.post(&format!("{part}/outcome"), "", body).await.json();
        assert_eq!(
            (&charge["quantity"], &charge["amount"]),
            (&10.into(), &10_000.into()),
            "the charge itself does not change"
        );
        assert_eq!((&charge["refunded_amount"], &charge["status"]), (&6_000.into(), &"settled".into()));
        assert_eq!(world.balance().await, (86_000, 0), "the same outcome again changes nothing");
    }
    let more = pending(&world, "more").await;
    let body = r#"{"result":"succeeded","quantity":11}"#;
    let problem = world.post(&format!("{more}/outcome"), "", body).await.problem(422, "invalid_field");
    assert_eq!(problem["field"], "quantity");
}

#[tokio::test]
async fn a_failure_of_the_system_is_refunded_and_one_of_the_user_is_not() {
    let world = world_with(100_000).await;
    let system = pending(&world, "system").await;
    let body = r#"{"result":"failed","fault":"system","detail":"no GPU"}"#;
    let charge = world.post(&format!("{system}/outcome"), "", body).await.json();
    assert_eq!((&charge["status"], &charge["outcome"]), (&"refunded".into(), &"failed_system".into()));
    assert_eq!(charge["refunded_amount"], 10_000);
    assert_eq!(world.get(&system).await.json()["refunds"][0]["detail"], "no GPU");
    let user = pending(&world, "user").await;
    let charge =
        world.post(&format!("{user}/outcome"), "", r#"{"result":"failed","fault":"user"}"#).await.json();
    assert_eq!((&charge["status"], &charge["outcome"]), (&"settled".into(), &"failed_user".into()));
    assert_eq!(world.balance().await, (90_000, 0));

    let late = world.post(&format!("{system}/outcome"), "", r#"{"result":"succeeded"}"#).await;
    let problem = late.problem(409, "charge_already_refunded");
    assert_eq!(problem["charge_status"], "refunded");
    assert_eq!((&problem["outcome"], &problem["refunded_amount"]), (&"failed_system".into(), &10_000.into()));
    let late = world.post(&format!("{user}/outcome"), "", r#"{"result":"succeeded"}"#).await;
    assert_eq!(late.problem(409, "charge_already_settled")["outcome"], "failed_user");
}

#[tokio::test]
async fn a_late_failure_is_refunded_only_within_the_window() {
    let world = world_with(100_000).await;
    let body = r#"{"result":"failed","fault":"system"}"#;
    let mut paths = Vec::new();
    for key in ["in time", "too late"] {
        let id = world.charge(key, r#"{"operation":"support_message"}"#).await.id();
        paths.push(format!("/v1/workspaces/acme/charges/{id}/outcome"));
    }
    world.pass_seconds(29 * 24 * 3_600);
    assert_eq!(world.post(&paths[0], "", body).await.json()["status"], "refunded");
    world.pass_seconds(2 * 24 * 3_600);
    let problem = world.post(&paths[1], "", body).await.problem(409, "refund_window_closed");
    assert_eq!(problem["closed_at"], "2026-12-23T15:04:05.678Z");
}

#[tokio::test]
async fn a_contradictory_outcome_is_refused_by_field() {
    let world = world_with(100_000).await;
    let charge = pending(&world, "k").await;
    for (body, field) in [
        (r#"{"result":"succeeded","fault":"user"}"#, "fault"),
        (r#"{"result":"succeeded","detail":"x"}"#, "detail"),
        (r#"{"result":"failed"}"#, "fault"),
        (r#"{"result":"failed","fault":"user","quantity":1}"#, "quantity"),
        (r#"{"result":"failed","fault":"cat"}"#, "fault"),
        (r#"{"result":{"succeeded":null}}"#, "result"),
        (r#"{"result":"done"}"#, "result"),
        ("{}", "result"),
    ] {
        let problem = world.post(&format!("{charge}/outcome"), "", body).await.problem(422, "invalid_field");
        assert_eq!(problem["field"], field, "{body}");
    }
    assert_eq!(world.balance().await, (90_000, 10_000));
}

#[tokio::test]
async fn a_passed_deadline_refunds_and_a_heartbeat_moves_it() {
    let world = world_with(100_000).await;
    let lost = pending(&world, "lost").await;
    let alive = pending(&world, "alive").await;
    world.pass_seconds(14 * 60);
    let reply = world.post(&format!("{alive}/heartbeat"), "", r#"{"extend_seconds":120}"#).await;
    assert_eq!((reply.status, &reply.json()["deadline"]), (200, &"2026-11-23T15:20:05.678Z".into()));
    world.pass_seconds(60);
    crate::jobs::time_outs::TimeOuts::default().poll(&world.app).await;
    let charge = world.get(&lost).await.json();
    assert_eq!((&charge["status"], &charge["outcome"]), (&"refunded".into(), &"timed_out".into()));
    assert_eq!(charge["refunds"][0]["reason"], "timed_out");
    assert_eq!(world.get(&alive).await.json()["status"], "pending");
    assert_eq!(world.balance().await, (90_000, 10_000));
    let problem = world.post(&format!("{lost}/heartbeat"), "", r#"{"extend_seconds":5}"#).await;
    assert_eq!(problem.problem(409, "charge_already_refunded")["outcome"], "timed_out");
    for body in [r#"{"extend_seconds":0}"#, r#"{"extend_seconds":604801}"#, r#"{"extend_seconds":-1}"#, "{}"]
    {
        let problem = world.post(&format!("{alive}/heartbeat"), "", body).await.problem(422, "invalid_field");
        assert_eq!(problem["field"], "extend_seconds");
    }
}

#[tokio::test]
async fn refunds_never_exceed_the_charge_and_are_replayed() {
    let world = world_with(100_000).await;
    let id = world.charge("k", r#"{"operation":"virtual_try_on"}"#).await.id();
    let refund = format!("/v1/workspaces/acme/charges/{id}/refund");
    let first = world.post(&refund, "r1", r#"{"amount_usd":"0.05","reason":"half a shirt"}"#).await;
    assert_eq!((first.status, &first.json()["refunded_amount_usd"]), (200, &"0.05".into()));
    let again = world.post(&refund, "r1", r#"{"amount":5000,"reason":"half a shirt"}"#).await;
    assert_eq!((again.header("idempotent-replayed"), &again.text), (Some("true"), &first.text));
    let other = world.post(&refund, "r1", r#"{"amount":5001,"reason":"half a shirt"}"#).await;
    assert_eq!(other.problem(422, "idempotency_key_reused")["field"], "amount");
    let more = world.post(&refund, "r2", r#"{"amount":15001,"reason":"x"}"#).await;
    assert_eq!(more.problem(409, "refund_exceeds_charge")["refundable"], 15_000);
    let rest = world.post(&refund, "r2", r#"{"reason":"all of it"}"#).await.json();
    assert_eq!((&rest["status"], &rest["outcome"]), (&"refunded".into(), &"reversed".into()));
    let gone = world.post(&refund, "r3", r#"{"reason":"again"}"#).await;
    assert_eq!(gone.problem(409, "charge_already_refunded")["refunded_amount"], 20_000);
    assert_eq!(world.balance().await, (100_000, 0));
}
