//! Answers that arrive bit by bit, connections that change their protocol, and clients that go.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::super::harness::{TIMEOUT, eventually};
use super::{PLACES, PRICE, Place, World};

/// A connection to the gate on which a request was sent.
fn open(world: &World, head: &str) -> TcpStream {
    let address = world.gate_url.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(address).expect("the gate listens");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
    let head = format!("{head}\r\nHost: gate.example\r\nTollkeeper-Key: {}\r\n", world.key);
    stream.write_all(head.as_bytes()).expect("it is sent");
    stream
}

/// Reads until the text is there; returns everything until then.
#[track_caller]
fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).expect("it arrives"), 1, "{}", String::from_utf8_lossy(&read));
        read.push(byte[0]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[test]
fn a_part_of_an_answer_arrives_before_the_upstream_sends_the_next() {
    for place in PLACES {
        let world = World::new(place);
        let mut stream = open(&world, "GET /steps HTTP/1.1");
        stream.write_all(b"\r\n").expect("it is sent");
        let head = read_until(&mut stream, "one");
        assert!(head.to_lowercase().contains("tollkeeper-charge: ch_"), "{head}");
        assert_eq!(world.charges()[0]["status"], "pending", "the answer has not ended");
        world.upstream.step();
        read_until(&mut stream, "two");
        world.upstream.step();
        read_until(&mut stream, "0\r\n\r\n");
        assert_eq!(world.outcome().0, "settled");
        world.assert_paid(1);
    }
}

#[test]
fn a_client_that_hangs_up_does_not_decide() {
    let world = World::new(Place::BesideServer);
    let mut stream = open(&world, "GET /steps HTTP/1.1");
    stream.write_all(b"\r\n").expect("it is sent");
    read_until(&mut stream, "one");
    drop(stream);
    world.upstream.step();
    assert_eq!(world.charges()[0]["status"], "pending");
    world.upstream.step();
    assert_eq!(world.outcome(), ("settled".to_owned(), "succeeded".to_owned()));
    world.assert_paid(1);
}

#[test]
fn an_upstream_that_breaks_off_within_its_answer_is_refunded() {
    for place in PLACES {
        let world = World::new(place);
        assert!(
            world.send("GET", "/half", &[], "").is_err(),
            "the client sees that the answer is not complete"
        );
        assert_eq!(world.outcome(), ("refunded".to_owned(), "failed_system".to_owned()));
        world.assert_paid(0);
    }
}

#[test]
fn a_client_that_holds_its_request_back_cannot_have_an_answer_refunded() {
    let world = World::new(Place::BesideServer);
    let mut stream = open(&world, "POST /flow/soon HTTP/1.1");
    stream.write_all(b"Content-Length: 9\r\n\r\nanswered").expect("it is sent");
    read_until(&mut stream, "answered");
    // The last byte never comes, so the route times out.
    assert_eq!(world.outcome(), ("settled".to_owned(), "succeeded".to_owned()));
    world.assert_paid(1);
}

#[test]
fn a_part_of_an_answer_is_never_taken_for_the_whole() {
    let world = World::new(Place::BesideServer);
    let mut stream = open(&world, "GET /cut HTTP/1.1");
    stream.write_all(b"\r\n").expect("it is sent");
    let begun = read_until(&mut stream, "one");
    assert!(begun.starts_with("HTTP/1.1 200"), "{begun}");
    world.upstream.step();
    let mut rest = Vec::new();
    // The connection may be reset at its end.
    let _ = stream.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
    assert_eq!(world.outcome(), ("refunded".to_owned(), "failed_system".to_owned()));
    world.assert_paid(0);
}

#[test]
fn a_client_that_is_gone_before_its_charge_leaves_none_without_an_outcome() {
    let world = World::new(Place::BesideServer);
    let mut stream = open(&world, "GET /status/200 HTTP/1.1");
    stream.write_all(b"\r\n").expect("it is sent");
    drop(stream);
    let first = eventually("it was charged", || world.charges().first().cloned());
    assert_eq!(world.outcome(), ("settled".to_owned(), "succeeded".to_owned()), "{first}");
    world.assert_paid(1);
}

#[test]
fn a_request_that_breaks_off_before_an_answer_is_refunded() {
    let world = World::new(Place::BesideServer);
    let mut stream = open(&world, "POST /echo HTTP/1.1");
    stream.write_all(b"Content-Length: 10\r\n\r\nfive!").expect("it is sent");
    eventually("it was charged", || (world.charges().len() == 1).then_some(()));
    stream.shutdown(Shutdown::Both).expect("it is open");
    assert_eq!(world.outcome(), ("refunded".to_owned(), "failed_system".to_owned()));
    assert_eq!(world.upstream.seen().len(), 0, "no complete request reached the upstream");
    world.assert_paid(0);
}

#[test]
fn a_request_streams_to_the_upstream_and_back_unchanged() {
    let world = World::new(Place::BesideServer);
    let body = "0123456789".repeat(100_000);
    let reply = world.send("POST", "/echo", &[], &body).expect("the gate answers").expect(200);
    assert!(reply.text == body, "{} bytes came back", reply.text.len());
    world.assert_paid(1);
}

/// Whether the long tests run.
fn is_long() -> bool {
    std::env::var_os("TOLLKEEPER_LONG_TESTS").is_some_and(|value| !value.is_empty() && value != "0")
}

/// The streams for which this process may open files: both ends of the test, and room for others.
fn streams_max() -> i64 {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux has limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("it is limited");
    let soft = line.split_whitespace().next().and_then(|text| text.parse::<i64>().ok());
    (soft.unwrap_or(i64::MAX) - 300) / 3
}

/// The most memory that a gate alone ever had, in MiB.
fn peak_mib(world: &World) -> u64 {
    let gate = world.alone.as_ref().expect("the gate is a process of its own");
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux counts it");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
    kib / 1_024
}

#[test]
fn a_large_body_passes_both_ways_in_little_memory() {
    const CHUNK: usize = 1 << 20;
    // A gigabyte, or 128 MiB.
    let chunks = if is_long() { 1 << 10 } else { 128 };
    let world = World::new(Place::Alone);
    let mut stream = open(&world, "POST /flow HTTP/1.1");
    stream.write_all(format!("Content-Length: {}\r\n\r\n", chunks * CHUNK).as_bytes()).expect("it is sent");
    let mut sender = stream.try_clone().expect("a connection has two ends");
    let sending = std::thread::spawn(move || {
        let chunk = vec![b'x'; CHUNK];
        (0..chunks).for_each(|_| sender.write_all(&chunk).expect("it is sent"));
    });
    let head = read_until(&mut stream, "\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let before = peak_mib(&world);
    let mut chunk = vec![0; CHUNK];
    for _ in 0..chunks {
        stream.read_exact(&mut chunk).expect("every byte comes back");
        assert!(chunk.iter().all(|byte| *byte == b'x'));
    }
    sending.join().expect("every byte was sent");
    let grown = peak_mib(&world) - before;
    assert!(grown < 64, "{grown} MiB more while {chunks} MiB passed");
    assert_eq!(world.outcome().0, "settled");
    world.assert_paid(1);
}

#[test]
fn idle_streams_stay_open_and_are_all_settled() {
    let streams = if is_long() { streams_max().min(1_000) } else { 100 };
    let world = World::new(Place::Alone);
    world.server.grant("acme", "for-streams", "promotional", streams * PRICE);
    let mut open: Vec<TcpStream> = (0..streams)
        .map(|_| {
            let mut stream = open(&world, "GET /idle HTTP/1.1");
            stream.write_all(b"\r\n").expect("it is sent");
            stream
        })
        .collect();
    open.iter_mut().for_each(|stream| drop(read_until(stream, "one")));
    let pending = world.server.get("/v1/workspaces/acme/balance").int("/pending");
    assert_eq!(pending, streams * PRICE, "no outcome is known yet");
    assert!(peak_mib(&world) < 256, "{} MiB", peak_mib(&world));
    world.upstream.release();
    open.iter_mut().for_each(|stream| drop(read_until(stream, "0\r\n\r\n")));
    eventually("every charge is settled", || {
        let balance = world.server.get("/v1/workspaces/acme/balance");
        (balance.int("/pending") == 0).then_some(())
    });
    assert_eq!(world.server.available("acme"), 10 * PRICE, "each stream was paid");
}

#[test]
fn a_web_socket_passes_in_both_directions_and_is_paid_when_it_opens() {
    for place in PLACES {
        let world = World::new(place);
        let mut stream = open(&world, "GET /socket HTTP/1.1");
        stream.write_all(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n").expect("it is sent");
        let head = read_until(&mut stream, "\r\n\r\n").to_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(head.contains("upgrade: websocket") && head.contains("tollkeeper-charge: ch_"), "{head}");
        stream.write_all(b"ping over the tunnel").expect("it is sent");
        read_until(&mut stream, "ping over the tunnel");
        assert_eq!(world.outcome(), ("settled".to_owned(), "succeeded".to_owned()));
        drop(stream);
        world.assert_paid(1);
    }
}

#[test]
fn a_connection_serves_many_requests_and_reuses_that_to_the_upstream() {
    let world = World::new(Place::BesideServer);
    let mut stream = open(&world, "GET /status/200 HTTP/1.1");
    stream.write_all(b"\r\n").expect("it is sent");
    read_until(&mut stream, "done");
    let head = format!("GET /status/200 HTTP/1.1\r\nHost: a\r\nTollkeeper-Key: {}\r\n\r\n", world.key);
    stream.write_all(head.as_bytes()).expect("it is sent");
    read_until(&mut stream, "done");
    assert_eq!((world.upstream.seen().len(), world.upstream.connections()), (2, 1));
    world.assert_paid(2);
}

#[test]
fn a_shutdown_lets_an_answer_end_and_settles_it() {
    let mut world = World::new(Place::BesideServer);
    let mut stream = open(&world, "GET /steps HTTP/1.1");
    stream.write_all(b"\r\n").expect("it is sent");
    read_until(&mut stream, "one");
    world.server.signal("TERM");
    world.upstream.step();
    read_until(&mut stream, "two");
    world.upstream.step();
    read_until(&mut stream, "0\r\n\r\n");
    assert!(world.server.stop().success());
    let data = world.server.data.clone();
    world.server = super::TestServer::on(&data);
    assert_eq!(world.outcome(), ("settled".to_owned(), "succeeded".to_owned()));
}
