//! Requests that try to run something unpaid, to smuggle a second request, or to break the gate.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::super::harness::{Reply, TIMEOUT};
use super::{Place, World};

/// Sends bytes to the gate, and returns what came back.
fn send_bytes(world: &World, text: &str) -> String {
    let address = world.gate_url.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(address).expect("the gate listens");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
    // The gate may close the connection before it has read everything.
    let _ = stream.write_all(text.replace("KEY", &world.key).as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_quantity_is_found_in_a_header_or_in_the_body() {
    let world = World::new(Place::BesideServer);
    let put = |count: &str| world.send("PUT", "/echo", &[("x-count", count)], "x").expect("it answers");
    put("3").expect(200);
    let post = |body: &str| world.send("POST", "/echo/a", &[], body).expect("it answers");
    // The upstream does not know the path, so the charge is refunded.
    assert_eq!(post(r#"{"items": {"count": 2}}"#).status, 502);
    let charges = world.charges();
    assert_eq!((&charges[0]["quantity"], &charges[1]["quantity"]), (&2.into(), &3.into()));
    world.assert_paid(3);
}

#[test]
fn a_quantity_that_is_no_number_of_units_runs_nothing() {
    let world = World::new(Place::BesideServer);
    let is_invalid = |reply: Reply| drop(reply.problem(422, "invalid_field"));
    let thirty = format!("1{}", "0".repeat(30));
    for count in ["", "-1", "0", "1.5", "x", "1000001", &thirty] {
        is_invalid(world.send("PUT", "/echo", &[("x-count", count)], "x").expect("it answers"));
    }
    for body in [
        "{}",
        r#"{"items": []}"#,
        r#"{"items": {"count": -1}}"#,
        r#"{"items": {"count": 0}}"#,
        r#"{"items": {"count": "2"}}"#,
        r#"{"items": {"count": 1e30}}"#,
        &format!(r#"{{"items": {{"count": {thirty}}}}}"#),
    ] {
        is_invalid(world.send("POST", "/echo/a", &[], body).expect("it answers"));
    }
    world.send("POST", "/echo/a", &[], "{").expect("it answers").problem(400, "malformed_json");
    let long = format!("{{\"pad\": \"{}\"}}", "x".repeat(1_000));
    world.send("POST", "/echo/a", &[], &long).expect("it answers").problem(413, "body_too_large");
    assert_eq!(world.upstream.seen().len(), 0);
    world.assert_paid(0);
}

#[test]
fn a_second_request_cannot_be_smuggled_to_an_upstream() {
    let world = World::new(Place::BesideServer);
    let smuggled = "GET /status/200 HTTP/1.1\r\nHost: a\r\n\r\n";
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 50\r\n",
        "Content-Length: +5\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding\t: chunked\r\n",
    ] {
        let text = format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nTollkeeper-Key: KEY\r\n{headers}\r\n0\r\n\r\n{smuggled}"
        );
        send_bytes(&world, &text);
    }
    let lawful = "POST /echo HTTP/1.1\r\nHost: a\r\nTollkeeper-Key: KEY\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert!(send_bytes(&world, lawful).starts_with("HTTP/1.1 200"), "a request with one length passes");
    let seen = world.upstream.seen();
    assert!(
        !seen.is_empty() && seen.iter().all(|request| request.line.starts_with("POST /echo ")),
        "{seen:?}"
    );
    for request in &seen {
        let both =
            request.header("content-length").is_some() && request.header("transfer-encoding").is_some();
        assert!(!both, "{request:?}");
    }
    let charged = world.charges().len();
    assert!(seen.len() <= charged, "{} requests reached the upstream, {charged} were charged", seen.len());
}

#[test]
fn a_connection_cannot_be_made_one_that_carries_unpaid_requests() {
    let world = World::new(Place::BesideServer);
    let text = "GET /status/200 HTTP/1.1\r\nHost: a\r\nTollkeeper-Key: KEY\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    assert!(send_bytes(&world, text).starts_with("HTTP/1.1 200"));
    let [seen] = &world.upstream.seen()[..] else { panic!("one request") };
    for name in ["upgrade", "http2-settings"] {
        assert_eq!(seen.header(name), None, "{seen:?}");
    }
    world.assert_paid(1);
}

#[test]
fn a_path_that_an_upstream_may_read_as_another_one_has_no_route() {
    let world = World::new(Place::BesideServer);
    for path in ["/a/../status/200", "/a/%2e%2e/status/200", "/%73tatus/200", "//status/200", "/status%2F200"]
    {
        let text =
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nTollkeeper-Key: KEY\r\nConnection: close\r\n\r\n");
        let answer = send_bytes(&world, &text);
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    assert_eq!(world.upstream.seen().len(), 0);
    world.assert_paid(0);
}

#[test]
fn an_upstream_gets_the_quantity_that_was_charged() {
    let world = World::new(Place::BesideServer);
    let hidden = [("x-count", "3"), ("connection", "x-count")];
    world.send("PUT", "/echo", &hidden, "x").expect("it answers").expect(200);
    let [seen] = &world.upstream.seen()[..] else { panic!("one request") };
    assert_eq!(seen.header("x-count"), Some("3"));
    world.assert_paid(3);
}

#[test]
fn heads_that_are_too_long_or_no_http_are_refused() {
    let world = World::new(Place::BesideServer);
    let long = format!("GET /status/200 HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(1 << 20));
    for text in [&long, "GET /status/200\r\n\r\n", "\0\0\0\0\r\n\r\n", "GET http:// HTTP/1.1\r\n\r\n"] {
        let answer = send_bytes(&world, text);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert!(send_bytes(&world, &long[..(100 << 10)]).starts_with("HTTP/1.1 4"), "a head of 100 KiB");
    assert_eq!(world.upstream.seen().len(), 0);
    world.assert_paid(0);
}

#[test]
fn a_charge_cannot_be_forged() {
    let world = World::new(Place::BesideServer);
    let forged =
        [("tollkeeper-charge", "ch_forged"), ("connection", "tollkeeper-key, x-secret"), ("x-secret", "1")];
    world.send("GET", "/status/200", &forged, "").expect("it answers").expect(200);
    let [seen] = &world.upstream.seen()[..] else { panic!("one request") };
    assert!(seen.header("tollkeeper-charge").is_some_and(|id| id != "ch_forged"), "{seen:?}");
    assert_eq!(seen.header("x-secret"), None, "it was of the connection");
    world.assert_paid(1);
}
