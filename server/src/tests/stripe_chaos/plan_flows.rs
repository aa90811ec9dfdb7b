//! The flows of plans, which `flows` runs with one fault at each request.
//!
//! A run ends its plan, because all runs share a clock, and a plan that goes on would go on in the
//! runs of others. What the plan must have become is compared before.

use tollkeeper_testkit::stripe::{Card, Fault};

use super::flows::{Run, page_of};
use super::*;

/// Longer than a month, with the hours in which Stripe sends and collects an invoice.
const MONTH: i64 = 31 * DAY + 5 * HOUR;

/// The time after which a change that waits is over, here and at Stripe.
const OVER: i64 = 24 * HOUR;

/// What people do with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanFlow {
    /// A plan begins on a page.
    Start,
    /// Another plan is chosen before the page of the first one is paid.
    StartOther,
    /// The first page is left until it expires, and another one is paid.
    StartLate,
    /// A year is paid, and a month of it passes.
    Year,
    /// A period is paid with the saved card.
    Renew,
    /// The card is declined when a period begins, and the payer pays later.
    RenewLate,
    /// A dearer plan is paid with the saved card.
    Up,
    /// A dearer plan is chosen, the card is declined, and the payer pays on the page.
    UpLate,
    /// A dearer plan is chosen, the card is declined, and nobody pays.
    UpUnpaid,
    /// A dearer plan is chosen, the card is declined, and the old plan is chosen again.
    UpTakenBack,
    /// A dearer plan is chosen, and at once a still dearer one.
    UpTwice,
    /// A cheaper plan begins with the next period.
    Down,
    /// A cheaper plan is chosen, and then the old one again.
    DownTakenBack,
    /// A plan ends with its period.
    Cancel,
    /// An end is taken back.
    Resume,
    /// A plan ends, and another one begins.
    Anew,
    /// A plan is canceled while its page waits to be paid.
    CancelPending,
    /// Somebody cancels at Stripe's pages, and takes it back there.
    Elsewhere,
    /// Somebody ends the plan at Stripe's pages.
    EndElsewhere,
    /// A payment of a period is refunded in part, disputed, and the dispute is won.
    Loss,
}

pub const PLAN_FLOWS: [PlanFlow; 20] = [
    PlanFlow::Start,
    PlanFlow::StartOther,
    PlanFlow::StartLate,
    PlanFlow::Year,
    PlanFlow::Renew,
    PlanFlow::RenewLate,
    PlanFlow::Up,
    PlanFlow::UpLate,
    PlanFlow::UpUnpaid,
    PlanFlow::UpTakenBack,
    PlanFlow::UpTwice,
    PlanFlow::Down,
    PlanFlow::DownTakenBack,
    PlanFlow::Cancel,
    PlanFlow::Resume,
    PlanFlow::Anew,
    PlanFlow::CancelPending,
    PlanFlow::Elsewhere,
    PlanFlow::EndElsewhere,
    PlanFlow::Loss,
];

/// What a workspace has at the end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    periods: u64,
    changes: u64,
    cents: i64,
    lost_cents: i64,
    /// Whether it goes on at Stripe.
    goes_on: bool,
}

const fn end(periods: u64, changes: u64, cents: i64, goes_on: bool) -> End {
    End { periods, changes, cents, lost_cents: 0, goes_on }
}

impl PlanFlow {
    /// The plan that runs before the flow begins.
    const fn before(self) -> Option<&'static str> {
        match self {
            PlanFlow::Start
            | PlanFlow::StartOther
            | PlanFlow::StartLate
            | PlanFlow::Year
            | PlanFlow::CancelPending => None,
            PlanFlow::Down | PlanFlow::DownTakenBack => Some("pro"),
            _ => Some("basic"),
        }
    }

    const fn end(self) -> End {
        match self {
            PlanFlow::Start => end(1, 0, 3_000, true),
            PlanFlow::StartOther | PlanFlow::StartLate => end(1, 0, 6_000, true),
            PlanFlow::Year => end(1, 0, 10_000, true),
            PlanFlow::Renew | PlanFlow::RenewLate => end(2, 0, 6_000, true),
            // A change is asked for at the first second of a month, and costs all of it.
            PlanFlow::Up | PlanFlow::UpLate => end(1, 1, 6_000, true),
            PlanFlow::UpUnpaid | PlanFlow::UpTakenBack => end(1, 0, 3_000, true),
            PlanFlow::UpTwice => end(1, 2, 19_999, true),
            PlanFlow::Down => end(2, 0, 9_000, true),
            PlanFlow::DownTakenBack => end(2, 0, 12_000, true),
            PlanFlow::Cancel | PlanFlow::EndElsewhere => end(1, 0, 3_000, false),
            PlanFlow::Resume | PlanFlow::Elsewhere => end(2, 0, 6_000, true),
            PlanFlow::Anew => end(2, 0, 9_000, true),
            PlanFlow::CancelPending => end(0, 0, 0, false),
            PlanFlow::Loss => End { lost_cents: 700, ..end(1, 0, 3_000, true) },
        }
    }
}

impl Run<'_> {
    /// Chooses a plan. It may be refused for a moment, after another one ended or while a change is
    /// under way. A client gives up in the end.
    async fn choose(&self, plan: &str) -> Option<Reply> {
        for _ in 0..5 {
            let body = format!(r#"{{"plan":"{plan}"}}"#);
            let reply = self.ask("PUT", "subscription", "", &body).await?;
            if reply.status == 200 {
                return Some(reply);
            }
            assert_eq!(reply.status, 409, "{}", reply.text);
            self.turn().await;
        }
        None
    }

    async fn cancel_plan(&self) -> Option<Reply> {
        let reply = self.ask("DELETE", "subscription", "", "").await?;
        assert_eq!(reply.status, 200, "{}", reply.text);
        Some(reply)
    }

    /// Chooses a plan and pays its page.
    async fn start(&self, plan: &str) -> Option<()> {
        let page = page_of(&self.choose(plan).await?.json()["checkout_url"])?;
        self.pay_page(&page);
        self.turn().await;
        Some(())
    }

    fn pay_page(&self, page: &str) {
        if self.shop.stripe.object(page, &[])["status"] == "open" {
            self.shop.stripe.pay_checkout(page, Card::Good).expect("the card is good");
        }
    }

    /// The newest of this workspace's subscriptions at Stripe.
    fn at_stripe(&self) -> Option<Value> {
        let is_own = |one: &Value| one["metadata"]["workspace"] == self.name.as_str();
        self.shop.stripe.objects("subscription").into_iter().rfind(is_own)
    }

    fn id_at_stripe(&self) -> Option<String> {
        self.at_stripe().map(|one| text(&one, "id").to_owned())
    }

    fn set_card(&self, card: Card) -> Option<()> {
        let one = self.at_stripe()?;
        self.shop.stripe.set_card(text(&one, "default_payment_method"), card);
        Some(())
    }

    /// The payer pays what is open, on its page.
    fn pay_invoice(&self) -> Option<()> {
        let one = self.id_at_stripe()?;
        let is_own = |invoice: &&Value| {
            invoice["parent"]["subscription_details"]["subscription"] == one.as_str()
                && invoice["status"] == "open"
        };
        let invoices = self.shop.stripe.objects("invoice");
        if let Some(open) = invoices.iter().find(is_own) {
            self.shop.stripe.pay_invoice(text(open, "id"), Card::Good).expect("the card is good");
        }
        Some(())
    }

    /// Time passes while the server runs.
    async fn wait(&self, seconds: i64) {
        self.turn().await;
        self.shop.pass_seconds(seconds);
        self.turn().await;
        self.turn().await;
    }

    /// What must be there before a flow begins, without a fault.
    pub async fn prepare_plan(&self, flow: PlanFlow) {
        if let Some(plan) = flow.before() {
            self.start(plan).await.expect("the stand-in is well");
            self.shop.listen().await;
        }
    }

    pub async fn go_with_plan(&self, flow: PlanFlow) -> Option<()> {
        match flow {
            PlanFlow::Start => self.start("basic").await?,
            PlanFlow::StartOther => {
                self.choose("basic").await?;
                self.start("pro").await?;
            }
            PlanFlow::StartLate => {
                self.choose("pro").await?;
                self.wait(DAY).await;
                self.start("pro").await?;
            }
            PlanFlow::Year => {
                self.start("year").await?;
                self.wait(MONTH).await;
            }
            PlanFlow::Renew => self.wait(MONTH).await,
            PlanFlow::RenewLate => {
                self.set_card(Card::InsufficientFunds)?;
                self.wait(MONTH).await;
                self.pay_invoice()?;
            }
            PlanFlow::Up => {
                self.choose("pro").await?;
            }
            PlanFlow::UpLate => {
                self.set_card(Card::InsufficientFunds)?;
                self.choose("pro").await?;
                self.turn().await;
                self.pay_invoice()?;
            }
            PlanFlow::UpUnpaid => {
                self.set_card(Card::InsufficientFunds)?;
                self.choose("pro").await?;
                self.wait(OVER).await;
            }
            PlanFlow::UpTakenBack => {
                self.set_card(Card::InsufficientFunds)?;
                self.choose("pro").await?;
                self.choose("basic").await?;
                self.wait(OVER).await;
            }
            PlanFlow::UpTwice => {
                self.choose("pro").await?;
                self.choose("max").await?;
            }
            other => self.go_on_with_plan(other).await?,
        }
        self.turn().await;
        Some(())
    }

    /// The flows in which a plan becomes cheaper, ends, or loses its money.
    async fn go_on_with_plan(&self, flow: PlanFlow) -> Option<()> {
        let stripe = &self.shop.stripe;
        match flow {
            PlanFlow::Down => {
                self.choose("basic").await?;
                self.wait(MONTH).await;
            }
            PlanFlow::DownTakenBack => {
                self.choose("basic").await?;
                self.choose("pro").await?;
                self.wait(MONTH).await;
            }
            PlanFlow::Cancel => {
                self.cancel_plan().await?;
                self.wait(MONTH).await;
            }
            PlanFlow::Resume => {
                self.cancel_plan().await?;
                self.choose("basic").await?;
                self.wait(MONTH).await;
            }
            PlanFlow::Anew => {
                self.cancel_plan().await?;
                self.wait(MONTH).await;
                self.start("pro").await?;
            }
            PlanFlow::CancelPending => {
                self.choose("basic").await?;
                self.cancel_plan().await?;
            }
            PlanFlow::Elsewhere => {
                stripe.cancel_in_portal(&self.id_at_stripe()?);
                self.turn().await;
                stripe.resume_elsewhere(&self.id_at_stripe()?);
                // What was not heard at once is sent again within hours.
                self.wait(HOUR).await;
                self.wait(5 * HOUR).await;
                self.wait(MONTH).await;
            }
            PlanFlow::EndElsewhere => stripe.end_subscription(&self.id_at_stripe()?),
            PlanFlow::Loss => {
                let payments = stripe.objects("payment_intent");
                let customer = self.at_stripe()?["customer"].clone();
                let payment = payments.iter().find(|payment| payment["customer"] == customer)?;
                let payment = text(payment, "id");
                let _ = stripe.refund_elsewhere(payment, 700);
                self.turn().await;
                let dispute = stripe.open_dispute(payment, 900, "needs_response");
                self.turn().await;
                stripe.set_dispute_status(&dispute, "won");
            }
            other => unreachable!("{other:?} is no such flow"),
        }
        Some(())
    }

    /// After the end of all faults the plan must have become what the flow wants of it. Then it is
    /// ended at Stripe. `first` is the number of the first request of the flow.
    pub async fn end_plan(&self, flow: PlanFlow, fault: Option<Fault>, first: usize) {
        let name = format!("{} ({flow:?} with {fault:?})", self.name);
        self.shop.stripe.release_hanging();
        // What was not answered is repeated within these times, and what was not heard is found.
        for seconds in [10, 400, HOUR, 2 * HOUR] {
            self.shop.listen().await;
            self.shop.pass_seconds(seconds);
        }
        self.shop.walk().await;
        self.shop.listen().await;
        let sums = self.shop.assert_plans_agree(&self.name).await;
        let is = End {
            periods: sums.periods,
            changes: sums.changes,
            cents: sums.cents,
            lost_cents: sums.lost_cents,
            goes_on: sums.running > 0,
        };
        let is_other = is != flow.end() || sums.unmatched > 0;
        let requests = self.shop.stripe.requests();
        let requests = requests.iter().skip(first).map(|it| {
            let (method, path, status, fault) = (&it.method, &it.path, it.status, it.fault);
            format!("{method} {path} {status:?} {fault:?} {:?}", it.form)
        });
        let requests: Vec<String> = requests.collect();
        let may_be = self.may_end_otherwise(flow, fault);
        assert!(!is_other || may_be, "{name}: {is:?}, {sums:?} after {requests:#?}");
        let live = self.at_stripe().filter(|one| one["status"] != "canceled");
        if let Some(one) = live {
            self.shop.stripe.end_subscription(text(&one, "id"));
            self.shop.listen().await;
        }
    }

    /// True if a run comes to another end than without the fault: the client gave up, or the call
    /// of a change was not answered for so long that the change was dropped.
    fn may_end_otherwise(&self, flow: PlanFlow, fault: Option<Fault>) -> bool {
        let is_change = matches!(flow, PlanFlow::Up | PlanFlow::UpLate | PlanFlow::UpTwice);
        self.pause_seconds >= DAY || is_change && fault == Some(Fault::SavedError)
    }
}
