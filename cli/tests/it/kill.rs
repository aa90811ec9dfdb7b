//! `kill -9` of the server under load: an acknowledged charge exists exactly once, a request
//! without an answer can be repeated with the same key, and the journal passes its audit after
//! every crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{TIMEOUT, TestServer, eventually};

const CLIENTS: usize = 12;
const ROUNDS: usize = 6;
const PRICE: i64 = 500;
const CREDIT: i64 = 1_000_000_000;

/// What the clients know: the keys that they sent, and the charge ids of the answers.
#[derive(Default)]
struct ClientLog {
    sent: BTreeSet<String>,
    acknowledged: BTreeMap<String, String>,
}

/// Charges from all clients at once, and kills the server after `answers` answers.
fn load_and_kill(server: &mut TestServer, round: usize, answers: usize, log: &mut ClientLog) {
    let (answered, received) = mpsc::channel();
    let stop = AtomicBool::new(false);
    let connections: Vec<_> = (0..CLIENTS).map(|_| server.client()).collect();
    std::thread::scope(|scope| {
        for (number, client) in connections.into_iter().enumerate() {
            let (answered, stop) = (answered.clone(), &stop);
            scope.spawn(move || {
                for n in 0.. {
                    let key = format!("{round}-{number}-{n}");
                    let body = json!({"operation": "support_message"});
                    let path = "/v1/workspaces/acme/charges";
                    let reply = client.try_send("POST", path, Some(&key), &body).ok();
                    let id = reply.as_ref().map(|reply| reply.clone().expect(201).id());
                    let is_broken = id.is_none();
                    let received = answered.send((key, id)).is_ok();
                    if is_broken || !received || stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        drop(answered);
        for _ in 0..answers {
            log.note(received.recv_timeout(TIMEOUT).expect("the server answers under load"));
        }
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for pair in received {
            log.note(pair);
        }
    });
}

impl ClientLog {
    fn note(&mut self, (key, id): (String, Option<String>)) {
        if let Some(id) = id {
            self.acknowledged.insert(key.clone(), id);
        }
        self.sent.insert(key);
    }
}

#[test]
fn an_acknowledged_charge_exists_exactly_once_after_every_kill() {
    let own = TempDir::new().expect("a temporary directory can be created");
    let data = own.path().join("data");
    let mut server = TestServer::on(&data);
    server.workspace("acme", CREDIT);
    let mut log = ClientLog::default();
    for round in 0..ROUNDS {
        load_and_kill(&mut server, round, 100 + 150 * round, &mut log);
        let (code, report) = server.audit();
        assert_eq!(code, Some(0), "after kill {round}: {report}");
        server = TestServer::on(&data);

        // Repeat all requests: those that were acknowledged get their first answer, with the same
        // charge id.
        for key in &log.sent {
            let reply = server.charge("acme", key, json!({"operation": "support_message"})).expect(201);
            match log.acknowledged.get(key) {
                Some(id) => assert!(reply.replayed() && reply.id() == *id, "{key} was {id}: {}", reply.text),
                None => drop(log.acknowledged.insert(key.clone(), reply.id())),
            }
        }
        let charges = log.acknowledged.len();
        let distinct: BTreeSet<_> = log.acknowledged.values().collect();
        assert_eq!(distinct.len(), charges, "no two keys share a charge");
        let spent = PRICE * i64::try_from(charges).expect("the number of charges fits");
        assert_eq!(server.available("acme"), CREDIT - spent, "each charge exists exactly once");
    }
    let charges: BTreeSet<String> = server
        .all("/v1/workspaces/acme/charges")
        .iter()
        .map(|charge| charge["id"].as_str().expect("a charge has an id").to_owned())
        .collect();
    assert_eq!(
        charges,
        log.acknowledged.into_values().collect(),
        "the charges are exactly those of the answers"
    );
}

#[test]
fn a_replay_after_a_restart_has_the_same_bytes() {
    let own = TempDir::new().expect("a temporary directory can be created");
    let data = own.path().join("data");
    let mut server = TestServer::on(&data);
    server.workspace("acme", 100_000);
    let body = json!({"operation": "smart_pricing", "quantity": 3, "reference": "r", "metadata": {"b": 1, "a": [2]}});
    let first = server.charge("acme", "k", body.clone()).expect(201);
    assert_eq!(server.stop().code(), Some(0));
    for kill in [true, false] {
        let mut server = TestServer::on(&data);
        let again = server.charge("acme", "k", body.clone()).expect(201);
        assert!(again.replayed());
        assert_eq!(again.text, first.text);
        assert_eq!(server.available("acme"), 97_000);
        if kill {
            server.kill();
        }
    }
}

#[test]
fn a_pending_charge_is_refunded_after_a_kill_and_a_restart() {
    let own = TempDir::new().expect("a temporary directory can be created");
    let data = own.path().join("data");
    // This server is killed before the deadline, so it does not time the charge out.
    let mut command = TestServer::command(&data);
    command.env("TOLLKEEPER_TICK_MS", "60000");
    let mut server = TestServer::spawned(command, &data);
    server.workspace("acme", 50_000);
    let awaited = |seconds: u32| json!({"operation": "virtual_try_on", "await_outcome": true, "timeout_seconds": seconds});
    let short = server.charge("acme", "short", awaited(1)).expect(201).id();
    let long = server.charge("acme", "long", awaited(3_600)).expect(201).id();
    assert_eq!(server.available("acme"), 10_000);
    server.kill();

    let server = TestServer::on(&data);
    let refunded = eventually("a refund at the deadline", || {
        let charge = server.charge_now("acme", &short);
        (charge.json["status"] != "pending").then_some(charge)
    });
    assert_eq!(
        (refunded.json["status"].as_str(), refunded.json["outcome"].as_str()),
        (Some("refunded"), Some("timed_out"))
    );
    assert_eq!(refunded.int("/refunded_amount"), 20_000);
    assert_eq!(server.charge_now("acme", &long).json["status"], "pending", "its deadline is later");
    assert_eq!(server.available("acme"), 30_000);
    // A late outcome is refused, and no credit moves.
    let late = server.outcome("acme", &short, json!({"result": "succeeded"}));
    late.problem(409, "charge_already_refunded");
    assert_eq!(server.available("acme"), 30_000);
}

#[test]
fn sigterm_right_after_the_server_is_ready_exits_0() {
    for _ in 0..12 {
        assert_eq!(TestServer::fresh().stop().code(), Some(0));
    }
}

#[test]
fn sigterm_answers_accepted_requests_and_exits_0() {
    let mut server = TestServer::fresh();
    server.workspace("acme", CREDIT);
    let mut log = ClientLog::default();
    let (answered, received) = mpsc::channel();
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (answered, client) = (answered.clone(), server.client());
            scope.spawn(move || {
                for n in 0.. {
                    let (key, body) = (format!("{number}-{n}"), json!({"operation": "support_message"}));
                    let path = "/v1/workspaces/acme/charges";
                    let Ok(reply) = client.try_send("POST", path, Some(&key), &body) else { return };
                    // While the server drains, it may refuse with 503, and never answers anything
                    // else.
                    assert!(matches!(reply.status, 201 | 503), "{}", reply.text);
                    if reply.status == 503 || answered.send((key, Some(reply.id()))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(answered);
        for _ in 0..300 {
            log.note(received.recv_timeout(TIMEOUT).expect("the server answers under load"));
        }
        assert_eq!(server.stop().code(), Some(0));
        while let Ok(pair) = received.recv_timeout(Duration::from_secs(5)) {
            log.note(pair);
        }
    });
    let again = TestServer::on(&server.data);
    let charges = again.all("/v1/workspaces/acme/charges");
    let ids: BTreeSet<_> = charges.iter().filter_map(|charge| charge["id"].as_str()).collect();
    assert!(
        log.acknowledged.values().all(|id| ids.contains(id.as_str())),
        "an acknowledged charge is missing"
    );
    let spent = PRICE * i64::try_from(charges.len()).expect("the number of charges fits");
    assert_eq!(again.available("acme"), CREDIT - spent);
}
