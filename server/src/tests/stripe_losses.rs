//! Money for plans that goes back at Stripe, with the stand-in: what an invoice asked for besides
//! the plan goes first, what failed to go back is noted, and so is what goes back of payments that
//! are not there.

use tollkeeper_ledger::{Actor, Command, Submission, UnmatchedPayment, WorkspaceId, bounds};
use tollkeeper_testkit::stripe::{Card, Fault};

use super::stripe_subscriptions::{DAY, PATH, Plans, START, plans};
use super::stripe_top_ups::stripe_settings;
use super::*;
use crate::jobs::polling::Polling;
use crate::jobs::reconciliation::Reconciliation;

/// An invoice of 30.00 for a period, 3.00 tax on it, and 10.00 for something else, which was paid.
struct Billed {
    plans: Plans,
    payment: String,
}

async fn billed() -> Billed {
    let mut plans = plans().await;
    plans.stripe.set_tax_basis_points(1_000);
    plans.start("basic").await;
    plans.deliver_all().await;
    plans.stripe.add_to_next_invoice(&plans.id_of_newest("subscription"), 1_000);
    plans.run_days(29).await;
    let payment = plans.id_of_newest("payment_intent");
    assert_eq!(plans.stripe.object(&payment, &[])["amount_received"], 4_300);
    assert_eq!((plans.balance().await, plans.noted().await), (6_000_000, vec![1_000]));
    Billed { plans, payment }
}

impl Plans {
    /// The cents of what an operator is to look after, newest first.
    async fn noted(&self) -> Vec<i64> {
        let listed = self.world.get("/v1/payments/unmatched").await.json();
        let rows = listed["data"].as_array().expect("a list has rows").clone();
        rows.iter().map(|row| row["cents"].as_i64().expect("it is a sum")).collect()
    }

    /// What an operator reads first.
    async fn why(&self) -> String {
        let listed = self.world.get("/v1/payments/unmatched").await.json();
        listed["data"][0]["reason"].as_str().expect("it has a reason").to_owned()
    }

    fn refunds(&self) -> usize {
        self.stripe.objects("refund").len()
    }
}

impl Billed {
    fn refund(&self, cents: i64) -> String {
        self.plans.stripe.refund_elsewhere(&self.payment, cents)
    }

    fn dispute(&self, cents: i64) -> String {
        self.plans.stripe.open_dispute(&self.payment, cents, "needs_response")
    }

    async fn balance_is(&self, expected: i64) {
        self.plans.deliver_all().await;
        assert_eq!(self.plans.balance().await, expected);
    }
}

#[tokio::test]
async fn what_was_paid_besides_a_plan_goes_back_first() {
    let billed = billed().await;
    billed.refund(400);
    billed.balance_is(6_000_000).await;
    billed.refund(600);
    billed.balance_is(6_000_000).await;
    // Half of the plan with its tax, and then the rest.
    let half = billed.refund(1_650);
    billed.balance_is(4_500_000).await;
    billed.refund(1_650);
    billed.balance_is(3_000_000).await;
    billed.plans.stripe.finish_refund(&half, "failed");
    billed.balance_is(4_500_000).await;
    assert_eq!(billed.plans.noted().await, [1_000], "the failed refund is of money that is on a grant");
}

#[tokio::test]
async fn a_refund_of_all_and_of_more_than_the_rest_takes_what_exceeds_the_rest() {
    for (cents, left) in [(4_300, 3_000_000), (1_000, 6_000_000), (1_001, 5_999_000), (2_650, 4_500_000)] {
        let billed = billed().await;
        billed.refund(cents);
        billed.balance_is(left).await;
    }
}

#[tokio::test]
async fn a_dispute_and_a_refund_share_the_rest_in_either_order() {
    for refund_is_first in [true, false] {
        let billed = billed().await;
        let refund = |billed: &Billed| billed.refund(330);
        let first = if refund_is_first { refund(&billed) } else { billed.dispute(1_000) };
        billed.balance_is(6_000_000).await;
        let second = if refund_is_first { billed.dispute(1_000) } else { refund(&billed) };
        billed.balance_is(5_700_000).await;
        let (refund, dispute) = if refund_is_first { (first, second) } else { (second, first) };
        billed.plans.stripe.set_dispute_status(&dispute, "won");
        billed.balance_is(6_000_000).await;
        billed.plans.stripe.set_dispute_status(&dispute, "appeal_under_review");
        billed.balance_is(5_700_000).await;
        billed.plans.stripe.finish_refund(&refund, "canceled");
        billed.balance_is(6_000_000).await;
        billed.plans.stripe.set_dispute_amount(&dispute, 4_300);
        billed.balance_is(3_000_000).await;
    }
}

#[tokio::test]
async fn events_of_a_rest_that_come_late_and_in_any_order_say_the_same() {
    let billed = billed().await;
    billed.refund(700);
    let dispute = billed.dispute(3_600);
    billed.refund(630);
    billed.plans.stripe.set_dispute_status(&dispute, "won");
    for webhook in billed.plans.stripe.take_events().iter().rev() {
        assert_eq!(billed.plans.deliver(webhook).await, 200, "{}", webhook.kind);
    }
    // 13.30 went back: the 10.00, and 3.30 of the plan with its tax.
    billed.balance_is(5_700_000).await;
}

#[tokio::test]
async fn a_rest_is_known_when_its_invoice_is_heard_of_by_its_refund() {
    let plans = Plans::started("basic").await;
    plans.stripe.add_to_next_invoice(&plans.id_of_newest("subscription"), 1_000);
    plans.pass_seconds(29 * DAY);
    let _ = plans.stripe.refund_elsewhere(&plans.id_of_newest("payment_intent"), 1_300);
    let refund = plans.stripe.take_events().into_iter().find(|webhook| webhook.kind == "refund.created");
    assert_eq!(plans.deliver(&refund.expect("Stripe tells of it")).await, 200);
    assert_eq!((plans.balance().await, plans.noted().await), (5_700_000, vec![1_000]));
}

#[tokio::test]
async fn the_rest_of_an_invoice_that_was_paid_in_parts_goes_first_whichever_part_goes_back() {
    let mut plans = Plans::started("basic").await;
    plans.stripe.add_to_next_invoice(&plans.id_of_newest("subscription"), 1_000);
    plans.set_card(Card::InsufficientFunds);
    plans.run_days(29).await;
    let invoice = plans.id_of_newest("invoice");
    plans.stripe.pay_part_of_invoice(&invoice, 2_000);
    let part = plans.id_of_newest("payment_intent");
    plans.stripe.pay_invoice(&invoice, Card::Good).expect("the card is good");
    plans.deliver_all().await;
    let all = plans.stripe.objects("invoice_payment");
    let intents = all.iter().filter(|payment| payment["invoice"] == invoice.as_str());
    let mut intents = intents.filter_map(|payment| payment["payment"]["payment_intent"].as_str()).rev();
    let other = intents.find(|intent| *intent != part).expect("it took the rest").to_owned();
    let billed = Billed { plans, payment: part };
    billed.balance_is(6_000_000).await;
    billed.refund(800);
    billed.balance_is(6_000_000).await;
    let _ = billed.plans.stripe.refund_elsewhere(&other, 500);
    billed.balance_is(5_700_000).await;
    billed.refund(1_200);
    billed.balance_is(4_500_000).await;
}

#[tokio::test]
async fn a_debt_at_stripe_that_was_paid_too_goes_back_first_and_what_stripe_had_stays_paid() {
    // What the customer owed there, what comes in, and what is left once all of it went back.
    for (owed, received, left) in [(500, 3_500, 3_000_000), (-1_000, 2_000, 4_000_000)] {
        let mut plans = Plans::started("basic").await;
        let customer = plans.newest("subscription")["customer"].as_str().expect("an id").to_owned();
        plans.stripe.set_customer_balance(&customer, owed);
        plans.run_days(29).await;
        let payment = plans.id_of_newest("payment_intent");
        let billed = Billed { plans, payment };
        billed.refund(500);
        billed.balance_is(if owed > 0 { 6_000_000 } else { 5_500_000 }).await;
        billed.refund(received - 500);
        billed.balance_is(left).await;
    }
}

/// A page that was paid after its subscription had ended here: what was paid was sent back.
async fn surplus() -> (Plans, String) {
    let plans = plans().await;
    plans.choose("basic").await;
    let page = plans.page();
    plans.end_here().await;
    plans.stripe.pay_checkout(&page, Card::Good).expect("the card is good");
    let payment = plans.id_of_newest("payment_intent");
    (plans, payment)
}

#[tokio::test]
async fn a_refund_of_surplus_money_that_fails_later_is_noted_once() {
    for status in ["failed", "canceled"] {
        let (plans, _) = surplus().await;
        plans.deliver_all().await;
        assert_eq!((plans.refunds(), plans.noted().await), (1, vec![3_000]));
        plans.stripe.finish_refund(&plans.id_of_newest("refund"), status);
        let events = plans.stripe.take_events();
        for webhook in events.iter().chain(&events) {
            assert_eq!(plans.deliver(webhook).await, 200, "{}", webhook.kind);
        }
        assert_eq!((plans.refunds(), plans.noted().await), (1, vec![3_000, 3_000]), "{status}");
        assert!(plans.why().await.contains("failed"), "{}", plans.why().await);
    }
}

#[tokio::test]
async fn surplus_money_that_went_back_another_way_after_a_refund_failed_is_not_noted_again() {
    let (plans, payment) = surplus().await;
    plans.deliver_all().await;
    plans.stripe.finish_refund(&plans.id_of_newest("refund"), "failed");
    let _ = plans.stripe.refund_elsewhere(&payment, 2_500);
    plans.deliver_all().await;
    assert_eq!(plans.noted().await, [500, 3_000], "as much as is still there");
    let (plans, payment) = surplus().await;
    plans.deliver_all().await;
    plans.stripe.finish_refund(&plans.id_of_newest("refund"), "failed");
    let _ = plans.stripe.refund_elsewhere(&payment, 3_000);
    plans.deliver_all().await;
    assert_eq!(plans.noted().await, [3_000]);
}

#[tokio::test]
async fn a_refund_at_stripe_of_surplus_money_that_fails_is_noted_too() {
    let (plans, payment) = surplus().await;
    let refund = plans.stripe.refund_elsewhere(&payment, 1_200);
    plans.deliver_all().await;
    assert_eq!((plans.refunds(), plans.noted().await), (2, vec![1_800]));
    plans.stripe.finish_refund(&refund, "failed");
    plans.deliver_all().await;
    assert_eq!((plans.refunds(), plans.noted().await), (2, vec![1_200, 1_800]));
}

#[tokio::test]
async fn a_noted_payment_is_left_to_the_operator_also_after_many_newer_notes() {
    let (plans, payment) = surplus().await;
    let dispute = plans.stripe.open_dispute(&payment, 3_000, "needs_response");
    plans.deliver_all().await;
    assert_eq!((plans.refunds(), plans.noted().await.len()), (0, 1), "what is disputed cannot be sent back");
    let note = async |number: usize| {
        let unmatched = UnmatchedPayment {
            payment: format!("stripe:pi_{number}").into(),
            cents: 1,
            currency: "eur".into(),
            workspace: None,
            why: "another currency".into(),
        };
        let submission = Submission {
            workspace: WorkspaceId::platform(),
            key: None,
            actor: Actor::System,
            command: Command::ReportUnmatched(unmatched),
        };
        let engine = plans.world.app.engine();
        engine.run(submission, plans.world.app.now()).await.expect("a healthy disk").expect("it is noted");
    };
    futures_util::future::join_all((0..bounds::UNMATCHED_KEPT).map(note)).await;
    plans.stripe.set_dispute_status(&dispute, "won");
    plans.deliver_all().await;
    assert_eq!((plans.refunds(), plans.balance().await), (0, 0));
}

#[tokio::test]
async fn what_goes_back_of_payments_that_are_not_there_is_noted_after_a_day() {
    let plans = plans().await;
    plans.start("basic").await;
    let _ = plans.stripe.refund_elsewhere(&plans.id_of_newest("payment_intent"), 200);
    let opened = plans.world.post("/v1/workspaces/acme/top-ups", "one", r#"{"amount_usd":"25.00"}"#).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    plans.stripe.pay_checkout(&plans.page(), Card::Good).expect("the card is good");
    let payment = plans.id_of_newest("payment_intent");
    let _ = plans.stripe.open_dispute(&payment, 2_500, "needs_response");
    let failed = plans.stripe.refund_elsewhere(&payment, 300);
    plans.stripe.finish_refund(&failed, "failed");
    let _ = plans.stripe.warn_of_fraud(&payment);
    plans.stripe.cancel_in_portal(&plans.id_of_newest("subscription"));
    // The directory is lost, and a backup from before is served.
    let World { app, clock, _dir } = plans.world;
    app.engine().close().await.expect("the engine closes");
    drop(app);
    let restored = world_of(&stripe_settings(&plans.stripe, &[("tax", "stripe")]), START * 1_000).await;
    restored.clock.store(clock.load(Ordering::Relaxed), Ordering::Relaxed);
    let plans = Plans { world: restored, ..plans };
    let mut walks = Reconciliation::default();
    let failing = async || plans.world.counted("tollkeeper_stripe_events_failing").await;
    plans.pass_seconds(300);
    walks.poll(&plans.world.app).await;
    assert!(failing().await > 5 && plans.noted().await.is_empty(), "it may be under way");
    for _ in 0..26 {
        plans.pass_seconds(3_600);
        walks.poll(&plans.world.app).await;
    }
    let mut noted = plans.noted().await;
    noted.sort_unstable();
    assert_eq!((noted, failing().await), (vec![200, 2_500, 2_500, 3_000], 0));
}

#[tokio::test]
async fn a_card_that_is_saved_while_the_last_one_is_removed_stays() {
    let plans = plans().await;
    let path = "/v1/workspaces/acme/payment-method";
    let save = async |card| {
        let page = plans.world.post(path, "", "").await;
        assert_eq!(page.status, 200, "{}", page.text);
        plans.stripe.pay_checkout(&plans.page(), card).expect("the card is good");
        plans.deliver_all().await;
    };
    save(Card::Good).await;
    plans.stripe.fail_next("POST", "/v1/payment_methods", Fault::HangAfter);
    let removes = plans.world.put("DELETE", path, "", "");
    let saves = async {
        while plans.stripe.hanging() == 0 {
            tokio::task::yield_now().await;
        }
        save(Card::GoodMastercard).await;
        plans.stripe.release_hanging();
    };
    let (removed, ()) = futures_util::join!(removes, saves);
    assert_eq!(removed.status, 204, "{}", removed.text);
    assert_eq!(plans.world.get(path).await.json()["brand"], "mastercard");
    assert_eq!(plans.world.put("DELETE", path, "", "").await.status, 204);
    assert_eq!(plans.world.get(path).await.status, 404);
    assert_eq!(plans.world.get(PATH).await.status, 404);
}
