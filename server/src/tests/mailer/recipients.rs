//! Who gets a mail: addresses that are refused, chosen, confirmed, and muted.

use super::*;

#[tokio::test]
async fn an_address_that_is_refused_gets_no_more_mails_and_the_others_are_informed() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    let world = world_with_admin(&relay.settings(), "ada@example.com").await;
    world.member("eve", "refused550@example.com", "admin").await;
    world.thresholds(r#"[{"amount":90000}]"#).await;
    let _dispatching = dispatch(&world.app);
    assert_eq!(world.try_on("one", 1).await.status, 201);
    relay.wait(2).await;
    let mails = relay.all().await;
    assert_eq!(mails.len(), 2, "the alert, and that an address takes none: {mails:?}");
    assert!(mails.iter().all(|mail| mail.ends_with("to ada@example.com")), "{mails:?}");
    assert!(relay.mails.iter().any(|mail| mail.text().contains("refused550@example.com")));
    let failed = world.log("recipient.failed").await;
    assert_eq!(failed.len(), 1, "{failed:?}");
    world.grant("acme", "more", 100_000).await;
    relay.wait(3).await;
    assert_eq!(relay.all().await.len(), 3, "{:?}", relay.subjects());
    assert_eq!(world.log("recipient.failed").await.len(), 1);
    let kept = world.failed_mails(|_| true).await;
    assert_eq!(waiting(&kept), 0, "nothing is tried again: {kept}");
}

#[tokio::test]
async fn a_test_mail_goes_to_the_recipients_at_once() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    let world = world_with_admin(&relay.settings(), "ada@example.com").await;
    world.member("eve", "refused550@example.com", "admin").await;
    let path = "/v1/workspaces/acme/alerts/test";
    let reply = world.post(path, "", "").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let shown = reply.json();
    assert_eq!((&shown["recipients"], &shown["accepted"]), (&2.into(), &1.into()), "{shown}");
    assert!(shown["data"][1]["outcome"].as_str().is_some_and(|text| text.contains("550")), "{shown}");
    assert_eq!(relay.wait(1).await.to(), "ada@example.com");
    assert_eq!(world.post(path, "", "").await.problem(429, "rate_limited")["retry_after_seconds"], 60);
    world.pass_seconds(60);
    assert_eq!(world.post(path, "", "").await.json()["recipients"], 1, "the other is at fault");
    assert_eq!(world.log("mail.sent").await.len(), 2);
    let without = super::super::world().await;
    without.post(path, "", "").await.problem(409, "mail_not_set_up");
}

/// The path of the first link of a mail that leads to this server's pages for mails.
fn link(text: &str, page: &str) -> String {
    let begin = format!("https://credits.example/mail/{page}/");
    let at = text.find(&begin).unwrap_or_else(|| panic!("no link to {page} in {text}"));
    let url = text[at..].split([' ', '\n', '\r', '>', '"']).next().unwrap_or_default();
    url["https://credits.example".len()..].to_owned()
}

#[tokio::test]
async fn a_typed_address_agrees_first_and_can_stop_a_topic_with_one_click() {
    if smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    let world = world_with_admin(&relay.settings(), "ada@example.com").await;
    let _dispatching = dispatch(&world.app);
    let body = r#"{"thresholds":[{"amount":90000}],"cooldown_hours":0,"emails":["finance@example.com"]}"#;
    assert_eq!(world.put("PUT", "/v1/workspaces/acme/alerts", "", body).await.status, 200);
    let asked = relay.wait(1).await;
    assert_eq!(asked.to(), "finance@example.com");
    assert_eq!(asked.header("List-Unsubscribe"), "", "it was not agreed to yet");
    assert_eq!(world.try_on("one", 1).await.status, 201);
    assert_eq!(relay.wait(2).await.to(), "ada@example.com", "nobody who was chosen has agreed");
    let confirm = link(asked.text(), "confirm");
    let open = |method: &'static str, path: String| {
        let world = &world;
        async move { world.ask(method, &path, &[("accept", "text/html")], String::new()).await.status }
    };
    assert_eq!(open("GET", confirm.clone()).await, 200);
    assert_eq!(world.log("recipient.confirmed").await.len(), 0, "a look changes nothing");
    assert_eq!(open("POST", confirm).await, 200);
    world.grant("acme", "more", 20_000).await;
    assert_eq!(relay.wait(3).await.to(), "finance@example.com");
    world.pass_seconds(1);
    assert_eq!(world.try_on("two", 1).await.status, 201);
    let low = relay.wait(4).await;
    assert_eq!(low.to(), "finance@example.com");
    let one_click = link(low.header("List-Unsubscribe"), "unsubscribe");
    assert_eq!(open("POST", one_click).await, 200);
    world.grant("acme", "again", 20_000).await;
    assert_eq!(relay.wait(5).await.to(), "finance@example.com", "recoveries are another topic");
    world.pass_seconds(1);
    assert_eq!(world.try_on("three", 1).await.status, 201);
    assert_eq!(relay.wait(6).await.to(), "ada@example.com", "the warning goes to the admins again");
    assert_eq!(relay.all().await.len(), 6, "{:?}", relay.subjects());
    assert_eq!(world.log("mail.sent").await.len(), 6);
}
