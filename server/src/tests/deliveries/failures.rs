//! Receivers that fail: what is sent again, when, and when it ends.

use super::*;

/// Enough that what was to be sent in a moment has been sent.
const A_WHILE: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_message_that_fails_comes_again_under_its_id() {
    let receiver = Receiver::start().await;
    let (world, _dispatching) = dispatching(&settings_for(&[&receiver])).await;
    let endpoint = world.endpoint(&receiver, r#"["charge.settled"]"#).await;
    receiver.answers(Answer::Status(500));
    world.charges(0, 1).await;
    receiver.wait(1).await;
    let kept = world.deliveries_until(id(&endpoint), |kept| waiting(kept) == 1).await;
    assert_eq!(kept["exceptions"][0]["outcome"], "the receiver answered 500");
    assert_eq!(kept["failing_since"], "2026-11-23T15:04:05.678Z");
    receiver.answers(Answer::Status(204));
    world.charges(1, 1).await;
    let received = receiver.wait(2).await;
    assert_ne!(received[0].id, received[1].id, "the others go on");
    world.pass_seconds(7);
    let received = receiver.wait(3).await;
    assert_eq!((&received[0].id, &received[0].body), (&received[2].id, &received[2].body));
    let kept = world.deliveries_until(id(&endpoint), |kept| waiting(kept) == 0).await;
    assert_eq!((kept["attempts"].as_array().map(Vec::len), &kept["failing_since"]), (Some(3), &Value::Null));
    // A message that was accepted can be sent again by hand.
    let path = format!("/v1/webhook-endpoints/{}/deliveries/{}/resend", id(&endpoint), received[1].id);
    assert_eq!(world.post(&path, "", "").await.json()["status"], "waiting");
    assert_eq!(receiver.wait(4).await[3].id, received[1].id);
}

#[tokio::test]
async fn an_endpoint_that_is_down_for_an_hour_loses_nothing() {
    let receiver = Receiver::start().await;
    let (world, _dispatching) = dispatching(&settings_for(&[&receiver])).await;
    let endpoint = world.endpoint(&receiver, r#"["charge.settled"]"#).await;
    receiver.answers(Answer::Status(503));
    world.charges(0, 130).await;
    let kept = world.deliveries_until(id(&endpoint), |kept| kept["down"] == true).await;
    assert!((100..108).contains(&waiting(&kept)), "{}", waiting(&kept));
    tokio::time::sleep(A_WHILE).await;
    let before = receiver.received().len();
    assert!(before < 130, "the journal keeps the rest: {before}");
    world.pass_seconds(3_600);
    receiver.wait(before + 1).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(receiver.received().len(), before + 1, "one is tried, and fails");
    assert_eq!(world.counted("tollkeeper_webhook_endpoints_down").await, 1);
    receiver.answers(Answer::Status(200));
    world.pass_seconds(2_400);
    receiver.wait_for_ids(130).await;
    world.deliveries_until(id(&endpoint), |kept| waiting(kept) == 0).await;
    let accepted: BTreeSet<String> =
        receiver.received()[before + 1..].iter().map(|one| one.id.clone()).collect();
    assert_eq!(accepted.len(), 130, "each is accepted");
    assert_eq!(world.counted("tollkeeper_webhook_endpoints_down").await, 0);
}

#[tokio::test]
async fn a_message_is_sent_at_once_by_hand_also_to_an_endpoint_that_is_down() {
    let receiver = Receiver::start().await;
    let (world, _dispatching) = dispatching(&settings_for(&[&receiver])).await;
    let endpoint = world.endpoint(&receiver, r#"["charge.settled"]"#).await;
    receiver.answers(Answer::Status(503));
    world.charges(0, 130).await;
    let kept = world.deliveries_until(id(&endpoint), |kept| kept["down"] == true).await;
    tokio::time::sleep(A_WHILE).await;
    let before = receiver.received().len();
    let exceptions = kept["exceptions"].as_array().expect("a list");
    let last = exceptions.last().and_then(|last| last["message"].as_str()).expect("a message has an id");
    receiver.answers(Answer::Status(204));
    let path = format!("/v1/webhook-endpoints/{}/deliveries/{last}/resend", id(&endpoint));
    let asked = world.post(&path, "", "").await.json();
    assert_eq!(
        (&asked["status"], &asked["next_at"]),
        (&"waiting".into(), &"2026-11-23T15:04:05.678Z".into())
    );
    receiver.wait_for_ids(130).await;
    assert_eq!(receiver.received()[before].id, last, "it is sent before the schedule allows another");
    world.deliveries_until(id(&endpoint), |kept| waiting(kept) == 0).await;
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_and_delays_no_other() {
    let (hanging, other) = (Receiver::start().await, Receiver::start().await);
    let mut settings = settings_for(&[&hanging, &other]);
    settings.webhooks.attempt_timeout = Duration::from_millis(200);
    let (world, _dispatching) = dispatching(&settings).await;
    hanging.answers(Answer::Hang);
    let endpoint = world.endpoint(&hanging, r#"["charge.settled"]"#).await;
    world.endpoint(&other, r#"["charge.settled"]"#).await;
    world.charges(0, 3).await;
    other.wait(3).await;
    let kept = world.deliveries_until(id(&endpoint), |kept| waiting(kept) == 3).await;
    assert_eq!(kept["exceptions"][0]["outcome"], "the receiver did not answer in time");
    assert_eq!(kept["attempts"][0]["http_status"], Value::Null);
}

#[tokio::test]
async fn redirects_are_not_followed_and_pauses_are_as_asked() {
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let (world, _dispatching) = dispatching(&settings_for(&[&receiver, &other])).await;
    let endpoint = world.endpoint(&receiver, r#"["charge.settled"]"#).await;
    receiver.answers(Answer::Redirect(other.url.clone()));
    world.charges(0, 1).await;
    let kept = world.deliveries_until(id(&endpoint), |kept| waiting(kept) == 1).await;
    assert_eq!(kept["exceptions"][0]["outcome"], "the receiver answered 307; redirects are not followed");
    receiver.answers(Answer::RetryAfter(429, "3600"));
    world.pass_seconds(7);
    let kept = world.deliveries_until(id(&endpoint), |kept| kept["exceptions"][0]["attempts"] == 2).await;
    assert_eq!(kept["exceptions"][0]["next_at"], "2026-11-23T16:04:12.678Z", "an hour later");
    receiver.answers(Answer::RetryAfter(503, "Mon, 23 Nov 2026 20:00:00 GMT"));
    world.pass_seconds(3_600);
    let kept = world.deliveries_until(id(&endpoint), |kept| kept["exceptions"][0]["attempts"] == 3).await;
    assert_eq!(kept["exceptions"][0]["next_at"], "2026-11-23T20:00:00.678Z", "a date is a time too");
    assert_eq!(other.received().len(), 0);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_disabled_and_others_are_sent_a_message() {
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let (world, _dispatching) = dispatching(&settings_for(&[&receiver, &other])).await;
    let endpoint = world.endpoint(&receiver, r#"["charge.settled"]"#).await;
    world.endpoint(&other, r#"["endpoint.disabled"]"#).await;
    receiver.answers(Answer::Status(410));
    world.charges(0, 1).await;
    let message = other.wait(1).await.remove(0).json();
    assert_eq!(message["type"], "endpoint.disabled");
    assert_eq!(
        (&message["data"]["webhook_endpoint"], &message["data"]["reason"]),
        (&endpoint["id"], &"gone".into())
    );
    let path = format!("/v1/webhook-endpoints/{}", id(&endpoint));
    let shown = world.get(&path).await.json();
    assert_eq!((&shown["enabled"], &shown["disabled_reason"]), (&false.into(), &"gone".into()));
    receiver.answers(Answer::Status(200));
    world.charges(1, 2).await;
    let enabled = world.put("PATCH", &path, "", r#"{"enabled":true,"from":"stopped"}"#).await.json();
    assert_eq!((&enabled["enabled"], &enabled["disabled_reason"]), (&true.into(), &Value::Null));
    receiver.wait_for_ids(3).await;
    assert_eq!(world.put("PATCH", &path, "", r#"{"enabled":false}"#).await.status, 200);
    world.charges(3, 2).await;
    assert_eq!(world.put("PATCH", &path, "", r#"{"enabled":true,"from":"now"}"#).await.status, 200);
    world.charges(5, 1).await;
    receiver.wait_for_ids(4).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(receiver.ids().len(), 4, "what came while it was disabled is left out");
}

#[tokio::test]
async fn five_days_without_one_success_disable_an_endpoint() {
    let receiver = Receiver::start().await;
    let (world, _dispatching) = dispatching(&settings_for(&[&receiver])).await;
    let endpoint = world.endpoint(&receiver, r#"["charge.settled"]"#).await;
    receiver.answers(Answer::Status(500));
    world.charges(0, 1).await;
    let path = format!("/v1/webhook-endpoints/{}", id(&endpoint));
    world.deliveries_until(id(&endpoint), |kept| waiting(kept) == 1).await;
    for day in 1..=4 {
        assert_eq!(world.get(&path).await.json()["enabled"], true, "day {day}");
        let attempts = world.deliveries(id(&endpoint)).await["exceptions"][0]["attempts"].clone();
        world.pass_seconds(86_400 + 3_600);
        world.deliveries_until(id(&endpoint), |kept| kept["exceptions"][0]["attempts"] != attempts).await;
    }
    assert_eq!(world.get(&path).await.json()["enabled"], true, "the fifth day has not ended");
    // With another attempt or without one: the end of the last may see the new time.
    world.pass_seconds(86_400 + 3_600);
    let mut shown = Value::Null;
    for _ in 0..500 {
        shown = world.get(&path).await.json();
        if shown["enabled"] == false {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((&shown["enabled"], &shown["disabled_reason"]), (&false.into(), &"failing".into()));
}

#[tokio::test]
async fn no_request_leaves_to_an_address_that_is_not_allowed() {
    let receiver = Receiver::start().await;
    let mut settings = settings_for(&[&receiver]);
    settings.webhooks.allow_private = false;
    let (world, _dispatching) = dispatching(&settings).await;
    let body = format!(r#"{{"url":"http://127.0.0.1:{}/hook"}}"#, receiver.port);
    let refused = world.post("/v1/webhook-endpoints", "", &body).await;
    assert_eq!(refused.problem(422, "invalid_field")["field"], "url");
    // A name says only when it is resolved where it leads.
    let body =
        format!(r#"{{"url":"http://localhost:{}/hook?x=1","kinds":["charge.settled"]}}"#, receiver.port);
    let endpoint = world.post("/v1/webhook-endpoints", "", &body).await.json();
    world.charges(0, 1).await;
    let kept = world.deliveries_until(id(&endpoint), |kept| waiting(kept) == 1).await;
    let outcome = kept["exceptions"][0]["outcome"].as_str().expect("a text");
    assert!(outcome.ends_with("is in a network to which no message is sent"), "{outcome}");
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn a_message_that_was_sent_and_not_noted_comes_again_under_its_id() {
    let receiver = Receiver::start().await;
    let (world, dispatching) = dispatching(&settings_for(&[&receiver])).await;
    let endpoint = world.endpoint(&receiver, r#"["charge.settled"]"#).await;
    receiver.answers(Answer::Hang);
    world.charges(0, 1).await;
    let first = receiver.wait(1).await;
    drop(dispatching);
    receiver.answers(Answer::Status(204));
    let _dispatching = dispatch(&world.app);
    let received = receiver.wait(2).await;
    assert_eq!((&received[0].id, &received[0].body), (&received[1].id, &first[0].body));
    world.deliveries_until(id(&endpoint), |kept| kept["attempts"][0].is_object()).await;
}
