//! Calls about a running subscription whose answers are lost, late or crossed by other requests,
//! and what Stripe or the platform does meanwhile.

use tollkeeper_testkit::stripe::{Card, Fault};

use super::stripe_subscriptions::{DAY, Plans, START, plans};
use super::stripe_top_ups::stripe_settings;
use super::*;
use crate::jobs::polling::Polling;
use crate::jobs::reconciliation::Reconciliation;

/// The dearer of the plans that `plans` sets.
const PRO: &str = r#"{"id":"pro","name":"pro","price_usd":"60.00","credits":7000000,"interval":"month"}"#;

const MAX: &str = r#"{"id":"max","name":"max","price_usd":"90.00","credits":12000000,"interval":"month"}"#;

/// More than the client sends a call.
const TRIES: usize = 8;

impl Plans {
    /// Stripe carries out every call about a subscription, and no answer arrives.
    fn lose_answers(&self) {
        for _ in 0..TRIES {
            self.stripe.fail_next("POST", "/v1/subscriptions", Fault::CutAfter);
        }
    }

    pub(super) async fn started(plan: &str) -> Plans {
        let plans = plans().await;
        plans.start(plan).await;
        plans.deliver_all().await;
        plans
    }

    pub(super) async fn set(&self, plans: &[&str]) {
        let body = format!(r#"{{"plans":[{}]}}"#, plans.join(","));
        let set = self.world.put("PUT", "/v1/plans", "", &body).await;
        assert_eq!(set.status, 200, "{}", set.text);
    }

    /// Lets time pass of which no webhook event arrives, and does what is due then.
    async fn pass_unheard(&mut self, seconds: i64) {
        self.pass_seconds(seconds);
        drop(self.stripe.take_events());
        self.due.poll(&self.world.app).await;
        drop(self.stripe.take_events());
    }

    fn ends_at_stripe(&self) -> bool {
        self.newest("subscription")["cancel_at_period_end"] == true
    }
}

#[tokio::test]
async fn an_end_that_is_taken_back_while_its_answer_is_lost_stays_taken_back() {
    let mut plans = Plans::started("basic").await;
    plans.lose_answers();
    assert_eq!(plans.cancel().await.json()["status"], "canceled");
    assert!(plans.ends_at_stripe(), "the call was carried out");
    plans.stripe.clear_faults();
    assert_eq!(plans.choose("basic").await.json()["status"], "active");
    plans.deliver_all().await;
    assert_eq!(plans.status().await, "active", "what this ledger asked for is nobody else's decision");
    plans.due.poll(&plans.world.app).await;
    assert!(!plans.ends_at_stripe(), "the end is taken back at Stripe too");
    plans.deliver_all().await;
    assert_eq!(plans.status().await, "active");

    // The other way round.
    plans.cancel().await;
    plans.deliver_all().await;
    plans.lose_answers();
    assert_eq!(plans.choose("basic").await.json()["status"], "active");
    assert!(!plans.ends_at_stripe(), "the call was carried out");
    plans.stripe.clear_faults();
    assert_eq!(plans.cancel().await.json()["status"], "canceled");
    plans.deliver_all().await;
    plans.due.poll(&plans.world.app).await;
    assert_eq!((plans.status().await.as_str(), plans.ends_at_stripe()), ("canceled", true));
}

#[tokio::test]
async fn a_change_that_was_carried_out_is_granted_though_its_answer_was_lost_for_a_day() {
    let mut plans = Plans::started("basic").await;
    plans.pass_seconds(DAY);
    plans.lose_answers();
    let waits = plans.choose("pro").await.json();
    assert_eq!((&waits["plan"], &waits["change"]["plan"]), (&"basic".into(), &"pro".into()), "{waits}");
    plans.stripe.clear_faults();
    drop(plans.stripe.take_events());
    plans.pass_seconds(21 * 3_600);
    plans.due.poll(&plans.world.app).await;
    let shown = plans.shown().await;
    assert_eq!((&shown["plan"], &shown["change"]), (&"pro".into(), &Value::Null), "{shown}");
    assert_eq!((plans.grants().await.len(), plans.unmatched().await), (2, 0));
}

#[tokio::test]
async fn a_change_that_replaces_one_whose_answer_was_lost_is_asked_for_itself() {
    let mut plans = Plans::started("basic").await;
    plans.set(&[MAX, PRO]).await;
    plans.pass_seconds(7 * DAY);
    plans.set_card(Card::InsufficientFunds);
    plans.lose_answers();
    assert_eq!(plans.choose("pro").await.json()["change"]["plan"], "pro");
    plans.stripe.clear_faults();
    assert!(plans.newest("subscription")["pending_update"].is_object(), "the call was carried out");
    for plan in ["max", "basic"] {
        for _ in 0..TRIES {
            plans.stripe.fail_next("GET", "/v1/subscriptions", Fault::ErrorBefore);
        }
        plans.choose(plan).await.problem(503, "payment_provider_unavailable");
        plans.stripe.clear_faults();
    }
    assert_eq!(plans.choose("max").await.json()["change"]["plan"], "max");
    plans.stripe.pay_invoice(&plans.id_of_newest("invoice"), Card::Good).expect("the card is good");
    plans.run_days(1).await;
    let grants = plans.grants().await;
    assert_eq!(grants[1..], [("2026-01-31:change-2".to_owned(), 6_750_000, 4_500)]);
    assert_eq!((plans.shown().await["plan"].clone(), plans.unmatched().await), ("max".into(), 0));
}

#[tokio::test]
async fn a_change_that_a_cancellation_drops_while_its_answer_is_lost_is_undone_at_stripe() {
    for card in [Card::InsufficientFunds, Card::Good] {
        let mut plans = Plans::started("basic").await;
        plans.pass_seconds(DAY);
        plans.set_card(card);
        plans.lose_answers();
        assert_eq!(plans.choose("pro").await.json()["change"]["plan"], "pro");
        for _ in 0..TRIES {
            plans.stripe.fail_next("GET", "/v1/subscriptions", Fault::ErrorBefore);
        }
        assert_eq!(plans.cancel().await.json()["change"], Value::Null);
        plans.stripe.clear_faults();
        assert_eq!(plans.choose("basic").await.json()["status"], "active");
        plans.run_days(1).await;
        let found = plans.newest("subscription");
        assert_eq!(found["pending_update"], Value::Null, "{card:?}");
        assert_eq!(found["items"]["data"][0]["price"]["metadata"]["plan"], "basic", "{card:?}");
        // What was paid for the change grants nothing, and an operator looks after it.
        assert_eq!(plans.unmatched().await, usize::from(card == Card::Good), "{card:?}");
        plans.set_card(Card::Good);
        plans.run_days(30).await;
        assert_eq!((plans.status().await.as_str(), plans.balance().await), ("active", 6_000_000), "{card:?}");
    }
}

#[tokio::test]
async fn a_change_that_was_paid_unheard_is_granted_before_another_one_is_asked_for() {
    let plans = Plans::started("basic").await;
    plans.set(&[MAX, PRO]).await;
    plans.pass_seconds(7 * DAY);
    // Stripe is asked before the change, and gives no answer when it is asked what became of it.
    for _ in 0..TRIES {
        plans.stripe.fail_next("GET", "/v1/invoices", Fault::ErrorBefore);
    }
    assert_eq!(plans.choose("pro").await.json()["change"]["plan"], "pro");
    plans.stripe.clear_faults();
    assert_eq!(plans.choose("max").await.json()["plan"], "max");
    let grants = plans.grants().await;
    let expected = [
        ("2026-01-31:change-1".to_owned(), 3_000_000, 2_250),
        ("2026-01-31:change-2".to_owned(), 3_750_000, 2_250),
    ];
    assert_eq!((&grants[1..], plans.unmatched().await), (&expected[..], 0));
}

#[tokio::test]
async fn changes_that_race_are_asked_for_one_after_the_other() {
    let mut plans = Plans::started("basic").await;
    plans.set(&[MAX, PRO]).await;
    plans.pass_seconds(7 * DAY);
    let (one, two) = futures_util::join!(plans.choose("max"), plans.choose("pro"));
    for reply in [one, two] {
        assert!(matches!(reply.status, 200 | 409 | 503), "{}", reply.text);
    }
    plans.run_days(1).await;
    let invoices = plans.stripe.objects("invoice");
    assert!(invoices.iter().all(|invoice| invoice["total"].as_i64() >= Some(0)), "{invoices:#?}");
    assert_eq!(plans.unmatched().await, 0);
}

#[tokio::test]
async fn shortly_before_the_key_of_a_change_is_forgotten_the_change_is_neither_sent_nor_dropped() {
    let mut plans = Plans::started("basic").await;
    for _ in 0..TRIES {
        plans.stripe.fail_next("POST", "/v1/subscriptions", Fault::CutBefore);
    }
    plans.choose("pro").await;
    plans.stripe.clear_faults();
    drop(plans.stripe.take_events());
    let asked = |plans: &Plans| plans.stripe.requests().iter().filter(|one| one.method == "POST").count();
    let before = asked(&plans);
    plans.pass_seconds(20 * 3_600 - 60);
    plans.due.poll(&plans.world.app).await;
    assert_eq!(asked(&plans), before, "a request of another server may be under way");
    assert_eq!(plans.shown().await["change"]["plan"], "pro");
    plans.pass_seconds(3_600);
    plans.due.poll(&plans.world.app).await;
    assert_eq!((asked(&plans), &plans.shown().await["change"]), (before, &Value::Null));
}

#[tokio::test]
async fn what_was_fetched_before_a_change_was_asked_for_drops_it_not() {
    let mut plans = Plans::started("basic").await;
    plans.pass_seconds(DAY);
    plans.set_card(Card::InsufficientFunds);
    plans.stripe.cancel_in_portal(&plans.id_of_newest("subscription"));
    let event = plans.stripe.take_events().pop().expect("Stripe tells of it");
    plans.stripe.fail_next("GET", "/v1/subscriptions", Fault::HangAfter);
    let hears = plans.deliver(&event);
    let asks = async {
        while plans.stripe.hanging() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(plans.choose("pro").await.json()["change"].is_object());
        plans.stripe.release_hanging();
    };
    let (status, ()) = futures_util::join!(hears, asks);
    assert!(matches!(status, 200 | 503), "{status}");
    assert_eq!(plans.shown().await["change"]["plan"], "pro", "the change waits for its payment");
    assert!(plans.newest("subscription")["pending_update"].is_object());
    plans.stripe.pay_invoice(&plans.id_of_newest("invoice"), Card::Good).expect("the card is good");
    plans.run_days(1).await;
    assert_eq!((plans.grants().await.len(), plans.unmatched().await), (2, 0));
}

#[tokio::test]
async fn a_year_that_stripe_ended_grants_its_months_and_goes_on_no_more() {
    let mut plans = Plans::started("year").await;
    plans.stripe.end_subscription(&plans.id_of_newest("subscription"));
    plans.deliver_all().await;
    assert_eq!(plans.status().await, "canceled");
    let refused = plans.choose("year").await;
    let (code, retryable) = (&refused.json()["code"], &refused.json()["retryable"]);
    assert_eq!((refused.status, code, retryable), (409, &"subscription_exists".into(), &true.into()));
    plans.run_days(370).await;
    assert_eq!((plans.status().await.as_str(), plans.grants().await.len()), ("ended", 12));
    plans.start("year").await;
    plans.deliver_all().await;
    assert_eq!((plans.status().await.as_str(), plans.grants().await.len()), ("active", 13));
}

#[tokio::test]
async fn down_and_up_in_one_period_costs_what_up_alone_costs() {
    let mut costs = Vec::new();
    for goes_down_first in [false, true] {
        let mut plans = Plans::started("basic").await;
        let less = r#"{"id":"less","name":"less","price_usd":"10.00","credits":500000,"interval":"month"}"#;
        plans.set(&[less, PRO]).await;
        plans.pass_seconds(7 * DAY);
        if goes_down_first {
            assert_eq!(plans.choose("less").await.json()["next_plan"], "less");
        }
        let shown = plans.choose("pro").await.json();
        assert_eq!((&shown["plan"], &shown["next_plan"]), (&"pro".into(), &Value::Null), "{shown}");
        plans.run_days(40).await;
        assert_eq!(plans.unmatched().await, 0);
        let grants = plans.grants().await;
        costs.push(grants.into_iter().map(|(_, credits, cents)| (credits, cents)).collect::<Vec<_>>());
    }
    let expected = vec![(3_000_000, 3_000), (3_000_000, 2_250), (7_000_000, 6_000)];
    assert_eq!(costs, [expected.clone(), expected]);
}

#[tokio::test]
async fn other_terms_of_a_plan_close_the_page_of_the_old_ones() {
    let plans = plans().await;
    plans.choose("basic").await;
    let old = plans.page();
    let other = r#"{"id":"basic","name":"basic","price_usd":"40.00","credits":3500000,"interval":"month"}"#;
    plans.set(&[other]).await;
    assert_eq!(plans.choose("basic").await.json()["due_usd"], "40.00");
    assert_eq!(plans.stripe.object(&old, &[])["status"], "expired");
    plans.stripe.pay_checkout(&plans.page(), Card::Good).expect("the card is good");
    plans.deliver_all().await;
    assert_eq!((plans.balance().await, plans.unmatched().await), (3_500_000, 0));
}

#[tokio::test]
async fn what_is_lost_of_each_part_of_an_invoice_is_added_up() {
    let mut plans = Plans::started("basic").await;
    plans.set_card(Card::InsufficientFunds);
    plans.run_days(30).await;
    let invoice = plans.id_of_newest("invoice");
    plans.stripe.pay_part_of_invoice(&invoice, 1_000);
    let part = plans.id_of_newest("payment_intent");
    plans.stripe.pay_invoice(&invoice, Card::Good).expect("the card is good");
    plans.deliver_all().await;
    assert_eq!(plans.balance().await, 6_000_000);
    let intents = plans.stripe.objects("payment_intent");
    let rest = intents.iter().find(|intent| intent["amount_received"] == 2_000).expect("it took the rest");
    let _ = plans.stripe.refund_elsewhere(&part, 1_000);
    plans.deliver_all().await;
    assert_eq!(plans.balance().await, 5_000_000);
    let _ = plans.stripe.refund_elsewhere(rest["id"].as_str().expect("an object has an id"), 500);
    plans.deliver_all().await;
    assert_eq!(plans.balance().await, 4_500_000);
}

#[tokio::test]
async fn of_a_surplus_payment_what_was_not_refunded_is_sent_back() {
    let plans = plans().await;
    plans.choose("basic").await;
    let page = plans.page();
    plans.end_here().await;
    plans.stripe.pay_checkout(&page, Card::Good).expect("the card is good");
    let _ = plans.stripe.refund_elsewhere(&plans.id_of_newest("payment_intent"), 1_200);
    plans.deliver_all().await;
    let refunds = plans.stripe.objects("refund");
    let mut amounts: Vec<i64> = refunds.iter().filter_map(|refund| refund["amount"].as_i64()).collect();
    amounts.sort_unstable();
    assert_eq!((amounts, plans.balance().await), (vec![1_200, 1_800], 0));
}

#[tokio::test]
async fn of_a_surplus_payment_the_rest_is_sent_back_once_the_list_shows_what_was_refunded() {
    let plans = plans().await;
    plans.choose("basic").await;
    let page = plans.page();
    plans.end_here().await;
    plans.stripe.pay_checkout(&page, Card::Good).expect("the card is good");
    plans.pass_seconds(60);
    plans.stripe.set_list_lag(20);
    let _ = plans.stripe.refund_elsewhere(&plans.id_of_newest("payment_intent"), 1_200);
    let mut later = Vec::new();
    for webhook in plans.stripe.take_events() {
        if plans.deliver(&webhook).await != 200 {
            later.push(webhook);
        }
    }
    assert!(!later.is_empty() && plans.unmatched().await == 0, "it is not given up");
    plans.pass_seconds(60);
    for webhook in &later {
        assert_eq!(plans.deliver(webhook).await, 200, "{}", webhook.kind);
    }
    let refunds = plans.stripe.objects("refund");
    let mut amounts: Vec<i64> = refunds.iter().filter_map(|refund| refund["amount"].as_i64()).collect();
    amounts.sort_unstable();
    assert_eq!((amounts, plans.unmatched().await), (vec![1_200, 1_800], 1));
}

#[tokio::test]
async fn an_end_that_was_taken_back_at_stripe_unheard_is_found_after_the_period() {
    let mut plans = Plans::started("basic").await;
    plans.cancel().await;
    plans.deliver_all().await;
    plans.stripe.resume_elsewhere(&plans.id_of_newest("subscription"));
    plans.pass_unheard(28 * DAY).await;
    assert_eq!(plans.status().await, "canceled", "Stripe says whether it ended");
    plans.pass_unheard(3 * 3_600).await;
    assert_eq!((plans.status().await.as_str(), plans.balance().await), ("active", 6_000_000));
    assert_eq!(plans.newest("subscription")["cancel_at"], Value::Null);
    // The same, and the card of the next period is declined.
    plans.cancel().await;
    plans.deliver_all().await;
    plans.stripe.resume_elsewhere(&plans.id_of_newest("subscription"));
    plans.set_card(Card::InsufficientFunds);
    plans.pass_unheard(31 * DAY).await;
    plans.pass_unheard(3 * 3_600).await;
    assert_eq!(plans.status().await, "canceled", "it may be paid yet");
    for _ in 0..3 {
        plans.pass_unheard(12 * 3_600).await;
    }
    assert_eq!(plans.newest("subscription")["status"], "canceled");
    assert_eq!((plans.status().await.as_str(), plans.balance().await), ("ended", 6_000_000));
}

#[tokio::test]
async fn an_end_that_is_not_heard_of_is_found_after_the_period() {
    let mut plans = Plans::started("basic").await;
    plans.cancel().await;
    plans.pass_unheard(28 * DAY).await;
    assert_eq!(plans.status().await, "canceled");
    plans.pass_unheard(3 * 3_600).await;
    assert_eq!((plans.status().await.as_str(), plans.balance().await), ("ended", 3_000_000));
}

#[tokio::test]
async fn an_old_invoice_that_is_paid_after_another_plan_began_is_sent_back() {
    let mut plans = Plans::started("basic").await;
    plans.set_card(Card::InsufficientFunds);
    plans.run_days(30).await;
    assert_eq!(plans.status().await, "past_due");
    let invoice = plans.id_of_newest("invoice");
    assert_eq!(plans.cancel().await.json()["status"], "ended");
    plans.start("pro").await;
    plans.deliver_all().await;
    plans.stripe.pay_invoice(&invoice, Card::Good).expect("the card is good");
    plans.deliver_all().await;
    let refunds = plans.stripe.objects("refund");
    assert_eq!((refunds.len(), &refunds[0]["amount"]), (1, &3_000.into()));
    assert_eq!((plans.balance().await, plans.unmatched().await), (10_000_000, 1));
    plans.run_days(2).await;
    assert_eq!(plans.stripe.objects("refund").len(), 1, "it is sent back once");
}

#[tokio::test]
async fn an_unpaid_subscription_that_is_canceled_at_stripe_ends_there_too() {
    let mut plans = Plans::started("basic").await;
    plans.set_card(Card::InsufficientFunds);
    plans.run_days(30).await;
    assert_eq!(plans.status().await, "past_due");
    plans.stripe.cancel_in_portal(&plans.id_of_newest("subscription"));
    plans.deliver_all().await;
    assert_eq!(plans.status().await, "ended");
    assert_eq!(plans.newest("subscription")["status"], "past_due");
    // It ends there before another plan begins.
    plans.start("pro").await;
    assert_eq!(plans.stripe.objects("subscription")[0]["status"], "canceled");
    plans.deliver_all().await;
    assert_eq!(plans.status().await, "active");
}

#[tokio::test]
async fn an_invoice_whose_subscription_is_not_there_is_shown_to_an_operator() {
    let plans = plans().await;
    plans.start("basic").await;
    // The directory is lost, and a backup from before the plan began is served.
    let World { app, clock, _dir } = plans.world;
    app.engine().close().await.expect("the engine closes");
    drop(app);
    let settings = stripe_settings(&plans.stripe, &[("tax", "stripe")]);
    let restored = world_of(&settings, START * 1_000).await;
    restored.clock.store(clock.load(Ordering::Relaxed), Ordering::Relaxed);
    let plans = Plans { world: restored, ..plans };
    let mut walks = Reconciliation::default();
    plans.pass_seconds(300);
    walks.poll(&plans.world.app).await;
    assert_eq!(plans.unmatched().await, 0, "it may be under way");
    for _ in 0..26 {
        plans.pass_seconds(3_600);
        walks.poll(&plans.world.app).await;
    }
    let noted = plans.world.get("/v1/payments/unmatched").await.json()["data"].clone();
    assert_eq!(noted.as_array().map(Vec::len), Some(1), "{noted}");
    assert_eq!((&noted[0]["workspace"], &noted[0]["cents"]), (&"acme".into(), &3_000.into()), "{noted}");
    assert_eq!(plans.balance().await, 0);
}

#[tokio::test]
async fn an_event_that_a_webhook_brought_after_a_walk_failed_is_not_failing() {
    let plans = plans().await;
    plans.start("basic").await;
    plans.deliver_all().await;
    plans.stripe.cancel_in_portal(&plans.id_of_newest("subscription"));
    plans.pass_seconds(301);
    let mut walks = Reconciliation::default();
    for _ in 0..TRIES {
        plans.stripe.fail_next("GET", "/v1/subscriptions", Fault::ErrorBefore);
    }
    walks.poll(&plans.world.app).await;
    let failing = async || plans.world.counted("tollkeeper_stripe_events_failing").await;
    assert_eq!(failing().await, 1);
    plans.stripe.clear_faults();
    plans.deliver_all().await;
    plans.pass_seconds(300);
    walks.poll(&plans.world.app).await;
    assert_eq!((failing().await, plans.status().await.as_str()), (0, "canceled"));
}
