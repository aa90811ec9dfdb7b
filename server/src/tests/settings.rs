//! What concerns the platform as a whole: its settings over HTTP, and the key of the first start.

use super::*;
use crate::prepare_showing;
use crate::settings::AccessSettings;

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
    let world = World { app: open(_dir.path(), &settings(), &clock).into(), clock, _dir };
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

#[tokio::test]
async fn a_first_platform_key_is_shown_before_it_is_stored() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let clock = Arc::new(AtomicI64::new(NOW));
    let without_key = Settings { access: AccessSettings::default(), ..settings() };
    let app = open(dir.path(), &without_key, &clock);
    let mut shown = None;
    let show = |key: &str| {
        assert!(app.engine().platform().key_hashes.is_empty(), "a process that ends here has stored no key");
        shown = Some(key.to_owned());
    };
    let made = prepare_showing(&app, show).await.expect("an empty engine takes a key");
    assert_eq!(made, shown);
    assert!(made.is_some_and(|key| key.starts_with("tk_platform_")));
    assert_eq!(app.engine().platform().key_hashes.len(), 1);
    let again = prepare_showing(&app, |_| panic!("a second start makes no key")).await;
    assert_eq!(again.expect("the key is there"), None);
}
