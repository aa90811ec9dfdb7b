//! The page about credits: adding them by hand and at Stripe, the receipt, the automatic top-up,
//! grants and payments.

use tollkeeper_testkit::stripe::{Card, Fault};

use super::stripe_automatic::buyer;
use super::stripe_top_ups::{Paid, paid_world};
use super::*;
use crate::access::cookie::form_token;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::polling::Polling;

const PAGE: &str = "/portal/credits";
const TOP_UPS: &str = "/v1/workspaces/acme/top-ups";

/// A browser of a member.
pub(super) struct Browser<'a> {
    world: &'a World,
    session: String,
}

impl<'a> Browser<'a> {
    /// Adds a member and signs in.
    pub(super) async fn of(world: &'a World, id: &str, role: &str) -> Browser<'a> {
        world.add_member("acme", id, role).await;
        Browser { world, session: world.sign_in("acme", id).await }
    }

    pub(super) async fn look(&self, path: &str) -> Reply {
        self.world.browse("GET", path, &self.session).await
    }

    /// Sends a form of a page with these fields.
    pub(super) async fn submit(&self, path: &str, fields: &str) -> Reply {
        let form = format!("token={}&{fields}", form_token(&self.session));
        self.world.send_form("POST", path, &self.session, form).await
    }

    /// Sends a form and returns where it leads.
    pub(super) async fn sent_to(&self, path: &str, fields: &str) -> String {
        let reply = self.submit(path, fields).await;
        assert_eq!(reply.status, 303, "{}", reply.text);
        reply.header("location").expect("a redirection has an address").to_owned()
    }

    /// Asserts that a page shows all of these texts.
    pub(super) async fn sees(&self, path: &str, texts: &[&str]) -> String {
        let page = self.look(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        // Amounts have blanks at which no line ends.
        let text = page.text.replace('\u{a0}', " ");
        for shown in texts {
            assert!(text.contains(shown), "{shown} is not in {text}");
        }
        text
    }

    /// The key of the forms of the page.
    async fn key(&self) -> String {
        let page = self.look(PAGE).await.text;
        let key = page.split(r#"name="key" value=""#).nth(1).and_then(|rest| rest.split('"').next());
        key.expect("a form has a key").to_owned()
    }
}

#[tokio::test]
async fn credits_are_added_by_hand_and_the_top_up_becomes_its_receipt() {
    let world = world().await;
    let ada = Browser::of(&world, "ada", "admin").await;
    let first = [
        "Add $10.00",
        "Add $100.00",
        "10,000,000 micro-units",
        "From $5.00 to $10,000.00",
        "never expire",
        r#"data-preview-micros="buys""#,
        r#"id="buys""#,
        "No credit has been added yet.",
        "Nothing has been paid yet.",
        "no card can be saved",
    ];
    let shown = ada.sees(PAGE, &first).await;
    assert!(!shown.contains("No credit is left"), "there never was any: {shown}");
    let key = ada.key().await;
    let fields = format!("key={key}&amount=12%2C34");
    let path = ada.sent_to(PAGE, &fields).await;
    assert!(path.starts_with("/portal/credits/tu_"), "{path}");
    assert_eq!(ada.sent_to(PAGE, &fields).await, path, "a form that is sent twice opens one top-up");
    let other = ada.sent_to(PAGE, &format!("key={key}&amount=25.00")).await;
    assert_ne!(other, path, "another amount is another top-up");
    let waiting =
        ["Waiting for your payment", "How to pay", "Contact the platform to pay.", "$12.34", "1,234,000"];
    let page = ada.look(&path).await;
    assert_eq!(page.header("refresh"), None, "a payment by hand takes days");
    ada.sees(&path, &waiting).await;
    ada.sees(PAGE, &["Waiting", "$12.34", "$25.00"]).await;

    let id = path.rsplit('/').next().expect("a path has an end");
    assert_eq!(world.post(&format!("{TOP_UPS}/{id}/confirm"), "", "").await.status, 200);
    let receipt = ada.sees(&path, &["Receipt", "1,234,000 micro-units", "$12.34", "Paid", id]).await;
    assert!(!receipt.contains("How to pay"), "{receipt}");
    // The balance above the page is the one after the payment.
    assert!(receipt.contains(r#"data-live="available">1,234,000<"#), "{receipt}");
    let refund = r#"{"amount_usd":"2.34","reason":"asked"}"#;
    assert_eq!(world.post(&format!("{TOP_UPS}/{id}/refund"), "r", refund).await.status, 201);
    ada.sees(&path, &["Money back", "$2.34 was sent back on 23 November 2026."]).await;
    let listed = ada.sees(PAGE, &["$2.34 was sent back", "Top-up", "1,000,000 micro-units"]).await;
    assert!(!listed.contains("No credit is left"), "{listed}");
    let all = r#"{"operation":"virtual_try_on","quantity":50}"#;
    assert_eq!(world.charge("all", all).await.status, 201);
    ada.sees(PAGE, &["No credit is left", "do not run until credit is added", "0 micro-units"]).await;
    world.pass_seconds(91 * 86_400);
    let late = ["The top-up has expired", "Add credits", "Nobody paid it in time"];
    DuePayments::default().poll(&world.app).await;
    let session = world.sign_in("acme", "ada").await;
    let ada = Browser { world: &world, session };
    ada.sees(&other, &late).await;
    ada.sees(PAGE, &["Expired"]).await;
}

#[tokio::test]
async fn an_amount_that_is_none_is_shown_again_with_what_is_wrong() {
    let world = world().await;
    let ada = Browser::of(&world, "ada", "admin").await;
    let key = ada.key().await;
    for (typed, shown, why) in [
        ("", "", "such as 25 or 12.50"),
        ("abc", "abc", "such as 25 or 12.50"),
        ("1%2C000", "1,000", "such as 25 or 12.50"),
        ("4.99", "4.99", "from $5.00 to $10,000.00"),
        ("10000.01", "10000.01", "from $5.00 to $10,000.00"),
        ("%22%3E%3Cscript%3E", "&#34;&#62;&#60;script&#62;", "such as 25 or 12.50"),
    ] {
        let refused = ada.submit(PAGE, &format!("key={key}&amount={typed}")).await;
        assert_eq!(refused.status, 422, "{typed}");
        let text = refused.text.replace('\u{a0}', " ");
        for part in [
            r#"role="alert""#,
            r#"aria-invalid="true""#,
            r#"aria-describedby="amount-error amount-hint buys""#,
            "Nothing was charged.",
            why,
            &format!(r#"value="{shown}""#),
        ] {
            assert!(text.contains(part), "{typed}: {part} is not in {text}");
        }
        assert!(!text.contains("<script>"), "{text}");
    }
    for key in ["", "key=", "key=x", "key=ABCDEF0123456789ABCDEF0123456789"] {
        let stale = ada.submit(PAGE, &format!("{key}&amount=25")).await;
        assert_eq!(stale.status, 422, "{key}");
        assert!(
            stale.text.contains("Please send it again.") && stale.text.contains(r#"value="25""#),
            "{key}"
        );
    }
    let listed = world.get(TOP_UPS).await.json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(0), "nothing was opened");
    let forged = format!("token=0000&key={key}&amount=25");
    assert_eq!(world.send_form("POST", PAGE, &ada.session, forged).await.status, 403);
    assert_eq!(ada.look("/portal/credits/tu_0").await.status, 404);
    assert_eq!(ada.look("/portal/credits?payments=x").await.status, 400);
    assert_eq!(ada.look("/portal/credits?grants=x").await.status, 400);
}

#[tokio::test]
async fn a_member_finds_neither_the_pages_nor_their_links() {
    let world = world_with(1_000_000).await;
    world.save_card("acme").await;
    let top_up = world.open_top_up("acme").await;
    let bob = Browser::of(&world, "bob", "member").await;
    for path in [
        PAGE,
        "/portal/plan",
        "/portal/plan/pay",
        &format!("{PAGE}/{top_up}"),
        &format!("{PAGE}/{top_up}/pay"),
    ] {
        let refused = bob.look(path).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(
            !refused.text.contains("25.00") && !refused.text.contains("4242"),
            "{path}: {}",
            refused.text
        );
    }
    for path in ["", "/auto-top-up", "/auto-top-up/off", "/card", "/card/remove", "/billing"] {
        assert_eq!(
            bob.submit(&format!("{PAGE}{path}"), "amount=25&confirmed=yes").await.status,
            403,
            "{path}"
        );
    }
    for path in ["/portal/plan/change", "/portal/plan/cancel"] {
        assert_eq!(bob.submit(path, "plan=starter&confirmed=yes&due=9999").await.status, 403, "{path}");
    }
    let overview = bob.look("/portal").await.text;
    assert!(!overview.contains(r#"href="/portal/credits""#) && !overview.contains(r#"href="/portal/plan""#));
}

#[tokio::test]
async fn hostile_texts_are_shown_as_texts() {
    let world = world().await;
    let reason = r#"<script>alert(1)</script>\" onload=\"x"#;
    let grant = format!(r#"{{"source":"promotional","amount":1,"reason":"{reason}"}}"#);
    assert_eq!(world.post("/v1/workspaces/acme/grants", "g", &grant).await.status, 201);
    let plans =
        r#"{"plans":[{"id":"p","name":"<b>\"Pro\"</b>","price_usd":"1.00","credits":1,"interval":"month"}]}"#;
    assert_eq!(world.put("PUT", "/v1/plans", "", plans).await.status, 200);
    let ada = Browser::of(&world, "ada", "admin").await;
    let page =
        ada.sees(PAGE, &["&#60;script&#62;alert(1)&#60;/script&#62;&#34; onload=&#34;x", "$0.00001"]).await;
    assert!(!page.contains("<script>alert"), "{page}");
    let page = ada.sees("/portal/plan", &["Choose &#60;b&#62;&#34;Pro&#34;&#60;/b&#62;"]).await;
    assert!(!page.contains("<b>\"Pro"), "{page}");
    let asked = ada.submit("/portal/plan/change", "plan=p").await;
    assert!(asked.status == 200 && !asked.text.contains("<b>\"Pro"), "{}", asked.text);
}

#[tokio::test]
async fn long_lists_have_pages_that_stay_small() {
    let world = world().await;
    for number in 0..53 {
        world.grant("acme", &format!("g{number}"), 1_000 + number).await;
        let body = format!(r#"{{"amount_usd":"{}.00"}}"#, 100 + number);
        assert_eq!(world.post(TOP_UPS, &format!("t{number}"), &body).await.status, 201);
        world.pass_seconds(1);
    }
    let ada = Browser::of(&world, "ada", "admin").await;
    let page = ada.sees(PAGE, &["$152.00", "$103.00", "1,052 micro-units", "1,003 micro-units"]).await;
    assert!(!page.contains("$102.00") && !page.contains("1,002 micro-units"), "{page}");
    assert!(page.len() < 70_000, "{} bytes", page.len());
    let older = |name: &str| {
        let begin = format!(r#"href="/portal/credits?{name}="#);
        let rest = page.split(&begin).nth(1).expect("there are older rows");
        format!("{PAGE}?{name}={}", rest.split('#').next().expect("a link has an end"))
    };
    let rest = ada.sees(&older("payments"), &["$102.00", "$100.00", "Newest"]).await;
    assert!(!rest.contains("$103.00"), "{rest}");
    ada.sees(&older("grants"), &["1,002 micro-units", "1,000 micro-units", "Newest"]).await;
}

#[tokio::test]
async fn the_automatic_top_up_is_set_changed_and_turned_off() {
    let world = world_with(1_000_000).await;
    let ada = Browser::of(&world, "ada", "admin").await;
    let set =
        |threshold: &str, amount: &str, cap: &str| format!("threshold={threshold}&amount={amount}&cap={cap}");
    let path = format!("{PAGE}/auto-top-up");
    let without_card = ada.submit(&path, &set("5", "25", "100")).await;
    assert_eq!(without_card.status, 422);
    assert!(without_card.text.contains("needs a saved card"), "{}", without_card.text);
    world.save_card("acme").await;
    ada.sees(PAGE, &["Visa ending in 4242, expires 02/2030", "It is off.", "Turn on"]).await;
    for (fields, why) in [
        (set("0", "25", "100"), "Enter more than zero."),
        (set("25.01", "25", "100"), "at most what is bought each time"),
        (set("5", "25", "24.99"), "at least what is bought each time"),
        (set("5", "4.99", "100"), "from $5.00 to $10,000.00"),
        (set("x", "25", "100"), "such as 25 or 12.50"),
        (set("5", "25", "99999999999"), "Enter at most $"),
        (String::new(), "such as 25 or 12.50"),
    ] {
        let refused = ada.submit(&path, &fields).await;
        assert_eq!(refused.status, 422, "{fields}");
        let text = refused.text.replace('\u{a0}', " ");
        assert!(text.contains(why) && text.contains("Nothing was changed."), "{fields}: {text}");
        assert!(text.contains(r#"aria-invalid="true""#), "{fields}");
    }
    assert_eq!(world.get("/v1/workspaces/acme/auto-top-up").await.status, 404, "nothing was set");
    assert_eq!(ada.sent_to(&path, &set("5", "25", "100")).await, "/portal/credits?notice=on");
    let on = [
        "The automatic top-up is on.",
        "When less than $5.00 is available, $25.00 is bought.",
        "$0.00 of at most $100.00 bought this month.",
        "Turn off",
    ];
    ada.sees("/portal/credits?notice=on", &on).await;
    assert_eq!(ada.sent_to(&path, &set("11", "25%2C50", "100")).await, "/portal/credits?notice=on");
    // The balance is below the new threshold, so it buys at once.
    let bought = ["$25.50 of at most $100.00 bought this month.", "Automatic top-up", r#"value="11.00""#];
    ada.sees(PAGE, &bought).await;
    assert_eq!(ada.sent_to(&format!("{path}/off"), "").await, "/portal/credits?notice=off");
    ada.sees("/portal/credits?notice=off", &["The automatic top-up is off.", "Turn on"]).await;
    let remove = format!("{PAGE}/card/remove");
    let asked = ada.submit(&remove, "").await;
    assert!(asked.status == 200 && asked.text.contains("Remove the card?"), "{}", asked.text);
    assert_eq!(world.get("/v1/workspaces/acme/payment-method").await.status, 200, "it only asked");
    assert_eq!(ada.sent_to(&remove, "confirmed=yes").await, "/portal/credits?notice=card");
    assert_eq!(world.get("/v1/workspaces/acme/payment-method").await.status, 404);
    assert_eq!(ada.sent_to(&remove, "").await, PAGE, "there is no card any more");
    // Nobody pays with a page of the provider here.
    assert_eq!(ada.submit(&format!("{PAGE}/card"), "").await.status, 404);
}

/// Adds credits at Stripe up to the page that leads there; returns the path of the top-up.
async fn go_to_pay(paid: &Paid, ada: &Browser<'_>) -> String {
    let fields = format!("key={}&amount=25.00", ada.key().await);
    let pay = ada.sent_to(PAGE, &fields).await;
    assert_eq!(ada.sent_to(PAGE, &fields).await, pay, "one form opens one top-up");
    let leave = ada.look(&pay).await;
    assert_eq!(leave.status, 200, "{}", leave.text);
    let url = paid.stripe.object(&paid.page(), &[])["url"].as_str().expect("it can be paid").to_owned();
    assert!(leave.text.contains(&format!(r#"<meta http-equiv="refresh" content="0; url={url}">"#)));
    assert!(leave.text.contains(&format!(r#"href="{url}""#)), "{}", leave.text);
    let policy = leave.header("content-security-policy").expect("a policy");
    assert!(policy.contains("form-action 'self'"), "{policy}");
    pay.strip_suffix("/pay").expect("it leads to the page to pay on").to_owned()
}

#[tokio::test]
async fn credits_are_paid_at_stripe_and_the_page_becomes_the_receipt_by_itself() {
    let paid = paid_world().await;
    paid.stripe.set_tax_basis_points(1_900);
    let ada = Browser::of(&paid.world, "ada", "admin").await;
    let texts = ["Continue to payment", "on a page of the payment provider", "Save a card"];
    ada.sees(PAGE, &texts).await;
    let path = go_to_pay(&paid, &ada).await;
    let page = paid.stripe.object(&paid.page(), &[]);
    assert_eq!(page["success_url"], format!("http://localhost{path}"));
    let waits = ada.look(&path).await;
    assert_eq!(waits.header("refresh"), Some(format!("5; url={path}?looks=1").as_str()));
    ada.sees(&path, &["Confirming your payment", "Finish the payment", "Stop looking"]).await;
    let last = ada.look(&format!("{path}?looks=60")).await;
    assert_eq!(last.header("refresh"), None, "it stops after some minutes");
    assert!(last.text.contains("Look again"), "{}", last.text);
    assert_eq!(paid.posts("/v1/checkout/sessions"), 1);

    paid.stripe.pay_checkout(&paid.page(), Card::Good).expect("the card is good");
    paid.pass_seconds(5);
    let tax = ["<dt>Tax</dt><dd>$4.75</dd>", "<dt>Paid in all</dt><dd>$29.75</dd>"];
    let receipt = ada.sees(&path, &["Receipt", "2,500,000 micro-units", "$25.00", tax[0], tax[1]]).await;
    assert!(receipt.contains(r#"data-live="available">2,500,000<"#), "{receipt}");
    assert_eq!(paid.world.balance().await, (2_500_000, 0));
    paid.pass_seconds(5);
    let receipt = ada.look(&path).await;
    assert_eq!(receipt.header("refresh"), None);
    assert!(receipt.text.contains("/receipts/ch_"), "{}", receipt.text);
    // Nothing is left to pay.
    assert_eq!(ada.look(&format!("{path}/pay")).await.header("location"), Some(path.as_str()));
}

#[tokio::test]
async fn without_an_answer_of_stripe_nothing_is_lost_and_the_form_can_go_on() {
    let paid = paid_world().await;
    let ada = Browser::of(&paid.world, "ada", "admin").await;
    let pay = ada.sent_to(PAGE, &format!("key={}&amount=25", ada.key().await)).await;
    paid.stripe.fail_next("POST", "/v1/checkout/sessions", Fault::CutBefore);
    let away = ada.look(&pay).await;
    assert_eq!((away.status, away.header("retry-after")), (503, Some("1")));
    assert!(away.text.contains("does not answer") && away.text.contains("Nothing was charged."));
    assert!(away.text.contains(&format!(r#"href="{pay}""#)), "{}", away.text);
    assert_eq!(ada.look(&pay).await.status, 200);
    for (path, call) in [("card", "/v1/checkout/sessions"), ("billing", "/v1/billing_portal/sessions")] {
        let path = format!("{PAGE}/{path}");
        let leave = ada.submit(&path, "").await;
        assert!(leave.status == 200 && leave.text.contains("http-equiv"), "{path}: {}", leave.text);
        paid.stripe.fail_next("POST", call, Fault::CutBefore);
        assert_eq!(ada.submit(&path, "").await.status, 503, "{path}");
    }
}

#[tokio::test]
async fn a_declined_automatic_top_up_says_why_and_has_no_page_to_pay_on() {
    let mut buyer = buyer(Card::Stolen).await;
    buyer.spend("one").await;
    let id = buyer.newest().await["id"].as_str().expect("an id").to_owned();
    let world = &buyer.paid.world;
    world.add_member("acme", "ada", "admin").await;
    let session = world.sign_in("acme", "ada").await;
    let pending = world.browse("GET", &format!("{PAGE}/{id}/pay"), &session).await;
    assert_eq!(pending.header("location"), Some(format!("{PAGE}/{id}").as_str()), "the card pays for it");
    assert_eq!(buyer.paid.posts("/v1/checkout/sessions"), 0);
    buyer.settle().await;
    let ada = Browser { world: &buyer.paid.world, session };
    let failed = ["The payment failed", "The bank declined the card for good.", "nothing was charged"];
    ada.sees(&format!("{PAGE}/{id}"), &failed).await;
    ada.sees(PAGE, &["Failed", "declined the card for good", "It stopped because the bank declined"]).await;
}

#[tokio::test]
async fn the_pages_are_written_in_german_too() {
    let world = world().await;
    world.save_card("acme").await;
    let ada = Browser::of(&world, "ada", "admin").await;
    let cookie = format!("tollkeeper_session={}; tollkeeper_language=de", ada.session);
    for (path, texts) in [
        (PAGE, ["Guthaben aufladen", "10,00 $ aufladen", "1.000.000 Mikroeinheiten", "gültig bis 02/2030"]),
        ("/portal/plan", ["Sie haben keinen Tarif", "Beispiel", "19,00 $ im Monat", "Starter wählen"]),
    ] {
        let page = world.ask("GET", path, &[("cookie", &cookie)], Body::empty()).await;
        let text = page.text.replace('\u{a0}', " ");
        assert!(text.contains(r#"<html lang="de">"#), "{text}");
        for shown in texts {
            assert!(text.contains(shown), "{shown} is not in {text}");
        }
    }
}
