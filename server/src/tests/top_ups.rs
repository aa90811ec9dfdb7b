//! Top-ups over HTTP: opened by the workspace, confirmed by the platform, granted once.

use super::*;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::polling::Polling;

const PATH: &str = "/v1/workspaces/acme/top-ups";

#[tokio::test]
async fn a_top_up_is_opened_confirmed_and_granted_once() {
    let world = world().await;
    let opened = world.post(PATH, "one", r#"{"amount_usd":"25.00"}"#).await;
    let id = opened.id();
    let pending = format!(
        r#"{{"id":"{id}","workspace":"acme","status":"pending","credits":2500000,"credits_usd":"25.00","amount_usd":"25.00","#
    ) + r#""created_at":"2026-11-23T15:04:05.678Z","paid_at":null,"grant":null,"failure":null,"payment":{"provider":"manual","way":"manual","#
        + r#""instructions":"Contact the platform to pay. Credit is added after the payment was confirmed."}}"#;
    assert_eq!((opened.status, &opened.text), (201, &pending));
    assert!(id.starts_with("tu_"), "{id}");
    assert_eq!(world.get(&format!("{PATH}/{id}")).await.text, pending);
    assert_eq!(world.balance().await, (0, 0));

    let again = world.post(PATH, "one", r#"{"amount_usd":"25"}"#).await;
    assert_eq!((again.status, &again.text), (201, &pending));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let other = world.post(PATH, "one", r#"{"amount_usd":"26.00"}"#).await;
    assert_eq!(other.problem(422, "idempotency_key_reused")["field"], "amount_usd");

    world.pass_seconds(60);
    let confirm = format!("{PATH}/{id}/confirm");
    let paid = world.post(&confirm, "", "").await;
    let grant = paid.json()["grant"].as_str().expect("it was granted").to_owned();
    let succeeded = format!(
        r#"{{"id":"{id}","workspace":"acme","status":"succeeded","credits":2500000,"credits_usd":"25.00","amount_usd":"25.00","#
    ) + r#""created_at":"2026-11-23T15:04:05.678Z","paid_at":"2026-11-23T15:05:05.678Z","#
        + &format!(r#""grant":"{grant}","failure":null,"payment":{{"provider":"manual","way":"manual"}}}}"#);
    assert_eq!((paid.status, &paid.text), (200, &succeeded));
    assert_eq!(paid.header("idempotent-replayed"), None);
    assert_eq!(world.balance().await, (2_500_000, 0));
    let twice = world.post(&confirm, "another", "").await;
    assert_eq!((twice.status, &twice.text), (200, &succeeded));
    assert_eq!(twice.header("idempotent-replayed"), Some("true"));
    assert_eq!(world.balance().await, (2_500_000, 0));

    let void = world.post(&format!("/v1/workspaces/acme/grants/{grant}/void"), "v", "{}").await;
    void.problem(409, "grant_was_paid");
    let entries = world.get("/v1/workspaces/acme/entries").await.json();
    let shown = |index: usize, name: &str| entries["data"][index][name].clone();
    assert_eq!(
        [shown(0, "kind"), shown(1, "kind"), shown(2, "kind")],
        ["top_up.succeeded", "grant.created", "top_up.opened"]
    );
    assert_eq!(shown(0, "details"), serde_json::json!({ "top_up": id, "payment": format!("manual:{id}") }));
    assert_eq!(shown(0, "grant"), grant.as_str());
    assert_eq!(
        shown(2, "details"),
        serde_json::json!({ "top_up": id, "amount_usd": "25.00", "way": "manual" })
    );
}

#[tokio::test]
async fn top_ups_are_listed_newest_first_in_pages() {
    let world = world().await;
    let mut ids = Vec::new();
    for key in ["a", "b", "c"] {
        ids.push(world.post(PATH, key, r#"{"amount_usd":"5.00"}"#).await.id());
        // The clock was ahead, and is set back.
        world.pass_seconds(-100);
    }
    ids.reverse();
    let page = world.get(&format!("{PATH}?limit=2")).await.json();
    let cursor = page["next_cursor"].as_str().expect("there is a further page");
    let rest = world.get(&format!("{PATH}?limit=2&cursor={cursor}")).await.json();
    let rows = [&page, &rest].map(|page| page["data"].as_array().cloned().unwrap_or_default()).concat();
    assert_eq!(rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>(), ids);
    assert_eq!(rest["next_cursor"], Value::Null);
    world.get(&format!("{PATH}?cursor=x")).await.problem(400, "invalid_parameter");
    world.get("/v1/workspaces/unknown/top-ups").await.problem(404, "workspace_not_found");
}

#[tokio::test]
async fn wrong_amounts_get_the_documented_answer_and_open_nothing() {
    let world = world().await;
    for (body, status, code) in [
        (r#"{"amount_usd":"0"}"#, 422, "invalid_field"),
        (r#"{"amount_usd":"-1"}"#, 422, "invalid_field"),
        (r#"{"amount_usd":"0.001"}"#, 422, "invalid_field"),
        (r#"{"amount_usd":"25.001"}"#, 422, "invalid_field"),
        (r#"{"amount_usd":"1e3"}"#, 422, "invalid_field"),
        (r#"{"amount_usd":"4.99"}"#, 422, "invalid_field"),
        (r#"{"amount_usd":"10000.01"}"#, 422, "invalid_field"),
        (r#"{"amount_usd":"99999999999999999999"}"#, 422, "invalid_field"),
        (r#"{"amount_usd":25}"#, 422, "invalid_field"),
        (r#"{"amount_usd":"25.00","return_url":"javascript:x"}"#, 422, "invalid_field"),
        (r#"{"amount_usd":"25.00","currency":"EUR"}"#, 400, "unknown_field"),
        (r#"{"amount":2500000}"#, 400, "unknown_field"),
        (r#"{"amount_usd":"#, 400, "malformed_json"),
        ("{}", 422, "invalid_field"),
    ] {
        world.post(PATH, "k", body).await.problem(status, code);
    }
    let missing = world.post(PATH, "", r#"{"amount_usd":"25.00"}"#).await;
    missing.problem(400, "idempotency_key_required");
    let bounds = world.post(PATH, "k", r#"{"amount_usd":"4.99"}"#).await.json();
    assert_eq!(bounds["detail"], "`amount_usd` must be at least 5.00 and at most 10000.00.");
    assert_eq!(world.get(PATH).await.json()["data"], serde_json::json!([]));
    assert_eq!(world.post(PATH, "k", r#"{"amount_usd":"5.00"}"#).await.status, 201);
    let return_url = r#"{"amount_usd":"10000.00","return_url":"https://app.example.com/billing"}"#;
    assert_eq!(world.post(PATH, "l", return_url).await.status, 201);
}

#[tokio::test]
async fn a_repeated_request_gets_its_answer_although_the_settings_allow_its_amount_no_more() {
    let World { app, clock, _dir: dir } = world().await;
    let before = World { app, clock: Arc::clone(&clock), _dir: dir };
    let opened = before.post(PATH, "one", r#"{"amount_usd":"25.00"}"#).await;
    let World { app, _dir: dir, .. } = before;
    app.engine().close().await.expect("a healthy disk");
    drop(app);
    let mut raised = settings();
    raised.payments.top_up_bounds.min_cents = 5_000;
    let world = World { app: open(dir.path(), &raised, &clock).into(), clock, _dir: dir };
    let again = world.post(PATH, "one", r#"{"amount_usd":"25.00"}"#).await;
    assert_eq!((again.status, &again.text), (201, &opened.text));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let refused = world.post(PATH, "two", r#"{"amount_usd":"25.00"}"#).await.problem(422, "invalid_field");
    assert_eq!(refused["detail"], "`amount_usd` must be at least 50.00 and at most 10000.00.");
}

#[tokio::test]
async fn a_top_up_of_another_workspace_is_not_found() {
    let world = world().await;
    assert_eq!(world.post("/v1/workspaces", "", r#"{"id":"globex","name":"Globex"}"#).await.status, 201);
    let id = world.post(PATH, "one", r#"{"amount_usd":"25.00"}"#).await.id();
    for unknown in [id.as_str(), "tu_x", "x"] {
        let path = format!("/v1/workspaces/globex/top-ups/{unknown}");
        world.get(&path).await.problem(404, "top_up_not_found");
        world.post(&format!("{path}/confirm"), "", "").await.problem(404, "top_up_not_found");
    }
    world.get(&format!("/v1/workspaces/unknown/top-ups/{id}")).await.problem(404, "workspace_not_found");
    assert_eq!(world.balance().await, (0, 0));
}

#[tokio::test]
async fn a_top_up_that_nobody_paid_expires_and_is_granted_if_it_is_paid_after_all() {
    const DAYS: i64 = 24 * 3_600;
    let world = world().await;
    let ids = [1, 2].map(|number| (number, format!("key {number}")));
    let mut paths = Vec::new();
    for (_, key) in ids {
        paths.push(format!("{PATH}/{}", world.post(PATH, &key, r#"{"amount_usd":"25.00"}"#).await.id()));
        world.pass_seconds(DAYS);
    }
    let status = async |index: usize| world.get(&paths[index]).await.json()["status"].clone();
    let mut due = DuePayments::default();
    world.pass_seconds(88 * DAYS - 1);
    due.poll(&world.app).await;
    assert_eq!([status(0).await, status(1).await], ["pending", "pending"]);
    world.pass_seconds(1);
    due.poll(&world.app).await;
    assert_eq!([status(0).await, status(1).await], ["expired", "pending"]);
    let expired = world.get(&paths[0]).await.json();
    assert_eq!((&expired["paid_at"], &expired["grant"]), (&Value::Null, &Value::Null));
    let payment = serde_json::json!({ "provider": "manual", "way": "manual" });
    assert_eq!(expired["payment"], payment, "nobody is asked to pay");
    let entry = world.get("/v1/workspaces/acme/entries?limit=1").await.json()["data"][0].clone();
    assert_eq!((&entry["kind"], &entry["details"]["top_up"]), (&"top_up.expired".into(), &expired["id"]));

    let paid = world.post(&format!("{}/confirm", paths[0]), "", "").await.json();
    assert_eq!((&paid["status"], &paid["payment"]), (&"succeeded".into(), &expired["payment"]));
    assert!(paid["paid_at"].is_string(), "{paid}");
    assert_eq!(world.balance().await, (2_500_000, 0));
    world.pass_seconds(2 * DAYS);
    due.poll(&world.app).await;
    assert_eq!([status(0).await, status(1).await], ["succeeded", "expired"]);
}
