//! Endpoints over the API, what messages say, and how they are signed.

use tollkeeper_ledger::WebhookEndpointId;

use super::*;

/// Whether a message has exactly the signatures of these generations.
fn is_signed_by(received: &receiver::Received, endpoint: &str, generations: &[u32]) -> bool {
    let instance = InstanceSecret::from_hex(SECRET[0]).expect("64 digits");
    let id: WebhookEndpointId = endpoint.parse().expect("an id");
    let sign = |generation: &u32| {
        let secret = instance.of_endpoint(id, *generation);
        secret.sign(&received.id, received.timestamp, &received.body)
    };
    let expected: Vec<String> = generations.iter().map(sign).collect();
    received.signatures == expected.join(" ")
}

#[tokio::test]
async fn messages_say_what_happened_and_are_signed() {
    let receiver = Receiver::start().await;
    let (world, _dispatching) = dispatching(&settings_for(&[&receiver])).await;
    let endpoint = world.endpoint(&receiver, "").await;
    let secret = endpoint["secret"].as_str().expect("it is shown");
    let instance = InstanceSecret::from_hex(SECRET[0]).expect("64 digits");
    assert_eq!(secret, instance.of_endpoint(id(&endpoint).parse().expect("an id"), 1).text());
    world.charges(0, 1).await;
    let awaited = r#"{"operation":"virtual_try_on","await_outcome":true,"reference":"order 7",
        "metadata":{"name":"Ada"}}"#;
    let charge = world.charge("awaited", awaited).await.id();
    let path = format!("/v1/workspaces/acme/charges/{charge}/outcome");
    let settled = world.post(&path, "", r#"{"result":"failed","fault":"system"}"#).await;
    assert_eq!(settled.status, 200, "{}", settled.text);
    let received = receiver.wait(3).await;
    let mut messages: Vec<Value> = received.iter().map(receiver::Received::json).collect();
    messages.sort_by_key(|message| message["data"]["entry"].as_u64());
    let kinds: Vec<_> = messages.iter().map(|message| message["type"].clone()).collect();
    assert_eq!(kinds, ["charge.settled", "charge.opened", "charge.refunded"]);
    for message in &received {
        assert!(is_signed_by(message, id(&endpoint), &[1]), "{}", message.signatures);
        assert!(message.id.starts_with("msg_") && message.timestamp == NOW / 1_000);
        assert!(!message.body.contains("Ada"), "no metadata leaves");
    }
    let data = &messages[0]["data"];
    assert_eq!((&data["amount"], &data["amount_usd"]), (&500.into(), &"0.005".into()));
    assert_eq!((&data["workspace"], &data["operation"]), (&"acme".into(), &"support_message".into()));
    assert_eq!(data["balance"]["available_usd"], "999.995");
    assert_eq!(messages[0]["timestamp"], "2026-11-23T15:04:05.678Z");
    let opened = &messages[1]["data"];
    assert_eq!((&opened["charge"], &opened["reference"]), (&charge.into(), &"order 7".into()));
    assert_eq!(messages[2]["data"]["status"], "refunded");
    let kept = world.deliveries_until(id(&endpoint), |kept| kept["attempts"][2].is_object()).await;
    assert_eq!((&kept["down"], waiting(&kept)), (&false.into(), 0));
    assert_eq!(world.counted("tollkeeper_webhook_messages_total").await, 3);
}

#[tokio::test]
async fn endpoints_are_created_shown_changed_and_deleted() {
    let receiver = Receiver::start().await;
    let world = world_of(&settings_for(&[&receiver]), NOW).await;
    let body = format!(r#"{{"url":"{}","kinds":["balance.low","charge.settled"]}}"#, receiver.url);
    let first = world.post("/v1/webhook-endpoints", "one", &body).await;
    let again = world.post("/v1/webhook-endpoints", "one", &body).await;
    assert_eq!(
        (first.text.as_str(), again.header("idempotent-replayed")),
        (again.text.as_str(), Some("true"))
    );
    let other = format!(r#"{{"url":"{}"}}"#, receiver.url);
    let reused = world.post("/v1/webhook-endpoints", "one", &other).await;
    assert_eq!(reused.problem(422, "idempotency_key_reused")["field"], "kinds");
    let endpoint = first.json();
    assert_eq!(endpoint["kinds"], serde_json::json!(["charge.settled", "balance.low"]));
    let path = format!("/v1/webhook-endpoints/{}", id(&endpoint));
    let shown = world.get(&path).await.json();
    assert_eq!((&shown["secret"], &shown["enabled"]), (&Value::Null, &true.into()));
    let second = world.endpoint(&receiver, "").await;
    let listed = world.get("/v1/webhook-endpoints").await.json();
    assert_eq!((&listed["data"][0]["id"], &listed["data"][1]["id"]), (&second["id"], &endpoint["id"]));
    let changed =
        world.put("PATCH", &path, "", r#"{"kinds":["grant.created"],"enabled":false}"#).await.json();
    assert_eq!((&changed["enabled"], &changed["kinds"][0]), (&false.into(), &"grant.created".into()));
    for (body, field) in [
        (r#"{"enabled":true}"#, "from"),
        (r#"{"from":"now"}"#, "from"),
        (r#"{"kinds":[]}"#, "kinds"),
        (r#"{"kinds":["no.such"]}"#, "kinds[0]"),
        (r#"{"url":"https://example.com:22/"}"#, "url"),
        (r#"{"url":"https://169.254.169.254/"}"#, "url"),
        (r#"{"url":"https://ada@example.com/"}"#, "url"),
        (r#"{"url":"x"}"#, "url"),
    ] {
        let problem = world.put("PATCH", &path, "", body).await.problem(422, "invalid_field");
        assert_eq!(problem["field"], field, "{body}");
    }
    assert_eq!(world.put("DELETE", &path, "", "").await.status, 204);
    world.get(&path).await.problem(404, "webhook_endpoint_not_found");
    world.put("DELETE", &path, "", "").await.problem(404, "webhook_endpoint_not_found");
    let resend = format!("{path}/deliveries/msg_1/resend");
    world.post(&resend, "", "").await.problem(404, "webhook_endpoint_not_found");
    let resend = format!("/v1/webhook-endpoints/{}/deliveries/msg_1/resend", id(&second));
    world.post(&resend, "", "").await.problem(404, "delivery_not_found");
}

#[tokio::test]
async fn both_secrets_sign_for_a_day_after_a_rotation() {
    let receiver = Receiver::start().await;
    let (world, _dispatching) = dispatching(&settings_for(&[&receiver])).await;
    let endpoint = world.endpoint(&receiver, r#"["charge.settled"]"#).await;
    let path = format!("/v1/webhook-endpoints/{}/rotate-secret", id(&endpoint));
    let rotated = world.post(&path, "", "").await.json();
    assert_ne!(rotated["secret"], endpoint["secret"]);
    assert_eq!(rotated["previous_secret_signs_until"], "2026-11-24T15:04:05.678Z");
    world.charges(0, 1).await;
    let received = receiver.wait(1).await;
    assert!(is_signed_by(&received[0], id(&endpoint), &[2, 1]), "{}", received[0].signatures);
    world.pass_seconds(24 * 3_600);
    world.charges(1, 1).await;
    let received = receiver.wait(2).await;
    assert!(is_signed_by(&received[1], id(&endpoint), &[2]), "{}", received[1].signatures);
}

#[tokio::test]
async fn a_ping_is_sent_at_once() {
    let receiver = Receiver::start().await;
    let world = world_of(&settings_for(&[&receiver]), NOW).await;
    let endpoint = world.endpoint(&receiver, "").await;
    let path = format!("/v1/webhook-endpoints/{}/ping", id(&endpoint));
    let pinged = world.post(&path, "", "").await.json();
    assert_eq!((&pinged["accepted"], &pinged["http_status"]), (&true.into(), &204.into()));
    let received = receiver.received();
    assert_eq!((received.len(), received[0].kind().as_str()), (1, "ping"));
    assert!(is_signed_by(&received[0], id(&endpoint), &[1]));
    receiver.answers(Answer::Status(500));
    let pinged = world.post(&path, "", "").await.json();
    assert_eq!(
        (&pinged["accepted"], &pinged["outcome"]),
        (&false.into(), &"the receiver answered 500".into())
    );
}

#[tokio::test]
async fn a_server_with_another_secret_does_not_start() {
    let receiver = Receiver::start().await;
    let mut settings = settings_for(&[&receiver]);
    let world = world_of(&settings, NOW).await;
    let check = |settings: &Settings| {
        let app = App::new(Arc::clone(&world.app.engine), settings);
        crate::check_secret(&app).map_err(|error| error.to_string())
    };
    settings.webhooks.secret_key = InstanceSecret::from_hex(SECRET[1]);
    assert_eq!(check(&settings), Ok(()), "there is no endpoint yet");
    world.endpoint(&receiver, "").await;
    let error = check(&settings).expect_err("it has another secret");
    assert!(error.contains("another secret") && error.contains("secret_key"), "{error}");
    settings.webhooks.secret_key = None;
    let dir = tempfile::tempdir().expect("a directory");
    settings.store = crate::Store::Directory(dir.path().to_owned());
    let error = check(&settings).expect_err("it has none");
    assert!(error.contains("no secret") && error.contains("secret.key"), "{error}");
    std::fs::write(dir.path().join("secret.key"), SECRET[0]).expect("it is written");
    assert_eq!(check(&settings), Ok(()));
}

#[tokio::test]
async fn a_directory_makes_its_secret_and_a_database_needs_the_setting() {
    let receiver = Receiver::start().await;
    let mut settings = settings_for(&[&receiver]);
    settings.webhooks.secret_key = None;
    let dir = tempfile::tempdir().expect("a directory");
    settings.store = crate::Store::Directory(dir.path().to_owned());
    let world = world_of(&settings, NOW).await;
    assert!(!dir.path().join("secret.key").exists(), "it is made when it is needed");
    world.endpoint(&receiver, "").await;
    assert!(dir.path().join("secret.key").exists());
    let url = crate::DatabaseUrl::new("postgres://h/d").expect("a URL");
    settings.store = crate::Store::Database(url);
    let world = world_of(&settings, NOW).await;
    let body = format!(r#"{{"url":"{}"}}"#, receiver.url);
    world.post("/v1/webhook-endpoints", "", &body).await.problem(409, "secret_key_missing");
}
