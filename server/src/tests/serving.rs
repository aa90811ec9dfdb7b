//! The network, the first start, the shutdown, and a bug inside the server.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tollkeeper_engine::{
    BoxFuture, CommandResult, DuePlace, Engine, EngineStats, Error, Query, QueryResult, Ran, Watch,
};
use tollkeeper_ledger::{ChargeId, Platform, Submission, WorkspaceId};

use super::*;
use crate::http::connection::ClientTimes;
use crate::http::serve::until;
use crate::serve;

/// Serves until the sender sends; returns the address, the sender and the running server.
pub(super) async fn serving(
    app: Arc<App>,
) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<Result<(), crate::Error>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (stop, serving) = serving_at(app, listener);
    (address, stop, serving)
}

fn serving_at(
    app: Arc<App>,
    listener: TcpListener,
) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Result<(), crate::Error>>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(app, listener, async move {
        // A dropped sender stops the server too.
        let _ = stopped.await;
    }));
    (stop, serving)
}

/// Sends bytes and reads until the server closes the connection.
async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.write_all(request).await.expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the server answers and closes");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_server_answers_over_the_network_and_shuts_down() {
    let world = world_with(1_000).await;
    let (address, stop, serving) = serving(Arc::clone(&world.app)).await;
    let body = r#"{"operation":"support_message"}"#;
    let request = format!(
        "POST /v1/workspaces/acme/charges HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\n\
         Idempotency-Key: k\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n") && answer.ends_with("}}"), "{answer}");
    let large = format!(
        "POST /v1/workspaces/acme/charges HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\n\
         Idempotency-Key: k\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n{}",
        " ".repeat(2_000_000)
    );
    let answer = exchange(address, large.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body_too_large"), "{answer}");
    stop.send(()).expect("the server is running");
    serving.await.expect("the server does not panic").expect("the engine closes");
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
    let reply = world.charge("k2", body).await;
    reply.problem(503, "store_unavailable");
}

/// Sends bytes, closes the sending side if `closes`, and reads until the server closes.
async fn send_and_read(address: SocketAddr, bytes: &[u8], closes: bool) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.write_all(bytes).await.expect("the server reads");
    if closes {
        stream.shutdown().await.expect("the sending side closes");
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the server answers and closes");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_client_that_closed_its_sending_side_gets_its_answer() {
    let world = world_with(1_000).await;
    let (address, stop, serving) = serving(Arc::clone(&world.app)).await;
    let body = r#"{"operation":"support_message"}"#;
    let request = format!(
        "POST /v1/workspaces/acme/charges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\
         Idempotency-Key: k\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = send_and_read(address, request.as_bytes(), true).await;
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    let answer = send_and_read(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", true).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    stop.send(()).expect("the server is running");
    serving.await.expect("the server does not panic").expect("the engine closes");
}

/// The request and the end of the stream are there before the server reads for the first time.
#[tokio::test]
async fn a_request_that_arrives_with_the_end_of_its_stream_is_answered() {
    let world = world_with(1_000).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let body = r#"{"operation":"support_message"}"#;
    let request = format!(
        "POST /v1/workspaces/acme/charges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\
         Idempotency-Key: k\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut client = std::net::TcpStream::connect(address).expect("the port is bound");
    std::io::Write::write_all(&mut client, request.as_bytes()).expect("the system keeps it");
    client.shutdown(std::net::Shutdown::Write).expect("the sending side closes");
    let (stop, serving) = serving_at(Arc::clone(&world.app), listener);
    client.set_nonblocking(true).expect("a socket");
    let mut client = TcpStream::from_std(client).expect("a socket");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.expect("the server answers and closes");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    stop.send(()).expect("the server is running");
    serving.await.expect("the server does not panic").expect("the engine closes");
}

/// The client closes its sending side and takes its answer slowly.
#[tokio::test]
async fn a_long_answer_is_whole_after_the_client_closed_its_sending_side() {
    let length = 4 << 20;
    let answer = move || async move { vec![b'x'; length] };
    let router = axum::Router::new().route("/", axum::routing::get(answer));
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_send_buffer_size(8 << 10).expect("the system takes a size");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener = socket.listen(1).expect("the socket is bound");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(until(router, listener, ClientTimes::default(), std::future::pending()));
    let client = TcpSocket::new_v4().expect("a socket");
    client.set_recv_buffer_size(8 << 10).expect("the system takes a size");
    let mut client = client.connect(address).await.expect("the server listens");
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("the server reads");
    client.shutdown().await.expect("the sending side closes");
    let mut whole = Vec::new();
    // Less than the time that an idle connection may stay open.
    let read = tokio::time::timeout(Duration::from_secs(60), client.read_to_end(&mut whole)).await;
    read.expect("the server closes after the last byte").expect("the server answers");
    assert_eq!(whole.iter().rev().take_while(|byte| **byte == b'x').count(), length);
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_a_problem() {
    let world = world().await;
    let (address, stop, serving) = serving(Arc::clone(&world.app)).await;
    let many: String = (0..120).map(|n| format!("X-{n}: a\r\n")).collect();
    for (request, status, code) in [
        (format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{many}\r\n"), 431, "headers_too_large"),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(70_000)), 414, "uri_too_long"),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".into(),
            400,
            "malformed_request",
        ),
        ("nonsense\r\n\r\n".into(), 400, "malformed_request"),
        ("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n".into(), 400, "invalid_parameter"),
        (
            "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n".into(),
            400,
            "invalid_parameter",
        ),
    ] {
        let answer = send_and_read(address, request.as_bytes(), false).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(head.contains("content-type: application/problem+json"), "{answer}");
        let problem: Value = serde_json::from_str(body).expect("a problem is JSON");
        assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()));
    }
    stop.send(()).expect("the server is running");
    serving.await.expect("the server does not panic").expect("the engine closes");
}

#[tokio::test]
async fn a_shutdown_waits_for_no_client_that_sends_nothing() {
    let world = world_with(1_000).await;
    let (address, stop, serving) = serving(Arc::clone(&world.app)).await;
    let mut open = Vec::new();
    for half in [
        "",
        "GET /healthz HTTP/1.1\r\nHost: x\r\n",
        "POST /v1/workspaces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
    ] {
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        stream.write_all(half.as_bytes()).await.expect("the server reads");
        open.push(stream);
    }
    // After an answer on another connection, the server has read the others.
    send_and_read(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false).await;
    let began = std::time::Instant::now();
    stop.send(()).expect("the server is running");
    serving.await.expect("the server does not panic").expect("the engine closes");
    let took = began.elapsed();
    assert!(took < std::time::Duration::from_secs(5), "the shutdown took {took:?}, not half a minute");
}

/// Serves a router that answers with a body without end, until the sender sends. The receiver
/// ends when the body is dropped.
async fn endless(times: ClientTimes) -> (SocketAddr, oneshot::Sender<()>, oneshot::Receiver<()>) {
    let (dropped, ended) = oneshot::channel();
    let dropped = Arc::new(Mutex::new(Some(dropped)));
    let answer = move || {
        let guard = dropped.lock().expect("nobody panics with it").take();
        let chunks = futures_util::stream::repeat_with(move || {
            let _guard = &guard;
            Ok::<_, std::convert::Infallible>(vec![b'x'; 65_536])
        });
        async move { Body::from_stream(chunks) }
    };
    let router = axum::Router::new().route("/", axum::routing::get(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(until(router, listener, times, async move {
        let _ = stopped.await;
    }));
    (address, stop, ended)
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_loses_its_connection() {
    let times = ClientTimes { write: Duration::from_millis(50), ..ClientTimes::default() };
    let (address, _stop, ended) = endless(times).await;
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("the server reads");
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
    assert!(ended.expect("the answer is given up").is_err(), "the body was dropped");
}

#[tokio::test]
async fn a_client_that_is_idle_between_two_requests_loses_its_connection_after_more_than_a_minute() {
    assert!(ClientTimes::default().head > Duration::from_secs(60), "proxies close first");
    let times = ClientTimes { head: Duration::from_millis(50), ..ClientTimes::default() };
    let (address, _stop, _) = endless(times).await;
    // The server closes without an answer to a request that did not come.
    let read = send_and_read(address, b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", false);
    let answer = tokio::time::timeout(Duration::from_secs(60), read).await.expect("the server closes");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1);
}

#[tokio::test]
async fn deadlines_that_passed_without_a_server_are_refunded_before_the_first_request() {
    let world = world_with(1_000).await;
    let body = r#"{"operation":"support_message","timeout_seconds":5}"#;
    assert_eq!(world.charge("k", body).await.json()["status"], "pending");
    world.pass_seconds(6);
    let (address, stop, serving) = serving(Arc::clone(&world.app)).await;
    let request = format!(
        "GET /v1/workspaces/acme/balance HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    );
    let answer = exchange(address, request.as_bytes()).await;
    assert!(answer.contains(r#""available":1000,"#), "{answer}");
    stop.send(()).expect("the server is running");
    serving.await.expect("the server does not panic").expect("the engine closes");
}

#[tokio::test]
async fn the_first_start_makes_a_platform_key_that_a_configured_one_replaces() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let clock = Arc::new(AtomicI64::new(NOW));
    let mut unset = settings();
    unset.access.platform_key = None;
    let app = open(dir.path(), &unset, &clock);
    let key = prepare(&app).await.expect("the engine can write").expect("a first start makes a key");
    assert!(key.starts_with("tk_platform_") && key.len() == 76, "256 bits in hexadecimal");
    let status = async |app: &Arc<App>, key: &str| {
        let request = Request::get("/v1/workspaces").header("authorization", format!("Bearer {key}"));
        let request = request.body(Body::empty()).expect("the request is well-formed");
        router(Arc::clone(app)).answer(request).await.status().as_u16()
    };
    assert_eq!((status(&app, &key).await, status(&app, KEY).await), (200, 401));
    assert_eq!(prepare(&app).await.expect("the engine can read"), None, "the key is made once");
    app.engine().close().await.expect("the engine closes");
    drop(app);
    let app = open(dir.path(), &unset, &clock);
    assert_eq!(prepare(&app).await.expect("the engine can read"), None, "the key is stored");
    assert_eq!(status(&app, &key).await, 200);
    app.engine().close().await.expect("the engine closes");
    drop(app);
    let app = open(dir.path(), &settings(), &clock);
    assert_eq!((status(&app, &key).await, status(&app, KEY).await), (401, 200));
}

/// An engine whose every function panics.
struct Broken;

const BUG: &str = "a bug with a secret in it";

#[rustfmt::skip]
impl Engine for Broken {
    fn run(&self, _: Submission, _: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>> { panic!("{BUG}") }
    fn run_or_shed(&self, _: Submission, _: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>> { panic!("{BUG}") }
    fn run_each(&self, _: Vec<Submission>, _: Timestamp) -> BoxFuture<'_, Result<Vec<Ran>, Error>> { panic!("{BUG}") }
    fn query(&self, _: Query) -> BoxFuture<'_, Result<QueryResult, Error>> { panic!("{BUG}") }
    fn watch(&self, _: &WorkspaceId) -> Watch { panic!("{BUG}") }
    fn platform(&self) -> Arc<Platform> { panic!("{BUG}") }
    fn due(&self, _: Timestamp, _: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>> { panic!("{BUG}") }
    fn due_payments(&self, _: Timestamp, _: Option<DuePlace>, _: usize) -> BoxFuture<'_, Result<Vec<DuePlace>, Error>> { panic!("{BUG}") }
    fn stats(&self) -> EngineStats { EngineStats::default() }
    fn close(&self) -> BoxFuture<'_, Result<(), Error>> { panic!("{BUG}") }
}

#[tokio::test]
async fn a_panic_is_a_problem_with_an_id_and_without_internal_details() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let app = App::new(Arc::new(Broken), &settings());
    let world = World { app: app.into(), clock: Arc::new(AtomicI64::new(NOW)), _dir: dir };
    let charge = world.charge("k", r#"{"operation":"support_message"}"#).await;
    for reply in [charge, world.get("/v1/workspaces/acme").await, world.get("/v1/price-book").await] {
        let problem = reply.problem(500, "internal_error");
        assert!(problem["id"].as_str().is_some_and(|id| id.starts_with("err_") && id.len() == 20));
        assert!(!reply.text.contains("bug"), "{}", reply.text);
    }
    let ready = world.get("/readyz").await;
    ready.problem(503, "store_unavailable");
}
