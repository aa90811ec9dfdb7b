//! The tests that must hold on both engines, on PostgreSQL; and tests of several servers on one
//! database.

use serde_json::json;
use tollkeeper_testkit::postgres::is_missing;

use crate::harness::{Reply, TestClient, TestServer, TestStore};

#[path = "both_engines/mod.rs"]
mod both_engines;

#[test]
fn servers_that_start_together_make_prices_and_a_key_only_once() {
    let Some(store) = store() else { return };
    let servers: Vec<_> = std::thread::scope(|scope| {
        let start = || store.start_server(store.command_without_key());
        let starting: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
        starting.into_iter().map(|server| server.join().expect("it starts")).collect()
    });
    // All servers write to the same stderr file.
    let stderr = servers[0].stderr_text();
    let keys: Vec<&str> = stderr.match_indices("tk_platform_").map(|(at, _)| &stderr[at..at + 76]).collect();
    // A key is shown before it is stored. A server that comes second says that its key is of no
    // use.
    assert_eq!(keys.len(), 1 + stderr.matches("opens nothing").count(), "{stderr}");
    for server in &servers {
        let replies = keys.iter().map(|key| TestClient::new(&server.url, key).get("/v1/price-book"));
        let versions: Vec<i64> =
            replies.filter(|reply| reply.status == 200).map(|reply| reply.int("/version")).collect();
        assert_eq!(versions, [1], "one of the keys is good");
    }
}

#[test]
fn a_limit_holds_across_all_servers() {
    let Some(store) = store() else { return };
    let servers = [store.start_server(store.command()), store.start_server(store.command())];
    let key = both_engines::concurrency::with_a_limit_worth_50_charges(&servers[0]);
    both_engines::concurrency::race_for_the_limit(&servers[1], |number| {
        TestClient::new(&servers[number % 2].url, &key)
    });
}

#[test]
fn a_new_key_and_a_revoked_key_take_effect_on_all_servers_immediately() {
    let Some(store) = store() else { return };
    let [here, there] = [store.start_server(store.command()), store.start_server(store.command())];
    here.workspace("acme", 1_000_000);
    here.member("acme", "ada", "admin");
    let charges = "/v1/workspaces/acme/charges";
    let body = json!({"operation": "support_message", "await_outcome": true});
    let succeeded = json!({"result": "succeeded"});
    // The first request after the key was revoked on the other server: requests that this server
    // could answer from its cache or with its first answer.
    type Send<'a> = &'a dyn Fn(&TestClient, &str, &str) -> Reply;
    let requests: [(&str, Send); 7] = [
        ("a new charge", &|client, _, _| client.charge("acme", "new", body.clone())),
        ("a charge again", &|client, key, _| client.charge("acme", key, body.clone())),
        ("an outcome again", &|client, _, charge| client.outcome("acme", charge, succeeded.clone())),
        ("a heartbeat", &|client, _, charge| {
            client.send("POST", &format!("{charges}/{charge}/heartbeat"), json!({"extend_seconds": 1}))
        }),
        ("a batch again", &|client, key, _| {
            let mut item = body.clone();
            item["workspace"] = json!("acme");
            item["idempotency_key"] = json!(key);
            client.send("POST", "/v1/charges/batch", json!({"charges": [item]}))
        }),
        ("a quote", &|client, _, _| {
            client.send("POST", "/v1/workspaces/acme/quote", json!({"operation": "support_message"}))
        }),
        ("a balance", &|client, _, _| client.get("/v1/workspaces/acme/balance")),
    ];
    for (what, send) in requests {
        let (id, secret) = here.api_key("acme", json!({"name": what, "scopes": ["charge", "read"]}));
        let client = TestClient::new(&there.url, &secret);
        let charge = client.charge("acme", what, body.clone()).expect(201).id();
        client.outcome("acme", &charge, succeeded.clone()).expect(200);
        client.charge("acme", what, body.clone()).expect(201);
        here.send("DELETE", &format!("/v1/workspaces/acme/api-keys/{id}"), json!({})).expect(204);
        let refused = send(&client, what, &charge);
        let problem = if what.contains("batch") && refused.status == 200 {
            refused.json["results"][0]["problem"].clone()
        } else {
            refused.json.clone()
        };
        assert_eq!(problem["code"], "unauthenticated", "{what}: {}", refused.text);
    }
    // A key is also revoked with the member it is bound to.
    let (_, secret) = here.api_key("acme", json!({"name": "of ada", "scopes": ["charge"], "member": "ada"}));
    let client = TestClient::new(&there.url, &secret);
    client.charge("acme", "of ada", body.clone()).expect(201);
    here.member("acme", "ben", "admin");
    here.send("DELETE", "/v1/workspaces/acme/members/ada", json!({})).expect(204);
    client.charge("acme", "of ada, later", body.clone()).problem(401, "unauthenticated");
    assert_eq!(here.available("acme"), 1_000_000 - 8 * 500);
}

/// An empty database for a test; `None` where PostgreSQL is missing.
fn store() -> Option<TestStore> {
    (!is_missing()).then(TestStore::database)
}

/// A server on an empty database.
fn server() -> Option<TestServer> {
    store().map(TestStore::server)
}
