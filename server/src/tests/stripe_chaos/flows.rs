//! One fault at each request of each flow, all of them, with the repetition soon and after a day.
//!
//! A flow is run once without a fault, and its requests at the stand-in are counted. Then it is run
//! again for each of them with a fault there. All runs with one fault share a server, a workspace
//! each. What a client would repeat is repeated, after seconds or after 25 hours, when Stripe has
//! forgotten the keys. At the end of all the books must agree. What was repeated soon must have
//! come to the same end as without a fault.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;
use tollkeeper_testkit::stripe::{AfterRetries, Card, Fault};

use super::books::Besides;
use super::histories::FAULTS;
use super::plan_flows::{PLAN_FLOWS, PlanFlow};
use super::*;

/// How long the one request is waited for that hangs. On a busy machine it may arrive late, and it
/// must not take effect after the clock has moved.
const HANGS: Duration = Duration::from_secs(2);

/// How often a client sends a request that was answered with 503.
const TRIES: usize = 6;

/// What people do, from its begin to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// A top-up is paid on a page.
    TopUp,
    /// A top-up is paid on a page with a method that takes days.
    SlowTopUp,
    /// A card is saved, and removed.
    Card,
    /// Somebody visits the billing portal.
    Portal,
    /// A payment is refunded in part at Stripe's pages, then disputed, then the dispute is won.
    Loss,
    /// The balance is low, and the saved card pays.
    Automatic,
    /// The balance is low, and the saved card is declined.
    Declined,
    /// The balance is low, and the bank wants the holder of the card.
    Authentication,
    /// Money of a top-up is sent back.
    Refund,
    /// Money of a top-up is sent back, and does not reach the payer.
    LostRefund,
    /// Something with a plan.
    Plan(PlanFlow),
}

const FLOWS: [Flow; 10] = [
    Flow::TopUp,
    Flow::SlowTopUp,
    Flow::Card,
    Flow::Portal,
    Flow::Loss,
    Flow::Automatic,
    Flow::Declined,
    Flow::Authentication,
    Flow::Refund,
    Flow::LostRefund,
];

impl Flow {
    /// The payments that one run brings.
    const fn payments(self) -> u64 {
        match self {
            Flow::TopUp
            | Flow::SlowTopUp
            | Flow::Loss
            | Flow::Automatic
            | Flow::Refund
            | Flow::LostRefund => 1,
            Flow::Card | Flow::Portal | Flow::Declined | Flow::Authentication | Flow::Plan(_) => 0,
        }
    }

    /// What is lost in one run, of 25 dollars.
    const fn lost_cents(self) -> i64 {
        match self {
            Flow::Loss => 700,
            Flow::Refund => 1_000,
            _ => 0,
        }
    }

    /// The card that is saved before the flow begins.
    const fn saved_card(self) -> Option<Card> {
        match self {
            Flow::Automatic => Some(Card::Good),
            Flow::Declined => Some(Card::InsufficientFunds),
            Flow::Authentication => Some(Card::NeedsAuthentication),
            _ => None,
        }
    }

    /// True if it comes to its end also if Stripe forgets the keys in the middle: the job goes on,
    /// where a payer would begin anew.
    const fn ends_late(self) -> bool {
        !matches!(self, Flow::TopUp | Flow::SlowTopUp)
    }
}

/// One run of a flow by one workspace.
pub struct Run<'a> {
    pub shop: &'a Shop,
    pub name: String,
    /// The time until something is repeated.
    pub pause_seconds: i64,
}

impl Run<'_> {
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/workspaces/{}/{rest}", self.name)
    }

    /// What was sent arrives, and a moment passes, or the day after which Stripe forgets.
    pub async fn turn(&self) {
        self.shop.stripe.release_hanging();
        self.shop.deliver_due().await;
        self.shop.poll().await;
        self.shop.pass_seconds(self.pause_seconds);
        self.shop.deliver_due().await;
        self.shop.poll().await;
    }

    /// Sends a request until it is answered. A client gives up in the end.
    pub async fn ask(&self, method: &str, rest: &str, key: &str, body: &str) -> Option<Reply> {
        for _ in 0..TRIES {
            let reply = self.shop.ask(method, &self.path(rest), key, body).await;
            if reply.status != 503 {
                return Some(reply);
            }
            self.turn().await;
        }
        None
    }

    /// The id of the page whose address is answered.
    async fn page(&self, rest: &str, key: &str, body: &str) -> Option<String> {
        let reply = self.ask("POST", rest, key, body).await?;
        assert!(matches!(reply.status, 200 | 201), "{}", reply.text);
        let shown = reply.json();
        page_of(&shown["url"]).or(page_of(&shown["payment"]["checkout_url"]))
    }

    async fn pay(&self) -> Option<String> {
        let page = self.page("top-ups", "pay", r#"{"amount_usd":"25.00"}"#).await?;
        let is_open = self.shop.stripe.object(&page, &[])["status"] == "open";
        is_open.then(|| self.shop.stripe.pay_checkout(&page, Card::Good).expect("the card is good"));
        self.turn().await;
        self.shop.stripe.object(&page, &[])["payment_intent"].as_str().map(str::to_owned)
    }

    /// What must be there before a flow begins, without a fault.
    async fn prepare(&self, flow: Flow) {
        if let Some(card) = flow.saved_card() {
            let page = self.page("payment-method", "", "").await.expect("the stand-in is well");
            self.shop.stripe.pay_checkout(&page, Card::Good).expect("the card is good");
            self.shop.deliver_due().await;
            let setup = self.shop.stripe.object(&page, &["setup_intent"])["setup_intent"].clone();
            self.shop.stripe.set_card(text(&setup, "payment_method"), card);
        }
        match flow {
            Flow::Loss | Flow::Refund | Flow::LostRefund => {
                self.pay().await.expect("the stand-in is well");
            }
            Flow::Plan(flow) => self.prepare_plan(flow).await,
            _ => {}
        }
    }

    /// The only payment of the workspace.
    fn payment(&self) -> Option<String> {
        let is_own = |intent: &Value| intent["metadata"]["workspace"] == self.name.as_str();
        let payment = self.shop.stripe.objects("payment_intent").into_iter().find(is_own)?;
        Some(text(&payment, "id").to_owned())
    }

    /// Money of the only top-up is sent back; returns the refund at the stand-in.
    async fn refund(&self) -> Option<String> {
        let top_ups = self.ask("GET", "top-ups", "", "").await?.json();
        let top_up = text(&top_ups["data"][0], "id").to_owned();
        let body = r#"{"amount_usd":"10.00","reason":"asked"}"#;
        let reply = self.ask("POST", &format!("top-ups/{top_up}/refund"), "back", body).await?;
        assert_eq!(reply.status, 201, "{}", reply.text);
        let payment = self.payment()?;
        // A call that left nothing is begun anew some minutes later.
        for _ in 0..20 {
            self.turn().await;
            self.shop.pass_seconds(300);
            self.shop.poll().await;
            let refunds = self.shop.stripe.objects("refund").into_iter();
            let mut refunds = refunds.filter(|refund| refund["payment_intent"] == payment.as_str());
            if let Some(refund) = refunds.next() {
                return Some(text(&refund, "id").to_owned());
            }
        }
        None
    }

    async fn go(&self, flow: Flow) -> Option<()> {
        let stripe = &self.shop.stripe;
        match flow {
            Flow::TopUp => {
                self.pay().await?;
            }
            Flow::SlowTopUp => {
                let page = self.page("top-ups", "pay", r#"{"amount_usd":"25.00"}"#).await?;
                if stripe.object(&page, &[])["status"] == "open" {
                    let payment = stripe.pay_checkout_delayed(&page);
                    self.turn().await;
                    stripe.settle_delayed(&payment, true);
                }
            }
            Flow::Card => {
                let page = self.page("payment-method", "", "").await?;
                if stripe.object(&page, &[])["status"] == "open" {
                    stripe.pay_checkout(&page, Card::Good).expect("the card is good");
                }
                self.turn().await;
                let removed = self.ask("DELETE", "payment-method", "", "").await?;
                assert_eq!(removed.status, 204, "{}", removed.text);
            }
            Flow::Portal => {
                let shown = self.ask("POST", "billing-portal", "", "").await?;
                assert_eq!(shown.status, 200, "{}", shown.text);
            }
            Flow::Loss => {
                let payment = self.payment()?;
                let _ = stripe.refund_elsewhere(&payment, 700);
                self.turn().await;
                let dispute = stripe.open_dispute(&payment, 900, "needs_response");
                self.turn().await;
                stripe.set_dispute_status(&dispute, "won");
            }
            Flow::Automatic | Flow::Declined | Flow::Authentication => {
                let rule = r#"{"threshold_usd":"5.00","amount_usd":"25.00","monthly_cap_usd":"25.00"}"#;
                let set = self.ask("PUT", "auto-top-up", "", rule).await?;
                assert_eq!(set.status, 200, "{}", set.text);
                self.turn().await;
            }
            Flow::Refund => {
                self.refund().await?;
            }
            Flow::LostRefund => {
                stripe.set_refund_status("pending");
                let refund = self.refund().await?;
                stripe.finish_refund(&refund, "failed");
            }
            Flow::Plan(flow) => self.go_with_plan(flow).await?,
        }
        self.turn().await;
        Some(())
    }
}

/// The page that an address shows.
pub fn page_of(url: &Value) -> Option<String> {
    let (_, page) = url.as_str()?.rsplit_once('/')?;
    Some(page.to_owned())
}

/// Runs a flow with a fault at each of its requests, or at each `step`th, repeated after
/// `pause_seconds`; returns the number of runs.
async fn run_with(flow: Flow, fault: Fault, pause_seconds: i64, step: usize) -> usize {
    let hangs = matches!(fault, Fault::HangBefore | Fault::HangAfter);
    let answer = if hangs { HANGS } else { Times::default().answer };
    let shop = Shop::open(answer, AfterRetries::PastDue, Place::Directory).await;
    let mut workspaces = BTreeMap::new();
    let count = |shop: &Shop| shop.stripe.requests().len();
    let (mut places, mut place) = (1, 0);
    while place < places {
        let name = format!("w{}", workspaces.len());
        shop.add_workspace(&name).await;
        workspaces.insert(name.clone(), Besides::default());
        let run = Run { shop: &shop, name, pause_seconds };
        run.prepare(flow).await;
        let first = count(&shop);
        // The first run has none, and shows how many requests there are.
        let fault = (place > 0).then_some(fault);
        if let Some(fault) = fault {
            shop.stripe.fail_request(first + place - 1, fault);
        }
        run.go(flow).await;
        if place == 0 {
            places = 1 + count(&shop) - first;
        }
        shop.stripe.clear_faults();
        if let Flow::Plan(flow) = flow {
            run.end_plan(flow, fault, first).await;
        }
        place += if place == 0 { 1 } else { step };
    }
    let runs = workspaces.len();
    shop.settle().await;
    let counted = shop.assert_books_agree(&workspaces).await;
    if flow.ends_late() || pause_seconds < DAY {
        let lost_cents = flow.lost_cents() * i64::try_from(runs).expect("they are few");
        assert_eq!(
            (counted.payments, counted.lost_cents),
            (flow.payments() * runs as u64, lost_cents),
            "it came to another end"
        );
    }
    runs
}

#[tokio::test]
async fn one_fault_at_each_request_of_each_flow_changes_no_book() {
    one_fault_at_each_request(10).await;
}

#[tokio::test]
async fn one_fault_whose_request_is_repeated_a_day_later_changes_no_book() {
    one_fault_at_each_request(25 * HOUR).await;
}

/// Runs each flow with each fault at each of its requests, repeated after `pause_seconds`.
async fn one_fault_at_each_request(pause_seconds: i64) {
    // The cases whose names hold this text run alone.
    let wanted = std::env::var("TOLLKEEPER_FLOW").ok();
    let flows: Vec<Flow> = FLOWS.into_iter().chain(PLAN_FLOWS.map(Flow::Plan)).collect();
    let mut cases: Vec<(String, Flow, Fault, usize)> = Vec::new();
    for (number, &flow) in flows.iter().enumerate() {
        // Months pass in the flows of plans, which takes longer. So does what waits for a day.
        let (soon, late, step): (_, _, usize) =
            if matches!(flow, Flow::Plan(_)) { (12, 60, 4) } else { (8, 24, 1) };
        let part = if pause_seconds < DAY { soon } else { late };
        let step = if wanted.is_some() { 1 } else { step };
        for (other, fault) in FAULTS.into_iter().enumerate() {
            let name = format!("{flow:?} with {fault:?}, repeated after {pause_seconds} s");
            // Every day a part of them, in which each fault and each flow occurs.
            let is_of_today = is_long() || (5 * number + other).is_multiple_of(part);
            if wanted.as_ref().map_or(is_of_today, |wanted| name.contains(wanted)) {
                cases.push((name, flow, fault, step));
            }
        }
    }
    let runs = cases.into_iter().map(|(name, flow, fault, step)| async move {
        named(name, run_with(flow, fault, pause_seconds, step)).await
    });
    let ended: Vec<Result<usize, String>> = stream::iter(runs).buffer_unordered(AT_ONCE).collect().await;
    let failed: Vec<&String> = ended.iter().filter_map(|ended| ended.as_ref().err()).collect();
    assert_eq!(failed, Vec::<&String>::new(), "these flows failed");
    let runs: Vec<usize> = ended.into_iter().flatten().collect();
    println!("{} servers, {} runs of {} flows", runs.len(), runs.iter().sum::<usize>(), flows.len());
}
