//! Spending limits: setting and reading them, the borders of days and months, and that they hold.

use super::*;

const PATH: &str = "/v1/workspaces/acme/limits";

/// 500 micro-units.
const MESSAGE: &str = r#"{"operation":"support_message"}"#;

impl World {
    /// Moves the clock forward to a time.
    fn at(&self, instant: &str) {
        let at = crate::wire::write::read_time(instant).expect("the time is well-formed");
        assert!(
            at.millis() >= self.clock.swap(at.millis(), Ordering::Relaxed),
            "the clock only moves forward"
        );
    }

    async fn limit(&self, lines: &str) -> Reply {
        self.put("PUT", PATH, "", &format!(r#"{{"limits":[{lines}]}}"#)).await
    }

    /// Of each limit: used, remaining, and when the next period begins.
    async fn limits(&self) -> Vec<(i64, i64, String)> {
        let limits = self.get(PATH).await.json()["limits"].clone();
        let row = |row: &Value| {
            let amount = |name: &str| row[name].as_i64().expect("amounts are integers");
            (amount("used"), amount("remaining"), row["resets_at"].as_str().expect("a time").to_owned())
        };
        limits.as_array().expect("a list").iter().map(row).collect()
    }
}

fn expected(rows: &[(i64, i64, &str)]) -> Vec<(i64, i64, String)> {
    rows.iter().map(|(used, remaining, resets_at)| (*used, *remaining, (*resets_at).to_owned())).collect()
}

#[tokio::test]
async fn limits_are_set_read_and_enforced() {
    let world = world_with(100_000).await;
    assert_eq!(world.get(PATH).await.text, r#"{"limits":[]}"#);
    let set = world
        .limit(
            r#"{"subject":"member","id":"ada","period":"day","amount":1000},
               {"subject":"workspace","period":"month","amount_usd":"0.05"}"#,
        )
        .await;
    assert_eq!(
        (set.status, set.text.as_str()),
        (
            200,
            r#"{"limits":[{"subject":"member","id":"ada","period":"day","amount":1000,"amount_usd":"0.01","used":0,"used_usd":"0.00","remaining":1000,"remaining_usd":"0.01","resets_at":"2026-11-24T00:00:00.000Z"},{"subject":"workspace","id":null,"period":"month","amount":5000,"amount_usd":"0.05","used":0,"used_usd":"0.00","remaining":5000,"remaining_usd":"0.05","resets_at":"2026-12-01T00:00:00.000Z"}]}"#
        )
    );
    let ada = r#"{"operation":"support_message","quantity":2,"member":"ada"}"#;
    let charged = world.charge("a", ada).await.id();
    let refused = world.charge("b", r#"{"operation":"support_message","member":"ada"}"#).await;
    let problem = refused.problem(402, "limit_exceeded");
    for (name, value) in [
        ("subject", Value::from("member")),
        ("id", "ada".into()),
        ("period", "day".into()),
        ("limit", 1_000.into()),
        ("limit_usd", "0.01".into()),
        ("remaining", 0.into()),
        ("remaining_usd", "0.00".into()),
        ("resets_at", "2026-11-24T00:00:00.000Z".into()),
    ] {
        assert_eq!(problem[name], value, "{name}");
    }
    assert_eq!(world.charge("c", MESSAGE).await.status, 201, "other members are not limited");
    let outcome = format!("/v1/workspaces/acme/charges/{charged}/outcome");
    world.post(&outcome, "", r#"{"result":"failed","fault":"system"}"#).await;
    let day = "2026-11-24T00:00:00.000Z";
    let month = "2026-12-01T00:00:00.000Z";
    assert_eq!(
        world.limits().await,
        expected(&[(0, 1_000, day), (500, 4_500, month)]),
        "refunds lower what was used"
    );
    assert_eq!(world.charge("d", ada).await.status, 201);
    assert_eq!(world.limit("").await.text, r#"{"limits":[]}"#);
    assert_eq!(world.charge("e", ada).await.status, 201, "without limits no charge is refused");
}

#[tokio::test]
async fn an_invalid_limit_is_refused_by_field() {
    let world = world().await;
    let check = async |line: &str, field: &str| {
        let problem = world.limit(line).await.problem(422, "invalid_field");
        assert_eq!(problem["field"], field, "{line}");
    };
    check(r#"{"period":"day","amount":1}"#, "limits[0].subject").await;
    check(r#"{"subject":"team","period":"day","amount":1}"#, "limits[0].subject").await;
    check(r#"{"subject":"member","period":"day","amount":1}"#, "limits[0].id").await;
    check(r#"{"subject":"member","id":"a b","period":"day","amount":1}"#, "limits[0].id").await;
    check(r#"{"subject":"workspace","id":"acme","period":"day","amount":1}"#, "limits[0].id").await;
    check(r#"{"subject":"api_key","id":"tk_x","period":"day","amount":1}"#, "limits[0].id").await;
    check(r#"{"subject":"workspace","period":"week","amount":1}"#, "limits[0].period").await;
    check(r#"{"subject":"workspace","period":"day"}"#, "limits[0].amount").await;
    check(r#"{"subject":"workspace","period":"day","amount":1,"amount_usd":"1"}"#, "limits[0].amount_usd")
        .await;
    check(r#"{"subject":"workspace","period":"day","amount":-1}"#, "limits[0].amount").await;
    let twice = r#"{"subject":"workspace","period":"day","amount":1},{"subject":"workspace","period":"day","amount":2}"#;
    check(twice, "limits").await;
    world
        .put("PUT", "/v1/workspaces/none/limits", "", r#"{"limits":[]}"#)
        .await
        .problem(404, "workspace_not_found");
    world.get("/v1/workspaces/none/limits").await.problem(404, "workspace_not_found");
}

#[tokio::test]
async fn a_limit_of_a_key_counts_what_was_spent_before_it_was_set() {
    let world = world_with(100_000).await;
    let (id, secret) = world.make_key("acme", r#"{"name":"k","scopes":["charge"]}"#).await;
    let (_, other) = world.make_key("acme", r#"{"name":"k","scopes":["charge"]}"#).await;
    assert_eq!(world.charge_with(&secret, "a", "").await.status, 201);
    assert_eq!(world.charge_with(&other, "b", "").await.status, 201);
    world.limit(&format!(r#"{{"subject":"api_key","id":"{id}","period":"month","amount":1000}}"#)).await;
    assert_eq!(world.limits().await, expected(&[(500, 500, "2026-12-01T00:00:00.000Z")]));
    assert_eq!(world.charge_with(&secret, "c", "").await.status, 201);
    let problem = world.charge_with(&secret, "d", "").await.problem(402, "limit_exceeded");
    assert_eq!((&problem["subject"], &problem["id"]), (&"api_key".into(), &id.into()));
    assert_eq!(world.charge_with(&other, "e", "").await.status, 201);
}

#[tokio::test]
async fn a_day_with_a_clock_change_has_its_own_length() {
    let world = world_with(100_000).await;
    world.put("PATCH", "/v1/workspaces/acme", "", r#"{"timezone":"Europe/Berlin"}"#).await;
    world.limit(r#"{"subject":"workspace","period":"day","amount":500}"#).await;
    let spends = async |at: &str, key: &str, status: u16, resets_at: &str| {
        world.at(at);
        assert_eq!(world.charge(key, MESSAGE).await.status, status, "{at}");
        assert_eq!(world.limits().await[0].2, resets_at, "{at}");
    };
    // 23 hours: on March 28 the clock moves from 02:00 to 03:00.
    spends("2027-03-27T22:59:59Z", "a", 201, "2027-03-27T23:00:00.000Z").await;
    spends("2027-03-27T23:00:00Z", "b", 201, "2027-03-28T22:00:00.000Z").await;
    spends("2027-03-28T21:59:59Z", "c", 402, "2027-03-28T22:00:00.000Z").await;
    spends("2027-03-28T22:00:00Z", "d", 201, "2027-03-29T22:00:00.000Z").await;
    // 25 hours: on October 31 the clock moves back from 03:00 to 02:00.
    spends("2027-10-30T22:00:00Z", "e", 201, "2027-10-31T23:00:00.000Z").await;
    spends("2027-10-31T22:59:59Z", "f", 402, "2027-10-31T23:00:00.000Z").await;
    spends("2027-10-31T23:00:00Z", "g", 201, "2027-11-01T23:00:00.000Z").await;
}

#[tokio::test]
async fn a_month_ends_in_the_time_zone_of_the_workspace() {
    let world = world_with(100_000).await;
    world.put("PATCH", "/v1/workspaces/acme", "", r#"{"timezone":"America/New_York"}"#).await;
    world.limit(r#"{"subject":"workspace","period":"month","amount":500}"#).await;
    for (at, key, status, resets_at) in [
        ("2026-12-01T04:59:59Z", "a", 201, "2026-12-01T05:00:00.000Z"),
        ("2026-12-01T05:00:00Z", "b", 201, "2027-01-01T05:00:00.000Z"),
        ("2026-12-31T23:59:59Z", "c", 402, "2027-01-01T05:00:00.000Z"),
        ("2027-01-01T05:00:00Z", "d", 201, "2027-02-01T05:00:00.000Z"),
        ("2028-02-29T12:00:00Z", "e", 201, "2028-03-01T05:00:00.000Z"),
        ("2028-03-01T04:59:59Z", "f", 402, "2028-03-01T05:00:00.000Z"),
        ("2028-03-01T05:00:00Z", "g", 201, "2028-04-01T04:00:00.000Z"),
    ] {
        world.at(at);
        assert_eq!(world.charge(key, MESSAGE).await.status, status, "{at}");
        assert_eq!(world.limits().await[0].2, resets_at, "{at}");
    }
}

#[tokio::test]
async fn after_a_change_of_time_zone_spending_counts_in_the_new_days_and_months() {
    let world = world_with(100_000).await;
    world.at("2026-11-30T23:30:00Z");
    world
        .limit(
            r#"{"subject":"workspace","period":"day","amount":1500},
               {"subject":"member","id":"ada","period":"month","amount":1500}"#,
        )
        .await;
    let ada = r#"{"operation":"support_message","member":"ada"}"#;
    world.charge("a", ada).await;
    world.at("2026-12-01T00:30:00Z");
    world.charge("b", ada).await;
    assert_eq!(
        world.limits().await,
        expected(&[(500, 1_000, "2026-12-02T00:00:00.000Z"), (500, 1_000, "2027-01-01T00:00:00.000Z")])
    );
    let zone = async |zone: &str| {
        let body = format!(r#"{{"timezone":"{zone}"}}"#);
        assert_eq!(world.put("PATCH", "/v1/workspaces/acme", "", &body).await.status, 200);
        world.limits().await
    };
    // In New York it is still November 30, and both charges are of that day.
    assert_eq!(
        zone("America/New_York").await,
        expected(&[(1_000, 500, "2026-12-01T05:00:00.000Z"), (1_000, 500, "2026-12-01T05:00:00.000Z")])
    );
    assert_eq!(world.charge("c", ada).await.status, 201);
    world.charge("d", ada).await.problem(402, "limit_exceeded");
    // In Berlin, December began at 23:00 UTC on November 30: all three charges are in it.
    assert_eq!(
        zone("Europe/Berlin").await,
        expected(&[(1_500, 0, "2026-12-01T23:00:00.000Z"), (1_500, 0, "2026-12-31T23:00:00.000Z")])
    );
    // In Kolkata the day began at 18:30 UTC.
    assert_eq!(
        zone("Asia/Kolkata").await,
        expected(&[(1_500, 0, "2026-12-01T18:30:00.000Z"), (1_500, 0, "2026-12-31T18:30:00.000Z")])
    );
    assert_eq!(
        zone("UTC").await,
        expected(&[(1_000, 500, "2026-12-02T00:00:00.000Z"), (1_000, 500, "2027-01-01T00:00:00.000Z")])
    );
}
