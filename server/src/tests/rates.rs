//! Rate limits: how many requests a key may make, the headers, and which callers have none.

use super::*;

/// A world whose API keys may make two requests a second, and platform keys `platform`; 0 for no
/// limit.
async fn limited(platform: u32) -> World {
    let world = world_with(100_000).await;
    let mut settings = settings();
    settings.access.workspace_key_requests_per_second = 2;
    settings.access.workspace_requests_per_second = 3;
    settings.access.platform_key_requests_per_second = platform;
    let World { app, clock, _dir } = world;
    app.engine().close().await.expect("the engine closes");
    drop(app);
    World { app: open(_dir.path(), &settings, &clock).into(), clock, _dir }
}

#[tokio::test]
async fn a_key_with_too_many_requests_is_refused_until_it_waits() {
    let world = limited(0).await;
    let (_, secret) = world.make_key("acme", r#"{"name":"k","scopes":["charge","read"]}"#).await;
    let (_, other) = world.make_key("acme", r#"{"name":"k","scopes":["charge"]}"#).await;
    let first = world.charge_with(&secret, "k", "").await;
    assert_eq!(first.status, 201);
    for (name, value) in [
        ("ratelimit-policy", "\"key\";q=20;w=10"),
        ("ratelimit", "\"key\";r=19;t=1"),
        ("ratelimit-limit", "20"),
        ("ratelimit-remaining", "19"),
        ("ratelimit-reset", "1"),
    ] {
        assert_eq!(first.header(name), Some(value), "{name}");
    }
    for _ in 0..18 {
        assert_eq!(world.charge_with(&secret, "k", "").await.status, 201);
    }
    let balance = ("GET", "/v1/workspaces/acme/balance");
    let last = world.ask_with(&secret, balance, "", "").await;
    assert_eq!(
        (last.status, last.header("ratelimit-remaining")),
        (200, Some("0")),
        "requests of every route count"
    );
    let refused = world.charge_with(&secret, "new", "").await;
    let problem: Value = refused.json();
    assert_eq!(
        (refused.status, &problem["code"], &problem["retryable"]),
        (429, &"rate_limited".into(), &true.into())
    );
    assert_eq!((refused.header("retry-after"), &problem["retry_after_seconds"]), (Some("1"), &1.into()));
    assert_eq!(world.charge_with(&other, "other", "").await.status, 201, "each key has its own limit");
    world.pass_seconds(1);
    assert_eq!(world.charge_with(&secret, "new", "").await.status, 201);
    assert_eq!(world.charge_with(&secret, "newer", "").await.status, 201);
    assert_eq!(world.charge_with(&secret, "newest", "").await.status, 429);
    world.pass_seconds(10);
    assert_eq!(world.charge_with(&secret, "newest", "").await.header("ratelimit-remaining"), Some("19"));
}

#[tokio::test]
async fn each_item_of_a_batch_counts() {
    let world = limited(0).await;
    let (_, secret) = world.make_key("acme", r#"{"name":"k","scopes":["charge"]}"#).await;
    let item =
        |n: usize| format!(r#"{{"workspace":"acme","idempotency_key":"{n}","operation":"support_message"}}"#);
    let batch = async |items: std::ops::Range<usize>| {
        let items = items.map(item).collect::<Vec<_>>().join(",");
        let body = format!(r#"{{"charges":[{items}]}}"#);
        world.ask_with(&secret, ("POST", "/v1/charges/batch"), "", &body).await
    };
    let first = batch(0..12).await;
    assert_eq!((first.status, first.header("ratelimit-remaining")), (200, Some("8")));
    let refused = batch(12..24).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("2")), "{}", refused.text);
    assert_eq!(world.balance().await, (100_000 - 12 * 500, 0), "a denied batch charges nothing");
    assert_eq!(batch(12..19).await.status, 200);
}

#[tokio::test]
async fn more_keys_do_not_admit_more_requests() {
    let world = limited(0).await;
    let mut admitted = 0;
    for key in 0..3 {
        let (_, secret) = world.make_key("acme", r#"{"name":"k","scopes":["charge"]}"#).await;
        for n in 0..20 {
            let reply = world.charge_with(&secret, &format!("{key} {n}"), "").await;
            admitted += usize::from(reply.status == 201);
            if reply.status == 429 {
                assert!(
                    reply
                        .header("ratelimit-policy")
                        .is_some_and(|policy| policy.starts_with("\"workspace\""))
                );
            }
        }
    }
    assert_eq!(admitted, 30, "three requests a second, ten seconds' worth at once");
}

#[tokio::test]
async fn a_denied_request_has_the_rate_headers_too() {
    let world = limited(0).await;
    let (_, secret) = world.make_key("acme", r#"{"name":"k","scopes":["read"]}"#).await;
    let refused = world.charge_with(&secret, "k", "").await;
    assert_eq!((refused.status, refused.header("ratelimit-remaining")), (403, Some("19")));
}

#[tokio::test]
async fn platform_keys_have_no_limit_unless_the_settings_set_one() {
    let world = limited(0).await;
    for _ in 0..50 {
        let reply = world.get("/v1/workspaces/acme").await;
        assert_eq!((reply.status, reply.header("ratelimit-limit")), (200, None));
    }
    let world = limited(1).await;
    for _ in 0..10 {
        assert_eq!(world.get("/v1/workspaces/acme").await.status, 200);
    }
    assert_eq!(world.get("/v1/workspaces/acme").await.status, 429);
    assert_eq!(
        world.ask("GET", "/healthz", &[], Body::empty()).await.status,
        200,
        "requests of public routes are not counted"
    );
}
