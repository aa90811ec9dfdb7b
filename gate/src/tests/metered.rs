//! What each end of a metered answer means for the charge.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::world::{
    Report, Step, TIMEOUT, World, event, http_body_next, last_chunk, stream_head, used, whole,
};
use crate::charging::ReportError;
use crate::outcome::{Failure, Outcome};

/// A route of OpenAI's dialect. The time-out is short, because some upstreams never answer.
const ROUTE: &str = "dialect = \"openai\"\nmax_input = 1000\ninput_constant = 10\nmax_output = 200\n\
    default_output = 50\ntimeout_seconds = 1\ngrace_seconds = 1\nbody_max_bytes = 500\n\
    meters = { input = [\"/usage/prompt_tokens\", \"/message/usage/input_tokens\"], \
    output = [\"/usage/completion_tokens\", \"/usage/output_tokens\", \"/message/usage/output_tokens\"] }\n";

const ASKED: &str = r#"{"model":"m","stream":true,"max_tokens":30}"#;
const TEXT: &str = r#"{"choices":[{"delta":{"content":"a"}}],"usage":null}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":7}}"#;
const JSON: &str = r#"{"choices":[{}],"usage":{"prompt_tokens":12,"completion_tokens":7}}"#;

fn refunded(failure: Failure) -> Report {
    Report::Outcome(Outcome::SystemFailed(failure))
}

/// A stream of text and usage.
fn whole_stream() -> Vec<Step> {
    vec![stream_head(), event(TEXT), event(TEXT), event(USAGE), event("[DONE]"), last_chunk()]
}

/// Sends a request and returns the one report that follows.
async fn outcome(more: &str, steps: Vec<Step>) -> Report {
    let world = World::new(&format!("{more}{ROUTE}"), steps).await;
    let _ = world.post(ASKED).await;
    let reports = world.reports(1).await;
    assert_eq!(reports.len(), 1, "{reports:?}");
    reports[0].clone()
}

#[tokio::test]
async fn a_stream_is_settled_by_its_usage() {
    let world = World::new(ROUTE, whole_stream()).await;
    let (status, headers, body) = world.post(ASKED).await;
    assert_eq!((status, &headers["tollkeeper-amount"]), (StatusCode::OK, &900.into()));
    // The client had not asked for usage, so it does not get the event with usage alone.
    assert_eq!(body, Ok(format!("data: {TEXT}\n\ndata: {TEXT}\n\ndata: [DONE]\n\n")));
    assert_eq!(world.reports(1).await, [used(12, 7)]);
    let [charge] = &world.calls("/charges")[..] else { panic!("one charge") };
    assert_eq!(charge["quantities"], json!({ "input": ASKED.len() + 10, "output": 30 }));
    assert_eq!((&charge["await_outcome"], &charge["timeout_seconds"]), (&json!(true), &json!(2)));
    assert_eq!(charge.get("quantity"), None);
    let [seen] = &world.seen()[..] else { panic!("one request") };
    let sent = r#"{"model":"m","stream":true,"max_tokens":30,"stream_options":{"include_usage":true}}"#;
    assert_eq!(seen.body, sent);
    for header in [
        &format!("content-length: {}\r\n", sent.len()),
        "accept-encoding: identity\r\n",
        "content-type: application/json\r\n",
        "tollkeeper-charge: ch_1\r\n",
    ] {
        assert!(seen.head.contains(header), "{}", seen.head);
    }
    assert!(!seen.head.contains("tk_workspace"), "{}", seen.head);
}

#[tokio::test]
async fn a_client_that_asked_for_usage_gets_it() {
    let world = World::new(ROUTE, whole_stream()).await;
    let (_, _, body) = world.post(r#"{"stream":true,"stream_options":{"include_usage":true}}"#).await;
    assert!(body.as_ref().is_ok_and(|body| body.contains(USAGE)), "{body:?}");
    assert_eq!(world.reports(1).await, [used(12, 7)]);
    let without = World::new(&format!("stream_usage = false\n{ROUTE}"), whole_stream()).await;
    let (_, _, body) = without.post(ASKED).await;
    assert!(body.is_ok_and(|body| body.contains(USAGE)), "the gate did not ask, so it strips nothing");
    assert_eq!(without.seen()[0].body, ASKED);
}

#[tokio::test]
async fn a_json_answer_is_settled_by_its_usage() {
    let world = World::new(ROUTE, vec![whole("200 OK", "application/json", JSON)]).await;
    let (status, headers, body) = world.post("{}").await;
    assert_eq!((status, body.as_deref()), (StatusCode::OK, Ok(JSON)));
    assert_eq!(headers["content-length"], JSON.len().to_string());
    assert_eq!(world.reports(1).await, [used(12, 7)]);
    assert_eq!(world.seen()[0].body, r#"{"max_tokens":50}"#);
}

#[tokio::test]
async fn an_answer_without_usage_costs_what_the_route_says() {
    let answer = || vec![whole("200 OK", "application/json", r#"{"choices":[]}"#)];
    assert_eq!(outcome("on_missing = \"hold\"\n", answer()).await, Report::Outcome(Outcome::Succeeded));
    assert_eq!(outcome("on_missing = \"refund\"\n", answer()).await, refunded(Failure::NoUsage));
    // A quarter of the bytes: 43 of the request, 14 of the answer.
    assert_eq!(outcome("", answer()).await, used(11, 4));
    let stream = || vec![stream_head(), event(TEXT), event(TEXT), event("[DONE]"), last_chunk()];
    assert_eq!(outcome("", stream()).await, used(11, 2), "an event is a token");
    assert_eq!(outcome("on_missing = \"refund\"\n", stream()).await, refunded(Failure::NoUsage));
    let long: Vec<Step> =
        [stream_head()].into_iter().chain((0..80).map(|_| event(TEXT))).chain([last_chunk()]).collect();
    assert_eq!(outcome("", long).await, used(11, 30), "at most the hold");
    let compressed = Step::Send(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: br\r\ncontent-length: {}\r\n\r\n{JSON}",
        JSON.len()
    ));
    assert_eq!(
        outcome("on_missing = \"hold\"\n", vec![compressed]).await,
        Report::Outcome(Outcome::Succeeded)
    );
}

#[tokio::test]
async fn an_answer_that_is_no_success_is_refunded() {
    for status in [300, 302, 400, 401, 404, 408, 422, 429, 500, 503] {
        let answer = vec![whole(&format!("{status} Said"), "application/json", JSON)];
        assert_eq!(outcome("", answer).await, refunded(Failure::Status(status)), "{status}");
    }
    let empty = vec![Step::Send("HTTP/1.1 500 Said\r\ncontent-length: 0\r\n\r\n".to_owned())];
    assert_eq!(outcome("", empty).await, refunded(Failure::Status(500)));
}

#[tokio::test]
async fn an_upstream_that_sends_no_byte_is_refunded() {
    assert_eq!(outcome("", vec![Step::Close]).await, refunded(Failure::Connection));
    assert_eq!(outcome("", vec![Step::AwaitClose]).await, refunded(Failure::TimeOut));
    assert_eq!(outcome("", vec![stream_head(), Step::Close]).await, refunded(Failure::Connection));
    assert_eq!(outcome("", vec![stream_head(), Step::AwaitClose]).await, refunded(Failure::TimeOut));
    let world = World::new(ROUTE, vec![Step::AwaitClose]).await;
    let (status, headers, _) = world.post(ASKED).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(headers.get("x-should-retry"), None, "it may be sent again");
    world.upstream_is_closed().await;
}

#[tokio::test]
async fn an_answer_that_is_cut_is_settled_by_the_last_usage() {
    let begun = r#"{"type":"message_start","message":{"usage":{"input_tokens":25,"output_tokens":1}}}"#;
    let delta = r#"{"type":"content_block_delta","delta":{"text":"a"}}"#;
    let more = r#"{"type":"message_delta","usage":{"output_tokens":15}}"#;
    let cut = |steps: &[&str], last: Step| {
        [stream_head()].into_iter().chain(steps.iter().map(|data| event(data))).chain([last]).collect()
    };
    assert_eq!(outcome("", cut(&[begun, delta, delta, delta], Step::Close)).await, used(25, 3));
    assert_eq!(outcome("", cut(&[begun, delta, more], Step::Close)).await, used(25, 15));
    assert_eq!(outcome("", cut(&[begun, delta, more], Step::AwaitClose)).await, used(25, 15), "silence");
    assert_eq!(outcome("", cut(&[TEXT, TEXT, TEXT], Step::Close)).await, used(53, 3));
    assert_eq!(
        outcome("on_missing = \"refund\"\n", cut(&[TEXT], Step::Close)).await,
        refunded(Failure::NoUsage)
    );
    let world = World::new(ROUTE, cut(&[TEXT], Step::Close)).await;
    let (_, _, body) = world.post(ASKED).await;
    assert_eq!(body, Err(format!("data: {TEXT}\n\n")), "the client sees that it is not whole");
}

#[tokio::test]
async fn a_client_that_is_gone_before_a_byte_is_refunded() {
    let world =
        World::new(&ROUTE.replace("timeout_seconds = 1", "timeout_seconds = 60"), vec![Step::AwaitClose])
            .await;
    let answered = Arc::clone(&world.gate).answer(World::request(ASKED), IpAddr::from([127, 0, 0, 1]));
    assert!(timeout(Duration::from_millis(100), answered).await.is_err(), "the upstream does not answer");
    assert_eq!(world.reports(1).await, [refunded(Failure::Client)]);
    world.upstream_is_closed().await;
    let steps = vec![stream_head(), Step::AwaitClose];
    let world = World::new(&ROUTE.replace("timeout_seconds = 1", "timeout_seconds = 60"), steps).await;
    drop(world.send(World::request(ASKED)).await);
    assert_eq!(world.reports(1).await, [refunded(Failure::Client)]);
    world.upstream_is_closed().await;
}

#[tokio::test]
async fn a_client_that_is_gone_after_bytes_pays_what_it_got() {
    let long = ROUTE.replace("timeout_seconds = 1", "timeout_seconds = 60");
    let gone = async |more: &str, data: &[&str]| {
        let steps = [stream_head()].into_iter().chain(data.iter().map(|data| event(data)));
        let world = World::new(&format!("{more}{long}"), steps.chain([Step::AwaitClose]).collect()).await;
        let mut body = world.send(World::request(ASKED)).await.into_body();
        let mut read = String::new();
        while read.matches("data:").count() < data.len() {
            read += &http_body_next(&mut body).await.expect("it goes on").expect("it arrives");
        }
        drop(body);
        world.upstream_is_closed().await;
        world.reports(1).await[0].clone()
    };
    assert_eq!(gone("", &[TEXT, TEXT, TEXT]).await, used(53, 3), "the input that is held");
    let long = format!(r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#, "a".repeat(45));
    assert_eq!(gone("", &[&long]).await, used(53, 12), "an event with many tokens");
    assert_eq!(gone("on_missing = \"hold\"\n", &[TEXT]).await, Report::Outcome(Outcome::Succeeded));
    assert_eq!(gone("on_missing = \"refund\"\n", &[TEXT, TEXT]).await, used(53, 2), "it hung up itself");
    let begun = r#"{"type":"message_start","message":{"usage":{"input_tokens":25,"output_tokens":1}}}"#;
    let delta = r#"{"type":"content_block_delta","delta":{"text":"a"}}"#;
    let more = r#"{"type":"message_delta","usage":{"output_tokens":9}}"#;
    assert_eq!(gone("", &[begun, delta, delta, delta]).await, used(25, 3), "usage comes last");
    assert_eq!(gone("", &[begun, delta, more]).await, used(25, 9));
}

#[tokio::test]
async fn what_costs_more_than_the_hold_is_settled_at_the_hold() {
    let world = World::new(ROUTE, whole_stream()).await;
    let refused = ReportError::Quantities("invalid_field".to_owned());
    world.api.settlements.lock().expect("no test panicked").push_back(refused);
    let _ = world.post(ASKED).await;
    assert_eq!(world.reports(2).await, [used(12, 7), Report::Outcome(Outcome::Succeeded)]);
    assert_eq!((world.gate.counts().overruns(), world.gate.counts().without_usage()), (1, 0));
}

#[tokio::test]
async fn a_report_is_repeated_until_it_is_taken() {
    let world = World::new(ROUTE, whole_stream()).await;
    let later = || ReportError::Later("503".to_owned());
    world.api.settlements.lock().expect("no test panicked").extend([later(), later()]);
    let _ = world.post(ASKED).await;
    assert_eq!(world.reports(3).await, [used(12, 7), used(12, 7), used(12, 7)]);
}

#[tokio::test]
async fn an_operation_that_used_nothing_is_refunded() {
    let nothing = JSON.replace("12", "0").replace(":7", ":0");
    let answer = vec![whole("200 OK", "application/json", &nothing)];
    assert_eq!(outcome("", answer).await, refunded(Failure::NothingUsed));
}

#[tokio::test]
async fn a_long_stream_moves_the_deadline_of_its_charge() {
    let mut steps = vec![stream_head()];
    for _ in 0..8 {
        steps.extend([event(TEXT), Step::Pause(200)]);
    }
    steps.extend([event(USAGE), last_chunk()]);
    let world = World::new(ROUTE, steps).await;
    let (_, _, body) = world.post(ASKED).await;
    assert!(body.is_ok(), "the stream is longer than the time-out of a second: {body:?}");
    let reports = world.reports(2).await;
    assert_eq!(reports.last(), Some(&used(12, 7)));
    let extended = reports.iter().filter(|report| **report == Report::Extended(4)).count();
    assert_eq!(extended + 1, reports.len(), "{reports:?}");
    assert_eq!(extended, 1, "the next one is due after two seconds more");
    let short = World::new(ROUTE, whole_stream()).await;
    let _ = short.post(ASKED).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(short.reports(1).await, [used(12, 7)], "a short one does not");
}

#[tokio::test]
async fn the_output_is_fitted_to_what_is_affordable() {
    let fit = format!("fit = true\nfit_min = 10\n{ROUTE}");
    let quote = |output: i64| json!({ "affordable": false, "affordable_quantities": { "input": 900, "output": output } });
    let world = World::new(&fit, whole_stream()).await;
    world.answer_calls("/quote", 200, quote(17));
    let (status, headers, _) = world.post(ASKED).await;
    assert_eq!((status, &headers["tollkeeper-fitted"]), (StatusCode::OK, &17.into()));
    assert_eq!(world.calls("/charges")[0]["quantities"]["output"], 17);
    assert_eq!(world.calls("/quote")[0]["quantities"]["output"], 30);
    assert!(world.seen()[0].body.contains("\"max_tokens\":17,"), "{}", world.seen()[0].body);

    let whole = World::new(&fit, whole_stream()).await;
    let (_, headers, _) = whole.post(ASKED).await;
    assert_eq!((headers.get("tollkeeper-fitted"), whole.calls("/quote").len()), (None, 1));
    assert_eq!(whole.calls("/charges")[0]["quantities"]["output"], 30);

    // Below the least output the charge is asked for as it was, and the ledger refuses it.
    let poor = World::new(&fit, whole_stream()).await;
    poor.answer_calls("/quote", 200, quote(9));
    let refusal = json!({ "code": "insufficient_credits", "detail": "Add credits.", "affordable_quantities": { "input": 900, "output": 9 } });
    poor.answer_calls("/charges", 402, refusal);
    let (status, headers, body) = poor.post(ASKED).await;
    assert_eq!(
        (status, &headers["x-should-retry"]),
        (StatusCode::PAYMENT_REQUIRED, &"false".parse().expect("a value"))
    );
    let body: serde_json::Value = serde_json::from_str(&body.expect("it is whole")).expect("it is JSON");
    assert_eq!(body["error"]["tollkeeper"]["affordable_quantities"]["output"], 9);
    assert_eq!(
        (poor.calls("/charges")[0]["quantities"]["output"].as_i64(), poor.seen().len()),
        (Some(30), 0)
    );

    // A quote that fails does not fail the request.
    let failing = World::new(&fit, whole_stream()).await;
    failing.answer_calls("/quote", 503, json!({ "code": "store_unavailable" }));
    assert_eq!(failing.post(ASKED).await.0, StatusCode::OK);
    let plain = World::new(ROUTE, whole_stream()).await;
    let _ = plain.post(ASKED).await;
    assert!(plain.calls("/quote").is_empty(), "only a route that fits asks");
}

#[tokio::test]
async fn parts_arrive_before_the_next_are_sent() {
    let steps = vec![stream_head(), event(TEXT), Step::Pause(500), event(TEXT), last_chunk()];
    let world = World::new(ROUTE, steps).await;
    let mut body = world.send(World::request(ASKED)).await.into_body();
    let first = timeout(Duration::from_millis(400), http_body_next(&mut body)).await;
    let first = first.expect("it does not wait for the second").expect("it goes on");
    assert_eq!(first, Ok(format!("data: {TEXT}\n\n")));
    let second = timeout(TIMEOUT, http_body_next(&mut body)).await.expect("it arrives").expect("it goes on");
    assert_eq!(second, Ok(format!("data: {TEXT}\n\n")));
}
