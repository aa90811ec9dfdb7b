//! Clients racing for the same credit: exactly what can be paid is paid (P8), and a key is answered once.

use std::sync::Barrier;

use serde_json::json;

use super::home;
use crate::harness::{Reply, Server};

const CLIENTS: usize = 64;

/// All clients at once, each on a connection of its own; what each saw.
fn race(server: &Server, client: impl Fn(&crate::harness::Client, usize) -> Vec<Reply> + Sync) -> Vec<Reply> {
    let start = Barrier::new(CLIENTS);
    std::thread::scope(|scope| {
        let run = |number| {
            let (start, client) = (&start, &client);
            let connection = server.client();
            scope.spawn(move || {
                start.wait();
                client(&connection, number)
            })
        };
        let running: Vec<_> = (0..CLIENTS).map(run).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("a client finishes")).collect()
    })
}

#[test]
fn sixty_four_clients_race_for_a_balance_worth_100_charges() {
    let mut server = home().server();
    server.workspace("acme", 100 * 20_000);
    let replies = race(&server, |client, number| {
        let charge =
            |n| client.charge("acme", &format!("{number}-{n}"), json!({"operation": "virtual_try_on"}));
        (0..5).map(charge).collect()
    });
    let paid: Vec<_> = replies.iter().filter(|reply| reply.status == 201).collect();
    assert_eq!(paid.len(), 100, "exactly 100 succeed");
    for refused in replies.iter().filter(|reply| reply.status != 201) {
        assert_eq!(
            (refused.status, &refused.json["code"]),
            (402, &json!("insufficient_credits")),
            "{}",
            refused.text
        );
    }
    // Each saw a balance of its own on the way down: 99, 98 … 0 prices left.
    let mut left: Vec<i64> = paid.iter().map(|reply| reply.int("/balance/available")).collect();
    left.sort_unstable();
    assert_eq!(left, (0..100).map(|n| n * 20_000).collect::<Vec<_>>());
    assert_eq!(server.available("acme"), 0);
    assert_eq!(server.all("/v1/workspaces/acme/charges").len(), 100);
    assert_eq!(server.stop().code(), Some(0));
    let (code, said) = server.audit();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn sixty_four_clients_send_the_same_request_under_the_same_key() {
    let server = home().server();
    server.workspace("acme", 100_000);
    let replies = race(&server, |client, _| {
        vec![client.charge("acme", "the-key", json!({"operation": "virtual_try_on", "reference": "run-1"}))]
    });
    assert!(replies.iter().all(|reply| reply.status == 201 && reply.text == replies[0].text));
    assert_eq!(replies.iter().filter(|reply| !reply.replayed()).count(), 1, "one is the first answer");
    assert_eq!(server.available("acme"), 80_000, "charged once");
}

#[test]
fn sixty_four_clients_report_the_same_failure() {
    let server = home().server();
    server.workspace("acme", 20_000);
    let awaited = json!({"operation": "virtual_try_on", "await_outcome": true});
    let charge = server.charge("acme", "k", awaited).expect(201).id();
    let replies = race(&server, |client, number| {
        let failed = json!({"result": "failed", "fault": "system"});
        let succeeded = json!({"result": "succeeded"});
        vec![client.outcome("acme", &charge, if number % 2 == 0 { failed } else { succeeded })]
    });
    // It leaves pending once (i06): whoever was first decided, the others are told what stands.
    let now = server.charge_now("acme", &charge);
    let refunded = now.json["status"] == "refunded";
    assert_eq!(server.available("acme"), if refunded { 20_000 } else { 0 });
    for reply in replies {
        assert!(matches!(reply.status, 200 | 409), "{}", reply.text);
    }
}
