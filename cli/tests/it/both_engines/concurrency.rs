//! Clients race for the same credit or limit: exactly as many charges succeed as can be paid (P8),
//! and a key is charged once.

use std::sync::Barrier;

use serde_json::json;

use super::server;
use crate::harness::{Reply, TestClient, next_month, zone_at};

const CLIENTS: usize = 64;

/// Runs all clients at the same time, each on its own connection; returns all replies.
fn race(
    connect: impl Fn(usize) -> TestClient,
    client: impl Fn(&TestClient, usize) -> Vec<Reply> + Sync,
) -> Vec<Reply> {
    let start = Barrier::new(CLIENTS);
    std::thread::scope(|scope| {
        let run = |number| {
            let (start, client) = (&start, &client);
            let connection = connect(number);
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
    let Some(mut server) = server() else { return };
    server.workspace("acme", 100 * 20_000);
    let replies = race(
        |_| server.client(),
        |client, number| {
            let charge =
                |n| client.charge("acme", &format!("{number}-{n}"), json!({"operation": "virtual_try_on"}));
            (0..5).map(charge).collect()
        },
    );
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
    // Each reply shows another balance: 99, 98 … 0 times the price.
    let mut left: Vec<i64> = paid.iter().map(|reply| reply.int("/balance/available")).collect();
    left.sort_unstable();
    assert_eq!(left, (0..100).map(|n| n * 20_000).collect::<Vec<_>>());
    assert_eq!(server.available("acme"), 0);
    assert_eq!(server.all("/v1/workspaces/acme/charges").len(), 100);
    assert_eq!(server.stop().code(), Some(0));
    let (code, report) = server.audit();
    assert_eq!(code, Some(0), "{report}");
}

#[test]
fn sixty_four_clients_send_the_same_request_with_the_same_key() {
    let Some(server) = server() else { return };
    server.workspace("acme", 100_000);
    let replies = race(
        |_| server.client(),
        |client, _| {
            vec![client.charge(
                "acme",
                "the-key",
                json!({"operation": "virtual_try_on", "reference": "run-1"}),
            )]
        },
    );
    assert!(replies.iter().all(|reply| reply.status == 201 && reply.text == replies[0].text));
    assert_eq!(
        replies.iter().filter(|reply| !reply.replayed()).count(),
        1,
        "only one reply is not the first answer again"
    );
    assert_eq!(server.available("acme"), 80_000, "charged once");
}

#[test]
fn sixty_four_clients_report_contradicting_outcomes() {
    let Some(server) = server() else { return };
    server.workspace("acme", 20_000);
    let awaited = json!({"operation": "virtual_try_on", "await_outcome": true});
    let charge = server.charge("acme", "k", awaited).expect(201).id();
    let replies = race(
        |_| server.client(),
        |client, number| {
            let failed = json!({"result": "failed", "fault": "system"});
            let succeeded = json!({"result": "succeeded"});
            vec![client.outcome("acme", &charge, if number % 2 == 0 { failed } else { succeeded })]
        },
    );
    // The charge leaves `pending` once (i06): the first outcome counts, others are refused.
    let now = server.charge_now("acme", &charge);
    let refunded = now.json["status"] == "refunded";
    assert_eq!(server.available("acme"), if refunded { 20_000 } else { 0 });
    for reply in replies {
        assert!(matches!(reply.status, 200 | 409), "{}", reply.text);
    }
}

/// Creates a workspace with credit for 1,000 charges and a member with a monthly limit of 50
/// charges; returns the secret of a key that is bound to the member.
pub fn with_a_limit_worth_50_charges(platform: &TestClient) -> String {
    platform.workspace("acme", 1_000 * 20_000);
    platform.send("PATCH", "/v1/workspaces/acme", json!({"timezone": zone_at(12)})).expect(200);
    platform.member("acme", "ada", "admin");
    let limit = json!([{"subject": "member", "id": "ada", "period": "month", "amount": 50 * 20_000}]);
    platform.limit("acme", limit);
    platform.api_key("acme", json!({"name": "of ada", "scopes": ["charge"], "member": "ada"})).1
}

/// Races for that limit with 256 requests: exactly 50 succeed, and after a refund exactly one more.
pub fn race_for_the_limit(platform: &TestClient, connect: impl Fn(usize) -> TestClient) {
    let ask = |client: &TestClient, key: String| {
        client.charge("acme", &key, json!({"operation": "virtual_try_on"}))
    };
    let replies =
        race(&connect, |client, number| (0..4).map(|n| ask(client, format!("{number}-{n}"))).collect());
    assert_eq!(replies.len(), 256);
    let mut paid: Vec<Reply> = replies.iter().filter(|reply| reply.status == 201).cloned().collect();
    assert_eq!(paid.len(), 50, "exactly 50 succeed");
    let zone = platform.get("/v1/workspaces/acme").expect(200).json["timezone"].clone();
    let resets_at = next_month(zone.as_str().expect("a time zone"));
    refused_all_but(&replies, 50, &resets_at);
    stands_at(platform, 50);

    platform.refund("acme", &paid.swap_remove(17).id()).expect(200);
    let limit = &platform.limits("acme")[0];
    assert_eq!((&limit["used"], &limit["remaining"]), (&json!(49 * 20_000), &json!(20_000)));
    let replies = race(&connect, |client, number| vec![ask(client, format!("{number}-again"))]);
    refused_all_but(&replies, 1, &resets_at);
    stands_at(platform, 50);
}

/// Asserts that all replies but `paid` are refusals with the numbers that explain them.
fn refused_all_but(replies: &[Reply], paid: usize, resets_at: &str) {
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status != 201).collect();
    assert_eq!(refused.len(), replies.len() - paid);
    for reply in refused {
        let reply = reply.clone().problem(402, "limit_exceeded");
        assert_eq!((reply.int("/limit"), reply.int("/remaining")), (50 * 20_000, 0), "{}", reply.text);
        assert_eq!((&reply.json["subject"], &reply.json["id"]), (&json!("member"), &json!("ada")));
        assert_eq!(reply.json["resets_at"], resets_at, "{}", reply.text);
    }
}

/// Asserts that balance, usage and list of charges agree on the number of charges.
fn stands_at(platform: &TestClient, paid: i64) {
    assert_eq!(platform.available("acme"), (1_000 - paid) * 20_000);
    let limit = &platform.limits("acme")[0];
    assert_eq!((&limit["used"], &limit["remaining"]), (&json!(paid * 20_000), &json!(0)));
    let settled = platform.all("/v1/workspaces/acme/charges?member=ada&status=settled");
    assert_eq!(settled.len() as i64, paid, "each charge carries the member");
}

#[test]
fn sixty_four_clients_race_for_the_limit_of_a_member() {
    let Some(mut server) = server() else { return };
    let key = with_a_limit_worth_50_charges(&server);
    race_for_the_limit(&server, |_| TestClient::new(&server.url, &key));
    assert_eq!(server.stop().code(), Some(0));
    let (code, report) = server.audit();
    assert_eq!(code, Some(0), "{report}");
}
