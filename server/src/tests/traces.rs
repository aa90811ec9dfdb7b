//! Traces, sent over real connections to a collector of the test, which decodes what arrives.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use tokio::net::TcpListener;

use super::*;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A field of a message of Protocol Buffers: its number, its value if that is a number, its bytes.
type Field = (u64, u64, Vec<u8>);

/// The fields of a message.
fn fields(mut bytes: &[u8]) -> Vec<Field> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (first, rest) = bytes.split_first().expect("a number ends");
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            shift += 7;
            if first & 0x80 == 0 {
                return value;
            }
        }
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let (number, length) = match key & 7 {
            0 => (varint(&mut bytes), 0),
            1 => (0, 8),
            5 => (0, 4),
            2 => (0, varint(&mut bytes) as usize),
            other => panic!("no wire type {other} is sent"),
        };
        let (value, rest) = bytes.split_at(length);
        bytes = rest;
        found.push((key >> 3, number, value.to_vec()));
    }
    found
}

/// The messages in the fields with this number.
fn inner(bytes: &[u8], field: u64) -> Vec<Vec<u8>> {
    fields(bytes).into_iter().filter(|(number, ..)| *number == field).map(|(.., value)| value).collect()
}

/// A span as it arrived. Ids are in hexadecimal; an absent one is empty.
#[derive(Clone, Debug, Default, PartialEq)]
struct Received {
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: u64,
    nanos: i128,
    is_error: bool,
    attributes: BTreeMap<String, String>,
}

impl Received {
    fn of(span: &[u8]) -> Received {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("a text");
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let nanos = |bytes: &[u8]| i128::from(u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
        let mut received = Received::default();
        for (field, number, value) in fields(span) {
            match field {
                1 => received.trace = hex(value),
                2 => received.id = hex(value),
                4 => received.parent = hex(value),
                5 => received.name = text(value),
                6 => received.kind = number,
                7 => received.nanos -= nanos(&value),
                8 => received.nanos += nanos(&value),
                9 => {
                    let (key, any) = (text(inner(&value, 1).remove(0)), inner(&value, 2).remove(0));
                    let (kind, number, value) = fields(&any).remove(0);
                    let shown = if kind == 1 { text(value) } else { number.to_string() };
                    received.attributes.insert(key, shown);
                }
                15 => received.is_error = fields(&value).contains(&(3, 2, Vec::new())),
                16 => assert_eq!(value[0] & 1, 1, "it is recorded"),
                other => panic!("no field {other} is sent"),
            }
        }
        received
    }

    fn attributes(&self) -> Vec<(&str, &str)> {
        self.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
}

/// The collector. It ends with the test.
struct Collector {
    url: String,
    bodies: Arc<Mutex<Vec<Bytes>>>,
}

impl Collector {
    async fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}/otlp", listener.local_addr().expect("it is bound"));
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().route("/otlp/v1/traces", axum::routing::post(collect));
        let router = router.with_state(Arc::clone(&bodies));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Collector { url, bodies }
    }

    fn bodies(&self) -> Vec<Bytes> {
        self.bodies.lock().expect("no test panics with it").clone()
    }

    fn spans(&self) -> Vec<Received> {
        let bodies = self.bodies().into_iter();
        let resources = bodies.flat_map(|body| inner(&body, 1));
        let scopes = resources.flat_map(|resource| inner(&resource, 2));
        let spans = scopes.flat_map(|scope| inner(&scope, 2));
        spans.map(|span| Received::of(&span)).collect()
    }
}

async fn collect(
    State(bodies): State<Arc<Mutex<Vec<Bytes>>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    assert_eq!(
        headers.get("content-type").map(|value| value.as_bytes()),
        Some(&b"application/x-protobuf"[..])
    );
    assert_eq!(headers.get("api-key").map(|value| value.as_bytes()), Some(&b"top secret"[..]));
    bodies.lock().expect("no test panics with it").push(body);
    StatusCode::OK
}

/// A world whose traces go to this address.
async fn traced(url: &str, more: &[(&str, &str)]) -> World {
    let mut settings = settings();
    for (name, value) in [("otlp_endpoint", url), ("otlp_headers", "api-key=top secret")].iter().chain(more) {
        settings.traces.set(name, value).expect("the setting is right");
    }
    let world = world_of(&settings, NOW).await;
    world.grant("acme", "start", 1_000).await;
    world
}

impl World {
    /// Lets the exporter send what waits, and end.
    async fn flush(&self) {
        let traces = self.app.traces.as_ref().expect("there is a collector");
        traces.end();
        traces.take_exporter().expect("it is taken once").run().await;
    }

    async fn charge_in_trace(&self, key: &str, parent: &str, quantity: u32) -> Reply {
        let bearer = format!("Bearer {KEY}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key),
            ("traceparent", parent),
        ];
        let body = format!(r#"{{"operation":"support_message","quantity":{quantity},"member":"ada"}}"#);
        self.ask("POST", "/v1/workspaces/acme/charges", &headers, body).await
    }

    async fn spans_metric(&self, name: &str) -> String {
        let text = self.get("/metrics").await.text;
        let line =
            text.lines().find_map(|line| line.strip_prefix(&format!("tollkeeper_spans_{name}_total ")));
        line.expect("the metric is there").to_owned()
    }
}

#[tokio::test]
async fn a_request_is_a_span_in_the_trace_of_its_caller() {
    let collector = Collector::start().await;
    let world = traced(&collector.url, &[]).await;
    assert_eq!(world.charge_in_trace("made", PARENT, 1).await.status, 201);
    world.charge_in_trace("refused", PARENT, 3).await.problem(402, "insufficient_credits");
    world.ask("GET", "/v1/workspaces/other/balance?x=hidden", &[], Body::empty()).await;
    world.flush().await;
    let spans = collector.spans();
    let route = "/v1/workspaces/{workspace}/charges";
    let of_route: Vec<&Received> = spans.iter().filter(|span| span.name == format!("POST {route}")).collect();
    assert_eq!(of_route.len(), 2, "{spans:#?}");
    for span in &of_route {
        assert_eq!(span.trace, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((span.parent.as_str(), span.kind, span.is_error), ("b7ad6b7169203331", 2, false));
        assert!(span.nanos > 0 && span.id.len() == 16, "{span:?}");
    }
    assert_eq!(
        of_route[0].attributes(),
        [
            ("http.request.method", "POST"),
            ("http.response.status_code", "201"),
            ("http.route", route),
            ("tollkeeper.workspace", "acme"),
        ]
    );
    assert_eq!(of_route[1].attributes["error.type"], "insufficient_credits");
    let in_engine = spans.iter().find(|span| span.parent == of_route[0].id).expect("a command has a span");
    assert_eq!((in_engine.name.as_str(), in_engine.kind), ("engine", 1));
    assert_eq!(
        (&in_engine.trace, in_engine.attributes()),
        (&of_route[0].trace, vec![("tollkeeper.commands", "1")])
    );
    assert!(in_engine.nanos <= of_route[0].nanos, "it is within the request");
    let unknown = spans.iter().find(|span| span.name == "GET /v1/workspaces/{workspace}/balance");
    let unknown = unknown.expect("a request without a key has a span too");
    assert_eq!((unknown.parent.as_str(), unknown.attributes["error.type"].as_str()), ("", "unauthenticated"));
    assert_eq!(unknown.attributes["tollkeeper.workspace"], "other");
    let sent = collector.bodies().concat();
    for secret in [KEY, "made", "refused", "ada", "hidden", "support_message"] {
        let holds = sent.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!holds, "{secret} is in no span");
    }
    assert_eq!(world.spans_metric("exported").await, spans.len().to_string());
}

#[tokio::test]
async fn callers_decide_for_their_traces_and_chance_for_the_others() {
    let collector = Collector::start().await;
    let world = traced(&collector.url, &[("otlp_sample_percent", "0")]).await;
    let not_recorded = PARENT.replace("-01", "-00");
    for (key, parent) in [("a", PARENT), ("b", not_recorded.as_str()), ("c", "malformed"), ("d", "")] {
        world.charge_in_trace(key, parent, 1).await;
    }
    world.flush().await;
    let requests = collector.spans().into_iter().filter(|span| span.kind == 2);
    let parents: Vec<String> = requests.map(|span| span.parent).collect();
    assert_eq!(parents, ["b7ad6b7169203331"]);
}

#[tokio::test]
async fn a_collector_that_is_away_delays_nobody_and_what_is_lost_is_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    drop(listener);
    let world = traced(&url, &[]).await;
    let before: usize = world.spans_metric("dropped").await.parse().expect("a number");
    assert_eq!(before, 0);
    for _ in 0..5_000 {
        assert_eq!(world.ask("GET", "/healthz", &[], Body::empty()).await.status, 200);
    }
    let beyond: usize = world.spans_metric("dropped").await.parse().expect("a number");
    assert!((900..1_000).contains(&beyond), "the queue is bounded: {beyond}");
    world.flush().await;
    let lost: usize = world.spans_metric("dropped").await.parse().expect("a number");
    assert!(lost > 5_000, "what waited is lost too: {lost}");
    assert_eq!(world.spans_metric("exported").await, "0");
}

#[tokio::test]
async fn without_the_setting_there_are_no_traces() {
    let world = world().await;
    assert!(world.app.traces.is_none());
    assert!(!world.get("/metrics").await.text.contains("tollkeeper_spans"));
}
