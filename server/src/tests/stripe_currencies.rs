//! Money in another currency than US dollars, with the stand-in: it grants nothing, and an operator
//! reads of it.

use tollkeeper_testkit::stripe::{Card, Fault};

use super::stripe_automatic::buyer;
use super::stripe_subscriptions::{DAY, Plans, plans};
use super::stripe_top_ups::paid_world;
use super::*;

const TOP_UPS: &str = "/v1/workspaces/acme/top-ups";

/// The currency and the cents of each payment that fits nothing.
async fn unmatched(world: &World) -> Vec<(String, i64)> {
    let listed = world.get("/v1/payments/unmatched").await.json();
    let rows = listed["data"].as_array().expect("a list has rows");
    let line = |row: &Value| (row["currency"].as_str().map(str::to_owned), row["cents"].as_i64());
    let lines = rows.iter().map(|row| match line(row) {
        (Some(currency), Some(cents)) => (currency, cents),
        _ => panic!("{row}"),
    });
    lines.collect()
}

fn text_of(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_else(|| panic!("{name} is a text in {object}")).to_owned()
}

#[tokio::test]
async fn the_equal_sum_in_another_currency_pays_no_top_up() {
    for (of_page, of_payment) in [("eur", "eur"), ("usd", "eur"), ("eur", "usd")] {
        let paid = paid_world().await;
        let top_up = paid.world.post(TOP_UPS, "one", r#"{"amount_usd":"25.00"}"#).await.id();
        paid.stripe.pay_checkout(&paid.page(), Card::Good).expect("the card is good");
        let payment = text_of(&paid.stripe.object(&paid.page(), &[]), "payment_intent");
        paid.stripe.set_currency(&paid.page(), of_page);
        paid.stripe.set_currency(&payment, of_payment);
        paid.deliver_all().await;
        paid.pass_seconds(60);
        let shown = paid.top_up(&top_up).await;
        assert_eq!(shown["status"], "pending", "{of_page} {of_payment}: {shown}");
        assert_eq!(paid.world.balance().await, (0, 0), "{of_page} {of_payment}");
        assert_eq!(unmatched(&paid.world).await, [(of_payment.to_owned(), 2_500)], "{of_page}");
    }
}

#[tokio::test]
async fn another_currency_pays_no_automatic_top_up() {
    let mut buyer = buyer(Card::Good).await;
    buyer.spend("a").await;
    buyer.paid.stripe.fail_next("POST", "/v1/payment_intents", Fault::CutAfter);
    buyer.poll().await;
    let payment = text_of(&buyer.paid.stripe.objects("payment_intent")[0], "id");
    buyer.paid.stripe.set_currency(&payment, "eur");
    buyer.paid.deliver_all().await;
    assert_eq!(buyer.newest().await["status"], "pending");
    assert_eq!(buyer.available().await, 400_000);
    assert_eq!(unmatched(&buyer.paid.world).await, [("eur".to_owned(), 2_500)]);
}

#[tokio::test]
async fn another_currency_pays_no_period_and_no_change() {
    let mut plans = plans().await;
    plans.start("basic").await;
    let in_euros = |plans: &Plans| {
        plans.stripe.set_currency(&plans.id_of_newest("invoice"), "eur");
        plans.stripe.set_currency(&plans.id_of_newest("payment_intent"), "eur");
    };
    in_euros(&plans);
    plans.deliver_all().await;
    assert_eq!((plans.balance().await, plans.status().await.as_str()), (0, "pending"));
    assert_eq!(unmatched(&plans.world).await, [("eur".to_owned(), 3_000)]);

    plans = self::plans().await;
    plans.start("basic").await;
    plans.deliver_all().await;
    plans.run_until("2026-02-27").await;
    // Two hours after its begin the next period is paid, and no webhook event was heard yet.
    plans.pass_seconds(DAY + 7_200);
    in_euros(&plans);
    plans.deliver_all().await;
    assert_eq!((plans.balance().await, plans.status().await.as_str()), (3_000_000, "past_due"));
    assert_eq!(unmatched(&plans.world).await, [("eur".to_owned(), 3_000)]);

    plans = self::plans().await;
    plans.start("basic").await;
    plans.deliver_all().await;
    plans.pass_seconds(DAY);
    (0..8).for_each(|_| plans.stripe.fail_next("POST", "/v1/subscriptions", Fault::CutAfter));
    plans.choose("pro").await;
    plans.stripe.clear_faults();
    in_euros(&plans);
    for webhook in plans.stripe.take_events() {
        let status = plans.deliver(&webhook).await;
        assert!(matches!(status, 200 | 503), "the change may still be paid in dollars: {}", webhook.kind);
    }
    assert_eq!((plans.balance().await, plans.shown().await["plan"].clone()), (3_000_000, "basic".into()));
    let noted = unmatched(&plans.world).await;
    assert_eq!((noted.len(), noted[0].0.as_str()), (1, "eur"), "{noted:?}");
}
