//! Automatic top-ups that are paid with a card saved at Stripe, with the stand-in. Each fault of
//! the call is tried: the card is charged once, and credit comes for money and for nothing else.

use tollkeeper_ledger::{
    AutoTopUpCommand, Card as SavedCard, CardCommand, Customer, Micros, PaymentCommand, Provider,
    ProviderCommand, TopUpBounds,
};
use tollkeeper_testkit::stripe::{Card, Fault};

use super::stripe_top_ups::{Paid, paid_world};
use super::*;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::polling::Polling;

pub(super) const RULE_PATH: &str = "/v1/workspaces/acme/auto-top-up";
const TOP_UPS: &str = "/v1/workspaces/acme/top-ups";
const CALL: &str = "/v1/payment_intents";
const DAY: i64 = 86_400;

/// A workspace with 7.00 of credit, which buys 25.00 below 5.00, at most 60.00 in a month.
pub(super) struct Buyer {
    pub(super) paid: Paid,
    customer: String,
    card: String,
    pub(super) job: DuePayments,
}

pub(super) async fn buyer(card: Card) -> Buyer {
    buyer_of(paid_world().await, card).await
}

/// The same on a server that was started before.
pub(super) async fn buyer_of(paid: Paid, card: Card) -> Buyer {
    // The portal makes the customer.
    assert_eq!(paid.world.post("/v1/workspaces/acme/billing-portal", "", "").await.status, 200);
    let customer = paid.stripe.objects("customer")[0]["id"].as_str().expect("an id").to_owned();
    let saved = paid.stripe.save_card(&customer, Card::Good);
    paid.stripe.set_card(&saved, card);
    paid.world.grant("acme", "start", 700_000).await;
    let buyer = Buyer { paid, customer, card: saved, job: DuePayments::default() };
    buyer.note_card(&buyer.card).await;
    buyer.set_rule("60.00").await;
    buyer
}

impl Buyer {
    async fn note_card(&self, id: &str) {
        let card = SavedCard {
            id: id.into(),
            brand: "visa".into(),
            last4: "4242".into(),
            expires_month: 2,
            expires_year: 2_030,
        };
        self.paid.world.report("acme", PaymentCommand::Card(CardCommand::SaveCard(card))).await;
    }

    pub(super) async fn set_rule(&self, cap: &str) {
        let rule = format!(r#"{{"threshold_usd":"5.00","amount_usd":"25.00","monthly_cap_usd":"{cap}"}}"#);
        let set = self.paid.world.put("PUT", RULE_PATH, "", &rule).await;
        assert_eq!(set.status, 200, "{}", set.text);
    }

    /// Charges for an operation, so that less than 5.00 is left.
    pub(super) async fn spend(&self, key: &str) {
        let body = r#"{"operation":"virtual_try_on","quantity":15}"#;
        assert_eq!(self.paid.world.charge(key, body).await.status, 201);
    }

    pub(super) async fn poll(&mut self) {
        self.job.poll(&self.paid.world.app).await;
    }

    /// Polls once a minute until no top-up waits.
    pub(super) async fn settle(&mut self) {
        for _ in 0..15 {
            self.poll().await;
            if self.newest().await["status"] != "pending" {
                return;
            }
            self.paid.pass_seconds(60);
        }
        panic!("the top-up waits for ever: {}", self.newest().await);
    }

    pub(super) async fn newest(&self) -> Value {
        self.paid.world.get(TOP_UPS).await.json()["data"][0].clone()
    }

    async fn rule(&self) -> (String, Value) {
        let rule = self.paid.world.get(RULE_PATH).await.json();
        (rule["state"].as_str().unwrap_or_default().to_owned(), rule["stopped_reason"].clone())
    }

    pub(super) async fn available(&self) -> i64 {
        self.paid.world.balance().await.0
    }

    pub(super) fn charged(&self) -> (usize, i64) {
        (self.paid.stripe.payments_succeeded(&self.customer), self.paid.stripe.cents_received(&self.customer))
    }

    /// The ends of the keys under which the card was charged: the generations.
    fn generations(&self) -> Vec<String> {
        let requests = self.paid.stripe.requests();
        let calls = requests.iter().filter(|request| request.method == "POST" && request.path == CALL);
        let keys = calls.filter_map(|request| request.idempotency_key());
        keys.map(|key| key.rsplit(':').next().unwrap_or_default().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_low_balance_charges_the_saved_card_once_however_its_events_come() {
    for events in ["before the answer", "after it", "never"] {
        let mut buyer = buyer(Card::Good).await;
        buyer.poll().await;
        assert_eq!(buyer.paid.posts(CALL), 0, "the balance is not low");
        buyer.spend("a").await;
        assert_eq!(buyer.paid.posts(CALL), 0, "nothing is sent in the middle of a charge");
        if events == "before the answer" {
            buyer.paid.stripe.fail_next("POST", CALL, Fault::CutAfter);
            buyer.poll().await;
            assert_eq!(buyer.newest().await["status"], "pending");
            buyer.paid.deliver_all().await;
            assert_eq!(buyer.newest().await["status"], "succeeded");
        }
        buyer.settle().await;
        if events == "after it" {
            buyer.paid.deliver_all().await;
        }
        buyer.poll().await;
        assert_eq!(buyer.charged(), (1, 2_500), "{events}");
        assert_eq!((buyer.available().await, buyer.paid.posts(CALL)), (2_900_000, 1), "{events}");
        let shown = buyer.newest().await;
        assert_eq!(shown["status"], "succeeded");
        assert_eq!(shown["payment"], serde_json::json!({ "provider": "stripe", "way": "automatic" }));
        let intent = &buyer.paid.stripe.objects("payment_intent")[0];
        assert_eq!((&intent["metadata"]["top_up"], &intent["amount"]), (&shown["id"], &2_500.into()));
        assert_eq!(intent["payment_method"], buyer.card.as_str());
        let one = buyer.paid.top_up(shown["id"].as_str().expect("an id")).await;
        assert!(one["receipt_url"].is_string(), "{one}");
        assert_eq!(shown["receipt_url"], Value::Null, "a list shows no receipt");
    }
}

#[tokio::test]
async fn a_card_that_is_declined_is_tried_three_times() {
    let mut buyer = buyer(Card::InsufficientFunds).await;
    for (pause, attempts) in [(3_600, 1), (DAY, 2), (0, 3)] {
        buyer.spend(&format!("spend {attempts}")).await;
        for _ in 0..3 {
            buyer.poll().await;
            buyer.paid.deliver_all().await;
        }
        assert_eq!(buyer.newest().await["failure"], "declined");
        assert_eq!(buyer.paid.posts(CALL), attempts, "a decline is not repeated");
        if pause == 0 {
            break;
        }
        assert_eq!(buyer.rule().await.0, "paused");
        buyer.paid.world.grant("acme", &format!("more {attempts}"), 300_000).await;
        buyer.paid.pass_seconds(pause);
    }
    assert_eq!(buyer.rule().await, ("stopped".to_owned(), "declined".into()));
    assert_eq!(buyer.charged(), (0, 0));
    buyer.paid.pass_seconds(30 * DAY);
    buyer.poll().await;
    assert_eq!(buyer.paid.posts(CALL), 3, "three attempts, then off");
    for more in ["a fourth time", "a fifth time"] {
        buyer.paid.world.grant("acme", &format!("more, {more}"), 300_000).await;
        buyer.spend(more).await;
        for _ in 0..3 {
            buyer.poll().await;
            buyer.paid.deliver_all().await;
            buyer.paid.pass_seconds(DAY);
        }
        assert_eq!(buyer.paid.posts(CALL), 3, "the balance is low {more}");
    }
    assert_eq!(buyer.rule().await, ("stopped".to_owned(), "declined".into()));
}

#[tokio::test]
async fn a_card_that_cannot_pay_by_itself_stops_the_rule_at_once() {
    for (card, failure, why) in [
        (Card::Stolen, "declined_for_good", "declined"),
        (Card::Expired, "declined_for_good", "declined"),
        (Card::NeedsAuthentication, "authentication_needed", "authentication_needed"),
    ] {
        let mut buyer = buyer(card).await;
        buyer.spend("a").await;
        buyer.settle().await;
        assert_eq!(buyer.newest().await["failure"], failure, "{card:?}");
        assert_eq!(buyer.rule().await, ("stopped".to_owned(), why.into()));
        assert_eq!((buyer.charged(), buyer.available().await), ((0, 0), 400_000));
    }
}

#[tokio::test]
async fn a_call_that_goes_wrong_charges_the_card_once() {
    for (fault, times) in [
        (Fault::ErrorBefore, 1),
        (Fault::ErrorAfter, 1),
        (Fault::SavedErrorAfter, 1),
        (Fault::CutBefore, 1),
        (Fault::CutAfter, 1),
        (Fault::GarbledAfter, 1),
        (Fault::KeyInUse, 3),
        (Fault::RateLimited, 3),
    ] {
        let mut buyer = buyer(Card::Good).await;
        buyer.spend("a").await;
        (0..times).for_each(|_| buyer.paid.stripe.fail_next("POST", CALL, fault));
        buyer.poll().await;
        assert_eq!(buyer.newest().await["status"], "pending", "{fault:?}");
        assert_eq!(buyer.available().await, 400_000, "no credit without money");
        buyer.spend("b").await;
        assert_eq!(buyer.paid.world.get(TOP_UPS).await.json()["data"].as_array().map(Vec::len), Some(1));
        buyer.settle().await;
        assert_eq!(buyer.charged(), (1, 2_500), "{fault:?}");
        assert_eq!(buyer.available().await, 2_600_000, "{fault:?}");
        assert!(buyer.generations().iter().all(|generation| generation == "0"), "{fault:?}");
        buyer.paid.deliver_all().await;
        assert_eq!(buyer.available().await, 2_600_000);
    }
}

#[tokio::test]
async fn an_error_that_is_saved_for_the_key_is_looked_up_twice_before_another_key() {
    let mut buyer = buyer(Card::Good).await;
    buyer.spend("a").await;
    buyer.paid.stripe.fail_next("POST", CALL, Fault::SavedError);
    for _ in 0..4 {
        buyer.poll().await;
        buyer.paid.pass_seconds(20);
    }
    assert_eq!(buyer.charged(), (0, 0));
    assert!(buyer.generations().iter().all(|generation| generation == "0"), "a list may lag");
    buyer.settle().await;
    assert_eq!((buyer.charged(), buyer.available().await), ((1, 2_500), 2_900_000));
    assert_eq!(buyer.generations().last().map(String::as_str), Some("1"));
}

#[tokio::test]
async fn a_request_that_ends_late_under_the_key_before_is_found_before_the_next_is_sent() {
    let mut buyer = buyer(Card::Good).await;
    buyer.spend("a").await;
    buyer.paid.stripe.set_list_lag(60);
    for fault in [Fault::ErrorBefore, Fault::ErrorBefore, Fault::ErrorAfter] {
        buyer.paid.stripe.fail_next("POST", CALL, fault);
    }
    for _ in 0..3 {
        buyer.poll().await;
        buyer.paid.pass_seconds(150);
    }
    buyer.settle().await;
    buyer.paid.deliver_all().await;
    assert_eq!((buyer.charged(), buyer.available().await), ((1, 2_500), 2_900_000));
}

#[tokio::test]
async fn a_card_of_another_account_is_kept_until_the_key_is_right() {
    let mut buyer = buyer(Card::Good).await;
    let linked = CardCommand::LinkCustomer {
        customer: Customer { provider: Provider::Stripe, id: "cus_elsewhere".into() },
        replaces: Some(buyer.customer.as_str().into()),
    };
    buyer.paid.world.report("acme", PaymentCommand::Card(linked)).await;
    buyer.note_card("pm_elsewhere").await;
    buyer.set_rule("60.00").await;
    buyer.spend("a").await;
    buyer.poll().await;
    assert_eq!(buyer.newest().await["status"], "pending");
    assert_eq!(buyer.rule().await.0, "active");
    let kept = buyer.paid.world.get("/v1/workspaces/acme/payment-method").await;
    assert_eq!(kept.json()["last4"], "4242", "{}", kept.text);
}

#[tokio::test]
async fn a_key_is_not_sent_after_twenty_hours() {
    // Stripe forgets keys after a day, and would charge again.
    for (fault, generation) in [(Fault::CutAfter, "0"), (Fault::CutBefore, "1")] {
        let mut buyer = buyer(Card::Good).await;
        buyer.spend("a").await;
        buyer.paid.stripe.fail_next("POST", CALL, fault);
        buyer.poll().await;
        buyer.paid.pass_seconds(25 * 3_600);
        buyer.job = DuePayments::default();
        buyer.settle().await;
        assert_eq!((buyer.charged(), buyer.available().await), ((1, 2_500), 2_900_000), "{fault:?}");
        assert_eq!(buyer.generations().last().map(String::as_str), Some(generation));
    }
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_of_a_call_charges_once() {
    for fault in [Fault::HangBefore, Fault::HangAfter] {
        let mut buyer = buyer(Card::Good).await;
        buyer.spend("a").await;
        buyer.paid.stripe.fail_next("POST", CALL, fault);
        {
            let Buyer { paid, job, .. } = &mut buyer;
            let mut poll = std::pin::pin!(job.poll(&paid.world.app));
            while paid.stripe.hanging() == 0 {
                tokio::select! {
                    () = &mut poll => panic!("Stripe does not answer"),
                    () = tokio::task::yield_now() => {}
                }
            }
        }
        // Another server starts, and its first try finds the key in use.
        buyer.job = DuePayments::default();
        buyer.poll().await;
        assert_eq!(buyer.newest().await["status"], "pending");
        buyer.paid.stripe.release_hanging();
        while buyer.paid.stripe.hanging() > 0 {
            tokio::task::yield_now().await;
        }
        buyer.paid.pass_seconds(60);
        buyer.settle().await;
        assert_eq!((buyer.charged(), buyer.available().await), ((1, 2_500), 2_900_000), "{fault:?}");
    }
}

#[tokio::test]
async fn a_card_that_is_gone_stops_the_rule() {
    for remove in ["the card", "the customer", "the card, and we know"] {
        let mut buyer = buyer(Card::Good).await;
        buyer.spend("a").await;
        match remove {
            "the customer" => buyer.paid.stripe.delete_customer(&buyer.customer),
            _ => buyer.paid.stripe.remove_card(&buyer.card),
        }
        let failure = if remove == "the card, and we know" {
            buyer.paid.deliver_all().await;
            "not_paid"
        } else {
            "declined_for_good"
        };
        buyer.settle().await;
        assert_eq!(buyer.newest().await["failure"], failure, "{remove}");
        assert_eq!(buyer.rule().await, ("stopped".to_owned(), "payment_method_removed".into()));
        assert_eq!((buyer.charged(), buyer.available().await), ((0, 0), 400_000));
    }
}

#[tokio::test]
async fn money_that_a_removed_card_paid_before_is_granted() {
    let mut buyer = buyer(Card::Good).await;
    buyer.spend("a").await;
    buyer.paid.stripe.fail_next("POST", CALL, Fault::CutAfter);
    buyer.poll().await;
    buyer.paid.world.report("acme", PaymentCommand::Card(CardCommand::RemoveCard { id: None })).await;
    buyer.settle().await;
    assert_eq!(buyer.newest().await["status"], "succeeded");
    assert_eq!((buyer.charged(), buyer.available().await), ((1, 2_500), 2_900_000));
}

#[tokio::test]
async fn another_card_under_the_same_key_is_not_charged_too() {
    let mut buyer = buyer(Card::Good).await;
    buyer.spend("a").await;
    buyer.paid.stripe.fail_next("POST", CALL, Fault::CutAfter);
    buyer.poll().await;
    let other = buyer.paid.stripe.save_card(&buyer.customer, Card::GoodMastercard);
    buyer.note_card(&other).await;
    buyer.settle().await;
    assert_eq!((buyer.charged(), buyer.available().await), ((1, 2_500), 2_900_000));
}

#[tokio::test]
async fn a_request_that_stripe_refuses_is_no_decline() {
    let mut buyer = buyer(Card::Good).await;
    let set = AutoTopUpCommand::Set {
        threshold: Micros::new(20_000),
        cents: 20,
        monthly_cap_cents: 6_000,
        allowed: TopUpBounds::WIDEST,
    };
    buyer.paid.world.report("acme", PaymentCommand::AutoTopUp(set)).await;
    let body = r#"{"operation":"virtual_try_on","quantity":35}"#;
    assert_eq!(buyer.paid.world.charge("a", body).await.status, 201);
    buyer.settle().await;
    assert_eq!(buyer.newest().await["failure"], "refused_by_provider", "Stripe charges 0.50 or more");
    assert_eq!(buyer.rule().await.0, "paused");
    buyer.poll().await;
    assert_eq!(buyer.paid.posts(CALL), 1);
}

#[tokio::test]
async fn an_error_that_is_saved_for_its_key_does_not_keep_a_card() {
    let buyer = buyer(Card::Good).await;
    let method = "/v1/workspaces/acme/payment-method";
    let detach = format!("/v1/payment_methods/{}/detach", buyer.card);
    buyer.paid.stripe.fail_next("POST", &detach, Fault::SavedError);
    let world = &buyer.paid.world;
    world.put("DELETE", method, "", "").await.problem(503, "payment_provider_unavailable");
    assert_eq!(world.put("DELETE", method, "", "").await.status, 204);
    world.get(method).await.problem(404, "payment_method_not_found");
}

#[tokio::test]
async fn a_charge_whose_outcome_nobody_heard_is_asked_for_also_after_months() {
    for (card, seconds) in [
        (Card::Good, 3_600),
        (Card::InsufficientFunds, 3_600),
        (Card::Good, 90 * DAY),
        (Card::InsufficientFunds, 90 * DAY),
    ] {
        let mut buyer = buyer(card).await;
        buyer.paid.stripe.fail_next("POST", CALL, Fault::CutAfter);
        buyer.spend("a").await;
        buyer.poll().await;
        // An answer said that the payment is under way, and what became of it nobody heard.
        let intent = buyer.paid.stripe.objects("payment_intent")[0]["id"].clone();
        let reference = intent.as_str().expect("an object has an id").into();
        let top_up = buyer.newest().await["id"].as_str().expect("an id").parse().expect("an id");
        let placed = PaymentCommand::Provider(ProviderCommand::PlaceTopUp { top_up, reference });
        buyer.paid.world.report("acme", placed).await;
        buyer.paid.stripe.take_events();
        let asked = buyer.paid.stripe.requests().len();
        buyer.poll().await;
        assert_eq!(buyer.paid.stripe.requests().len(), asked, "its event may still come");
        assert_eq!(buyer.newest().await["status"], "pending");
        buyer.paid.pass_seconds(seconds);
        // What cannot be asked now is asked again after a pause.
        buyer.paid.stripe.fail_next("GET", CALL, Fault::CutBefore);
        buyer.poll().await;
        assert_eq!(buyer.newest().await["status"], "pending");
        buyer.paid.pass_seconds(2);
        buyer.poll().await;
        let expected = if card == Card::Good { ("succeeded", 2_900_000) } else { ("failed", 400_000) };
        assert_eq!(buyer.newest().await["status"], expected.0, "after {seconds} seconds");
        assert_eq!(buyer.available().await, expected.1);
        buyer.poll().await;
        assert_eq!(buyer.paid.posts(CALL), 1, "nothing is charged again");
    }
}
