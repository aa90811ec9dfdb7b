//! What the answer of an upstream means for the charge.

use serde_json::json;

use super::super::harness::{TestClient, TestServer, eventually};
use super::{PLACES, PRICE, Place, World};

/// Path, status for the client, status and outcome of the charge.
const TABLE: [(&str, u16, &str, &str); 15] = [
    ("/status/200", 200, "settled", "succeeded"),
    ("/status/204", 204, "settled", "succeeded"),
    ("/status/302", 302, "settled", "succeeded"),
    ("/status/304", 304, "settled", "succeeded"),
    ("/status/400", 400, "settled", "failed_user"),
    ("/status/404", 404, "settled", "failed_user"),
    ("/status/422", 422, "settled", "failed_user"),
    ("/status/408", 408, "refunded", "failed_system"),
    ("/status/425", 425, "refunded", "failed_system"),
    ("/status/429", 429, "refunded", "failed_system"),
    ("/status/500", 500, "refunded", "failed_system"),
    ("/status/503", 503, "refunded", "failed_system"),
    ("/silent", 502, "refunded", "failed_system"),
    ("/refused", 502, "refunded", "failed_system"),
    ("/hang", 504, "refunded", "failed_system"),
];

#[test]
fn each_answer_of_an_upstream_settles_or_refunds_its_charge() {
    for place in PLACES {
        let world = World::new(place);
        for (path, status, charge_status, outcome) in TABLE {
            let reply = world.get(path);
            assert_eq!(reply.status, status, "{path}: {}", reply.text);
            assert_eq!(world.outcome(), (charge_status.to_owned(), outcome.to_owned()), "{path}");
        }
        let kept = TABLE.iter().filter(|(_, _, status, _)| *status == "settled").count();
        world.assert_paid(i64::try_from(kept).expect("it is small"));
        let reached = world.upstream.seen().len();
        assert_eq!(reached, TABLE.len() - 1, "every request but the one whose connection was refused");
    }
}

#[test]
fn a_client_gets_its_charge_and_the_upstream_the_id() {
    let world = World::new(Place::BesideServer);
    let reply = world.send(
        "POST",
        "/echo?q=1",
        &[("tollkeeper-worker", "w1"), ("tollkeeper-member", "dan")],
        "hello",
    );
    let reply = reply.expect("the gate answers").expect(200);
    assert_eq!(reply.text, "hello");
    let charge = world.charges()[0].clone();
    assert_eq!(reply.header("tollkeeper-charge"), charge["id"].as_str());
    assert_eq!(reply.header("tollkeeper-amount"), Some("500"));
    assert_eq!(reply.header("tollkeeper-balance"), Some("4500"));
    assert_eq!((&charge["worker"], &charge["member"]), (&json!("w1"), &json!("dan")));
    let [seen] = &world.upstream.seen()[..] else { panic!("one request") };
    assert_eq!(seen.line, "POST /echo?q=1 HTTP/1.1");
    assert_eq!(seen.header("tollkeeper-charge"), charge["id"].as_str());
    assert_eq!(seen.header("authorization"), Some("Bearer of-the-upstream"));
    for name in ["tollkeeper-key", "tollkeeper-worker", "tollkeeper-member"] {
        assert_eq!(seen.header(name), None);
    }
}

#[test]
fn clients_of_model_apis_pay_with_the_one_key_that_they_can_set() {
    for place in PLACES {
        let world = World::new(place);
        // A client of OpenAI's API, and one of Anthropic's.
        let openai = TestClient::new(&world.gate_url, &world.key);
        let as_bearer = openai.raw("OPTIONS", "/echo", &[], "").expect("the gate answers").expect(200);
        let header = [("authorization", ""), ("x-api-key", world.key.as_str())];
        let as_key = world.gate.raw("DELETE", "/echo", &header, "").expect("the gate answers").expect(200);
        assert!(
            as_bearer.header("tollkeeper-charge").is_some() && as_key.header("tollkeeper-charge").is_some()
        );
        let without_own = openai.raw("GET", "/status/200", &[], "").expect("the gate answers");
        assert_eq!(without_own.status, 200);
        let [bearer, key, none] = &world.upstream.seen()[..] else { panic!("three requests") };
        assert_eq!(bearer.header("authorization"), Some("Bearer sk-of-the-upstream"));
        assert_eq!(key.header("x-api-key"), Some("sk-of-the-upstream"));
        assert_eq!(none.header("authorization"), None, "no key of Tollkeeper reaches an upstream");
        for request in world.upstream.seen() {
            assert!(!request.headers.iter().any(|(_, value)| value.contains("tk_")), "{request:?}");
        }
        world.assert_paid(3);
    }
}

#[test]
fn the_balance_in_an_answer_is_that_of_the_gate() {
    let world = World::new(Place::BesideServer);
    assert_eq!(world.get("/status/200").header("tollkeeper-balance"), Some("4500"), "the upstream said 1");
}

#[test]
fn nothing_reaches_an_upstream_unpaid() {
    for place in PLACES {
        let world = World::new(place);
        world.server.workspace("poor", PRICE - 1);
        let (_, poor) = world.server.api_key("poor", json!({"name": "k", "scopes": ["charge"]}));
        let with = |key: &str| world.gate.raw("GET", "/status/200", &[("tollkeeper-key", key)], "");
        let refused = with(&poor).expect("the gate answers").problem(402, "insufficient_credits");
        assert_eq!(refused.int("/shortfall"), 1);
        assert_eq!(refused.header("x-should-retry"), Some("false"));
        for key in ["", "tk_workspace_x", &format!("tk_workspace_{}_acme", "0".repeat(64)), "of-the-upstream"]
        {
            with(key).expect("the gate answers").problem(401, "unauthenticated");
        }
        let (_, reader) = world.server.api_key("acme", json!({"name": "r", "scopes": ["read"]}));
        with(&reader).expect("the gate answers").problem(403, "forbidden");
        world.gate.raw("PATCH", "/echo", &[], "").expect("the gate answers").problem(404, "not_found");
        assert_eq!(world.upstream.seen().len(), 0);
        world.assert_paid(0);
    }
}

#[test]
fn a_lack_of_credit_is_said_in_the_dialect_of_the_route() {
    let world = World::new(Place::BesideServer);
    world.server.workspace("poor", 0);
    let (_, key) = world.server.api_key("poor", json!({"name": "k", "scopes": ["charge"]}));
    let reply =
        world.gate.raw("POST", "/openai/v1/chat", &[("tollkeeper-key", &key)], "{}").expect("it answers");
    assert_eq!((reply.status, &reply.json["error"]["code"]), (402, &json!("insufficient_credits")));
    assert_eq!(reply.json["error"]["type"], "insufficient_quota");
}

#[test]
fn a_key_that_was_used_before_runs_nothing_again() {
    for place in PLACES {
        let world = World::new(place);
        let send =
            || world.send("GET", "/status/200", &[("idempotency-key", "order-1")], "").expect("it answers");
        let first = send().expect(200);
        let again = send().problem(409, "operation_already_paid");
        assert_eq!(again.json["charge"]["id"].as_str(), first.header("tollkeeper-charge"));
        world
            .send("GET", "/status/500", &[("idempotency-key", "order-2")], "")
            .expect("it answers")
            .expect(500);
        world
            .send("GET", "/status/200", &[("idempotency-key", "order-2")], "")
            .expect("it answers")
            .expect(409);
        assert_eq!(world.upstream.seen().len(), 2);
        world.assert_paid(1);
    }
}

#[test]
fn many_requests_under_one_key_run_once() {
    let world = World::new(Place::BesideServer);
    let replies: Vec<u16> = std::thread::scope(|scope| {
        let send = || {
            world.send("GET", "/status/200", &[("idempotency-key", "one")], "").expect("it answers").status
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    assert_eq!(replies.iter().filter(|status| **status == 200).count(), 1, "{replies:?}");
    assert_eq!(replies.iter().filter(|status| **status == 409).count(), 7, "{replies:?}");
    assert_eq!(world.upstream.seen().len(), 1);
    world.assert_paid(1);
}

#[test]
fn a_head_request_settles_without_a_body() {
    let world = World::new(Place::BesideServer);
    world.send("HEAD", "/status/200", &[], "").expect("it answers").expect(200);
    assert_eq!(world.outcome(), ("settled".to_owned(), "succeeded".to_owned()));
    world.assert_paid(1);
}

#[test]
fn a_gate_that_dies_leaves_charges_that_their_deadlines_refund() {
    let mut world = World::new(Place::Alone);
    std::thread::scope(|scope| {
        let request = scope.spawn(|| world.send("GET", "/stall", &[], ""));
        eventually("the upstream has the request", || (world.upstream.seen().len() == 1).then_some(()));
        let gate = world.alone.as_ref().expect("it runs alone").id().to_string();
        let killed = std::process::Command::new("kill").args(["-9", &gate]).status();
        assert!(killed.expect("kill is installed").success());
        assert!(request.join().expect("it does not panic").is_err(), "the connection broke");
    });
    assert_eq!(world.outcome(), ("refunded".to_owned(), "timed_out".to_owned()));
    world.assert_paid(0);
    world.alone.take().expect("it ran alone").wait().expect("a killed child ends");
}

#[test]
fn a_server_that_dies_with_its_gate_refunds_after_its_next_start() {
    let mut world = World::new(Place::BesideServer);
    std::thread::scope(|scope| {
        let request = scope.spawn(|| world.send("GET", "/stall", &[], ""));
        eventually("the upstream has the request", || (world.upstream.seen().len() == 1).then_some(()));
        world.server.signal("KILL");
        assert!(request.join().expect("it does not panic").is_err(), "the connection broke");
    });
    world.server.kill();
    let data = world.server.data.clone();
    let mut command = TestServer::command(&data);
    command.env("TOLLKEEPER_TICK_MS", "20");
    world.server = TestServer::spawned(command, &data);
    assert_eq!(world.outcome(), ("refunded".to_owned(), "timed_out".to_owned()));
    world.assert_paid(0);
}

#[test]
fn a_server_that_is_gone_lets_nothing_through() {
    let mut world = World::new(Place::Alone);
    assert!(world.server.stop().success());
    let reply = world.get("/status/200").problem(503, "store_unavailable");
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(world.upstream.seen().len(), 0);
}
