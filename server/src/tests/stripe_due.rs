//! Due work while Stripe hangs or fails for many workspaces, and what Stripe is asked daily because
//! no event may ever say it.

use futures_util::future::{Either, join_all, select};
use tollkeeper_ledger::{AutoTopUpCommand, Micros, PaymentCommand, TopUpBounds};
use tollkeeper_testkit::stripe::{Card, Fault};

use super::stripe_subscriptions::{DAY, PATH, Plans, plans};
use super::*;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::polling::Polling;

impl Plans {
    /// Workspaces that wait for a charge of their card, each a call that is due at once.
    async fn add_calls(&self, count: usize) {
        join_all((0..count).map(async |number| {
            let name = format!("buyer-{number}");
            let body = format!(r#"{{"id":"{name}","name":"A buyer"}}"#);
            assert_eq!(self.world.post("/v1/workspaces", "", &body).await.status, 201);
            self.world.save_card(&name).await;
            let rule = AutoTopUpCommand::Set {
                threshold: Micros::new(500_000),
                cents: 2_500,
                monthly_cap_cents: 6_000,
                allowed: TopUpBounds::WIDEST,
            };
            for command in [rule, AutoTopUpCommand::OpenIfLow] {
                self.world.report(&name, PaymentCommand::AutoTopUp(command)).await;
            }
        }))
        .await;
    }

    /// Begins a free plan and uses it, so that it brings the next month.
    async fn use_free_plan(&self, workspace: &str) {
        let path = format!("/v1/workspaces/{workspace}");
        let chosen = self.world.put("PUT", &format!("{path}/subscription"), "", r#"{"plan":"free"}"#).await;
        assert_eq!(chosen.status, 200, "{}", chosen.text);
        let charged =
            self.world.post(&format!("{path}/charges"), "used", r#"{"operation":"support_message"}"#).await;
        assert_eq!(charged.status, 201, "{}", charged.text);
    }

    /// The workspaces for which the card was to be charged, so far.
    fn asked_for(&self) -> usize {
        let requests = self.stripe.requests();
        let of_payments = requests.iter().filter(|request| request.path == "/v1/payment_intents");
        let keys: std::collections::BTreeSet<_> =
            of_payments.filter_map(|request| request.idempotency_key()).collect();
        keys.len()
    }

    /// Polls once; returns how often Stripe was asked.
    async fn poll(&mut self) -> usize {
        let before = self.stripe.requests().len();
        self.due.poll(&self.world.app).await;
        self.stripe.requests().len() - before
    }
}

#[tokio::test]
async fn months_are_granted_while_the_calls_of_five_hundred_workspaces_hang() {
    let plans = plans().await;
    plans.use_free_plan("acme").await;
    assert_eq!(plans.world.post("/v1/workspaces", "", r#"{"id":"later","name":"Later"}"#).await.status, 201);
    plans.world.pass_seconds(10);
    plans.use_free_plan("later").await;
    plans.world.pass_seconds(28 * DAY - 10);
    plans.add_calls(500).await;
    plans.stripe.fail_randomly(1, 100, &[Fault::HangBefore]);

    let DuePayments { mut own, mut calls } = DuePayments::default();
    let app = &plans.world.app;
    let calls = async {
        calls.poll(app).await;
    };
    let granted = async {
        while plans.stripe.hanging() == 0 {
            tokio::task::yield_now().await;
        }
        // A poll reads the payments of 100 workspaces. The month is due after all calls.
        let before = plans.balance().await;
        for _ in 0..6 {
            assert_eq!(plans.balance().await, before);
            own.poll(app).await;
        }
        assert_eq!(plans.balance().await, before + 100_000);
        // The others are not read again at once.
        plans.world.pass_seconds(10);
        own.poll(app).await;
        let later = plans.world.get("/v1/workspaces/later/balance").await.json();
        assert_eq!(later["available"], 199_500);
    };
    match select(std::pin::pin!(calls), std::pin::pin!(granted)).await {
        Either::Right(_) => assert!(plans.stripe.hanging() > 0, "the calls hang still"),
        Either::Left(_) => panic!("the calls did not hang"),
    }
}

#[tokio::test]
async fn calls_that_fail_hold_up_none_behind_them() {
    let mut plans = plans().await;
    plans.add_calls(120).await;
    plans.stripe.fail_randomly(1, 100, &[Fault::ErrorBefore]);
    let mut polls = 0;
    while plans.asked_for() < 120 {
        plans.poll().await;
        polls += 1;
        assert!(polls < 20, "{} were asked for", plans.asked_for());
    }
    assert_eq!(plans.world.counted("tollkeeper_payment_work_failing").await, 120);
    plans.stripe.clear_faults();
    assert_eq!(plans.poll().await, 0, "all wait for a second");
}

#[tokio::test]
async fn a_subscription_that_is_past_due_is_asked_for_daily() {
    for ends in [false, true] {
        let mut plans = plans().await;
        plans.start("basic").await;
        plans.deliver_all().await;
        plans.set_card(Card::InsufficientFunds);
        plans.pass_seconds(28 * DAY + 3 * 3_600);
        assert!(plans.poll().await > 0, "the period has begun");
        assert_eq!(plans.status().await, "past_due");
        assert_eq!(plans.poll().await, 0);
        plans.pass_seconds(DAY);
        assert!(plans.poll().await > 0, "a day has passed");
        assert_eq!(plans.world.counted("tollkeeper_payment_work_failing").await, 0);
        plans.pass_seconds(DAY - 1);
        assert_eq!(plans.poll().await, 0);
        plans.pass_seconds(1);
        assert!(plans.poll().await > 0, "another day has passed");
        assert_eq!(plans.status().await, "past_due");

        if ends {
            plans.stripe.end_subscription(&plans.id_of_newest("subscription"));
        } else {
            plans.stripe.pay_invoice(&plans.id_of_newest("invoice"), Card::Good).expect("the card is good");
        }
        drop(plans.stripe.take_events());
        // A server that starts tries all at once.
        plans.due = DuePayments::default();
        assert!(plans.poll().await > 0);
        assert_eq!(plans.status().await, if ends { "ended" } else { "active" });
        assert_eq!(plans.balance().await, if ends { 3_000_000 } else { 6_000_000 });
        plans.pass_seconds(2 * DAY);
        assert_eq!(plans.poll().await, 0, "nothing waits any more");
    }
}

#[tokio::test]
async fn the_page_of_a_plan_is_asked_for_once_in_five_seconds() {
    let plans = plans().await;
    let shown = plans.choose("basic").await.json();
    let url = shown["checkout_url"].as_str().expect("it can be paid").to_owned();
    let asked = || plans.stripe.requests().len();
    let before = asked();
    for _ in 0..3 {
        assert_eq!(plans.shown().await["checkout_url"], url.as_str());
    }
    assert_eq!(asked(), before + 1);
    plans.pass_seconds(5);
    plans.stripe.fail_next("GET", "/v1/checkout", Fault::ErrorBefore);
    for _ in 0..3 {
        assert_eq!(plans.shown().await["checkout_url"], Value::Null, "Stripe does not say");
    }
    assert_eq!(asked(), before + 2);
    // A plan that is chosen again has its page, also when it is read then.
    assert_eq!(plans.choose("basic").await.json()["checkout_url"], url.as_str());
    assert_eq!(plans.world.get(PATH).await.json()["checkout_url"], url.as_str());
}
