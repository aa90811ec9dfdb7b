//! What changed in the use of a workspace, over HTTP: the parts of each change, the two ranges, and
//! that all sums are those of the report of use.

use std::collections::BTreeMap;

use serde_json::json;
use tollkeeper_testkit::random::Random;

use super::*;

const CHANGES: &str = "/v1/workspaces/acme/usage/changes";

const SUMS: [&str; 5] = ["runs", "quantity", "charged", "refunded", "net"];

const KEYS: [&str; 4] = ["operation", "worker", "member", "api_key"];

impl World {
    async fn set_price(&self, operation: &str, unit_price: i64) {
        let book = self.get("/v1/price-book").await.json();
        let operations = book["operations"].as_array().expect("a price book has operations");
        let operations = operations.iter().map(|found| {
            let is_it = found["id"] == operation;
            let unit_price = if is_it { unit_price.into() } else { found["unit_price"].clone() };
            json!({ "id": found["id"], "unit_price": unit_price })
        });
        let body = json!({ "operations": operations.collect::<Vec<_>>() }).to_string();
        let reply = self.put("PUT", "/v1/price-book", "", &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
}

fn parts(row: &Value) -> [i64; 4] {
    ["change", "by_quantity", "by_price", "by_refunds"].map(|name| row[name].as_i64().expect("a number"))
}

#[tokio::test]
async fn a_change_is_of_quantity_price_and_refunds() {
    let world = world_with(1_000_000).await;
    let charge = async |key: &str, quantity: i64, operation: &str| {
        let body = format!(r#"{{"operation":"{operation}","quantity":{quantity}}}"#);
        let reply = world.charge(key, &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply.id()
    };
    let first = charge("a", 4, "support_message").await;
    charge("b", 1, "smart_pricing").await;
    world.pass_seconds(86_400);
    world.set_price("support_message", 600).await;
    charge("c", 6, "support_message").await;
    let refund = format!("/v1/workspaces/acme/charges/{first}/refund");
    assert_eq!(world.post(&refund, "r", r#"{"reason":"courtesy","amount":700}"#).await.status, 200);
    let path = format!("{CHANGES}?group_by=operation&from=2026-11-24&to=2026-11-25");
    let answer = world.get(&path).await.json();
    assert_eq!(
        answer["before"],
        json!({"from": "2026-11-23T00:00:00.000Z", "to": "2026-11-24T00:00:00.000Z"})
    );
    assert_eq!(
        answer["after"],
        json!({"from": "2026-11-24T00:00:00.000Z", "to": "2026-11-25T00:00:00.000Z"})
    );
    let rows = answer["rows"].as_array().expect("a table has rows");
    assert_eq!(rows.len(), 2);
    // From 4 × 500 to 6 × 600, of which 700 came back.
    assert_eq!(
        (&rows[1]["operation"], parts(&rows[1])),
        (&"support_message".into(), [900, 1_000, 600, -700])
    );
    assert_eq!((&rows[0]["operation"], parts(&rows[0])), (&"smart_pricing".into(), [-1_000, -1_000, 0, 0]));
    assert_eq!(rows[1]["change_usd"], "0.009");
    assert_eq!((&rows[1]["before"]["net"], &rows[1]["after"]["net"]), (&2_000.into(), &2_900.into()));
    assert_eq!(parts(&answer["total"]), [-100, 0, 600, -700]);
    let csv = world.csv(&path).await;
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("operation,before_runs,before_quantity,"), "{}", lines[0]);
    assert!(lines[0].ends_with(
        ",change,change_usd,by_quantity,by_quantity_usd,by_price,by_price_usd,by_refunds,by_refunds_usd"
    ));
    let of_messages = "support_message,1,4,2000,0.02,0,0.00,2000,0.02,1,6,3600,0.036,700,0.007,2900,0.029,\
                       900,0.009,1000,0.01,600,0.006,-700,-0.007";
    assert_eq!(lines[2], of_messages);
}

#[tokio::test]
async fn ranges_are_of_the_same_length() {
    let world = world_with(1_000).await;
    let ranges = async |query: &str| {
        let answer = world.get(&format!("{CHANGES}?{query}")).await.json();
        let at = |range: &str, end: &str| answer[range][end].as_str().expect("a time").to_owned();
        [at("before", "from"), at("before", "to"), at("after", "from"), at("after", "to")]
    };
    let by_default = ranges("").await;
    assert_eq!(
        by_default,
        [
            "2026-09-23T08:00:00.000Z",
            "2026-10-24T00:00:00.000Z",
            "2026-10-24T00:00:00.000Z",
            "2026-11-23T16:00:00.000Z"
        ]
    );
    // The clocks of Berlin went back on 25 October, so the week was an hour longer.
    let of_berlin = ranges("timezone=Europe/Berlin&from=2026-10-26&to=2026-11-02").await;
    assert_eq!(of_berlin[..2], ["2026-10-18T22:00:00.000Z", "2026-10-25T23:00:00.000Z"]);
    let a_year_ago = ranges("from=2026-10-26&to=2026-11-02&before_from=2025-10-26").await;
    assert_eq!(a_year_ago[..2], ["2025-10-26T00:00:00.000Z", "2025-11-02T00:00:00.000Z"]);
    for (query, parameter) in [
        ("group_by=day", "group_by"),
        ("before_from=2026-10-26T00:00:00Z", "before_from"),
        ("from=2026-11-02&to=2026-11-01", "to"),
        ("timezone=Mars/Olympus", "timezone"),
        ("raw=1", "raw"),
    ] {
        let problem = world.get(&format!("{CHANGES}?{query}")).await.problem(400, "invalid_parameter");
        assert_eq!(problem["parameter"], parameter, "{problem}");
    }
    world.get("/v1/workspaces/none/usage/changes").await.problem(404, "workspace_not_found");
}

/// Charges and refunds over four weeks, with other prices each week.
async fn random_history(seed: u64) -> World {
    let mut random = Random::new(seed);
    let world = world_with(1_000_000_000).await;
    let operations = ["support_message", "smart_pricing", "product_listing"];
    for n in 0..80 {
        if n % 20 == 0 {
            world.set_price(random.pick::<&str>(&operations), 1 + random.below(5_000) as i64).await;
        }
        let (operation, worker) = (random.pick(&operations), random.pick(&["w-1", "w-2"]));
        let member = *random.pick(&["", r#","member":"ada""#, r#","member":"bob""#]);
        let quantity = 1 + random.below(9);
        let body =
            format!(r#"{{"operation":"{operation}","quantity":{quantity},"worker":"{worker}"{member}}}"#);
        let made = world.charge(&format!("k{n}"), &body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        world.pass_seconds(random.below(60_000) as i64);
        if random.percent(30) {
            let refund = format!("/v1/workspaces/acme/charges/{}/refund", made.id());
            let refunded = world.post(&refund, &format!("r{n}"), r#"{"reason":"courtesy","amount":1}"#).await;
            assert_eq!(refunded.status, 200, "{}", refunded.text);
        }
    }
    world
}

/// The sums of a report of use by the texts of its keys.
async fn use_of(world: &World, keys: &str, from: &str, to: &str) -> BTreeMap<Vec<String>, [i64; 5]> {
    let path = format!("/v1/workspaces/acme/usage?group_by={keys}&from={from}&to={to}");
    let answer = world.get(&path).await.json();
    let rows = answer["rows"].as_array().expect("a table has rows");
    rows.iter().map(|row| (keys_of(row), sums_of(row))).collect()
}

fn keys_of(row: &Value) -> Vec<String> {
    KEYS.iter().filter_map(|key| row.get(key)).map(Value::to_string).collect()
}

fn sums_of(row: &Value) -> [i64; 5] {
    SUMS.map(|name| row[name].as_i64().expect("a number"))
}

#[tokio::test]
async fn the_sums_of_changes_are_those_of_the_report_of_use() {
    for seed in 1..=3 {
        let world = random_history(seed).await;
        for keys in ["operation", "worker", "member", "api_key", "operation,worker,member", ""] {
            for (before, from, to) in [
                ("2026-11-23", "2026-12-07", "2026-12-21"),
                ("2026-11-20", "2026-12-01", "2026-12-12"),
                ("2026-12-20", "2027-01-01", "2027-01-13"),
            ] {
                let path = format!("{CHANGES}?group_by={keys}&from={from}&to={to}");
                let answer = world.get(&path).await.json();
                let rows = answer["rows"].as_array().expect("a table has rows");
                let earlier = use_of(&world, keys, before, from).await;
                let later = use_of(&world, keys, from, to).await;
                let in_range = |range: &str| {
                    let found = rows.iter().map(|row| (keys_of(row), sums_of(&row[range])));
                    found.filter(|(_, sums)| *sums != [0; 5]).collect::<BTreeMap<_, _>>()
                };
                assert_eq!(in_range("before"), earlier, "{path}");
                assert_eq!(in_range("after"), later, "{path}");
                let mut sums = [0; 4];
                for row in rows {
                    let parts = parts(row);
                    let net = |range: &str| row[range]["net"].as_i64().expect("a number");
                    assert_eq!(parts[0], net("after") - net("before"), "{row}");
                    assert_eq!(parts[0], parts[1..].iter().sum::<i64>(), "{row}");
                    sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
                }
                assert_eq!(parts(&answer["total"]), sums, "{path}");
                let changes: Vec<i64> = rows.iter().map(|row| parts(row)[0].abs()).collect();
                assert!(changes.is_sorted_by(|a, b| a >= b), "the largest comes first: {changes:?}");
                let csv = world.csv(&path).await;
                assert_eq!(csv.lines().count(), rows.len() + 1, "{path}");
            }
        }
    }
}
