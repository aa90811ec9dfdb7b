//! Relays that fail, and servers that are killed: what is sent again, and under which id.

use super::*;

#[tokio::test]
async fn a_mail_that_the_relay_does_not_take_now_comes_again_under_its_id() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    let world = world_with_admin(&relay.settings(), "ada@example.com").await;
    world.thresholds(r#"[{"amount":90000}]"#).await;
    relay.server.control("all 451 4.3.0 Come back later");
    let _dispatching = dispatch(&world.app);
    assert_eq!(world.try_on("one", 1).await.status, 201);
    let failed = world.failed_mails(|failed| waiting(failed) == 1).await;
    let exception = &failed["exceptions"][0];
    assert!(exception["outcome"].as_str().is_some_and(|text| text.contains("451")), "{failed}");
    assert_eq!(failed["attempts"][0]["http_status"], 451);
    world.pass_seconds(80);
    let failed = world.failed_mails(|failed| failed["exceptions"][0]["attempts"] == 2).await;
    relay.server.control("all");
    world.pass_seconds(400);
    let mail = relay.wait(1).await;
    let id = failed["exceptions"][0]["message"].as_str().expect("a text");
    assert_eq!(mail.header("Message-ID"), format!("<{id}@tollkeeper.example>"));
    world.failed_mails(|failed| waiting(failed) == 0).await;
    assert_eq!(relay.all().await.len(), 1);
    assert_eq!(world.log("mail.sent").await.len(), 1);
}

#[tokio::test]
async fn a_relay_that_is_down_for_a_day_loses_nothing() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    relay.server.control("all 421 4.3.2 Shutting down");
    let world = world_with_admin(&relay.settings(), "ada@example.com").await;
    world.grant("acme", "plenty", 100_000_000).await;
    let dispatching = dispatch(&world.app);
    world.reach_limits(130).await;
    let failed = world.failed_mails(|failed| failed["down"] == true).await;
    assert!((100..108).contains(&waiting(&failed)), "{}", waiting(&failed));
    world.counted_until("tollkeeper_mailer_down", 1).await;
    for _ in 0..24 {
        world.pass_seconds(3_600);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(relay.all().await, Vec::<String>::new());
    relay.server.control("all");
    drop(dispatching);
    let _dispatching = dispatch(&world.app);
    world.pass_seconds(10 * 3_600);
    relay.wait(130).await;
    world.failed_mails(|failed| waiting(failed) == 0).await;
    assert_eq!((relay.all().await.len(), relay.ids()), (130, 130), "each arrives, and once");
    world.counted_until("tollkeeper_mailer_down", 0).await;
}

#[tokio::test]
async fn a_mail_whose_content_is_refused_is_tried_again_and_then_given_up() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    let world = world_with_admin(&relay.settings(), "content554@example.com").await;
    world.member("eve", "missing554@example.com", "admin").await;
    world.thresholds(r#"[{"amount":90000}]"#).await;
    let _dispatching = dispatch(&world.app);
    assert_eq!(world.try_on("one", 1).await.status, 201);
    let failed = world.failed_mails(|failed| waiting(failed) == 1).await;
    let outcome = failed["exceptions"][0]["outcome"].as_str().expect("a text");
    assert!(outcome.contains("554 5.6.0"), "{outcome}");
    let unreachable = world.log("recipient.failed").await;
    assert_eq!(
        unreachable.len(),
        1,
        "only an answer about the recipient is the recipient's: {unreachable:?}"
    );
    assert!(unreachable[0].to_string().contains("eve"), "{unreachable:?}");
    world.pass_seconds(80);
    world.failed_mails(|failed| failed["exceptions"][0]["attempts"] == 2).await;
    world.pass_seconds(3 * A_DAY_SECONDS + 60);
    world.failed_mails(|failed| failed["exceptions"][0]["status"] == "given_up").await;
    assert_eq!(relay.all().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_silent_relay_does_not_hold_up_more_than_mails() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    relay.server.control("all silent");
    let mut settings = relay.settings();
    settings.mail.step_timeout = Duration::from_millis(200);
    let world = world_with_admin(&settings, "ada@example.com").await;
    world.thresholds(r#"[{"amount":90000}]"#).await;
    let _dispatching = dispatch(&world.app);
    assert_eq!(world.try_on("one", 1).await.status, 201);
    let failed = world.failed_mails(|failed| waiting(failed) == 1).await;
    assert_eq!(failed["attempts"][0]["http_status"], Value::Null, "{failed}");
    relay.server.control("all");
    world.pass_seconds(80);
    relay.wait(1).await;
}

#[tokio::test]
async fn a_server_that_is_killed_after_a_commit_has_its_mail_sent_by_the_next() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    let world = world_with_admin(&relay.settings(), "ada@example.com").await;
    world.thresholds(r#"[{"amount":90000}]"#).await;
    assert_eq!(world.try_on("one", 1).await.status, 201);
    let World { app, clock, _dir } = world;
    app.engine().close().await.expect("the engine closes");
    drop(app);
    let app = open(_dir.path(), &relay.settings(), &clock);
    let world = World { app: app.into(), clock, _dir };
    let _dispatching = dispatch(&world.app);
    relay.wait(1).await;
    assert_eq!(relay.all().await.len(), 1);
}

#[tokio::test]
async fn a_mail_whose_acceptance_was_not_noted_comes_again_under_its_id() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    // The relay takes the mail over, and the connection ends before it says so.
    let world = world_with_admin(&relay.settings(), "lost@example.com").await;
    world.thresholds(r#"[{"amount":90000}]"#).await;
    let dispatching = dispatch(&world.app);
    assert_eq!(world.try_on("one", 1).await.status, 201);
    let first = relay.wait(1).await;
    world.failed_mails(|failed| waiting(failed) == 1).await;
    drop(dispatching);
    let _dispatching = dispatch(&world.app);
    world.pass_seconds(80);
    let second = relay.wait(2).await;
    assert_eq!(first.header("Message-ID"), second.header("Message-ID"));
    assert_eq!(relay.ids(), 1);
}

#[tokio::test]
async fn a_mail_is_given_up_three_days_after_its_entry() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    let world = world_with_admin(&relay.settings(), "later451@example.com").await;
    world.thresholds(r#"[{"amount":90000}]"#).await;
    let _dispatching = dispatch(&world.app);
    assert_eq!(world.try_on("one", 1).await.status, 201);
    world.failed_mails(|failed| waiting(failed) == 1).await;
    world.pass_seconds(3 * A_DAY_SECONDS + 60);
    let failed = world.failed_mails(|failed| failed["exceptions"][0]["status"] == "given_up").await;
    let outcome = failed["exceptions"][0]["outcome"].as_str().expect("a text");
    assert!(outcome.contains("three days"), "{outcome}");
    assert_eq!(relay.all().await, Vec::<String>::new());
}

#[tokio::test]
async fn mailboxes_that_take_nothing_do_not_stop_the_mails_of_others() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    let world = world_with_admin(&relay.settings(), "ada@example.com").await;
    world.member("eve", "later451@example.com", "admin").await;
    world.grant("acme", "plenty", 100_000_000).await;
    let _dispatching = dispatch(&world.app);
    world.reach_limits(120).await;
    relay.wait(120).await;
    let failed = world.failed_mails(|failed| waiting(failed) == 120).await;
    assert_eq!(failed["down"], false, "each mail to the other was accepted");
    assert_eq!(relay.ids(), 120);
    assert_eq!(world.counted("tollkeeper_mailer_down").await, 0);
}
