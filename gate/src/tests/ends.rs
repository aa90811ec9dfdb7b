//! Answers that fail within a success, or that the gate cannot read.

use std::time::Duration;

use tokio::time::sleep;

use super::world::{Report, Step, World, event, last_chunk, read, stream_head, used, whole};
use crate::outcome::{Failure, Outcome};

const ROUTE: &str = "max_input = 1000\ninput_constant = 10\nmax_output = 200\ntimeout_seconds = 1\n\
    grace_seconds = 1\nmeters = { input = [\"/usage/input_tokens\", \"/message/usage/input_tokens\"], \
    output = [\"/usage/output_tokens\"] }\n";

/// Its input holds 53 units.
const ASKED: &str = r#"{"model":"m","stream":true,"max_tokens":30}"#;
const EMPTY: &str = r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#;
const TEXT: &str = r#"{"choices":[{"delta":{"content":"a"}}]}"#;

fn refunded(failure: Failure) -> Report {
    Report::Outcome(Outcome::SystemFailed(failure))
}

/// Sends a request and returns the one report that follows.
async fn outcome(more: &str, steps: Vec<Step>) -> Report {
    let world = World::new(&format!("{more}{ROUTE}"), steps).await;
    let _ = world.post(ASKED).await;
    let reports = world.reports(1).await;
    assert_eq!(reports.len(), 1, "{reports:?}");
    reports[0].clone()
}

fn stream(events: &[&str], last: Step) -> Vec<Step> {
    [stream_head()].into_iter().chain(events.iter().map(|data| event(data))).chain([last]).collect()
}

/// The begin of a JSON answer that is longer.
fn json_begin() -> Step {
    Step::Send(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9000\r\n\r\n{\"id\":"
            .to_owned(),
    )
}

#[tokio::test]
async fn a_stream_that_is_only_an_error_is_refunded() {
    let openai = r#"{"error":{"message":"the model is gone"}}"#;
    let anthropic = r#"{"type":"error","error":{"type":"overloaded_error"}}"#;
    let begun = r#"{"type":"message_start","message":{"usage":{"input_tokens":25}}}"#;
    for events in [&[openai][..], &[anthropic], &[EMPTY, openai], &[EMPTY, openai, "[DONE]"]] {
        assert_eq!(outcome("", stream(events, last_chunk())).await, refunded(Failure::Answer), "{events:?}");
        let hold = outcome("on_missing = \"hold\"\n", stream(events, Step::Close)).await;
        assert_eq!(hold, refunded(Failure::Answer), "{events:?}");
    }
    assert_eq!(outcome("", stream(&[TEXT, openai], last_chunk())).await, used(11, 1), "it had output");
    assert_eq!(outcome("", stream(&[begun, anthropic], last_chunk())).await, used(25, 0), "it had usage");
}

#[tokio::test]
async fn a_json_answer_that_is_cut_is_refunded() {
    for (last, failure) in [(Step::Close, Failure::Connection), (Step::AwaitClose, Failure::TimeOut)] {
        let cut = || vec![json_begin(), last.clone()];
        assert_eq!(outcome("", cut()).await, refunded(failure));
        assert_eq!(outcome("on_missing = \"hold\"\n", cut()).await, refunded(failure));
    }
}

#[tokio::test]
async fn a_client_cannot_read_slowly_until_a_json_answer_is_cut() {
    let mut steps = vec![json_begin()];
    for _ in 0..8 {
        steps.extend([Step::Pause(20), Step::Send("\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",".to_owned())]);
    }
    steps.extend([Step::Pause(1_500), Step::Close]);
    let route = ROUTE.replace("_seconds = 1", "_seconds = 60");
    let world = World::new(&route, steps).await;
    let body = world.send(World::request(ASKED)).await.into_body();
    sleep(Duration::from_millis(1_400)).await;
    assert!(read(body).await.is_err(), "it is not whole");
    assert_eq!(world.reports(1).await, [used(53, 30)]);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_free() {
    let refund = "on_missing = \"refund\"\n";
    let paid = Report::Outcome(Outcome::Succeeded);
    let json = |body: &str| vec![whole("200 OK", "application/json", body)];
    let compressed = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: br\r\n\
        content-length: 2\r\n\r\nxx";
    assert_eq!(outcome(refund, vec![Step::Send(compressed.to_owned())]).await, paid);
    let nested = format!("{}{}", "[".repeat(500), "]".repeat(500));
    assert_eq!(outcome(refund, json(&format!("{{\"a\":{nested}}}"))).await, paid);
    let deep_event = format!("{{\"a\":{nested}}}");
    assert_eq!(outcome(refund, stream(&[&deep_event], last_chunk())).await, paid);
    let long_event = format!("{{\"a\":\"{}\"}}", "x".repeat(300_000));
    assert_eq!(outcome(refund, stream(&[&long_event], last_chunk())).await, paid);
    assert_eq!(outcome("", stream(&[&long_event], last_chunk())).await, used(11, 30), "its bytes count");
    let usage = format!("{{\"a\":{nested},\"usage\":{{\"input_tokens\":12,\"output_tokens\":7}}}}");
    assert_eq!(outcome(refund, json(&usage)).await, used(12, 7), "its usage is in its end");
    assert_eq!(outcome(refund, json("{}")).await, refunded(Failure::NoUsage), "it can be read");
}
