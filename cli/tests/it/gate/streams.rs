//! Answers that arrive bit by bit, connections that change their protocol, and clients that go.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::super::harness::{TIMEOUT, eventually};
use super::{PLACES, Place, World};

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
    assert_eq!(world.upstream.seen().len(), 2);
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
