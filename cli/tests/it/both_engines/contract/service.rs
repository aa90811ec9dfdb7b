//! What surrounds the data: health, readiness, metrics, the API description, the first start.

use super::{server, store};
use crate::harness::{KEY, TestClient, printed};

#[test]
fn health_readiness_and_metrics_need_no_key() {
    let Some(server) = server() else { return };
    server.workspace("acme", 1_000_000);
    server.charge("acme", "k", serde_json::json!({"operation": "support_message"})).expect(201);
    let stranger = TestClient::new(&server.url, "wrong");
    stranger.get("/healthz").expect(200);
    stranger.get("/readyz").expect(200);
    let metrics = stranger.get("/metrics").expect(200);
    assert!(metrics.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let described = metrics.text.lines().filter(|line| line.starts_with("# HELP ")).count();
    assert!(described > 0 && metrics.text.contains("# TYPE "), "{}", metrics.text);
    assert!(!metrics.text.contains(KEY));
}

#[test]
fn a_start_without_a_ledger_is_refused_where_the_settings_forbid_to_make_one() {
    let Some(store) = store() else { return };
    let without = || {
        let mut command = store.command();
        command.env("TOLLKEEPER_CREATE_LEDGER", "false");
        command
    };
    let refused = without().output().expect("the binary runs");
    assert_eq!(refused.status.code(), Some(3), "{}", printed(&refused));
    assert!(printed(&refused).contains("it holds no ledger"), "{}", printed(&refused));
    assert!(!store.data().exists(), "no directory is made");
    let mut first = store.start_server(store.command());
    first.workspace("acme", 1_000);
    assert_eq!(first.stop().code(), Some(0));
    assert_eq!(store.start_server(without()).available("acme"), 1_000);
}

#[test]
fn every_path_of_the_api_description_exists() {
    let Some(server) = server() else { return };
    let stranger = TestClient::new(&server.url, "wrong");
    let document = stranger.get("/openapi.json").expect(200).json;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let paths = document["paths"].as_object().expect("the answer has paths");
    for path in [
        "/v1/workspaces",
        "/v1/workspaces/{workspace}",
        "/v1/workspaces/{workspace}/balance",
        "/v1/workspaces/{workspace}/charges",
        "/v1/workspaces/{workspace}/charges/{charge}",
        "/v1/workspaces/{workspace}/charges/{charge}/outcome",
        "/v1/workspaces/{workspace}/charges/{charge}/heartbeat",
        "/v1/workspaces/{workspace}/charges/{charge}/refund",
        "/v1/workspaces/{workspace}/quote",
        "/v1/workspaces/{workspace}/grants",
        "/v1/workspaces/{workspace}/grants/{grant}/void",
        "/v1/workspaces/{workspace}/top-ups",
        "/v1/workspaces/{workspace}/top-ups/{top_up}",
        "/v1/workspaces/{workspace}/top-ups/{top_up}/confirm",
        "/v1/workspaces/{workspace}/subscription",
        "/v1/workspaces/{workspace}/subscription/confirm",
        "/v1/workspaces/{workspace}/subscription/preview",
        "/v1/workspaces/{workspace}/payment-method",
        "/v1/workspaces/{workspace}/auto-top-up",
        "/v1/workspaces/{workspace}/entries",
        "/v1/workspaces/{workspace}/members",
        "/v1/workspaces/{workspace}/members/{member}",
        "/v1/workspaces/{workspace}/api-keys",
        "/v1/workspaces/{workspace}/api-keys/{key}",
        "/v1/workspaces/{workspace}/portal-sessions",
        "/v1/workspaces/{workspace}/limits",
        "/v1/charges/batch",
        "/v1/price-book",
        "/v1/price-book/versions",
        "/v1/plans",
        "/v1/report",
    ] {
        assert!(paths.contains_key(path), "{path} is described");
    }
    for (path, methods) in paths {
        let real = path.replace("{workspace}", "nobody").replace("{charge}", "x").replace("{grant}", "x");
        let real = real.replace("{file}", "index.html").replace("{member}", "x").replace("{key}", "x");
        let real = real.replace("{top_up}", "x");
        for method in methods.as_object().into_iter().flatten().map(|(name, _)| name.to_uppercase()) {
            let reply = server.raw(&method, &real, &[("content-type", "application/json")], "{}");
            let reply = reply.expect("the server answers");
            let routed = reply.status != 405 && reply.json["code"] != "not_found";
            assert!(routed && reply.status < 500, "{method} {real}: {} {}", reply.status, reply.text);
        }
    }
    let docs = stranger.get("/docs").expect(200);
    assert!(docs.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(!docs.text.contains("https://"), "it needs no outside host");
}

#[test]
fn every_call_of_the_api_needs_the_key() {
    let Some(server) = server() else { return };
    server.workspace("acme", 1_000);
    let document = server.get("/openapi.json").expect(200).json;
    let stranger = TestClient::new(&server.url, "wrong");
    for (path, methods) in document["paths"]
        .as_object()
        .expect("the answer has paths")
        .iter()
        .filter(|(path, _)| path.starts_with("/v1/"))
    {
        let real = path.replace("{workspace}", "acme").replace("{charge}", "x").replace("{grant}", "x");
        for method in methods.as_object().into_iter().flatten().map(|(name, _)| name.to_uppercase()) {
            let reply = stranger.raw(&method, &real, &[("content-type", "application/json")], "{}");
            reply.expect("the server answers").problem(401, "unauthenticated");
        }
    }
}

#[test]
fn the_first_start_makes_a_key_and_prints_it_once() {
    let Some(store) = store() else { return };
    let start = || store.start_server(store.command_without_key());
    let mut first = start();
    let stderr = first.stderr_text();
    let shown = |stderr: &str| -> Vec<String> {
        stderr.split_whitespace().filter(|word| word.starts_with("tk_")).map(str::to_owned).collect()
    };
    let keys = shown(&stderr);
    assert_eq!(keys.len(), 1, "{stderr}");
    TestClient::new(&first.url, &keys[0]).get("/v1/workspaces").expect(200);
    assert_eq!(first.stop().code(), Some(0));
    let second = start();
    assert_eq!(shown(&second.stderr_text()), keys, "the second start prints no key");
    TestClient::new(&second.url, &keys[0]).get("/v1/workspaces").expect(200);
    TestClient::new(&second.url, KEY).get("/v1/workspaces").problem(401, "unauthenticated");
}

#[test]
fn a_connection_stays_usable_after_a_refusal_before_the_body() {
    use std::io::{Read, Write};
    let Some(server) = server() else { return };
    let address = server.url.strip_prefix("http://").expect("an address");
    let mut stream = std::net::TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(crate::harness::TIMEOUT)).expect("a timeout can be set");
    let mut answer = |sent: &str| {
        stream.write_all(sent.as_bytes()).expect("the connection is open");
        let mut bytes = [0; 4_096];
        let length = stream.read(&mut bytes).expect("an answer");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let head = "POST /v1/workspaces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n";
    let refused = answer(head);
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let next = answer("{\"a\": 17}GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(next.starts_with("HTTP/1.1 200 "), "{next}");
}
