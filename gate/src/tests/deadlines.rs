//! A charge stays open while its answer arrives, no answer goes on unpaid, and a shutdown settles.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::world::{Report, Step, TIMEOUT, World, event, last_chunk, stream_head, used};
use crate::charging::ReportError;
use crate::outcome::{Failure, Outcome};
use crate::serve::serve_and_end;

const ROUTE: &str = "max_input = 1000\ninput_constant = 10\nmax_output = 200\ntimeout_seconds = 1\n\
    grace_seconds = 1\nmeters = { input = [\"/usage/input\"], output = [\"/usage/output\"] }\n";

/// Its input holds 53 units.
const ASKED: &str = r#"{"model":"m","stream":true,"max_tokens":30}"#;
const TEXT: &str = r#"{"choices":[{"delta":{"content":"a"}}]}"#;
const USAGE: &str = r#"{"usage":{"input":12,"output":7}}"#;

/// A stream of more than a second.
fn long_stream(last: impl IntoIterator<Item = Step>) -> Vec<Step> {
    let events = (0..8).flat_map(|_| [event(TEXT), Step::Pause(200)]);
    [stream_head()].into_iter().chain(events).chain(last).collect()
}

async fn world(route: &str, heartbeats: Vec<ReportError>, steps: Vec<Step>) -> World {
    let world = World::new(route, steps).await;
    world.api.heartbeats.lock().expect("no test panicked").extend(heartbeats);
    world
}

#[tokio::test]
async fn a_heartbeat_is_repeated_until_it_is_taken() {
    let later = || ReportError::Later("503".to_owned());
    let steps = long_stream([event(USAGE), last_chunk()]);
    let world = world(ROUTE, vec![later(), later()], steps).await;
    let (status, _, body) = world.post(ASKED).await;
    assert!(status == StatusCode::OK && body.is_ok(), "{body:?}");
    let heartbeat = Report::Extended(4);
    let reports = world.reports(4).await;
    assert_eq!(reports, [heartbeat.clone(), heartbeat.clone(), heartbeat, used(12, 7)]);
}

#[tokio::test]
async fn an_answer_whose_charge_is_gone_is_broken_off() {
    let refused = vec![ReportError::Refused("charge_already_refunded".to_owned())];
    let world = world(ROUTE, refused, long_stream([Step::AwaitClose])).await;
    let began = Instant::now();
    let (_, _, body) = world.post(ASKED).await;
    assert!(body.is_err(), "{body:?}");
    assert!(began.elapsed() < Duration::from_millis(1_400), "before the stream ends: {:?}", began.elapsed());
    world.upstream_is_closed().await;
}

#[tokio::test]
async fn an_answer_ends_when_no_heartbeat_is_taken_before_the_deadline() {
    let later = (0..200).map(|_| ReportError::Later("503".to_owned())).collect();
    let mut steps = long_stream([]);
    steps.extend(long_stream([Step::AwaitClose]).into_iter().skip(1));
    let world = world(ROUTE, later, steps).await;
    let began = Instant::now();
    let (_, _, body) = world.post(ASKED).await;
    assert!(body.is_err() && began.elapsed() < Duration::from_millis(2_600), "{:?}", began.elapsed());
    world.upstream_is_closed().await;
}

#[tokio::test]
async fn a_charge_is_looked_after_while_the_client_does_not_read() {
    let route = ROUTE.replace("timeout_seconds = 1", "timeout_seconds = 60");
    let mut steps = vec![stream_head(), event(TEXT), Step::Pause(700)];
    for _ in 0..8 {
        steps.extend([event(TEXT), Step::Pause(20)]);
    }
    let refused = vec![ReportError::Refused("charge_already_refunded".to_owned())];
    let world = world(&route, refused, steps.into_iter().chain([Step::AwaitClose]).collect()).await;
    let answer = world.send(World::request(ASKED)).await;
    world.upstream_is_closed().await;
    drop(answer);
}

/// Serves a gate, sends it a request, and shuts it down when a part of the answer is there; returns
/// how long the shutdown took.
async fn shut_down(world: &World, head: &str, body: &str, end_time: Duration) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let serving = tokio::spawn(serve_and_end(world.another_gate(), listener, stopped, end_time));
    let mut client = TcpStream::connect(address).await.expect("it listens");
    let key = format!("tk_workspace_{}_acme", "0".repeat(64));
    let length = body.len();
    let request = format!(
        "{head} /v1/chat HTTP/1.1\r\nhost: a\r\ntollkeeper-key: {key}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    client.write_all(request.as_bytes()).await.expect("it is open");
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("data:") {
        let read = timeout(TIMEOUT, client.read_buf(&mut answer)).await.expect("it answers");
        assert!(read.is_ok_and(|bytes| bytes > 0), "it answers");
    }
    let began = Instant::now();
    stop.send(()).expect("it is served");
    timeout(TIMEOUT, serving).await.expect("it ends").expect("it does not panic");
    began.elapsed()
}

#[tokio::test]
async fn a_shutdown_settles_what_a_metered_answer_used() {
    let route = ROUTE.replace("timeout_seconds = 1", "timeout_seconds = 60");
    let steps = vec![stream_head(), event(TEXT), Step::AwaitClose];
    let world = World::new(&route, steps).await;
    let took = shut_down(&world, "POST", ASKED, Duration::from_millis(300)).await;
    assert!((Duration::from_millis(250)..Duration::from_secs(5)).contains(&took), "{took:?}");
    assert_eq!(world.reports(1).await, [used(53, 1)]);
}

#[tokio::test]
async fn a_shutdown_refunds_what_has_no_answer_yet() {
    let route = ROUTE.replace("timeout_seconds = 1", "timeout_seconds = 60");
    let world = World::new(&route, vec![Step::AwaitClose]).await;
    let gate = world.another_gate().0;
    let phase = gate.phase.clone();
    let answered = std::sync::Arc::new(gate).answer(World::request(ASKED), [127, 0, 0, 1].into());
    let ended = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        phase.send_replace(crate::shutdown::Phase::Ending);
    };
    let (response, ()) = tokio::join!(timeout(TIMEOUT, answered), ended);
    assert_eq!(response.expect("it answers").status(), StatusCode::BAD_GATEWAY);
    let refunded = Report::Outcome(Outcome::SystemFailed(Failure::Connection));
    assert_eq!(world.reports(1).await, [refunded]);
}

#[tokio::test]
async fn a_free_stream_does_not_hold_a_shutdown_up() {
    let steps = vec![stream_head(), event("{}"), Step::AwaitClose];
    let world = World::new("mcp = true\n", steps).await;
    let took = shut_down(&world, "GET", "", Duration::from_secs(25)).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    world.upstream_is_closed().await;
}
