//! The price book over HTTP: reference prices, new versions, invalid ones.

use super::*;

#[tokio::test]
async fn the_reference_prices_are_in_force_from_the_start() {
    let world = world().await;
    let expected = String::from(r#"{"version":1,"effective_at":"2026-11-23T15:04:05.678Z","operations":["#)
        + r#"{"id":"background_removal","unit_price":2000,"unit_price_usd":"0.02","timeout_seconds":null},"#
        + r#"{"id":"product_listing","unit_price":5000,"unit_price_usd":"0.05","timeout_seconds":null},"#
        + r#"{"id":"smart_pricing","unit_price":1000,"unit_price_usd":"0.01","timeout_seconds":null},"#
        + r#"{"id":"support_message","unit_price":500,"unit_price_usd":"0.005","timeout_seconds":null},"#
        + r#"{"id":"virtual_try_on","unit_price":20000,"unit_price_usd":"0.20","timeout_seconds":null}]}"#;
    assert_eq!(world.get("/v1/price-book").await.text, expected);
    assert_eq!(
        prepare(&world.app).await.expect("prices are there"),
        None,
        "a second start publishes nothing"
    );
    assert_eq!(world.get("/v1/price-book").await.text, expected);
}

#[tokio::test]
async fn a_new_version_prices_charges_from_its_time_on() {
    let world = world_with(100_000).await;
    let body = r#"{"operations":[{"id":"draw","unit_price_usd":"0.07","timeout_seconds":30}],
                   "effective_at":"2026-11-23T16:04:05.678Z"}"#;
    let put = world.put("PUT", "/v1/price-book", "", body).await;
    assert_eq!((put.status, &put.json()["version"]), (200, &2.into()), "{}", put.text);
    world.charge("k", r#"{"operation":"draw"}"#).await.problem(404, "operation_not_found");
    assert_eq!(world.get("/v1/price-book").await.json()["version"], 1);
    world.pass_seconds(3_600);
    assert_eq!(world.get("/v1/price-book").await.json()["version"], 2);
    let charge = world.charge("k", r#"{"operation":"draw"}"#).await.json();
    assert_eq!((&charge["amount"], &charge["price_version"]), (&7_000.into(), &2.into()));
    assert_eq!(
        (&charge["status"], &charge["deadline"]),
        (&"pending".into(), &"2026-11-23T16:04:35.678Z".into())
    );
    let retired = world.charge("k2", r#"{"operation":"support_message"}"#).await;
    retired.problem(404, "operation_not_found");

    let first = world.get("/v1/price-book/versions?limit=1").await.json();
    assert_eq!((&first["data"][0]["version"], &first["next_cursor"]), (&2.into(), &"2".into()));
    let second = world.get("/v1/price-book/versions?limit=1&cursor=2").await.json();
    assert_eq!((&second["data"][0]["version"], &second["next_cursor"]), (&1.into(), &Value::Null));
}

#[tokio::test]
async fn an_answer_names_the_planned_versions_that_it_replaces_or_is_superseded_by() {
    let world = world_with(100_000).await;
    let publish = async |price: i64, at: &str| {
        let body = format!(r#"{{"operations":[{{"id":"op","unit_price":{price}}}]{at}}}"#);
        let put = world.put("PUT", "/v1/price-book", "", &body).await;
        assert_eq!(put.status, 200, "{}", put.text);
        put.json()
    };
    let later = r#","effective_at":"2026-11-23T16:04:05.678Z""#;
    let planned = publish(200, later).await;
    assert_eq!((&planned["replaces"], &planned["superseded_by"]), (&serde_json::json!([]), &Value::Null));
    let now = publish(110, r#","effective_at":"2026-11-23T15:03:30Z""#).await;
    let second = serde_json::json!({"version": 2, "effective_at": "2026-11-23T16:04:05.678Z"});
    assert_eq!((&now["replaces"], &now["superseded_by"]), (&serde_json::json!([]), &second));
    let instead = publish(300, later).await;
    assert_eq!(
        (&instead["replaces"], &instead["superseded_by"]),
        (&serde_json::json!([second]), &Value::Null)
    );
    let again = publish(300, later).await;
    assert_eq!(again["version"], 4, "the same prices again change nothing");
    assert_eq!(world.charge("now", r#"{"operation":"op"}"#).await.json()["amount"], 110);
    world.pass_seconds(3_600);
    assert_eq!(world.charge("then", r#"{"operation":"op"}"#).await.json()["amount"], 300);
    publish(0, "").await;
    let free = world.charge("free", r#"{"operation":"op","quantity":7}"#).await.json();
    assert_eq!((&free["amount"], &free["status"]), (&0.into(), &"settled".into()));
    let quote = world.post("/v1/workspaces/acme/quote", "", r#"{"operation":"op"}"#).await.json();
    assert_eq!((&quote["affordable"], &quote["affordable_quantity"]), (&true.into(), &1_000_000.into()));
}

#[tokio::test]
async fn invalid_prices_are_refused_by_field() {
    let world = world().await;
    for (body, field) in [
        (r#"{"operations":[]}"#, "operations"),
        (r#"{}"#, "operations"),
        (r#"{"operations":[{"id":"x"}]}"#, "operations[0].unit_price"),
        (
            r#"{"operations":[{"id":"x","unit_price":1,"unit_price_usd":"1"}]}"#,
            "operations[0].unit_price_usd",
        ),
        (r#"{"operations":[{"id":"x y","unit_price":1}]}"#, "operations[0].id"),
        (r#"{"operations":[{"id":"x","unit_price":-1}]}"#, "unit_price"),
        (r#"{"operations":[{"id":"x","unit_price":9000000001}]}"#, "unit_price"),
        (r#"{"operations":[{"id":"x","unit_price":1.5}]}"#, "operations[0].unit_price"),
        (r#"{"operations":[["x",1]]}"#, "operations[0]"),
        (r#"{"operations":[{"id":"x","unit_price":1},{"id":"x","unit_price":2}]}"#, "operations"),
        (r#"{"operations":[{"id":"x","unit_price":1}],"effective_at":"soon"}"#, "effective_at"),
        (
            r#"{"operations":[{"id":"x","unit_price":1}],"effective_at":"2020-01-01T00:00:00Z"}"#,
            "effective_at",
        ),
    ] {
        let problem = world.put("PUT", "/v1/price-book", "", body).await.problem(422, "invalid_field");
        assert_eq!(problem["field"], field, "{body}");
    }
    assert_eq!(world.get("/v1/price-book").await.json()["version"], 1);
}

#[tokio::test]
async fn a_page_of_large_versions_ends_early_and_says_where_the_next_begins() {
    let world = world().await;
    for price in 1..=10 {
        let operations: Vec<Value> = (0..1_000)
            .map(|n| serde_json::json!({"id": format!("operation-{n}"), "unit_price": price}))
            .collect();
        let body = serde_json::json!({"operations": operations}).to_string();
        assert_eq!(world.put("PUT", "/v1/price-book", "", &body).await.status, 200);
    }
    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let next = cursor.as_str().map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let page = world.get(&format!("/v1/price-book/versions?limit=200{next}")).await;
        assert!(page.text.len() <= 1 << 20, "{} bytes", page.text.len());
        let page = page.json();
        seen.extend(page["data"].as_array().expect("a list").iter().map(|row| row["version"].as_u64()));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen, (1..=11).rev().map(Some).collect::<Vec<_>>(), "each version once, the newest first");
}

/// The row of a list with this value of a field.
fn row<'a>(rows: &'a Value, field: &str, value: &str) -> &'a Value {
    let rows = rows.as_array().expect("a list of rows");
    rows.iter().find(|row| row[field] == value).unwrap_or_else(|| panic!("no {value} in {rows:?}"))
}

fn sums(row: &Value) -> [i64; 5] {
    ["runs", "quantity", "net", "simulated", "change"].map(|name| row[name].as_i64().expect("an integer"))
}

#[tokio::test]
async fn a_draft_is_simulated_with_past_charges_net_of_refunds() {
    let world = world_with(1_000_000).await;
    world.post("/v1/workspaces", "", r#"{"id":"other","name":"Other"}"#).await;
    world.grant("other", "start", 1_000_000).await;
    let draw = r#"{"operation":"virtual_try_on","quantity":2}"#;
    let draws = [world.charge("a", draw).await, world.charge("b", draw).await];
    world.charge("c", r#"{"operation":"support_message","quantity":10}"#).await;
    world.post("/v1/workspaces/other/charges", "d", r#"{"operation":"smart_pricing","quantity":3}"#).await;
    let path = format!("/v1/workspaces/acme/charges/{}/refund", draws[1].id());
    let refund = world.post(&path, "r", r#"{"amount":20000,"reason":"half of it was bad"}"#).await;
    assert_eq!(refund.status, 200, "{}", refund.text);
    // 2026-11-23, 15:04 by the clock of the world.
    let draft = |from: &str, to: &str| {
        format!(
            r#"{{"operations":[{{"id":"virtual_try_on","unit_price":30000}},{{"id":"support_message","unit_price_usd":"0.004"}},
                {{"id":"new","unit_price":7}}],"from":"{from}","to":"{to}"}}"#
        )
    };
    let simulate = async |from, to| world.post("/v1/price-book/simulate", "", &draft(from, to)).await;
    let answer = simulate("2026-11-23T15:00:00Z", "2026-11-23T16:00:00Z").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    let operation = |name: &str| sums(row(&answer["operations"], "operation", name));
    // 80,000 were charged and a quarter of it went back; so does a quarter of 120,000.
    assert_eq!(operation("virtual_try_on"), [2, 4, 60_000, 90_000, 30_000]);
    assert_eq!(operation("support_message"), [1, 10, 5_000, 4_000, -1_000]);
    assert_eq!(operation("smart_pricing"), [1, 3, 3_000, 0, -3_000], "it is not in the draft");
    assert_eq!(operation("new"), [0, 0, 0, 0, 0]);
    let retired = row(&answer["operations"], "operation", "smart_pricing");
    assert_eq!((&retired["unit_price"], &retired["change_usd"]), (&Value::Null, &"-0.03".into()));
    let workspaces = &answer["workspaces"];
    assert_eq!(workspaces[0]["workspace"], "acme", "the largest change comes first");
    assert_eq!(sums(row(workspaces, "workspace", "acme")), [3, 14, 65_000, 94_000, 29_000]);
    assert_eq!(sums(row(workspaces, "workspace", "other")), [1, 3, 3_000, 0, -3_000]);
    assert_eq!(
        (sums(&answer["total"]), &answer["used_workspaces"]),
        ([4, 17, 68_000, 94_000, 26_000], &2.into())
    );
    let before = simulate("2026-11-23T14:00:00Z", "2026-11-23T15:00:00Z").await.json();
    assert_eq!((sums(&before["total"]), &before["used_workspaces"]), ([0; 5], &0.into()));
    assert_eq!(world.get("/v1/price-book").await.json()["version"], 1, "nothing was published");
}

#[tokio::test]
async fn a_draft_that_cannot_be_simulated_is_refused() {
    let world = world().await;
    let simulate = async |operations: &str, from: &str, to: &str| {
        let body = format!(r#"{{"operations":[{operations}],"from":"{from}","to":"{to}"}}"#);
        world.post("/v1/price-book/simulate", "", &body).await.problem(422, "invalid_field")["field"].clone()
    };
    let [one, hour, next] = [r#"{"id":"a","unit_price":1}"#, "2026-11-23T15:00:00Z", "2026-11-23T16:00:00Z"];
    assert_eq!(simulate(one, "2026-11-23T15:00:01Z", next).await, "from");
    assert_eq!(simulate(one, hour, "2026-11-23T16:30:00Z").await, "to");
    assert_eq!(simulate(one, hour, hour).await, "to");
    assert_eq!(simulate(one, hour, "2027-11-25T15:00:00Z").await, "to");
    assert_eq!(simulate(r#"{"id":"a"}"#, hour, next).await, "operations[0].unit_price");
    assert_eq!(simulate(&format!("{one},{one}"), hour, next).await, "operations[1].id");
    let turn = world.app.simulations.try_acquire().expect("nothing is simulated");
    let body = format!(r#"{{"operations":[{one}],"from":"{hour}","to":"{next}"}}"#);
    world.post("/v1/price-book/simulate", "", &body).await.problem(503, "overloaded");
    drop(turn);
    assert_eq!(world.post("/v1/price-book/simulate", "", &body).await.status, 200);
}
