//! The settings of the platform over HTTP: what holds by default, changes, wrong values.

use super::*;

#[tokio::test]
async fn the_settings_are_changed_once_and_hold_after_a_restart() {
    let world = world().await;
    assert_eq!(world.get("/v1/settings").await.text, r#"{"refund_window_days":30}"#);
    let entries = async |world: &World| world.get("/v1/journal/head").await.json()["entries"].clone();
    let before = entries(&world).await;
    let same = world.put("PUT", "/v1/settings", "", r#"{"refund_window_days":30}"#).await;
    assert_eq!((same.status, same.text.as_str()), (200, r#"{"refund_window_days":30}"#));
    assert_eq!(entries(&world).await, before, "equal settings write nothing");
    let put = world.put("PUT", "/v1/settings", "", r#"{"refund_window_days":0}"#).await;
    assert_eq!((put.status, put.text.as_str()), (200, r#"{"refund_window_days":0}"#));
    assert_ne!(entries(&world).await, before);

    let World { app, clock, _dir } = world;
    app.engine().close().await.expect("the engine closes");
    drop(app);
    let world = World { app: open(_dir.path(), &settings(), &clock), clock, _dir };
    assert_eq!(world.get("/v1/settings").await.text, r#"{"refund_window_days":0}"#);
}

#[tokio::test]
async fn wrong_settings_are_refused_by_field() {
    let world = world().await;
    for (body, code, field) in [
        (r#"{"refund_window_days":3651}"#, "invalid_field", "refund_window_days"),
        (r#"{"refund_window_days":-1}"#, "invalid_field", "refund_window_days"),
        (r#"{"refund_window_days":null}"#, "invalid_field", "refund_window_days"),
        ("{}", "invalid_field", "refund_window_days"),
        (r#"{"refund_window_days":1,"tick_ms":5}"#, "unknown_field", "tick_ms"),
    ] {
        let reply = world.put("PUT", "/v1/settings", "", body).await;
        let problem = reply.json();
        assert_eq!((&problem["code"], &problem["field"]), (&code.into(), &field.into()), "{body}: {problem}");
    }
    assert_eq!(world.get("/v1/settings").await.json()["refund_window_days"], 30);
}
