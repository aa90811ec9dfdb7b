//! Fetches an object of Stripe and tells the ledger what it says now.
//!
//! The commands say what is, so an object may be observed any number of times, late, and in any
//! order: after a webhook event, when a payer comes back, or when a job looks for lost events. An
//! object belongs to this ledger if it carries the ledger's name. If it does, and its workspace or
//! top-up is not there, the caller tries again later: it may be under way, or this is a restored
//! copy. When something is observed is not here.
//!
//! ```text
//! top_ups        pages on which top-ups are paid, and payments
//! cards          saved and removed cards, deleted customers
//! losses         refunds, disputes, warnings of fraud
//! events         events of Stripe's list
//! subscriptions  subscriptions and their invoices
//! invoices       what a paid invoice paid for
//! missing        money whose top-up or subscription is not there
//! surplus        subscriptions that are not the workspace's
//! ```

mod cards;
mod events;
mod invoices;
mod losses;
mod missing;
mod subscriptions;
mod surplus;
mod top_ups;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tollkeeper_engine::{Error, Reads};
use tollkeeper_ledger::{
    Actor, Command, PaymentRefundId, Payments, Refusal, Submission, TopUpId, UnmatchedPayment, WorkspaceId,
};

use super::calls::{LEDGER, TOP_UP, WORKSPACE};
use super::client::Client;
use super::error::StripeError;
use super::objects::{EventData, Metadata, ObjectId, PaymentIntent, Refund};
use super::provider::{Stripe, ledger_name};
use crate::app::App;

pub use events::is_known;
pub use missing::report_missing;

/// The kind of an object that can be observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A page on which a top-up is paid or a card is saved.
    Checkout,
    /// A payment.
    Payment,
    /// Money that goes back to the payer.
    Refund,
    /// The payer's bank asks for the money back.
    Dispute,
    /// A payment is probably fraudulent.
    FraudWarning,
    /// A saved card.
    PaymentMethod,
    /// The record of a workspace.
    Customer,
    /// A bill of a subscription.
    Invoice,
    /// A plan that runs.
    Subscription,
}

impl Subject {
    /// What to fetch after an event of this type; `None` if nothing follows from it.
    #[must_use]
    pub fn of_event(kind: &str) -> Option<Subject> {
        let (noun, verb) = kind.rsplit_once('.')?;
        Some(match (noun, verb) {
            (
                "checkout.session",
                "completed" | "async_payment_succeeded" | "async_payment_failed" | "expired",
            ) => Subject::Checkout,
            ("payment_intent", "succeeded" | "payment_failed" | "canceled") => Subject::Payment,
            ("refund", "created" | "updated" | "failed") => Subject::Refund,
            ("charge.dispute", _) => Subject::Dispute,
            ("radar.early_fraud_warning", "created") => Subject::FraudWarning,
            ("payment_method", "detached" | "automatically_updated") => Subject::PaymentMethod,
            ("customer", "deleted") => Subject::Customer,
            (
                "invoice",
                "paid" | "payment_failed" | "payment_action_required" | "voided" | "marked_uncollectible",
            ) => Subject::Invoice,
            (
                "customer.subscription",
                "created" | "updated" | "deleted" | "pending_update_applied" | "pending_update_expired",
            ) => Subject::Subscription,
            _ => return None,
        })
    }

    /// The name, for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Subject::Checkout => "checkout session",
            Subject::Payment => "payment",
            Subject::Refund => "refund",
            Subject::Dispute => "dispute",
            Subject::FraudWarning => "fraud warning",
            Subject::PaymentMethod => "payment method",
            Subject::Customer => "customer",
            Subject::Invoice => "invoice",
            Subject::Subscription => "subscription",
        }
    }
}

/// What an event says that Stripe says no more. It only tells where to look.
#[derive(Clone, Debug, Default)]
pub struct Hint {
    /// Whose a removed card was.
    pub customer_before: Option<ObjectId>,
    /// Our own words on a deleted customer.
    pub metadata: Metadata,
}

impl Hint {
    /// What an event says.
    #[must_use]
    pub fn of(data: &EventData) -> Hint {
        let customer_before = data.previous_attributes.as_ref().and_then(|before| before.customer.clone());
        Hint { customer_before, metadata: data.object.metadata.clone() }
    }
}

/// Whose an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// It is this ledger's, which knows now what it says.
    Ours,
    /// It is not this ledger's.
    Foreign,
    /// Money of this ledger that fits nothing, so no credit was granted. An operator must look.
    Unmatched,
}

/// Why an object must be observed again later.
#[derive(Debug)]
pub enum NotObserved {
    /// Stripe gave no answer that can be used.
    Stripe(StripeError),
    /// The engine could not read or write.
    Store(Error),
    /// The ledger refused what the object says.
    Refused(&'static str),
    /// It is this ledger's, and what it belongs to is not there.
    Missing,
    /// A list of Stripe does not show it yet, so others may be missing too.
    NotListed,
    /// It is not known what became of a call, and its key must be sent no more.
    Unanswered,
}

impl fmt::Display for NotObserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotObserved::Stripe(error) => write!(f, "{error}"),
            NotObserved::Store(error) => write!(f, "{error}"),
            NotObserved::Refused(code) => write!(f, "the ledger refused it: {code}"),
            NotObserved::Missing => f.write_str("its workspace or top-up is not there"),
            NotObserved::NotListed => f.write_str("Stripe's list does not show it yet"),
            NotObserved::Unanswered => f.write_str("it is not known what became of the call"),
        }
    }
}

impl From<StripeError> for NotObserved {
    fn from(error: StripeError) -> NotObserved {
        NotObserved::Stripe(error)
    }
}

impl From<Error> for NotObserved {
    fn from(error: Error) -> NotObserved {
        NotObserved::Store(error)
    }
}

/// Fetches an object and tells the ledger what it says now.
///
/// # Errors
/// Why it must be observed again later.
pub async fn observe(
    app: &App,
    stripe: &Stripe,
    subject: Subject,
    id: &ObjectId,
    hint: &Hint,
) -> Result<Observed, NotObserved> {
    observe_noting(app, stripe, subject, id, hint).await.map(|(observed, _)| observed)
}

/// The same, and whether the ledger changed by it.
///
/// # Errors
/// Why it must be observed again later.
pub async fn observe_noting(
    app: &App,
    stripe: &Stripe,
    subject: Subject,
    id: &ObjectId,
    hint: &Hint,
) -> Result<(Observed, bool), NotObserved> {
    let observer = Observer::new(app, stripe)?;
    let observed = match subject {
        Subject::Checkout => observer.checkout(id).await,
        Subject::Payment => observer.payment(id).await,
        Subject::Refund => observer.refund(id).await,
        Subject::Dispute => observer.dispute(id).await,
        Subject::FraudWarning => observer.fraud_warning(id).await,
        Subject::PaymentMethod => observer.payment_method(id, hint).await,
        Subject::Customer => observer.customer(id, hint).await,
        Subject::Invoice => observer.invoice(id).await,
        Subject::Subscription => observer.subscription(id).await,
    };
    Ok((observed?, observer.has_changed.load(Ordering::Relaxed)))
}

/// Tells the ledger what a payment says that was just fetched.
///
/// # Errors
/// Why it must be observed again later.
pub(super) async fn payment_as_fetched(
    app: &App,
    stripe: &Stripe,
    intent: &PaymentIntent,
) -> Result<Observed, NotObserved> {
    Observer::new(app, stripe)?.payment_as_fetched(intent).await
}

/// Tells the ledger how far a refund is that was just fetched and is this payment refund.
///
/// # Errors
/// Why it must be observed again later.
pub(super) async fn refund_as_fetched(
    app: &App,
    stripe: &Stripe,
    workspace: &WorkspaceId,
    id: PaymentRefundId,
    refund: &Refund,
) -> Result<(), NotObserved> {
    Observer::new(app, stripe)?.own_refund(workspace, id, refund).await
}

/// What is needed to observe.
struct Observer<'a> {
    app: &'a App,
    client: &'a Client,
    ledger: String,
    has_changed: AtomicBool,
}

impl<'a> Observer<'a> {
    fn new(app: &'a App, stripe: &'a Stripe) -> Result<Observer<'a>, NotObserved> {
        let ledger = ledger_name(&app.engine().platform());
        Ok(Observer { app, client: stripe.client()?, ledger, has_changed: AtomicBool::new(false) })
    }

    /// The workspace of an object by our own words on it; `None` if it is not this ledger's.
    fn owner(&self, metadata: &Metadata) -> Result<Option<WorkspaceId>, NotObserved> {
        if metadata.get(LEDGER) != Some(&self.ledger) {
            return Ok(None);
        }
        let workspace = metadata.get(WORKSPACE).and_then(|text| WorkspaceId::new(text).ok());
        workspace.map(Some).ok_or(NotObserved::Missing)
    }

    /// The payments of a workspace.
    async fn payments(&self, workspace: &WorkspaceId) -> Result<Arc<Payments>, NotObserved> {
        self.app.engine().payments(workspace).await?.ok_or(NotObserved::Missing)
    }

    /// Notes money that fits nothing for an operator, once for its name.
    async fn note(
        &self,
        workspace: &WorkspaceId,
        payment: &str,
        (cents, currency): (i64, &str),
        why: &str,
    ) -> Result<(), NotObserved> {
        let unmatched = UnmatchedPayment {
            payment: payment.into(),
            cents: cents.max(0),
            currency: currency.into(),
            workspace: Some(workspace.clone()),
            why: why.into(),
        };
        self.run(&WorkspaceId::platform(), Command::ReportUnmatched(unmatched)).await?;
        Ok(())
    }

    /// Runs a command in the system's name.
    async fn run(&self, workspace: &WorkspaceId, command: Command) -> Result<Observed, NotObserved> {
        let submission =
            Submission { workspace: workspace.clone(), key: None, actor: Actor::System, command };
        match self.app.engine().run(submission, self.app.now()).await? {
            Ok(answer) => {
                self.has_changed.fetch_or(answer.changed, Ordering::Relaxed);
                Ok(Observed::Ours)
            }
            Err(Refusal::WorkspaceNotFound | Refusal::TopUpNotFound) => Err(NotObserved::Missing),
            Err(Refusal::PaymentUnmatched) => Ok(Observed::Unmatched),
            Err(refusal) => Err(NotObserved::Refused(refusal.code())),
        }
    }
}

/// The top-up that an object names, if it names one.
fn top_up_of(metadata: &Metadata) -> Result<Option<TopUpId>, NotObserved> {
    let Some(text) = metadata.get(TOP_UP) else { return Ok(None) };
    text.parse().map(Some).map_err(|()| NotObserved::Missing)
}
