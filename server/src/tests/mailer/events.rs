//! What is mailed about: one mail for what belongs together, and none twice.

use super::*;

#[tokio::test]
async fn thresholds_that_one_charge_crosses_are_one_mail_and_its_recovery_is_in_the_thread() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    let world = world_with_admin(&relay.settings(), "ada@example.com").await;
    world.member("bob", "bob@example.com", "member").await;
    world.thresholds(r#"[{"amount":30000},{"amount":50000},{"amount":70000}]"#).await;
    let _dispatching = dispatch(&world.app);
    assert_eq!(world.try_on("one", 4).await.status, 201);
    let low = relay.wait(1).await;
    assert_eq!((low.to(), low.from()), ("ada@example.com", "credits@tollkeeper.example"));
    assert!(low.text().contains("20,000") && low.text().contains("0.20"), "{}", low.text());
    assert!(low.text().contains("https://shop.example/acme/credits"), "{}", low.text());
    assert!(low.header("References").starts_with("<episode."), "{}", low.header("References"));
    assert!(low.header("Message-ID").ends_with("@tollkeeper.example>"), "{}", low.header("Message-ID"));
    assert_eq!(low.header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    world.grant("acme", "more", 500_000).await;
    let recovered = relay.wait(2).await;
    assert_eq!(recovered.header("References"), low.header("References"), "one thread");
    assert_ne!(recovered.header("Message-ID"), low.header("Message-ID"));
    assert_eq!(relay.all().await.len(), 2, "three thresholds, one mail, and its recovery");
    let sent = world.log("mail.sent").await;
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(world.log("balance.low").await.len(), 3);
    assert_eq!(world.counted("tollkeeper_mails_total").await, 2);
    assert_eq!(world.counted("tollkeeper_mails_waiting").await, 0);
}

#[tokio::test]
async fn a_balance_that_hovers_is_mailed_once_in_a_cooldown() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    let world = world_with_admin(&relay.settings(), "ada@example.com").await;
    world.thresholds(r#"[{"amount":90000}]"#).await;
    let _dispatching = dispatch(&world.app);
    for n in 0..6 {
        assert_eq!(world.try_on(&format!("charge {n}"), 1).await.status, 201);
        world.grant("acme", &format!("grant {n}"), 20_000).await;
    }
    relay.wait(2).await;
    assert_eq!(relay.all().await.len(), 2, "a fall and a recovery: {:?}", relay.subjects());
    world.pass_seconds(A_DAY_SECONDS);
    assert_eq!(world.try_on("next day", 1).await.status, 201);
    relay.wait(3).await;
    assert_eq!(relay.all().await.len(), 3, "the cooldown has ended");
}

#[tokio::test]
async fn ten_thousand_refusals_are_one_mail_and_the_next_has_their_count() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    let world = world_with_admin(&relay.settings(), "ada@example.com").await;
    let _dispatching = dispatch(&world.app);
    for batch in 0..10 {
        let item = |n| {
            format!(
                r#"{{"workspace":"acme","idempotency_key":"{batch}-{n}","operation":"virtual_try_on","quantity":6}}"#
            )
        };
        let items = (0..1_000).map(item).collect::<Vec<_>>().join(",");
        let reply = world.post("/v1/charges/batch", "", &format!(r#"{{"charges":[{items}]}}"#)).await;
        assert_eq!(reply.text.matches(r#""status":402,"problem""#).count(), 1_000, "{}", reply.status);
    }
    let first = relay.wait(1).await;
    assert!(first.text().contains("1,000 operations were refused"), "{}", first.text());
    assert_eq!(relay.all().await.len(), 1, "a flood of refusals is one mail");
    assert_eq!(world.log("balance.refused").await.len(), 1);
    world.pass_seconds(A_DAY_SECONDS + 60);
    assert_eq!(world.try_on("next day", 6).await.status, 402);
    let next = relay.wait(2).await;
    assert!(next.text().contains("9,001 operations were refused"), "{}", next.text());
}

#[tokio::test]
async fn an_endpoint_that_fails_is_mailed_after_an_hour_and_when_it_is_disabled() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    let mut settings = relay.settings();
    settings.webhooks.allow_http = true;
    settings.webhooks.allow_private = true;
    settings.webhooks.ports = vec![9];
    let world = world_with_admin(&settings, "ada@example.com").await;
    let _dispatching = dispatch(&world.app);
    // Nobody listens at the port of discard.
    let body = r#"{"url":"http://127.0.0.1:9/hook","kinds":["charge.settled"]}"#;
    let endpoint = world.post("/v1/webhook-endpoints", "", body).await;
    assert_eq!(endpoint.status, 201, "{}", endpoint.text);
    assert_eq!(world.try_on("one", 1).await.status, 201);
    let path = format!("/v1/webhook-endpoints/{}/deliveries", endpoint.id());
    for _ in 0..500 {
        if world.get(&path).await.json()["failing_since"].is_string() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.pass_seconds(3_600);
    let failing = relay.wait(1).await;
    assert_eq!(failing.to(), "ops@tollkeeper.example", "it is the platform's endpoint");
    assert!(failing.text().contains("127.0.0.1:9"), "{}", failing.text());
    world.pass_seconds(5 * A_DAY_SECONDS);
    let disabled = relay.wait(2).await;
    assert_ne!(disabled.header("Subject"), failing.header("Subject"));
    assert_eq!(relay.all().await.len(), 2);
}
