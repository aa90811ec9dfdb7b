//! The page about the plan: choosing, changing, cancelling and keeping one, paid by hand and at
//! Stripe.

use tollkeeper_testkit::stripe::{Card, Fault};

use super::dashboard_credits::Browser;
use super::stripe_subscriptions::plans;
use super::subscriptions::set_plans;
use super::*;

const PAGE: &str = "/portal/plan";
const CHANGE: &str = "/portal/plan/change";
const CANCEL: &str = "/portal/plan/cancel";
const API: &str = "/v1/workspaces/acme/subscription";

#[tokio::test]
async fn without_plans_of_the_platform_samples_stand_in() {
    let world = world().await;
    let ada = Browser::of(&world, "ada", "admin").await;
    let texts = [
        "You have no plan",
        "These plans are samples.",
        "$19.00 a month",
        "1,900,000 micro-units of credit every month",
        "$19.00 now for 1,900,000 micro-units",
        "Choose Starter",
    ];
    let page = ada.sees(PAGE, &texts).await;
    let places = ["Choose Starter", "Choose Growth", "Choose Scale"].map(|button| page.find(button));
    assert!(places.is_sorted() && places[0].is_some(), "the cheapest comes first: {places:?}");
    assert_eq!(world.put("PUT", "/v1/plans", "", r#"{"plans":[]}"#).await.status, 200);
    ada.sees(PAGE, &["No plan is offered at the moment."]).await;
}

#[tokio::test]
async fn a_plan_is_chosen_confirmed_and_paid_by_hand() {
    let world = world().await;
    set_plans(&world).await;
    let ada = Browser::of(&world, "ada", "admin").await;
    let asked = ada.submit(CHANGE, "plan=basic").await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    let text = asked.text.replace('\u{a0}', " ");
    for shown in [
        "Change to basic?",
        "Nothing is charged by this button.",
        "3,000,000 micro-units",
        "Choose basic and pay $30.00",
        r#"name="due" value="3000""#,
    ] {
        assert!(text.contains(shown), "{shown} is not in {text}");
    }
    assert_eq!(world.get(API).await.status, 404, "it only asked");
    // A plan that became dearer is shown again instead of being chosen.
    let dearer = ada.submit(CHANGE, "plan=basic&confirmed=yes&due=2999").await;
    assert!(dearer.status == 200 && dearer.text.contains("The amount has changed"), "{}", dearer.text);
    assert_eq!(world.get(API).await.status, 404, "nothing was chosen");
    let confirmed = "plan=basic&confirmed=yes&due=3000";
    assert_eq!(ada.sent_to(CHANGE, confirmed).await, "/portal/plan?notice=changed");
    assert_eq!(ada.sent_to(CHANGE, confirmed).await, "/portal/plan?notice=changed");
    let pending = [
        "The plan was changed.",
        "Waiting for payment",
        "basic begins once $30.00 is paid.",
        "How to pay",
        "Contact the platform to pay.",
    ];
    ada.sees("/portal/plan?notice=changed", &pending).await;
    assert_eq!(world.post(&format!("{API}/confirm"), "one", "").await.status, 200);
    let active = [
        "Your plan: basic",
        "Active",
        "23 November 2026 to 23 December 2026",
        "Next credit",
        "23 December 2026",
        "Choose pro",
        "It is paid by another interval.",
    ];
    let page = ada.sees(PAGE, &active).await;
    assert!(!page.contains("How to pay"), "{page}");
    ada.sees("/portal/credits", &["Plan, period from 23 November 2026", "$30.00", "3,000,000"]).await;
}

#[tokio::test]
async fn what_a_change_costs_is_what_the_api_says() {
    let world = world().await;
    set_plans(&world).await;
    let ada = Browser::of(&world, "ada", "admin").await;
    ada.sent_to(CHANGE, "plan=basic&confirmed=yes&due=3000").await;
    world.post(&format!("{API}/confirm"), "one", "").await;
    world.pass_seconds(10 * 86_400);
    let ada = Browser::of(&world, "lin", "admin").await;
    let preview = world.post(&format!("{API}/preview"), "", r#"{"plan":"pro"}"#).await.json();
    let due = preview["due_now_usd"].as_str().expect("an amount").to_owned();
    assert_eq!(due, "20.00", "two thirds of the period are left");
    let asked = ada.submit(CHANGE, "plan=pro").await.text.replace('\u{a0}', " ");
    assert!(asked.contains(&format!("Choose pro and pay ${due}")), "{asked}");
    assert_eq!(ada.sent_to(CHANGE, "plan=pro&confirmed=yes&due=2000").await, "/portal/plan?notice=changed");
    ada.sees(PAGE, &["The change to pro waits for the payment of $20.00.", "How to pay", "Keep basic"]).await;
    let asked = ada.submit(CHANGE, "plan=basic").await;
    assert!(asked.text.contains("Keep basic?"), "{}", asked.text);
    ada.sent_to(CHANGE, "plan=basic&confirmed=yes&due=0").await;
    assert_eq!(world.get(API).await.json()["change"], Value::Null);
    // A cheaper plan begins with the next period.
    ada.sees(PAGE, &["Nothing now; begins on 23 December 2026"]).await;
    let asked = ada.submit(CHANGE, "plan=free").await;
    assert!(asked.text.contains("Choose free and pay nothing now"), "{}", asked.text);
    ada.sent_to(CHANGE, "plan=free&confirmed=yes&due=0").await;
    ada.sees(PAGE, &["free begins on 23 December 2026."]).await;
    for (fields, why) in [
        ("plan=unknown", "does not exist any more"),
        ("plan=%3Cscript%3E", "does not exist any more"),
        ("", "does not exist any more"),
        ("plan=year", "paid by another interval"),
    ] {
        let refused = ada.submit(CHANGE, fields).await;
        assert!(refused.status == 422 && refused.text.contains(why), "{fields}: {}", refused.text);
        assert!(refused.text.contains(r#"role="alert""#), "{fields}");
    }
}

#[tokio::test]
async fn a_plan_is_canceled_kept_and_past_due() {
    let world = world().await;
    set_plans(&world).await;
    let ada = Browser::of(&world, "ada", "admin").await;
    assert_eq!(ada.sent_to(CANCEL, "").await, PAGE, "there is nothing to cancel");
    assert_eq!(ada.sent_to(CANCEL, "confirmed=yes").await, PAGE);
    ada.sent_to(CHANGE, "plan=basic&confirmed=yes&due=3000").await;
    let asked = ada.submit(CANCEL, "").await;
    assert!(asked.text.contains("the plan ends at once"), "{}", asked.text);
    world.post(&format!("{API}/confirm"), "one", "").await;
    let asked = ada.submit(CANCEL, "").await.text.replace('\u{a0}', " ");
    assert!(asked.contains("Cancel basic?") && asked.contains("ends on 23 December 2026"), "{asked}");
    assert_eq!(world.get(API).await.json()["status"], "active", "it only asked");
    assert_eq!(ada.sent_to(CANCEL, "confirmed=yes").await, "/portal/plan?notice=canceled");
    assert_eq!(ada.sent_to(CANCEL, "confirmed=yes").await, "/portal/plan?notice=canceled");
    let canceled = ["The plan was canceled.", "Canceled", "ends on 23 December 2026.", "Keep basic"];
    ada.sees("/portal/plan?notice=canceled", &canceled).await;
    ada.sent_to(CHANGE, "plan=basic&confirmed=yes&due=0").await;
    ada.sees(PAGE, &["Active", "Cancel the plan"]).await;
    world.pass_seconds(31 * 86_400);
    let ada = Browser::of(&world, "lin", "admin").await;
    let due = ["Past due", "A period has begun that is not paid. $30.00 is due.", "How to pay"];
    ada.sees(PAGE, &due).await;
    ada.sent_to(CANCEL, "confirmed=yes").await;
    ada.sees(PAGE, &["Ended", "basic ended on 24 December 2026", "Choose basic"]).await;
}

#[tokio::test]
async fn a_plan_is_paid_at_stripe_and_the_page_looks_again_by_itself() {
    let shop = plans().await;
    let ada = Browser::of(&shop.world, "ada", "admin").await;
    let asked = ada.submit(CHANGE, "plan=basic").await;
    assert!(asked.text.contains("which then collects each period"), "{}", asked.text);
    assert_eq!(ada.sent_to(CHANGE, "plan=basic&confirmed=yes&due=3000").await, "/portal/plan/pay");
    let leave = ada.look("/portal/plan/pay").await;
    assert!(leave.text.contains(r#"http-equiv="refresh""#), "{}", leave.text);
    assert!(leave.text.contains(&shop.page()), "{}", leave.text);
    let page = shop.stripe.object(&shop.page(), &[]);
    assert_eq!(page["success_url"], "http://localhost/portal/plan");
    ada.sees(PAGE, &["Waiting for payment", "Pay the first period"]).await;
    shop.stripe.pay_checkout(&shop.page(), Card::Good).expect("the card is good");
    shop.pass_seconds(5);
    ada.sees(PAGE, &["Your plan: basic", "Active", "31 January 2026 to 28 February 2026"]).await;
    assert_eq!(shop.world.balance().await.0, 3_000_000);
    assert_eq!(ada.look("/portal/plan/pay").await.header("location"), Some(PAGE), "nothing is left to pay");
    let asked = ada.submit(CHANGE, "plan=pro").await;
    assert!(asked.text.contains("charges the card of your plan at once"), "{}", asked.text);
    assert_eq!(ada.sent_to(CHANGE, "plan=pro&confirmed=yes&due=3000").await, "/portal/plan?notice=changed");
    ada.sees(PAGE, &["Your plan: pro"]).await;
    ada.sent_to(CANCEL, "confirmed=yes").await;
    ada.sees(PAGE, &["Canceled", "ends on 28 February 2026"]).await;
}

#[tokio::test]
async fn without_an_answer_of_stripe_a_plan_waits_and_says_so() {
    let shop = plans().await;
    let ada = Browser::of(&shop.world, "ada", "admin").await;
    shop.stripe.fail_next("POST", "/v1/checkout/sessions", Fault::CutBefore);
    let away = ada.submit(CHANGE, "plan=basic&confirmed=yes&due=3000").await;
    assert_eq!(away.status, 503, "{}", away.text);
    assert!(away.text.contains("does not answer") && away.text.contains("Nothing was charged."));
    assert!(away.text.contains(r#"href="/portal/plan""#), "{}", away.text);
    ada.sees(PAGE, &["Waiting for payment", "Pay the first period"]).await;
}
