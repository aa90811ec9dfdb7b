//! A top-up of which half is spent, and its money goes back and comes again, with the stand-in.
//! What is lost takes its credit, and what is spent of that is a debt (i13).

use tollkeeper_engine::embedded::audit;
use tollkeeper_testkit::stripe::Card;

use super::stripe_top_ups::{Paid, paid_world};
use super::*;

/// What happens to the money at Stripe. Refunds and disputes are numbered from 0.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An operator sends cents back.
    Refund(i64),
    /// A refund does not reach the payer.
    Fails(usize),
    /// The payer disputes cents.
    Dispute(i64),
    /// A dispute is won.
    Won(usize),
    /// A dispute is lost.
    Lost(usize),
}

use Step::{Dispute, Fails, Lost, Refund, Won};

/// A step, and the credit and the debt after it, worked out by hand: 1,250,000 of the 2,500,000 are
/// spent, and a cent is 1,000.
type Line = (Step, i64, i64);

const AS_NAMED: &[Line] = &[
    (Refund(1_000), 250_000, 0),
    // 2,500 cents are lost: of the credit 1,250,000 are there.
    (Dispute(1_500), 0, 1_250_000),
    (Won(0), 250_000, 0),
    (Refund(1_500), 0, 1_250_000),
    (Fails(1), 250_000, 0),
    (Fails(0), 1_250_000, 0),
];

const DISPUTED_FIRST: &[Line] = &[
    (Dispute(2_500), 0, 1_250_000),
    // No more can be lost than was paid.
    (Refund(1_000), 0, 1_250_000),
    (Won(0), 250_000, 0),
    (Refund(1_500), 0, 1_250_000),
    (Fails(1), 250_000, 0),
];

const REFUNDED_FIRST: &[Line] = &[
    (Refund(2_500), 0, 1_250_000),
    (Fails(0), 1_250_000, 0),
    (Refund(1_000), 250_000, 0),
    (Dispute(1_500), 0, 1_250_000),
    (Won(0), 250_000, 0),
];

const LOST_AND_WON_ON_APPEAL: &[Line] = &[
    (Dispute(1_300), 0, 50_000),
    (Lost(0), 0, 50_000),
    (Refund(1_000), 0, 1_050_000),
    (Fails(0), 0, 50_000),
    (Refund(1_200), 0, 1_250_000),
    (Won(0), 50_000, 0),
    (Fails(1), 1_250_000, 0),
];

const ORDERS: [&[Line]; 4] = [AS_NAMED, DISPUTED_FIRST, REFUNDED_FIRST, LOST_AND_WON_ON_APPEAL];

/// Who paid 25.00 for a top-up and has spent half of its credit.
struct Payer {
    paid: Paid,
    payment: String,
    refunds: Vec<String>,
    disputes: Vec<String>,
}

async fn payer() -> Payer {
    let paid = paid_world().await;
    let opened = paid.world.post("/v1/workspaces/acme/top-ups", "one", r#"{"amount_usd":"25.00"}"#).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    paid.stripe.pay_checkout(&paid.page(), Card::Good).expect("the card is good");
    paid.deliver_all().await;
    let half = paid.world.charge("half", r#"{"operation":"product_listing","quantity":250}"#).await;
    assert_eq!((half.status, paid.world.balance().await), (201, (1_250_000, 0)), "{}", half.text);
    let payment = paid.stripe.object(&paid.page(), &[])["payment_intent"].as_str().expect("an id").to_owned();
    Payer { paid, payment, refunds: Vec::new(), disputes: Vec::new() }
}

impl Payer {
    fn take(&mut self, step: Step) {
        let stripe = &self.paid.stripe;
        match step {
            Refund(cents) => self.refunds.push(stripe.refund_elsewhere(&self.payment, cents)),
            Fails(number) => stripe.finish_refund(&self.refunds[number], "failed"),
            Dispute(cents) => {
                self.disputes.push(stripe.open_dispute(&self.payment, cents, "needs_response"));
            }
            Won(number) => stripe.set_dispute_status(&self.disputes[number], "won"),
            Lost(number) => stripe.set_dispute_status(&self.disputes[number], "lost"),
        }
    }

    /// The credit and the debt.
    async fn holds(&self) -> (i64, i64) {
        let balance = self.paid.world.get("/v1/workspaces/acme/balance").await.json();
        let amount = |name: &str| balance[name].as_i64().expect("balances are integers");
        (amount("available"), amount("debt"))
    }

    /// Closes the ledger, of which an audit finds nothing.
    async fn audit(self) {
        let World { app, clock: _, _dir } = self.paid.world;
        app.engine().close().await.expect("the engine closes");
        drop(app);
        let report = audit(&_dir.path().join("data")).expect("it can be audited");
        assert!(report.disagreement.is_none(), "{:?}", report.disagreement);
    }
}

#[tokio::test]
async fn a_half_spent_top_up_owes_what_is_lost_of_the_spent_half_in_every_order() {
    for (number, order) in ORDERS.into_iter().enumerate() {
        let mut payer = payer().await;
        for &(step, available, debt) in order {
            payer.take(step);
            payer.paid.deliver_all().await;
            assert_eq!(payer.holds().await, (available, debt), "order {number}: after {step:?}");
        }
        payer.audit().await;
    }
}

#[tokio::test]
async fn events_that_come_late_twice_and_in_reverse_leave_what_the_last_one_left() {
    for (number, order) in ORDERS.into_iter().enumerate() {
        let mut payer = payer().await;
        for &(step, ..) in order {
            payer.take(step);
        }
        let mut events = payer.paid.stripe.take_events();
        events.reverse();
        for webhook in events.iter().chain(&events) {
            let headers: Vec<(&str, &str)> =
                webhook.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let world = &payer.paid.world;
            let reply = world.ask("POST", "/webhooks/stripe", &headers, webhook.body.clone()).await;
            assert_eq!(reply.status, 200, "{}: {}", webhook.kind, reply.text);
        }
        let &(_, available, debt) = order.last().expect("an order has steps");
        assert_eq!(payer.holds().await, (available, debt), "order {number}");
        payer.audit().await;
    }
}

#[tokio::test]
async fn credit_that_comes_while_a_half_spent_top_up_is_lost_pays_the_debt_first() {
    let mut payer = payer().await;
    payer.take(Refund(2_500));
    payer.paid.deliver_all().await;
    assert_eq!(payer.holds().await, (0, 1_250_000));
    payer.paid.world.grant("acme", "gift", 2_000_000).await;
    assert_eq!(payer.holds().await, (750_000, 0));
    payer.take(Fails(0));
    payer.paid.deliver_all().await;
    assert_eq!(payer.holds().await, (3_250_000, 0), "what was taken comes back, once");
    payer.audit().await;
}
