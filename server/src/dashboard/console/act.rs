//! What an operator can do in a workspace: how it is read from a form, what the question before it
//! says, and the action that it is.
//!
//! An act names its amount, so that the button can. Each has a reason, which the ledger writes with
//! the operator into the journal. Whether an act is allowed is decided in the ledger.

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{
    Charge, ChargeCommand, ChargeId, Command, GrantId, GrantRequest, IdempotencyKey, Micros, PaymentCommand,
    Source, Subscription, TopUp, TopUpId, WorkspaceChanges, WorkspaceId,
};

use super::frame::ConsoleVisit;
use crate::actions::{payment_refunds, subscriptions, top_ups};
use crate::dashboard::amounts::{read_cents, read_usd};
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::refusal;

/// The kinds of acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActKind {
    /// Grants credit.
    Grant,
    /// Takes back what is unspent of a grant.
    Void,
    /// Refunds a charge, wholly or partly.
    Refund,
    /// Refuses all further charges.
    Suspend,
    /// Allows charges again.
    Resume,
    /// Says that a top-up was paid.
    ConfirmTopUp,
    /// Says that a period of the plan was paid.
    ConfirmPeriod,
    /// Says that the change of the plan was paid.
    ConfirmChange,
    /// Sends money back to the payer of a top-up.
    RefundPayment,
}

impl ActKind {
    /// All kinds.
    pub const ALL: [ActKind; 9] = [
        ActKind::Grant,
        ActKind::Void,
        ActKind::Refund,
        ActKind::Suspend,
        ActKind::Resume,
        ActKind::ConfirmTopUp,
        ActKind::ConfirmPeriod,
        ActKind::ConfirmChange,
        ActKind::RefundPayment,
    ];

    /// The name in forms and addresses.
    pub const fn name(self) -> &'static str {
        match self {
            ActKind::Grant => "grant",
            ActKind::Void => "void",
            ActKind::Refund => "refund",
            ActKind::Suspend => "suspend",
            ActKind::Resume => "resume",
            ActKind::ConfirmTopUp => "confirm_top_up",
            ActKind::ConfirmPeriod => "confirm_period",
            ActKind::ConfirmChange => "confirm_change",
            ActKind::RefundPayment => "refund_payment",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<ActKind> {
        ActKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether its form has an amount of dollars.
    pub const fn has_amount(self) -> bool {
        matches!(self, ActKind::Grant | ActKind::Refund | ActKind::RefundPayment)
    }

    /// Whether it takes something from the workspace.
    pub const fn is_danger(self) -> bool {
        matches!(self, ActKind::Void | ActKind::Suspend | ActKind::RefundPayment)
    }
}

/// What an act is about, as it is now.
pub enum Subject {
    /// The workspace itself.
    Workspace,
    /// A grant: its source, its amount, and what is left.
    Grant { id: GrantId, source: Source, amount: Micros, left: Micros },
    /// A charge.
    Charge(Box<Charge>),
    /// A top-up.
    TopUp(Box<TopUp>),
    /// The subscription.
    Subscription(Box<Subscription>),
}

/// How many of the newest grants are searched for one.
const GRANTS_SEARCHED: usize = 200;

impl Subject {
    /// Finds what an act is about.
    ///
    /// # Errors
    /// There is no such thing in the workspace, or the engine cannot read.
    pub async fn find(
        call: &Call,
        workspace: &WorkspaceId,
        kind: ActKind,
        target: &str,
    ) -> Result<Subject, Problem> {
        match kind {
            ActKind::Grant | ActKind::Suspend | ActKind::Resume => Ok(Subject::Workspace),
            ActKind::Void => grant(call, workspace, target).await,
            ActKind::Refund => {
                let id: ChargeId = target.parse().map_err(|()| refusal::charge_not_found())?;
                let record = call.app.engine().charge(workspace, id).await?;
                let record = record.ok_or_else(refusal::charge_not_found)?;
                Ok(Subject::Charge(Box::new(record.charge)))
            }
            ActKind::ConfirmTopUp | ActKind::RefundPayment => {
                let id: TopUpId = target.parse().map_err(|()| refusal::top_up_not_found())?;
                Ok(Subject::TopUp(Box::new(top_ups::find(call, workspace, id).await?)))
            }
            ActKind::ConfirmPeriod | ActKind::ConfirmChange => {
                let payments = top_ups::payments(call, workspace).await?;
                let subscription = payments.subscription.clone();
                subscription.map(Subject::Subscription).ok_or_else(refusal::subscription_not_found)
            }
        }
    }

    /// The amount that the field of the form has at first.
    pub fn usual_amount(&self) -> Option<Micros> {
        match self {
            Subject::Charge(charge) => Some(charge.details.amount - charge.state.refunded),
            Subject::TopUp(top_up) => Some(Micros::from_cents(top_up.cents)),
            Subject::Workspace | Subject::Grant { .. } | Subject::Subscription(_) => None,
        }
    }

    /// Names and values that describe it.
    pub fn facts(&self, visit: &ConsoleVisit<'_>) -> Vec<(&'static str, String)> {
        let (words, format) = (visit.console(), &visit.format);
        match self {
            Subject::Workspace => Vec::new(),
            Subject::Grant { id, source, amount, left } => vec![
                (words.kind, (visit.words().credits.history.source)(*source).to_owned()),
                (words.granted, format.both_units(*amount)),
                (words.left, format.both_units(*left)),
                (words.reference, id.to_string()),
            ],
            Subject::Charge(charge) => vec![
                (words.operation, charge.details.spender.operation.to_string()),
                (words.when, format.time(charge.created_at)),
                (words.cost, format.both_units(charge.details.amount)),
                (words.refunded, format.both_units(charge.state.refunded)),
                (words.reference, charge.details.id.to_string()),
            ],
            Subject::TopUp(top_up) => vec![
                (words.amount, format.cents(top_up.cents)),
                (words.credits, format.micro_units(top_up.credits())),
                (words.status, (visit.words().credits.history.status_of)(top_up.status).to_owned()),
                (words.opened, format.time(top_up.opened_at)),
                (words.reference, top_up.id.to_string()),
            ],
            Subject::Subscription(subscription) => vec![
                (words.plan, subscription.plan.name.to_string()),
                (words.due, format.usd(subscriptions::due(subscription))),
                (words.reference, subscription.id.to_string()),
            ],
        }
    }
}

async fn grant(call: &Call, workspace: &WorkspaceId, target: &str) -> Result<Subject, Problem> {
    let id: GrantId = target.parse().map_err(|()| refusal::grant_not_found())?;
    let page = tollkeeper_engine::Page { limit: GRANTS_SEARCHED, cursor: None };
    let listing = call.app.engine().grants(workspace, page).await?;
    let found = listing
        .and_then(|listing| listing.data.into_iter().map(|record| record.grant).find(|grant| grant.id == id));
    let grant = found.ok_or_else(refusal::grant_not_found)?;
    Ok(Subject::Grant { id, source: grant.source, amount: grant.amount, left: grant.remaining })
}

/// An act that was read from a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Grant { source: Source, amount: Micros },
    Void { grant: GrantId, left: Micros },
    Refund { charge: ChargeId, amount: Micros },
    Suspend,
    Resume,
    ConfirmTopUp { top_up: TopUpId, cents: i64 },
    ConfirmPeriod { due: Micros },
    ConfirmChange { due_cents: i64 },
    RefundPayment { top_up: TopUpId, cents: i64 },
}

impl Act {
    /// Reads an act about a subject; `None` if its amount is none.
    pub fn read(call: &Call, visit: &ConsoleVisit<'_>, kind: ActKind, subject: &Subject) -> Option<Act> {
        let language = visit.format.language;
        let typed = call.form().get("amount").unwrap_or_default();
        let amount = || read_usd(language, typed).filter(|amount| *amount > Micros::ZERO);
        let source = match call.form().get("source") {
            Some("adjustment") => Source::Adjustment,
            _ => Source::Promotional,
        };
        Some(match (kind, subject) {
            (ActKind::Grant, _) => Act::Grant { source, amount: amount()? },
            (ActKind::Suspend, _) => Act::Suspend,
            (ActKind::Resume, _) => Act::Resume,
            (ActKind::Void, Subject::Grant { id, left, .. }) => Act::Void { grant: *id, left: *left },
            (ActKind::Refund, Subject::Charge(charge)) => {
                Act::Refund { charge: charge.details.id, amount: amount()? }
            }
            (ActKind::ConfirmTopUp, Subject::TopUp(top_up)) => {
                Act::ConfirmTopUp { top_up: top_up.id, cents: top_up.cents }
            }
            (ActKind::RefundPayment, Subject::TopUp(top_up)) => {
                let cents = read_cents(language, typed).filter(|cents| *cents > 0)?;
                Act::RefundPayment { top_up: top_up.id, cents }
            }
            (ActKind::ConfirmPeriod, Subject::Subscription(subscription)) => {
                Act::ConfirmPeriod { due: subscriptions::due(subscription) }
            }
            (ActKind::ConfirmChange, Subject::Subscription(subscription)) => {
                // Once confirmed, the change is gone. The same form again gets its first answer.
                let due_cents = subscription.upgrade.as_ref().map_or(0, |upgrade| upgrade.due_cents);
                Act::ConfirmChange { due_cents }
            }
            _ => return None,
        })
    }

    /// The text of the button, which names the act and its amount.
    pub fn button(&self, visit: &ConsoleVisit<'_>, workspace: &str) -> String {
        let (words, format) = (visit.console(), &visit.format);
        match self {
            Act::Grant { amount, .. } => (words.do_grant)(&format.usd(*amount)),
            Act::Void { left, .. } => (words.do_void)(&format.usd(*left)),
            Act::Refund { amount, .. } => (words.do_refund)(&format.usd(*amount)),
            Act::Suspend => (words.do_suspend)(workspace),
            Act::Resume => (words.do_resume)(workspace),
            Act::ConfirmTopUp { cents, .. } | Act::ConfirmChange { due_cents: cents } => {
                (words.do_confirm)(&format.cents(*cents))
            }
            Act::ConfirmPeriod { due } => (words.do_confirm)(&format.usd(*due)),
            Act::RefundPayment { cents, .. } => (words.do_refund_payment)(&format.cents(*cents)),
        }
    }

    /// What the form has decided: names and values.
    pub fn facts(&self, visit: &ConsoleVisit<'_>) -> Vec<(&'static str, String)> {
        let (words, format) = (visit.console(), &visit.format);
        match self {
            Act::Grant { source, amount } => vec![
                (words.kind, (visit.words().credits.history.source)(*source).to_owned()),
                (words.amount, format.both_units(*amount)),
            ],
            Act::Refund { amount, .. } => vec![(words.to_refund, format.both_units(*amount))],
            Act::RefundPayment { cents, .. } => vec![(words.to_send_back, format.cents(*cents))],
            _ => Vec::new(),
        }
    }

    /// What tells the form of this act from others that a browser may have kept.
    pub fn content(&self) -> String {
        match self {
            Act::Grant { source, amount } => format!("grant:{}:{amount}", source.as_str()),
            Act::Void { grant, .. } => format!("void:{grant}"),
            Act::Refund { charge, amount } => format!("refund:{charge}:{amount}"),
            Act::Suspend => "suspend".to_owned(),
            Act::Resume => "resume".to_owned(),
            Act::ConfirmTopUp { top_up, .. } => format!("confirm:{top_up}"),
            Act::ConfirmPeriod { .. } => "period".to_owned(),
            Act::ConfirmChange { .. } => "change".to_owned(),
            Act::RefundPayment { top_up, cents } => format!("payment:{top_up}:{cents}"),
        }
    }

    /// Carries the act out for an operator who has given the reason.
    ///
    /// # Errors
    /// The ledger refuses it, or the payment provider does not answer.
    pub async fn run(
        self,
        call: &Call,
        workspace: &WorkspaceId,
        key: IdempotencyKey,
        reason: Box<str>,
    ) -> Result<(), Problem> {
        let command = match self {
            Act::Grant { source, amount } => {
                Command::Grant(GrantRequest { reason: Some(reason), ..GrantRequest::new(source, amount) })
            }
            Act::Void { grant, .. } => Command::VoidGrant { grant, reason: Some(reason) },
            Act::Refund { charge, amount } => {
                ChargeCommand::Refund { amount: Some(amount), reason }.for_charge(charge)
            }
            Act::Suspend | Act::Resume => {
                let suspended = Some(self == Act::Suspend);
                let changes = WorkspaceChanges { suspended, ..WorkspaceChanges::default() };
                return call.run(workspace, None, Command::UpdateWorkspace(changes)).await.map(drop);
            }
            Act::ConfirmTopUp { top_up, .. } => {
                let command = Command::Payment(PaymentCommand::ConfirmTopUp(top_up));
                return call.run(workspace, None, command).await.map(drop);
            }
            Act::ConfirmPeriod { .. } | Act::ConfirmChange { .. } => {
                let is_change = matches!(self, Act::ConfirmChange { .. });
                return subscriptions::confirm(call, workspace, &key, is_change).await.map(drop);
            }
            Act::RefundPayment { top_up, cents } => {
                let asked = (Some(cents), reason);
                return payment_refunds::request(call, workspace, key, top_up, asked).await.map(drop);
            }
        };
        call.run(workspace, Some(key), command).await.map(drop)
    }
}
