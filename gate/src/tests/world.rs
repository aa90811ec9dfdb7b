//! A gate between an API and an upstream that do what a test says.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::charging::{BoxFuture, Charging, Opened, Quantities, ReportError, Unavailable};
use crate::outcome::Outcome;
use crate::proxy::Gate;
use crate::settings::Settings;

/// The longest time for anything that a test waits for.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// A report of the gate about a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    Outcome(Outcome),
    Used(Quantities),
    Extended(u32),
}

/// An API that answers as a test says, and keeps what it was asked.
#[derive(Default)]
pub struct Api {
    /// Paths and bodies of the calls.
    pub calls: Mutex<Vec<(String, Value)>>,
    /// The answers to calls that are not the usual ones: an end of their path, and the answer.
    pub answers: Mutex<Vec<(&'static str, u16, Value)>>,
    /// The answers to settlements; later ones are taken.
    pub settlements: Mutex<VecDeque<ReportError>>,
    /// The answers to heartbeats; later ones are taken.
    pub heartbeats: Mutex<VecDeque<ReportError>>,
    pub reports: Mutex<Vec<Report>>,
}

impl Api {
    fn report_made(&self, report: Report) {
        self.reports.lock().expect("no test panicked").push(report);
    }
}

/// A charge as the API answers it.
pub fn charge_json() -> Value {
    json!({
        "id": "ch_1", "workspace": "acme", "amount": 900, "balance": { "available": 100 },
        "meters": [
            { "id": "input", "unit_price": 1, "per": 10 },
            { "id": "output", "unit_price": 4, "per": 10 },
        ],
    })
}

impl Charging for Api {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, Unavailable>> {
        let path = request.uri().path().to_owned();
        let body = serde_json::from_slice(request.body()).expect("the gate sends JSON");
        self.calls.lock().expect("no test panicked").push((path.clone(), body));
        let answers = self.answers.lock().expect("no test panicked");
        let (status, body) = match answers.iter().find(|(end, _, _)| path.ends_with(end)) {
            Some((_, status, body)) => (*status, body.clone()),
            None if path.ends_with("/charges") => (201, charge_json()),
            None => (200, json!({ "affordable": true })),
        };
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        if body["replayed"] == true {
            response.headers_mut().insert("idempotent-replayed", "true".parse().expect("a value"));
        }
        Box::pin(std::future::ready(Ok(response)))
    }

    fn report<'a>(&'a self, _: &'a Opened, outcome: Outcome) -> BoxFuture<'a, Result<(), ReportError>> {
        self.report_made(Report::Outcome(outcome));
        Box::pin(std::future::ready(Ok(())))
    }

    fn settle<'a>(&'a self, _: &'a Opened, used: &'a Quantities) -> BoxFuture<'a, Result<(), ReportError>> {
        let refused = self.settlements.lock().expect("no test panicked").pop_front();
        self.report_made(Report::Used(used.clone()));
        Box::pin(std::future::ready(refused.map_or(Ok(()), Err)))
    }

    fn extend<'a>(&'a self, _: &'a Opened, seconds: u32) -> BoxFuture<'a, Result<(), ReportError>> {
        let refused = self.heartbeats.lock().expect("no test panicked").pop_front();
        self.report_made(Report::Extended(seconds));
        Box::pin(std::future::ready(refused.map_or(Ok(()), Err)))
    }
}

/// What an upstream does with a request that it has read.
#[derive(Clone, Debug)]
pub enum Step {
    Send(String),
    Pause(u64),
    /// Waits until the gate closes the connection.
    AwaitClose,
    /// Closes the connection.
    Close,
}

/// A request that reached the upstream.
#[derive(Clone, Debug)]
pub struct Seen {
    pub head: String,
    pub body: String,
}

/// An upstream on a socket.
#[derive(Default)]
pub struct Upstream {
    pub seen: Mutex<Vec<Seen>>,
    /// The connections that the gate closed while the upstream sent something or waited for that.
    pub closed: AtomicUsize,
}

impl Upstream {
    async fn serve(self: Arc<Upstream>, mut stream: TcpStream, steps: Vec<Step>) -> Option<()> {
        while let Some(seen) = read_request(&mut stream).await {
            self.seen.lock().expect("no test panicked").push(seen);
            for step in &steps {
                match step {
                    Step::Send(text) => {
                        if stream.write_all(text.as_bytes()).await.is_err() {
                            self.closed.fetch_add(1, Ordering::SeqCst);
                            return None;
                        }
                    }
                    Step::Pause(millis) => sleep(Duration::from_millis(*millis)).await,
                    Step::Close => return None,
                    Step::AwaitClose => {
                        while stream.read(&mut [0; 100]).await.is_ok_and(|bytes| bytes > 0) {}
                        self.closed.fetch_add(1, Ordering::SeqCst);
                        return None;
                    }
                }
            }
        }
        None
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let mut body = vec![0; length.and_then(|text| text.parse().ok()).unwrap_or_default()];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { head, body: String::from_utf8(body).ok()? })
}

/// A gate with one route, and what is around it.
pub struct World {
    pub api: Arc<Api>,
    pub upstream: Arc<Upstream>,
    pub gate: Arc<Gate>,
    settings: Settings,
}

impl World {
    /// A gate whose route has these settings, and an upstream that does these steps.
    pub async fn new(route: &str, steps: Vec<Step>) -> World {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let upstream = Arc::new(Upstream::default());
        let serving = Arc::clone(&upstream);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).serve(stream, steps.clone()));
            }
        });
        let text = format!(
            "[gate]\nlisten = \"127.0.0.1:0\"\n[[gate.routes]]\nmethod = \"POST\"\npath = \"/v1/chat\"\n\
             operation = \"chat\"\nupstream = \"http://{address}\"\n{route}"
        );
        let settings = Settings::parse(&text).expect("they are right").expect("there is a gate");
        let api = Arc::new(Api::default());
        let charging: Arc<dyn Charging> = Arc::<Api>::clone(&api);
        let (gate, _) = Gate::new(settings.clone(), charging).expect("no encryption is needed");
        World { api, upstream, gate: Arc::new(gate), settings }
    }

    /// Another gate with the same settings, which can be served.
    pub fn another_gate(&self) -> (Gate, mpsc::Receiver<()>) {
        let charging: Arc<dyn Charging> = Arc::<Api>::clone(&self.api);
        Gate::new(self.settings.clone(), charging).expect("no encryption is needed")
    }

    pub fn request(body: &str) -> Request<Body> {
        let key = format!("tk_workspace_{}_acme", "0".repeat(64));
        let request = Request::post("/v1/chat").header("authorization", format!("Bearer {key}"));
        let request = request.header("content-length", body.len());
        request.body(Body::from(body.to_owned())).expect("it is well formed")
    }

    /// Sends a request; returns the answer, whose body is not read yet.
    pub async fn send(&self, request: Request<Body>) -> Response<Body> {
        let answered = Arc::clone(&self.gate).answer(request, IpAddr::from([127, 0, 0, 1]));
        timeout(TIMEOUT, answered).await.expect("the gate answers")
    }

    /// Sends a body, and reads the whole answer; `Err` with what came if it breaks off.
    pub async fn post(&self, body: &str) -> (StatusCode, HeaderMap, Result<String, String>) {
        let (head, body) = self.send(World::request(body)).await.into_parts();
        (head.status, head.headers, read(body).await)
    }

    /// The reports about the charge, once there are `count`.
    pub async fn reports(&self, count: usize) -> Vec<Report> {
        let began = Instant::now();
        loop {
            let reports = self.api.reports.lock().expect("no test panicked").clone();
            if reports.len() >= count {
                return reports;
            }
            assert!(began.elapsed() < TIMEOUT, "{reports:?} are too few");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// The calls of the API whose path ends so.
    pub fn calls(&self, end: &str) -> Vec<Value> {
        let calls = self.api.calls.lock().expect("no test panicked");
        calls.iter().filter(|(path, _)| path.ends_with(end)).map(|(_, body)| body.clone()).collect()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.upstream.seen.lock().expect("no test panicked").clone()
    }

    /// Waits until the gate has closed the connection to the upstream.
    pub async fn upstream_is_closed(&self) {
        let began = Instant::now();
        while self.upstream.closed.load(Ordering::SeqCst) == 0 {
            assert!(began.elapsed() < TIMEOUT, "the connection to the upstream is open");
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn answer_calls(&self, end: &'static str, status: u16, body: Value) {
        self.api.answers.lock().expect("no test panicked").push((end, status, body));
    }
}

/// Reads a body to its end.
pub async fn read(mut body: Body) -> Result<String, String> {
    let mut text = String::new();
    while let Some(frame) = timeout(TIMEOUT, http_body_next(&mut body)).await.expect("it ends") {
        match frame {
            Ok(part) => text.push_str(&part),
            Err(()) => return Err(text),
        }
    }
    Ok(text)
}

/// The next part of a body.
pub async fn http_body_next(body: &mut Body) -> Option<Result<String, ()>> {
    use axum::body::HttpBody;
    let frame = futures_util::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context));
    match frame.await? {
        Ok(frame) => {
            let data = frame.into_data().unwrap_or_default();
            Some(Ok(String::from_utf8(data.to_vec()).expect("it is text")))
        }
        Err(_) => Some(Err(())),
    }
}

/// The JSON of a body.
pub async fn json_of(response: Response<Body>) -> Value {
    let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("it ends");
    serde_json::from_slice(&bytes).expect("it is JSON")
}

/// Units by meter.
pub fn used(input: i64, output: i64) -> Report {
    Report::Used([("input".to_owned(), input), ("output".to_owned(), output)].into())
}

/// An answer with a length.
pub fn whole(status: &str, content_type: &str, body: &str) -> Step {
    let length = body.len();
    Step::Send(format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

/// The head of a stream of events, which ends with its connection or a last chunk.
pub fn stream_head() -> Step {
    Step::Send(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
    )
}

/// A chunk with an event.
pub fn event(data: &str) -> Step {
    let event = format!("data: {data}\n\n");
    Step::Send(format!("{:x}\r\n{event}\r\n", event.len()))
}

/// The end of a stream.
pub fn last_chunk() -> Step {
    Step::Send("0\r\n\r\n".to_owned())
}
