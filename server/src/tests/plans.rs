//! The plans over HTTP: the samples, new versions, invalid ones.

use super::*;

const PRO: &str = r#"{"id":"pro","name":"Pro","price_usd":"49","credits":6000000,"interval":"month"}"#;

async fn set(world: &World, plans: &str) -> Reply {
    world.put("PUT", "/v1/plans", "", &format!(r#"{{"plans":[{plans}]}}"#)).await
}

#[tokio::test]
async fn three_samples_are_shown_until_plans_are_set() {
    let world = world().await;
    let expected = String::from(r#"{"version":0,"plans":["#)
        + r#"{"id":"growth","name":"Growth","price_usd":"99.00","credits":9900000,"credits_usd":"99.00","#
        + r#""interval":"month","sample":true},"#
        + r#"{"id":"scale","name":"Scale","price_usd":"299.00","credits":29900000,"credits_usd":"299.00","#
        + r#""interval":"month","sample":true},"#
        + r#"{"id":"starter","name":"Starter","price_usd":"19.00","credits":1900000,"credits_usd":"19.00","#
        + r#""interval":"month","sample":true}]}"#;
    assert_eq!(world.get("/v1/plans").await.text, expected);
    let entries = async || world.get("/v1/journal/head").await.json()["entries"].clone();
    let before = entries().await;
    prepare(&world.app).await.expect("prices are there");
    assert_eq!(entries().await, before, "a start writes no plans");
    assert_eq!(set(&world, "").await.text, r#"{"version":1,"plans":[]}"#, "nothing is offered");
    assert_eq!(world.get("/v1/plans").await.text, r#"{"version":1,"plans":[]}"#);
}

#[tokio::test]
async fn a_version_replaces_all_plans_and_holds_after_a_restart() {
    let world = world().await;
    let yearly =
        r#"{"id":"a.year","name":"Größe","price_usd":"490.50","credits_usd":"60","interval":"year"}"#;
    let put = set(&world, &format!("{PRO},{yearly}")).await;
    let expected = String::from(r#"{"version":1,"plans":["#)
        + r#"{"id":"a.year","name":"Größe","price_usd":"490.50","credits":6000000,"credits_usd":"60.00","#
        + r#""interval":"year","sample":false},"#
        + r#"{"id":"pro","name":"Pro","price_usd":"49.00","credits":6000000,"credits_usd":"60.00","#
        + r#""interval":"month","sample":false}]}"#;
    assert_eq!((put.status, put.text.as_str()), (200, expected.as_str()));
    let entries = world.get("/v1/journal/head").await.json()["entries"].clone();
    assert_eq!(set(&world, &format!("{yearly},{PRO}")).await.text, expected);
    assert_eq!(world.get("/v1/journal/head").await.json()["entries"], entries, "equal plans write nothing");

    let free = r#"{"id":"free","name":"Free","price_usd":"0.00","credits":100000,"interval":"month"}"#;
    assert_eq!(set(&world, free).await.json()["version"], 2);
    let World { app, clock, _dir } = world;
    app.engine().close().await.expect("the engine closes");
    drop(app);
    let world = World { app: open(_dir.path(), &settings(), &clock).into(), clock, _dir };
    let plans = world.get("/v1/plans").await.json();
    assert_eq!((&plans["version"], plans["plans"].as_array().map(Vec::len)), (&2.into(), Some(1)));
    assert_eq!(plans["plans"][0]["price_usd"], "0.00");
}

#[tokio::test]
async fn invalid_plans_are_refused_by_field() {
    let world = world().await;
    assert_eq!(set(&world, PRO).await.status, 200);
    let with = |field: &str, value: &str| {
        let mut plan: Value = serde_json::from_str(PRO).expect("it is JSON");
        plan[field] = serde_json::from_str(value).expect("it is JSON");
        plan.to_string()
    };
    let long = format!("{:?}", "n".repeat(101));
    for (plans, field) in [
        (format!("{PRO},{PRO}"), "plans"),
        (with("id", r#""a b""#), "plans[0].id"),
        (with("id", r#"".""#), "plans[0].id"),
        (with("name", r#""""#), "plans[0].name"),
        (with("name", r#""  ""#), "plans[0].name"),
        (with("name", r#""a\nb""#), "plans[0].name"),
        (with("name", &long), "name"),
        (with("price_usd", r#""-1""#), "plans[0].price_usd"),
        (with("price_usd", r#""0.001""#), "plans[0].price_usd"),
        (with("price_usd", r#""1e3""#), "plans[0].price_usd"),
        (with("price_usd", r#""""#), "plans[0].price_usd"),
        (with("price_usd", "49"), "plans[0].price_usd"),
        (with("price_usd", r#""0.49""#), "price_usd"),
        (with("price_usd", r#""1000000.00""#), "price_usd"),
        (with("credits", "0"), "credits"),
        (with("credits", "-5"), "credits"),
        (with("credits", "1.5"), "plans[0].credits"),
        (with("credits", "9000000000001"), "credits"),
        (with("credits_usd", r#""60""#), "plans[0].credits_usd"),
        (with("interval", r#""week""#), "plans[0].interval"),
        (with("interval", "null"), "plans[0].interval"),
        (r#"["pro"]"#.to_owned(), "plans[0]"),
        (r#"{"id":"a","name":"A","price_usd":"1","interval":"month"}"#.to_owned(), "plans[0].credits"),
        (r#"{"id":"a","name":"A","credits":1,"interval":"month"}"#.to_owned(), "plans[0].price_usd"),
    ] {
        let problem = set(&world, &plans).await.problem(422, "invalid_field");
        assert_eq!(problem["field"], field, "{plans}");
    }
    let problem = set(&world, &with("sample", "true")).await.problem(400, "unknown_field");
    assert_eq!(problem["field"], "plans[0].sample");
    let many: Vec<String> = (0..101).map(|n| with("id", &format!("\"p{n}\""))).collect();
    let problem = set(&world, &many.join(",")).await.problem(422, "invalid_field");
    assert_eq!(problem["field"], "plans");
    assert_eq!(world.get("/v1/plans").await.json()["version"], 1);
}
