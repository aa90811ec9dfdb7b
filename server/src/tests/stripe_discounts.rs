//! Changes of a plan whose invoice is another sum than was announced, with the stand-in: what was
//! paid for a change grants what was fixed when it was asked for.

use tollkeeper_testkit::stripe::Card;

use super::stripe_subscriptions::{DAY, Plans};
use super::*;

/// Plans besides the basic one.
const PRO: &str = r#"{"id":"pro","name":"pro","price_usd":"60.00","credits":7000000,"interval":"month"}"#;
const LESS: &str = r#"{"id":"less","name":"less","price_usd":"10.00","credits":500000,"interval":"month"}"#;

impl Plans {
    fn customer(&self) -> String {
        self.newest("subscription")["customer"].as_str().expect("somebody pays it").to_owned()
    }

    /// The last grant, what was noted, and the plan that runs.
    async fn outcome(&self) -> ((String, i64, i64), usize, Value) {
        let last = self.grants().await.pop().expect("a period was paid");
        (last, self.unmatched().await, self.shown().await["plan"].clone())
    }
}

fn changed(start: &str, credits: i64, cents: i64) -> ((String, i64, i64), usize, Value) {
    ((format!("{start}:change-1"), credits, cents), 0, "pro".into())
}

#[tokio::test]
async fn a_change_after_a_period_with_a_coupon_costs_more_and_grants() {
    for goes_down_first in [false, true] {
        let mut plans = Plans::started("basic").await;
        plans.set(&[LESS, PRO]).await;
        plans.stripe.set_coupon_once(&plans.id_of_newest("subscription"), 50);
        plans.run_days(29).await;
        assert_eq!(plans.grants().await[1], ("2026-02-28:period".to_owned(), 3_000_000, 1_500));
        if goes_down_first {
            assert_eq!(plans.choose("less").await.json()["next_plan"], "less");
        }
        // 30 of 31 days are left: 30.00 × 30 ÷ 31 was announced. Stripe credits half of that.
        let preview =
            plans.world.post("/v1/workspaces/acme/subscription/preview", "", r#"{"plan":"pro"}"#).await;
        assert_eq!(preview.json()["due_now_usd"], "29.04");
        plans.choose("pro").await;
        let (last, noted, plan) = plans.outcome().await;
        let number = if goes_down_first { 2 } else { 1 };
        assert_eq!(last, (format!("2026-02-28:change-{number}"), 3_870_967, 4_355));
        assert_eq!((noted, plan), (0, "pro".into()));
        // One third of it goes back.
        let paid = plans.id_of_newest("payment_intent");
        let _ = plans.stripe.refund_elsewhere(&paid, 1_452);
        plans.deliver_all().await;
        assert_eq!(plans.balance().await, 9_870_967 - 3_870_967 * 1_452 / 4_355);
        plans.run_days(31).await;
        assert_eq!(plans.grants().await[3], ("2026-03-31:period".to_owned(), 7_000_000, 6_000));
    }
}

#[tokio::test]
async fn a_change_with_a_coupon_of_its_own_grants_also_if_nothing_is_paid() {
    // 7 of 28 days are over: 45.00 less the coupon, less 22.50 for the plan before.
    for (percent, cents) in [(10, 1_800), (50, 0), (100, 0)] {
        let plans = Plans::started("basic").await;
        plans.pass_seconds(7 * DAY);
        plans.stripe.set_coupon_once(&plans.id_of_newest("subscription"), percent);
        plans.choose("pro").await;
        assert_eq!(plans.outcome().await, changed("2026-01-31", 3_000_000, cents), "{percent} percent");
        plans.deliver_all().await;
        assert_eq!((plans.balance().await, plans.unmatched().await), (6_000_000, 0), "{percent} percent");
    }
}

#[tokio::test]
async fn what_a_customer_has_or_owes_at_stripe_is_not_the_price_of_a_change() {
    for (owed, received) in [(-10_000, 0), (-1_000, 1_250), (500, 2_750)] {
        let plans = Plans::started("basic").await;
        plans.pass_seconds(7 * DAY);
        plans.stripe.set_customer_balance(&plans.customer(), owed);
        let before = plans.stripe.cents_received(&plans.customer());
        plans.choose("pro").await;
        assert_eq!(plans.outcome().await, changed("2026-01-31", 3_000_000, 2_250), "{owed}");
        assert_eq!(plans.stripe.cents_received(&plans.customer()) - before, received, "{owed}");
    }
}

#[tokio::test]
async fn a_change_that_is_paid_later_with_an_item_besides_grants_and_the_item_is_noted() {
    let mut plans = Plans::started("basic").await;
    plans.pass_seconds(7 * DAY);
    plans.set_card(Card::InsufficientFunds);
    plans.stripe.add_to_next_invoice(&plans.id_of_newest("subscription"), 4_000);
    assert_eq!(plans.choose("pro").await.json()["change"]["plan"], "pro");
    plans.stripe.pay_invoice(&plans.id_of_newest("invoice"), Card::Good).expect("the card is good");
    plans.run_days(1).await;
    let (last, noted, plan) = plans.outcome().await;
    assert_eq!((last, plan), (("2026-01-31:change-1".to_owned(), 3_000_000, 2_250), "pro".into()));
    let listed = plans.world.get("/v1/payments/unmatched").await.json();
    assert_eq!((noted, &listed["data"][0]["cents"]), (1, &4_000.into()), "{listed}");
}
