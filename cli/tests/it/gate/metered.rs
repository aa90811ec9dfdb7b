//! Metered routes against a real ledger: what tokens cost, to the micro-unit, and what is refunded.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::super::harness::{Reply, TIMEOUT, TestClient, TestServer, eventually};
use super::{PLACES, Place, start};

/// $0.15 and $0.60 for a million tokens: a dollar is 100,000 micro-units.
const METERS: &str = r#"[{"id": "input", "unit_price": 15000, "per": 1000000},
    {"id": "output", "unit_price": 60000, "per": 1000000}]"#;

/// A request of 46 bytes, for which 302 and 1,000 tokens are held: 4.53 and 60 micro-units.
const ASKED: &str = r#"{"model":"m","stream":true,"max_tokens": 1000}"#;
const HELD: i64 = 65;

/// What 1,234 and 567 tokens cost: 18.51 and 34.02 micro-units.
const PAID: i64 = 53;

const CREDIT: i64 = 1_000;

/// A server with a gate whose routes are metered, and an upstream.
struct World {
    server: TestServer,
    alone: Option<Child>,
    gate: TestClient,
    key: String,
    /// The bodies that reached the upstream.
    seen: Arc<Mutex<Vec<String>>>,
    _scratch: tempfile::TempDir,
}

impl World {
    fn new(place: Place) -> World {
        let scratch = tempfile::tempdir().expect("a directory can be made");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let upstream = start_upstream(&seen);
        let file = scratch.path().join("gate.toml");
        std::fs::write(&file, config(&upstream)).expect("the directory is writable");
        let data = scratch.path().join("data");
        let mut command = TestServer::command(&data);
        command.env("TOLLKEEPER_TICK_MS", "20");
        let (server, gate_url, alone) = start(place, command, &data, &file);
        let meters: Value = serde_json::from_str(METERS).expect("it is JSON");
        let prices = json!({ "operations": [{ "id": "chat", "meters": meters }] });
        server.send("PUT", "/v1/price-book", prices).expect(200);
        server.workspace("acme", CREDIT);
        let (_, key) = server.api_key("acme", json!({"name": "of the gate", "scopes": ["charge"]}));
        let gate = TestClient::new(&gate_url, "of-the-upstream");
        World { server, alone, gate, key, seen, _scratch: scratch }
    }

    /// Sends a request through the gate; an error if its answer breaks off.
    fn post(&self, path: &str, body: &str) -> Result<Reply, ureq::Error> {
        self.gate.raw("POST", path, &[("tollkeeper-key", self.key.as_str())], body)
    }

    /// Waits for the outcome of the newest charge; returns its status and what it cost in the end.
    #[track_caller]
    fn outcome(&self) -> (String, i64) {
        eventually("the charge has an outcome", || {
            let charge = self.server.all("/v1/workspaces/acme/charges").first()?.clone();
            let status = charge["status"].as_str().filter(|status| *status != "pending")?.to_owned();
            Some((status, charge["amount"].as_i64()? - charge["refunded_amount"].as_i64()?))
        })
    }

    /// Reports with the key of the caller that the newest charge used little; returns the status.
    fn report_as_caller(&self) -> u16 {
        let charge = self.server.all("/v1/workspaces/acme/charges")[0]["id"].clone();
        let path = format!("/v1/workspaces/acme/charges/{}/outcome", charge.as_str().expect("an id"));
        let body = json!({ "result": "succeeded", "quantities": { "input": 1, "output": 1 } });
        TestClient::new(&self.server.url, &self.key).send("POST", &path, body).status
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no thread panicked").clone()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(alone) = &mut self.alone {
            // It may have ended already.
            let _ = alone.kill();
            let _ = alone.wait();
        }
    }
}

fn config(upstream: &str) -> String {
    let route = |path: &str, more: &str| {
        format!(
            "[[gate.routes]]\nmethod = \"POST\"\npath = \"{path}\"\noperation = \"chat\"\nupstream = \"{upstream}\"\n\
             dialect = \"openai\"\nmax_input = 100000\nmax_output = 100000\n{more}\n\
             meters = {{ input = [\"/usage/prompt_tokens\"], output = [\"/usage/completion_tokens\"] }}\n"
        )
    };
    let gate = "[gate]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    [
        gate,
        route("/plain/*", ""),
        route("/fit/*", "fit = true\nfit_min = 10"),
        route("/soon/*", "timeout_seconds = 1"),
    ]
    .concat()
}

/// Starts an upstream whose answer is that of the last part of the path. It answers one request of
/// each connection; its threads end with the test process.
fn start_upstream(seen: &Arc<Mutex<Vec<String>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it has an address"));
    let seen = Arc::clone(seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || serve(stream, &seen));
        }
    });
    url
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<String>>) -> Option<()> {
    stream.set_read_timeout(Some(2 * TIMEOUT)).ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let lower = head.to_lowercase();
    let length = lower.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    seen.lock().ok()?.push(String::from_utf8(body).ok()?);
    let path = head.split(' ').nth(1)?;
    stream.write_all(answer(path.rsplit('/').next()?).as_bytes()).ok()?;
    if path.ends_with("/silent") {
        // Until the gate closes the connection.
        return stream.read(&mut [0]).map(drop).ok();
    }
    Some(())
}

/// The answer to a request, after which the connection is closed.
fn answer(name: &str) -> String {
    let usage = |input: i64, output: i64| {
        format!("{{\"choices\":[],\"usage\":{{\"prompt_tokens\":{input},\"completion_tokens\":{output}}}}}")
    };
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let stream = |events: &str, end: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
             {:x}\r\n{events}\r\n{end}",
            events.len()
        )
    };
    let whole = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let last = "0\r\n\r\n";
    match name {
        "stream" => stream(&format!("{text}data: {}\n\ndata: [DONE]\n\n", usage(1_234, 567)), last),
        "json" => whole("200 OK", &usage(1_234, 567)),
        "cut" => stream(&format!("{text}data: {}\n\n", usage(1_234, 567)), ""),
        "silent" => stream(text, ""),
        "much" => whole("200 OK", &usage(1_234, 1_000_000)),
        "nothing" => whole("200 OK", &usage(0, 0)),
        "missing" => whole("200 OK", "{\"choices\":[]}"),
        status => whole(&format!("{status} Said"), "{}"),
    }
}

/// Path, what the charge cost in the end, and its status.
const TABLE: [(&str, i64, &str); 10] = [
    ("/plain/stream", PAID, "settled"),
    ("/plain/json", PAID, "settled"),
    ("/plain/cut", PAID, "settled"),
    ("/plain/much", HELD, "settled"),
    // The input that was held, and an event: 302 and 1 tokens, 4.53 and 0.06 micro-units.
    ("/soon/silent", 5, "settled"),
    ("/plain/missing", 1, "settled"),
    ("/plain/nothing", 0, "refunded"),
    ("/plain/400", 0, "refunded"),
    ("/plain/429", 0, "refunded"),
    ("/plain/500", 0, "refunded"),
];

#[test]
fn each_end_of_a_metered_answer_costs_what_was_used() {
    for place in PLACES {
        let world = World::new(place);
        let mut left = CREDIT;
        for (path, paid, status) in TABLE {
            let reply = world.post(path, ASKED);
            assert_eq!(reply.is_err(), path.ends_with("/cut") || path.ends_with("/silent"), "{path}");
            assert_eq!(world.outcome(), (status.to_owned(), paid), "{path}");
            left -= paid;
            assert_eq!(world.server.available("acme"), left, "{path}");
            assert_eq!(world.report_as_caller(), 403, "{path}");
        }
        assert_eq!(world.seen().len(), TABLE.len());
        let (code, text) = world.server.audit();
        assert_eq!(code, Some(0), "{text}");
    }
}

#[test]
fn the_hold_is_a_bound_that_the_upstream_gets() {
    let world = World::new(Place::BesideServer);
    let reply = world.post("/plain/stream", ASKED).expect("it answers").expect(200);
    assert_eq!(reply.header("tollkeeper-amount"), Some("65"), "what is held");
    assert!(!reply.text.contains("usage"), "the client had not asked for it: {}", reply.text);
    let charge = world.server.all("/v1/workspaces/acme/charges")[0].clone();
    assert_eq!(charge["quantities"], json!({ "input": 302, "output": 1_000 }));
    let sent = r#"{"model":"m","stream":true,"max_tokens":1000,"stream_options":{"include_usage":true}}"#;
    assert_eq!(world.seen(), [sent]);
}

#[test]
fn what_cannot_be_held_reaches_no_upstream() {
    let world = World::new(Place::BesideServer);
    let dear = r#"{"stream":true,"max_tokens":50000}"#;
    let reply = world.post("/plain/stream", dear).expect("it answers");
    assert_eq!((reply.status, reply.header("x-should-retry")), (402, Some("false")), "{}", reply.text);
    let problem = &reply.json["error"]["tollkeeper"];
    // 290 tokens of input cost 4.35 of the 1,000 micro-units.
    assert_eq!(problem["affordable_quantities"]["output"], 16_594, "{}", reply.text);
    assert!(world.seen().is_empty());
    let fitted = world.post("/fit/stream", dear).expect("it answers").expect(200);
    assert_eq!(fitted.header("tollkeeper-fitted"), Some("16594"));
    assert!(world.seen()[0].contains("\"max_tokens\":16594"), "{:?}", world.seen());
    assert_eq!(world.outcome(), ("settled".to_owned(), PAID));
}
