//! The page about warnings.

use tollkeeper_testkit::smtp::SmtpServer;

use super::*;
use crate::settings::MailSettings;

const PATH: &str = "/portal/alerts";

#[tokio::test]
async fn the_first_threshold_is_seven_days_of_the_present_use() {
    let pages = pages().await;
    let page = pages.see(&pages.ada, PATH).await;
    assert!(page.contains("No warning is set") && page.contains("no mail relay is set"), "{page}");
    pages.charge_for("one", "virtual_try_on", "bob").await;
    pages.world.pass_seconds(86_400);
    let ada = pages.world.sign_in("acme", "ada").await;
    let page = pages.see(&ada, PATH).await;
    assert!(
        page.contains("value=\"1.40\"") && page.contains("$1.40 is what you use in seven days"),
        "{page}"
    );
}

#[tokio::test]
async fn an_admin_sets_thresholds_and_a_member_sees_them() {
    let pages = pages().await;
    let form = [("amount", "20.00"), ("amount", "5"), ("amount", ""), ("days", "7"), ("cooldown", "48")];
    for _ in 0..2 {
        let target = pages.accepted("/portal/alerts/thresholds", &form).await;
        assert_eq!(target, "/portal/alerts?done=thresholds");
    }
    let set = pages.world.get("/v1/workspaces/acme/alerts").await.json();
    let amounts: Vec<_> =
        set["thresholds"].as_array().expect("rows").iter().map(|row| &row["amount"]).collect();
    assert_eq!(amounts, [&Value::from(500_000), &Value::from(2_000_000), &Value::Null]);
    assert_eq!(set["cooldown_hours"], 48);
    let page = pages.see(&pages.ada, "/portal/alerts?done=thresholds").await;
    assert!(page.contains("role=\"status\">The warnings are saved."), "{page}");
    assert!(page.contains("below $20.00") && page.contains("fewer than 7 days"), "{page}");
    let page = pages.see(&pages.bob, PATH).await;
    assert!(page.contains("below $20.00") && page.contains("Ask ada to change this."), "{page}");
    assert_eq!((forms(&page), page.contains("@example.com")), (0, false), "{page}");
    for path in ["thresholds", "recipients", "recipients/remove", "topics", "test"] {
        let denied = pages.submit(&pages.bob, &format!("{PATH}/{path}"), &form).await;
        assert_eq!(denied.status, 403, "{path}");
    }
}

#[tokio::test]
async fn a_wrong_threshold_is_shown_again_with_what_is_wrong() {
    let pages = pages().await;
    let path = "/portal/alerts/thresholds";
    let amount = "Enter an amount above zero in dollars";
    for wrong in ["abc", "0", "-5", "1,000", "\"><script>"] {
        let page = pages.refused(path, &[("amount", wrong), ("days", "3"), ("cooldown", "1")], amount).await;
        assert_eq!(page.matches("aria-invalid=\"true\"").count(), 1, "{page}");
        assert!(
            page.contains("aria-describedby=\"amount-1-error\"") && page.contains("value=\"3\""),
            "{page}"
        );
        assert!(!page.contains("\"><script>"), "{page}");
    }
    pages.refused(path, &[("days", "366"), ("cooldown", "1")], "Enter 1 to 365 days").await;
    pages.refused(path, &[("cooldown", "x")], "Enter 0 to 8784 hours").await;
    let many: Vec<_> = (1..=11).map(|days| days.to_string()).collect();
    let mut form: Vec<(&str, &str)> = many.iter().map(|days| ("days", days.as_str())).collect();
    form.push(("cooldown", "1"));
    pages.refused(path, &form, "Set at most 10 warnings").await;
    assert_eq!(
        pages.world.get("/v1/workspaces/acme/alerts").await.json()["thresholds"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn thresholds_that_somebody_else_set_are_not_overwritten() {
    let pages = pages().await;
    let path = "/portal/alerts/thresholds";
    let page = pages.see(&pages.ada, PATH).await;
    let seen = |page: &str| {
        let rest = page.split("name=\"seen\" value=\"").nth(1).expect("the form has a fingerprint");
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    let first = seen(&page);
    pages.accepted(path, &[("amount", "20"), ("cooldown", "24"), ("seen", &first)]).await;
    let form = |seen| [("amount", "7.50"), ("cooldown", "12"), ("seen", seen)];
    let stale = pages.submit(&pages.ada, path, &form(&first)).await;
    assert_eq!(stale.status, 409, "{}", stale.text);
    assert!(stale.text.contains("role=\"alert\">Somebody changed the warnings meanwhile."), "{}", stale.text);
    assert!(
        stale.text.contains("value=\"7.50\"") && stale.text.contains("value=\"12\""),
        "it keeps the input"
    );
    assert!(stale.text.contains("below $20.00"), "it shows what is set now: {}", stale.text);
    let set = pages.world.get("/v1/workspaces/acme/alerts").await.json();
    assert_eq!(set["thresholds"][0]["amount"], 2_000_000);
    let shown_now = seen(&stale.text);
    pages.accepted(path, &form(&shown_now)).await;
    // The state of a threshold is no change of it.
    let now = seen(&pages.see(&pages.ada, PATH).await);
    pages.charge_for("low", "virtual_try_on", "bob").await;
    pages.accepted(path, &form(&now)).await;
}

#[tokio::test]
async fn a_refusal_is_in_the_language_of_its_reader() {
    let pages = pages().await;
    let emails: Vec<String> = (0..20).map(|n| format!("r{n}@example.com")).collect();
    let body = serde_json::json!({ "emails": emails }).to_string();
    assert_eq!(pages.world.put("PUT", "/v1/workspaces/acme/alerts", "", &body).await.status, 200);
    for (language, text) in [("en", "`emails` are 20 already"), ("de", "Es gibt schon 20 Empfänger")] {
        let cookie = format!("tollkeeper_session={}; tollkeeper_language={language}", pages.ada);
        let media = "application/x-www-form-urlencoded";
        let headers = [("cookie", cookie.as_str()), ("accept", "text/html"), ("content-type", media)];
        let form = format!("token={}&email=one-more@example.com", form_token(&pages.ada));
        let refused = pages.world.ask("POST", "/portal/alerts/recipients", &headers, form).await;
        assert!(refused.status == 422 && refused.text.contains(text), "{}", refused.text);
        let missing = pages.world.ask("GET", "/portal/charges/x", &headers, Body::empty()).await;
        let text = if language == "de" { "keine solche Buchung" } else { "no such charge" };
        assert!(missing.status == 404 && missing.text.contains(text), "{}", missing.text);
    }
}

#[tokio::test]
async fn recipients_are_added_muted_and_removed() {
    let pages = pages().await;
    let page = pages.see(&pages.ada, PATH).await;
    assert!(page.contains("Nobody is chosen") && page.contains("ada@example.com"), "{page}");
    let added = pages.accepted("/portal/alerts/recipients", &[("email", "finance@example.com")]).await;
    assert_eq!(added, "/portal/alerts?done=recipients");
    pages.accepted("/portal/alerts/recipients", &[("email", "BOB@example.com")]).await;
    pages.accepted("/portal/alerts/recipients", &[("email", "finance@example.com")]).await;
    let page = pages.see(&pages.ada, PATH).await;
    assert!(page.contains("finance@example.com") && page.contains("Not confirmed"), "{page}");
    assert_eq!(page.matches("action=\"/portal/alerts/recipients/remove\"").count(), 2, "{page}");
    for wrong in ["", "x", "a@b@c", "<b>@x"] {
        pages.refused("/portal/alerts/recipients", &[("email", wrong)], "Enter one e-mail address").await;
    }
    let topics = pages.see(&pages.ada, "/portal/alerts/topics?recipient=member%3Abob").await;
    assert_eq!(topics.matches(" checked").count(), 10, "{topics}");
    let form = [("recipient", "member:bob"), ("topic", "balance.low"), ("topic", "debt")];
    assert_eq!(pages.accepted("/portal/alerts/topics", &form).await, "/portal/alerts?done=topics");
    let topics = pages.see(&pages.ada, "/portal/alerts/topics?recipient=member%3Abob").await;
    assert_eq!(topics.matches(" checked").count(), 2, "{topics}");
    let shown = pages.world.get("/v1/workspaces/acme/alerts").await.json();
    let muted = |id: &str| {
        let row = shown["emails"].as_array().expect("rows").iter().find(|row| row["id"] == id);
        row.map(|row| row["muted"].as_array().expect("topics").len())
    };
    assert_eq!(muted("member:bob"), Some(8));
    pages.accepted("/portal/alerts/recipients/remove", &[("recipient", "member:bob")]).await;
    let gone = pages.submit(&pages.ada, "/portal/alerts/recipients/remove", &[("recipient", "x")]).await;
    assert_eq!(gone.status, 404, "{}", gone.text);
    let unknown = pages.world.browse("GET", "/portal/alerts/topics?recipient=member%3Aeve", &pages.ada).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_test_mail_says_what_became_of_it_and_is_in_the_list() {
    let server = SmtpServer::start();
    let mut mail = MailSettings::default();
    mail.set("smtp_url", &format!("smtp://{}?tls=none", server.address())).expect("a URL of a relay");
    mail.set("mail_from", "Credits <credits@tollkeeper.example>").expect("an address");
    let pages = pages_of(&Settings { mail, ..settings() }).await;
    let sent = pages.submit(&pages.ada, "/portal/alerts/test", &[]).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    assert!(sent.text.contains("The mail relay took 1 of 1 e-mails."), "{}", sent.text);
    let again = pages.submit(&pages.ada, "/portal/alerts/test", &[]).await;
    assert_eq!(again.status, 429);
    assert!(again.text.contains("role=\"alert\">A test mail was sent a moment ago."), "{}", again.text);
    for session in [&pages.ada, &pages.bob] {
        let page = pages.see(session, PATH).await;
        assert!(page.contains("A request to confirm the address, or a test"), "{page}");
    }
}
