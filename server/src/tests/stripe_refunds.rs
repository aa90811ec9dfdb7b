//! Payment refunds of top-ups that were paid at Stripe, with the stand-in: the credit is taken
//! first, the money is sent once, and what does not arrive gives the credit back.

use futures_util::future::join_all;
use tollkeeper_ledger::{PaymentCommand, TopUpBounds, TopUpWay};
use tollkeeper_testkit::stripe::{Card, Fault};

use super::stripe_top_ups::{Paid, paid_world};
use super::*;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::polling::Polling;
use crate::jobs::reconciliation::Reconciliation;
use crate::payments::stripe::calls::{Marks, PAYMENT_REFUND};
use crate::payments::stripe::client::CallKey;
use crate::payments::stripe::objects::ObjectId;
use crate::payments::stripe::provider::ledger_name;

const TOP_UPS: &str = "/v1/workspaces/acme/top-ups";
const CALL: &str = "/v1/refunds";
const TEN: &str = r#"{"amount_usd":"10.00","reason":"asked"}"#;
const ALL: &str = r#"{"reason":"asked"}"#;

/// A workspace that paid 25.00 for a top-up, and 4.75 tax.
struct Payer {
    paid: Paid,
    path: String,
    payment: String,
    job: DuePayments,
}

async fn payer() -> Payer {
    let paid = paid_world().await;
    paid.stripe.set_tax_basis_points(1_900);
    let top_up = paid.world.post(TOP_UPS, "one", r#"{"amount_usd":"25.00"}"#).await.id();
    paid.stripe.pay_checkout(&paid.page(), Card::Good).expect("the card is good");
    paid.deliver_all().await;
    assert_eq!(paid.world.balance().await, (2_500_000, 0));
    let payment = paid.stripe.object(&paid.page(), &[])["payment_intent"].as_str().expect("an id").to_owned();
    Payer { path: format!("{TOP_UPS}/{top_up}/refund"), paid, payment, job: DuePayments::default() }
}

impl Payer {
    /// Asks for a refund; returns its status in the answer.
    async fn refund(&self, key: &str, body: &str) -> String {
        let refunded = self.paid.world.post(&self.path, key, body).await;
        assert_eq!(refunded.status, 201, "{}", refunded.text);
        refunded.json()["status"].as_str().expect("a status").to_owned()
    }

    async fn poll(&mut self) {
        self.job.poll(&self.paid.world.app).await;
    }

    /// Polls once; returns how often Stripe was asked.
    async fn asks(&mut self) -> usize {
        let before = self.paid.stripe.requests().len();
        self.poll().await;
        self.paid.stripe.requests().len() - before
    }

    async fn available(&self) -> i64 {
        self.paid.world.balance().await.0
    }

    fn refunds(&self) -> Vec<Value> {
        self.paid.stripe.objects("refund")
    }

    fn refund_id(&self) -> String {
        let refunds = self.refunds();
        assert_eq!(refunds.len(), 1, "the money is sent once");
        refunds[0]["id"].as_str().expect("an id").to_owned()
    }

    async fn newest_kind(&self) -> Value {
        self.paid.world.get("/v1/workspaces/acme/entries").await.json()["data"][0]["kind"].clone()
    }
}

#[tokio::test]
async fn a_refund_sends_the_money_with_its_tax_once() {
    let mut payer = payer().await;
    let answer = payer.paid.world.post(&payer.path, "ten", TEN).await;
    assert_eq!((answer.status, &answer.json()["status"]), (201, &"succeeded".into()));
    assert_eq!(payer.available().await, 1_500_000);
    let sent = payer.paid.stripe.object(&payer.refund_id(), &[]);
    assert_eq!((&sent["amount"], &sent["payment_intent"]), (&1_190.into(), &payer.payment.as_str().into()));
    assert_eq!(sent["metadata"]["payment_refund"], answer.id());
    let again = payer.paid.world.post(&payer.path, "ten", TEN).await;
    assert_eq!(
        (again.text.as_str(), again.header("idempotent-replayed")),
        (answer.text.as_str(), Some("true"))
    );
    payer.paid.deliver_all().await;
    payer.poll().await;
    assert_eq!(
        (payer.available().await, payer.paid.posts(CALL)),
        (1_500_000, 1),
        "its own refund counts once"
    );

    assert_eq!(payer.refund("rest", ALL).await, "succeeded");
    payer.paid.deliver_all().await;
    let sent: i64 = payer.refunds().iter().filter_map(|refund| refund["amount"].as_i64()).sum();
    assert_eq!((sent, payer.available().await), (2_975, 0), "all that was paid went back");
    payer.paid.world.post(&payer.path, "more", ALL).await.problem(409, "nothing_to_refund");
}

#[tokio::test]
async fn what_becomes_of_a_refund_later_is_followed() {
    for (begins, ends, available, kind) in [
        ("pending", "succeeded", 1_500_000, "payment_refund.succeeded"),
        ("pending", "failed", 2_500_000, "claw_back.reduced"),
        ("requires_action", "canceled", 2_500_000, "claw_back.reduced"),
        ("succeeded", "failed", 2_500_000, "claw_back.reduced"),
    ] {
        let mut payer = payer().await;
        payer.paid.stripe.set_refund_status(begins);
        let status = payer.refund("ten", TEN).await;
        assert_eq!(status, if begins == "succeeded" { begins } else { "pending" });
        assert_eq!(payer.available().await, 1_500_000, "the credit is taken first");
        payer.paid.deliver_all().await;
        payer.poll().await;
        assert_eq!(payer.available().await, 1_500_000);
        payer.paid.stripe.finish_refund(&payer.refund_id(), ends);
        payer.paid.deliver_all().await;
        assert_eq!(payer.available().await, available, "{begins}, then {ends}");
        assert_eq!(payer.newest_kind().await, kind, "{begins}, then {ends}");
        let shown = payer.refund("ten", TEN).await;
        assert_eq!(
            shown,
            if ends == "succeeded" { ends } else { "failed" },
            "a repetition shows it as it is"
        );
        assert_eq!(payer.paid.posts(CALL), 1);
    }
}

#[tokio::test]
async fn a_call_that_goes_wrong_sends_the_money_once() {
    for (fault, times) in [
        (Fault::ErrorBefore, 1),
        (Fault::ErrorAfter, 1),
        (Fault::SavedError, 1),
        (Fault::SavedErrorAfter, 1),
        (Fault::CutBefore, 1),
        (Fault::CutAfter, 1),
        (Fault::GarbledAfter, 1),
        (Fault::KeyInUse, 3),
    ] {
        for night in [0, 25 * 3_600] {
            let mut payer = payer().await;
            (0..times).for_each(|_| payer.paid.stripe.fail_next("POST", CALL, fault));
            assert_eq!(payer.refund("ten", TEN).await, "pending", "{fault:?}");
            assert_eq!(payer.available().await, 1_500_000);
            payer.paid.pass_seconds(night);
            for _ in 0..8 {
                payer.poll().await;
                payer.paid.pass_seconds(60);
            }
            assert_eq!(payer.refund("ten", TEN).await, "succeeded", "{fault:?}");
            payer.refund_id();
            payer.paid.deliver_all().await;
            assert_eq!(payer.available().await, 1_500_000, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn an_event_may_come_before_the_answer() {
    let mut payer = payer().await;
    payer.paid.stripe.fail_next("POST", CALL, Fault::CutAfter);
    assert_eq!(payer.refund("ten", TEN).await, "pending");
    payer.paid.deliver_all().await;
    assert_eq!(payer.newest_kind().await, "payment_refund.placed");
    payer.poll().await;
    assert_eq!(payer.refund("ten", TEN).await, "succeeded");
    assert_eq!((payer.paid.posts(CALL), payer.available().await), (1, 1_500_000));
}

#[tokio::test]
async fn racing_requests_under_one_key_send_the_money_once() {
    let payer = payer().await;
    let answers = join_all((0..8).map(async |_| payer.refund("ten", TEN).await)).await;
    assert_eq!(answers.len(), 8);
    payer.refund_id();
    assert_eq!((payer.refund("ten", TEN).await.as_str(), payer.available().await), ("succeeded", 1_500_000));
}

#[tokio::test]
async fn a_refund_that_stripe_refuses_gives_the_credit_back() {
    let payer = payer().await;
    let dispute = payer.paid.stripe.open_dispute(&payer.payment, 595, "needs_response");
    assert_eq!(payer.refund("ten", TEN).await, "failed", "what is disputed cannot be refunded");
    assert_eq!(payer.available().await, 2_500_000);
    payer.paid.deliver_all().await;
    assert_eq!(payer.available().await, 2_000_000, "the dispute takes its part, without the tax");
    payer.paid.stripe.set_dispute_status(&dispute, "won");
    payer.paid.deliver_all().await;
    assert_eq!(payer.refund("ten", TEN).await, "failed");
    assert_eq!(payer.refund("again", TEN).await, "succeeded");
    assert_eq!(payer.available().await, 1_500_000);
}

#[tokio::test]
async fn a_refund_that_is_disputed_while_it_is_under_way_takes_what_was_paid_at_the_most() {
    let payer = payer().await;
    payer.paid.stripe.set_refund_status("pending");
    assert_eq!(payer.refund("ten", TEN).await, "pending");
    let _ = payer.paid.stripe.open_dispute(&payer.payment, 2_975, "needs_response");
    payer.paid.deliver_all().await;
    assert_eq!(payer.available().await, 0, "all is lost, and not more than all");
    payer.paid.stripe.finish_refund(&payer.refund_id(), "failed");
    payer.paid.deliver_all().await;
    assert_eq!(payer.available().await, 0, "the dispute still takes all");
}

#[tokio::test]
async fn a_refund_that_this_ledger_does_not_know_is_lost_elsewhere() {
    let payer = payer().await;
    let known = payer.paid.world.post(&payer.path, "ten", TEN).await.id();
    let stripe = payer.paid.world.app.stripe.as_ref().expect("the settings name it");
    let ledger = ledger_name(&payer.paid.world.app.engine().platform());
    // Of a backup that was restored since, and a second one in the name of the first.
    for (name, key) in [("pr_01991234-5678-7abc-bfff-0123456789ab", "a"), (known.as_str(), "b")] {
        let marks = Marks { ledger: &ledger, workspace: "acme", subject: Some((PAYMENT_REFUND, name)) };
        let payment = ObjectId::new(&payer.payment).expect("an id");
        let client = stripe.client().expect("it has a key");
        client.refund(&payment, 595, &marks, &CallKey::new(key)).await.expect("the stand-in is well");
    }
    payer.paid.deliver_all().await;
    assert_eq!(payer.available().await, 500_000, "twice 5.00 went besides the 10.00");
    payer.paid.deliver_all().await;
    assert_eq!(payer.refund("ten", TEN).await, "succeeded");
}

#[tokio::test]
async fn money_that_the_platform_confirmed_is_sent_by_the_platform() {
    let payer = payer().await;
    let (way, allowed) = (TopUpWay::Manual, TopUpBounds::WIDEST);
    let open = PaymentCommand::OpenTopUp { cents: 2_500, way, allowed };
    payer.paid.world.report("acme", open).await;
    let id = payer.paid.world.get(TOP_UPS).await.json()["data"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(payer.paid.world.post(&format!("{TOP_UPS}/{id}/confirm"), "", "").await.status, 200);
    let refunded = payer.paid.world.post(&format!("{TOP_UPS}/{id}/refund"), "hand", TEN).await;
    assert_eq!(refunded.json()["status"], "succeeded");
    assert_eq!((payer.paid.posts(CALL), payer.available().await), (0, 4_000_000));
}

#[tokio::test]
async fn what_is_left_after_a_part_went_back_elsewhere_goes_back_whole() {
    let payer = payer().await;
    // 0.07 with its tax is 0.0588 without.
    let _ = payer.paid.stripe.refund_elsewhere(&payer.payment, 7);
    payer.paid.deliver_all().await;
    assert_eq!(payer.refund("rest", ALL).await, "succeeded");
    assert_eq!(payer.available().await, 0);
    let sent: i64 = payer.refunds().iter().filter_map(|refund| refund["amount"].as_i64()).sum();
    assert_eq!(sent, 7 + 2_967, "2,494 cents and their tax, rounded down");
}

#[tokio::test]
async fn without_stripe_its_money_cannot_be_sent_back() {
    let payer = payer().await;
    payer.paid.stripe.fail_next("POST", CALL, Fault::CutBefore);
    assert_eq!(payer.refund("ten", TEN).await, "pending");
    let Payer { paid, path, .. } = payer;
    let World { app, clock, _dir } = paid.world;
    app.engine().close().await.expect("the engine closes");
    drop(app);
    let app = open(_dir.path(), &settings(), &clock);
    let world = World { app: app.into(), clock, _dir };
    let refused = world.post(&path, "more", TEN).await.problem(422, "invalid_field");
    assert_eq!(refused["field"], "top_up");
    DuePayments::default().poll(&world.app).await;
    assert_eq!(world.balance().await.0, 1_500_000, "it waits for the settings");
}

#[tokio::test]
async fn what_became_of_a_refund_is_asked_daily_because_no_event_may_be_left() {
    const DAY: i64 = 86_400;
    for (ends, available) in [("failed", 2_500_000), ("canceled", 2_500_000), ("succeeded", 1_500_000)] {
        let mut payer = payer().await;
        payer.paid.stripe.set_refund_status("pending");
        assert_eq!(payer.refund("ten", TEN).await, "pending");
        payer.paid.deliver_all().await;
        assert_eq!(payer.asks().await, 0);
        payer.paid.pass_seconds(DAY);
        assert!(payer.asks().await > 0, "a day has passed");
        assert_eq!(payer.paid.world.counted("tollkeeper_payment_work_failing").await, 0);
        payer.paid.pass_seconds(DAY - 1);
        assert_eq!(payer.asks().await, 0);
        payer.paid.pass_seconds(1);
        assert!(payer.asks().await > 0, "another day has passed");

        // No server runs for longer than Stripe lists an event.
        payer.paid.stripe.finish_refund(&payer.refund_id(), ends);
        drop(payer.paid.stripe.take_events());
        payer.paid.pass_seconds(31 * DAY);
        Reconciliation::default().poll(&payer.paid.world.app).await;
        assert_eq!(payer.available().await, 1_500_000, "no event says it");
        payer.job = DuePayments::default();
        assert!(payer.asks().await > 0);
        assert_eq!(payer.available().await, available, "{ends}");
        payer.paid.pass_seconds(2 * DAY);
        assert_eq!(payer.asks().await, 0, "{ends}: nothing waits any more");
    }
}
