//! Invalid requests get the documented refusal, move no credit, and cause no 5xx and no panic.

use serde_json::{Value, json};

use super::server;
use crate::harness::{KEY, TestClient, TestServer};

const CREDIT: i64 = 1_000_000;
const CHARGES: &str = "/v1/workspaces/acme/charges";
const GRANTS: &str = "/v1/workspaces/acme/grants";

/// Runs a test on a workspace with credit; asserts that nothing was written and the server works.
fn unmoved(test: impl FnOnce(&TestServer)) {
    let Some(server) = server() else { return };
    server.workspace("acme", CREDIT);
    let before = server.all("/v1/workspaces/acme/entries");
    test(&server);
    assert_eq!(server.available("acme"), CREDIT);
    assert_eq!(server.all("/v1/workspaces/acme/entries"), before, "no entry was written");
    server.charge("acme", "still-serving", json!({"operation": "support_message"})).expect(201);
}

#[test]
fn invalid_quantities_are_refused() {
    unmoved(|server| {
        let quantities = [
            "0",
            "-1",
            "1.5",
            "1.0",
            "1e3",
            "1000001",
            "9223372036854775807",
            "9223372036854775808",
            "1e999",
            "\"1\"",
            "null",
            "true",
            "[1]",
            "{}",
        ];
        for quantity in quantities {
            let body = format!(r#"{{"operation":"smart_pricing","quantity":{quantity}}}"#);
            let reply = json_post(server, CHARGES, body);
            let reply = reply.problem(422, "invalid_field");
            assert_eq!(reply.json["field"], "quantity", "{quantity}: {}", reply.text);
        }
    });
}

#[test]
fn invalid_amounts_are_refused() {
    unmoved(|server| {
        let amounts =
            ["0", "-1", "1.5", "1.0", "\"100\"", "null", "9007199254740992", "9223372036854775808", "{}"];
        for amount in amounts {
            let body = format!(r#"{{"source":"promotional","reason":"r","amount":{amount}}}"#);
            let reply = json_post(server, GRANTS, body).problem(422, "invalid_field");
            assert_eq!(reply.json["field"], "amount", "{amount}: {}", reply.text);
        }
        for dollars in [
            "1",
            "1.5",
            "\"-1\"",
            "\"1,50\"",
            "\"1e3\"",
            "\" 1\"",
            "\"0.000001\"",
            "\"\"",
            "\"NaN\"",
            "\"99999999999999\"",
            "null",
        ] {
            let body = format!(r#"{{"source":"promotional","reason":"r","amount_usd":{dollars}}}"#);
            let reply = json_post(server, GRANTS, body).problem(422, "invalid_field");
            assert_eq!(reply.json["field"], "amount_usd", "{dollars}: {}", reply.text);
        }
        let both = r#"{"source":"promotional","reason":"r","amount":1,"amount_usd":"1"}"#;
        json_post(server, GRANTS, both.into()).problem(422, "invalid_field");
        let neither = r#"{"source":"promotional","reason":"r"}"#;
        json_post(server, GRANTS, neither.into()).problem(422, "invalid_field");
    });
}

#[test]
fn unknown_missing_and_mistyped_fields_are_refused() {
    unmoved(|server| {
        let try_on = |more: Value| {
            let mut body = json!({"operation": "virtual_try_on"});
            body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            server.charge("acme", "k", body)
        };
        let reply = try_on(json!({"quantitty": 2})).problem(400, "unknown_field");
        assert_eq!(reply.json["field"], "quantitty");
        let missing = server.charge("acme", "k", json!({})).problem(422, "invalid_field");
        assert_eq!(missing.json["field"], "operation");
        let long = "x".repeat(256);
        for (field, value) in [
            ("operation", json!(7)),
            ("worker", json!(7)),
            ("worker", json!("no blanks")),
            ("worker", json!("")),
            ("worker", json!("x".repeat(65))),
            ("member", json!("ä")),
            ("await_outcome", json!("yes")),
            ("timeout_seconds", json!(-1)),
            ("timeout_seconds", json!("60")),
            ("reference", json!(long)),
            ("metadata", json!([1])),
            ("metadata", json!({"x": "y".repeat(5_000)})),
        ] {
            let reply = try_on(json!({field: value})).problem(422, "invalid_field");
            assert_eq!(reply.json["field"], field, "{}", reply.text);
        }
        for seconds in [0, 604_801] {
            let reply = try_on(json!({"await_outcome": true, "timeout_seconds": seconds}));
            assert_eq!(reply.problem(422, "invalid_field").json["field"], "timeout_seconds");
        }
        server.charge("acme", "k", json!({"operation": "teleport"})).problem(404, "operation_not_found");
        server
            .charge("nobody", "k", json!({"operation": "virtual_try_on"}))
            .problem(404, "workspace_not_found");
    });
}

#[test]
fn bodies_that_are_not_json_are_refused() {
    unmoved(|server| {
        let bodies: [&[u8]; 8] = [
            b"",
            b"{",
            b"{\"operation\":\"virtual_try_on\"} more",
            b"{\"operation\":\"virtual_try_on\",}",
            b"{\"operation\":\"\xff\xfe\"}",
            b"\x00\x01\x02",
            b"operation=virtual_try_on",
            b"{'operation':'virtual_try_on'}",
        ];
        for body in bodies {
            let reply = post(server, CHARGES, "application/json", body.to_vec());
            reply.problem(400, "malformed_json");
        }
        let twice = r#"{"operation":"virtual_try_on","operation":"smart_pricing"}"#;
        assert!(matches!(json_post(server, CHARGES, twice.into()).status, 400 | 422));
        for body in ["[]", "7", "null", "\"text\""] {
            let reply = json_post(server, CHARGES, body.into());
            assert!(matches!(reply.status, 400 | 422), "{body}: {}", reply.text);
        }
    });
}

#[test]
fn bodies_that_are_too_deep_or_too_large_are_refused() {
    unmoved(|server| {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let body = format!(r#"{{"operation":"virtual_try_on","metadata":{{"x":{deep}}}}}"#);
        let reply = json_post(server, CHARGES, body);
        assert!(matches!(reply.status, 400 | 422), "{}", reply.text);
        let reply = json_post(server, CHARGES, deep);
        assert!(matches!(reply.status, 400 | 422), "{}", reply.text);
        let large = format!(r#"{{"operation":"virtual_try_on","reference":"{}"}}"#, "x".repeat(2 << 20));
        json_post(server, CHARGES, large).problem(413, "body_too_large");
    });
}

#[test]
fn content_types_other_than_json_are_refused() {
    unmoved(|server| {
        let body = br#"{"operation":"virtual_try_on"}"#;
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json", ""]
        {
            post(server, CHARGES, content_type, body.to_vec()).problem(415, "unsupported_media_type");
        }
        // A parameter of the content type is accepted. A quote changes nothing.
        let quote =
            post(server, "/v1/workspaces/acme/quote", "application/json; charset=utf-8", body.to_vec());
        quote.expect(200);
    });
}

#[test]
fn missing_and_invalid_keys_are_refused() {
    unmoved(|server| {
        let body = json!({"operation": "virtual_try_on"});
        server.send("POST", CHARGES, body.clone()).problem(400, "idempotency_key_required");
        let grant = json!({"source": "promotional", "amount": 1, "reason": "r"});
        server.send("POST", GRANTS, grant).problem(400, "idempotency_key_required");
        let long = "k".repeat(256);
        server.post(CHARGES, &long, body.clone()).problem(400, "invalid_parameter");
        let none = server.raw(
            "POST",
            CHARGES,
            &[("authorization", ""), ("content-type", "application/json"), ("idempotency-key", "k")],
            body.to_string(),
        );
        none.expect("the server answers").problem(401, "unauthenticated");
        for wrong in ["Bearer wrong", "Bearer ", "Basic dGs6dGs=", KEY] {
            let reply = server.raw("GET", "/v1/workspaces", &[("authorization", wrong)], "");
            let reply = reply.expect("the server answers").problem(401, "unauthenticated");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
            assert!(!reply.text.contains(KEY), "the answer does not contain the key");
        }
    });
}

#[test]
fn invalid_parameters_and_paths_are_refused() {
    unmoved(|server| {
        for query in [
            "limit=0",
            "limit=201",
            "limit=-1",
            "limit=x",
            "limit=1&limit=2",
            "cursor=",
            "cursor=nonsense",
            "colour=red",
            "status=lost",
            "from=yesterday",
        ] {
            server.get(&format!("{CHARGES}?{query}")).problem(400, "invalid_parameter");
        }
        server.get("/v1/workspaces/acme/balance?at=yesterday").problem(400, "invalid_parameter");
        for (path, code) in [
            ("/v1/workspaces/nobody/balance", "workspace_not_found"),
            ("/v1/workspaces/%2E%2E/balance", "workspace_not_found"),
            ("/v1/workspaces/*/balance", "workspace_not_found"),
            ("/v1/workspaces/a%00b/balance", "workspace_not_found"),
            ("/v1/workspaces/acme/charges/17", "charge_not_found"),
            ("/v1/workspaces/acme/charges/ch_01991234-5678-7abc-bfff-0123456789ab", "charge_not_found"),
            ("/v1/teapots", "not_found"),
            ("/v2/workspaces", "not_found"),
        ] {
            server.get(path).problem(404, code);
        }
        server.send("DELETE", "/v1/workspaces/acme/balance", json!({})).problem(405, "method_not_allowed");
    });
}

#[test]
fn bytes_that_are_not_http_are_refused() {
    unmoved(|server| {
        let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200_000));
        let headers = format!("GET / HTTP/1.1\r\n{}\r\n", "X-Padding: x\r\n".repeat(20_000));
        let chunk = "POST /v1/workspaces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
        let both =
            "POST /v1/workspaces HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello";
        for head in [
            "GARBAGE\r\n\r\n",
            "\0\0\r\n\r\n",
            "GET /a b HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nA: \x01\r\n\r\n",
        ] {
            let answer = server.send_bytes(head.as_bytes());
            assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?}: {answer}");
        }
        // The server may close the connection while a long or incomplete request is being sent.
        for bytes in [
            b"\x16\x03\x01\x02\x00\x01\x00".as_slice(),
            long.as_bytes(),
            headers.as_bytes(),
            chunk.as_bytes(),
            both.as_bytes(),
        ] {
            let answer = server.send_bytes(bytes);
            let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
            assert!(refused, "{}", answer.lines().next().unwrap_or_default());
        }
        // Half a request, then the end of the connection.
        server.send_bytes(
            b"POST /v1/workspaces/acme/charges HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"oper",
        );
    });
}

fn json_post(client: &TestClient, path: &str, body: String) -> crate::harness::Reply {
    post(client, path, "application/json", body.into_bytes())
}

fn post(client: &TestClient, path: &str, content_type: &str, body: Vec<u8>) -> crate::harness::Reply {
    let headers = [("content-type", content_type), ("idempotency-key", "k")];
    client.raw("POST", path, &headers, body).expect("the server answers")
}
