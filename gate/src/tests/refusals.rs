//! Metered requests that are refused, and that clients of model APIs do not send a refusal again.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use super::world::{Report, World, charge_json, json_of, whole};
use crate::outcome::{Failure, Outcome};

const ROUTE: &str = "max_input = 1000\nmax_output = 200\nbody_max_bytes = 100\n\
    meters = { input = [\"/usage/a\"], output = [\"/usage/b\"] }\n";

async fn world(more: &str) -> World {
    World::new(&format!("{more}{ROUTE}"), vec![whole("200 OK", "application/json", "{}")]).await
}

/// Status, code and header against retries of the answer.
async fn refused(world: &World, request: Request<Body>) -> (u16, Value, bool) {
    let response = world.send(request).await;
    let is_final = response.headers().get("x-should-retry").is_some_and(|value| value == "false");
    (response.status().as_u16(), json_of(response).await, is_final)
}

#[tokio::test]
async fn a_body_that_cannot_be_held_for_reaches_neither_ledger_nor_upstream() {
    let world = world("").await;
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(100));
    for (body, status, code) in [
        ("", 400, "malformed_json"),
        ("[]", 400, "malformed_json"),
        ("{\"a\":", 400, "malformed_json"),
        (&*long, 413, "body_too_large"),
        ("{\"max_tokens\":-1}", 422, "invalid_field"),
        ("{\"max_tokens\":1,\"MAX_TOKENS\":9}", 422, "invalid_field"),
        ("{\"n\":201}", 422, "invalid_field"),
        ("{\"n_predict\":5}", 422, "invalid_field"),
        ("{\"options\":{\"num_predict\":5}}", 422, "invalid_field"),
    ] {
        let (got, problem, is_final) = refused(&world, World::request(body)).await;
        assert_eq!((got, &problem["code"], is_final), (status, &json!(code), true), "{body}");
    }
    let mut compressed = World::request("{}");
    compressed.headers_mut().insert("content-encoding", "gzip".parse().expect("a value"));
    assert_eq!(refused(&world, compressed).await.0, 415);
    for content_type in ["text/plain", "application/json; charset=utf-16"] {
        let mut other = World::request("{}");
        other.headers_mut().insert("content-type", content_type.parse().expect("a value"));
        let (status, problem, _) = refused(&world, other).await;
        assert_eq!((status, &problem["code"]), (415, &json!("unsupported_media_type")), "{content_type}");
    }
    let mut anonymous = World::request("{}");
    anonymous.headers_mut().remove("authorization");
    assert_eq!(refused(&world, anonymous).await.0, 401);
    assert!(world.calls("").is_empty() && world.seen().is_empty());
}

#[tokio::test]
async fn a_lack_of_credit_is_final_in_each_dialect() {
    for (dialect, kind) in [("openai", "insufficient_quota"), ("anthropic", "billing_error")] {
        let world = world(&format!("dialect = \"{dialect}\"\n")).await;
        for code in ["insufficient_credits", "limit_exceeded"] {
            world.api.answers.lock().expect("no test panicked").clear();
            world.answer_calls("/charges", 402, json!({ "code": code, "detail": "No." }));
            let (status, body, is_final) = refused(&world, World::request("{}")).await;
            assert_eq!((status, &body["error"]["type"], is_final), (402, &json!(kind), true), "{dialect}");
            assert_eq!(body["error"]["tollkeeper"]["code"], code);
        }
        assert!(world.seen().is_empty());
    }
}

#[tokio::test]
async fn a_replay_is_final_too() {
    for dialect in ["problem", "openai", "anthropic"] {
        let world = world(&format!("dialect = \"{dialect}\"\n")).await;
        let mut charge = charge_json();
        charge["replayed"] = true.into();
        world.answer_calls("/charges", 201, charge);
        let mut request = World::request("{}");
        request.headers_mut().insert("idempotency-key", "one".parse().expect("a value"));
        let (status, body, is_final) = refused(&world, request).await;
        assert_eq!((status, is_final), (StatusCode::CONFLICT.as_u16(), true), "{dialect}: {body}");
        assert!(world.seen().is_empty());
    }
}

#[tokio::test]
async fn a_key_that_belongs_to_another_hold_is_a_replay() {
    let world = world("fit = true\n").await;
    world.answer_calls("/charges", 422, json!({ "code": "idempotency_key_reused", "detail": "No." }));
    let mut request = World::request("{}");
    request.headers_mut().insert("idempotency-key", "one".parse().expect("a value"));
    let (status, body, is_final) = refused(&world, request).await;
    assert_eq!((status, &body["code"], is_final), (409, &json!("operation_already_paid"), true), "{body}");
    assert!(world.seen().is_empty());
}

#[tokio::test]
async fn a_meter_without_a_price_reaches_no_upstream() {
    let world = world("").await;
    let mut charge = charge_json();
    charge["meters"] = json!([{ "id": "input", "unit_price": 1, "per": 10 }]);
    world.answer_calls("/charges", 201, charge);
    let (status, body, is_final) = refused(&world, World::request("{}")).await;
    assert_eq!((status, &body["code"], is_final), (503, &json!("route_misconfigured"), true), "{body}");
    let refunded = Report::Outcome(Outcome::SystemFailed(Failure::Misconfigured));
    assert_eq!(world.reports(1).await, [refunded]);
    assert!(world.seen().is_empty());
}

#[tokio::test]
async fn a_body_that_is_counted_is_json_for_the_upstream_too() {
    let route = "quantity = { json = \"/n\" }\n";
    let world = World::new(route, vec![whole("200 OK", "application/json", "{}")]).await;
    let mut request = World::request(r#"{"n": 2}"#);
    request.headers_mut().insert("content-type", "application/vnd.a+json".parse().expect("a value"));
    assert_eq!(refused(&world, request).await.0, 200);
    assert_eq!(world.calls("/charges")[0]["quantity"], 2);
    assert!(world.seen()[0].head.contains("content-type: application/json\r\n"), "{:?}", world.seen());
    let mut other = World::request(r#"{"n": 2}"#);
    other.headers_mut().insert("content-type", "application/json; charset=utf-16".parse().expect("a value"));
    assert_eq!(refused(&world, other).await.0, 415);
}
