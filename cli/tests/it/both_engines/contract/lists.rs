//! Lists: pages, cursors, filters, newest row first.

use serde_json::{Value, json};

use super::server;
use crate::harness::assert_members;

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().expect("the answer has an id")).collect()
}

#[test]
fn pages_have_no_gaps_while_rows_are_added() {
    let Some(server) = server() else { return };
    server.workspace("acme", 1_000_000);
    let charge = |n: usize| {
        server.charge("acme", &n.to_string(), json!({"operation": "support_message"})).expect(201).id()
    };
    let mut made: Vec<String> = (0..120).map(charge).collect();
    made.reverse();
    let first = server.get("/v1/workspaces/acme/charges").expect(200);
    assert_members(&first.json, "data next_cursor");
    let data = first.json["data"].as_array().expect("a list has data");
    assert_eq!(ids(data), made[..50], "a page has 50 rows by default, newest first");
    charge(120);
    let cursor = first.json["next_cursor"].as_str().expect("another page");
    let second = server.get(&format!("/v1/workspaces/acme/charges?limit=60&cursor={cursor}")).expect(200);
    assert_eq!(ids(second.json["data"].as_array().expect("a list has data")), made[50..110]);
    let cursor = second.json["next_cursor"].as_str().expect("another page");
    let third = server.get(&format!("/v1/workspaces/acme/charges?limit=200&cursor={cursor}")).expect(200);
    assert_eq!(ids(third.json["data"].as_array().expect("a list has data")), made[110..]);
    assert_eq!(third.json["next_cursor"], Value::Null);
    assert_eq!(server.all("/v1/workspaces/acme/charges").len(), 121);
}

#[test]
fn every_list_has_pages() {
    let Some(server) = server() else { return };
    for n in 0..5 {
        server.workspace(&format!("w{n}"), 0);
        server.grant("w0", &format!("g{n}"), "promotional", 1_000);
    }
    for n in 2..5 {
        let book = json!({"operations": [{"id": "a", "unit_price": n}]});
        server.send("PUT", "/v1/price-book", book).expect(200);
    }
    for (path, expected) in [
        ("/v1/workspaces", 5),
        ("/v1/workspaces/w0/grants", 5),
        ("/v1/workspaces/w0/entries", 6),
        ("/v1/price-book/versions", 4),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = server.get(&format!("{path}?limit=2{cursor}")).expect(200);
            let data = page.json["data"].as_array().expect("a list has data");
            assert!(data.len() <= 2, "{path}");
            seen.extend(data.iter().cloned());
            let Some(next) = page.json["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, server.all(path), "{path}: pages of 2 give the same list");
        assert_eq!(seen.len(), expected, "{path}");
    }
}

#[test]
fn a_page_of_large_entries_ends_early() {
    let Some(server) = server() else { return };
    server.workspace("acme", 0);
    let limit = |n: usize, amount: usize| json!({"subject": "worker", "id": format!("{n:064}"), "period": "day", "amount": amount});
    for amount in 1..=100 {
        let limits: Vec<Value> = (0..200).map(|n| limit(n, amount)).collect();
        server.send("PUT", "/v1/workspaces/acme/limits", json!({"limits": limits})).expect(200);
    }
    let first = server.get("/v1/workspaces/acme/entries?limit=200").expect(200);
    assert!(first.text.len() < 3 << 20 && first.json["next_cursor"].is_string(), "{}", first.text.len());
    let numbers: Vec<Value> =
        server.all("/v1/workspaces/acme/entries").into_iter().map(|row| row["number"].clone()).collect();
    let expected: Vec<Value> = (1..=101).rev().map(Value::from).collect();
    assert_eq!(numbers, expected, "no entry is left out");
}

#[test]
fn filters_can_be_combined() {
    let Some(server) = server() else { return };
    server.workspace("acme", 1_000_000);
    let charge = |key: &str, body: Value| server.charge("acme", key, body).expect(201).id();
    let a = charge(
        "a",
        json!({"operation": "virtual_try_on", "worker": "w1", "member": "ada", "reference": "r1"}),
    );
    let b = charge(
        "b",
        json!({"operation": "virtual_try_on", "worker": "w2", "member": "ada", "await_outcome": true}),
    );
    let c = charge(
        "c",
        json!({"operation": "smart_pricing", "worker": "w1", "member": "ben", "reference": "r1"}),
    );
    let d = charge("d", json!({"operation": "smart_pricing", "worker": "w1", "await_outcome": true}));
    server.outcome("acme", &d, json!({"result": "failed", "fault": "system"})).expect(200);
    let created = server.charge_now("acme", &c).json["created_at"].as_str().expect("a time").to_owned();
    let check = |query: &str, expected: &[&String]| {
        let rows = server.all(&format!("/v1/workspaces/acme/charges?{query}"));
        assert_eq!(ids(&rows), *expected, "{query}");
    };
    check("operation=virtual_try_on", &[&b, &a]);
    check("worker=w1", &[&d, &c, &a]);
    check("member=ada", &[&b, &a]);
    check("status=pending", &[&b]);
    check("status=refunded", &[&d]);
    check("status=settled", &[&c, &a]);
    check("reference=r1", &[&c, &a]);
    check("reference=r1&member=ben&worker=w1", &[&c]);
    check("operation=virtual_try_on&worker=w3", &[]);
    check("from=2001-01-01T00:00:00Z&to=2002-01-01T00:00:00Z", &[]);
    check("from=2001-01-01T00:00:00Z", &[&d, &c, &b, &a]);
    let from = server.all(&format!("/v1/workspaces/acme/charges?from={created}"));
    assert!(ids(&from).contains(&c.as_str()), "`from` is inclusive");
    let to = server.all(&format!("/v1/workspaces/acme/charges?to={created}"));
    assert!(!ids(&to).contains(&c.as_str()), "`to` is exclusive");
}
