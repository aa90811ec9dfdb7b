//! Turns the refusals of the ledger, the errors of an engine and the denials of access into
//! problems.
//!
//! The match on [`Refusal`] is exhaustive: a new refusal does not compile before it has a code, a
//! sentence and its numbers.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tollkeeper_engine::Error;
use tollkeeper_ledger::{
    ChargeState, Micros, Period, Quantity, Refusal, Subject, Timestamp, TopUpBounds, WorkspaceId, bounds,
};

use super::problem::{CURSOR_RULE, Code, Problem};
use crate::access::Denied;
use crate::wire::quantity::quantities_json;
use crate::wire::subject::SubjectFields;
use crate::wire::write::{Time, Usd};

/// The problem for a refusal of a command in `workspace`. `add_credits_url` is where that workspace
/// adds credits.
pub fn into_problem(refusal: Refusal, workspace: &WorkspaceId, add_credits_url: Option<String>) -> Problem {
    let problem = match refusal {
        Refusal::IdempotencyKeyReused { field } => idempotency_key_reused(field),
        Refusal::WorkspaceNotFound => workspace_not_found(workspace.as_str()),
        Refusal::Unauthenticated => {
            Problem::new(Code::Unauthenticated, "The key or session has just been ended.")
        }
        Refusal::Forbidden { why } => Problem::new(Code::Forbidden, why),
        Refusal::WorkspaceSuspended => Problem::new(
            Code::WorkspaceSuspended,
            "The platform suspended this workspace. It cannot be charged until the platform ends that.",
        ),
        Refusal::DebtOutstanding { debt } => debt_outstanding(debt),
        Refusal::OperationNotFound => {
            Problem::new(Code::OperationNotFound, "The price book in force has no such operation.")
        }
        Refusal::QuantityOutOfRange => {
            let (plain, metered) = (bounds::QUANTITY_MAX, bounds::METERED_QUANTITY_MAX);
            let rule = format!("must be 1 to {plain}, or to {metered} if the price is for several units");
            Problem::field("quantity", &rule)
        }
        Refusal::TopUpOutOfBounds { allowed } => top_up_out_of_bounds(allowed),
        Refusal::RefundOutOfBounds { refundable_cents } => refund_out_of_bounds(refundable_cents),
        Refusal::NothingToRefund => nothing_to_refund(),
        Refusal::LimitExceeded { subject, period, required, limit, remaining, resets_at } => {
            ExceededLimit { subject, period, required, limit, remaining, resets_at }.problem()
        }
        Refusal::InsufficientCredits { required, available, affordable, buys_credit: _ } => {
            with_affordable(insufficient_credits(required, available), &affordable)
                .with("add_credits_url", add_credits_url)
        }
        Refusal::WorkspaceExists => workspace_exists(workspace),
        Refusal::ChargeNotFound => charge_not_found(),
        Refusal::ChargeAlreadySettled(state) => already(Code::ChargeAlreadySettled, state),
        Refusal::ChargeAlreadyRefunded(state) => already(Code::ChargeAlreadyRefunded, state),
        Refusal::RefundExceedsCharge { refundable } => Problem::new(
            Code::RefundExceedsCharge,
            format!("At most {refundable} micro-units of this charge can still be refunded."),
        )
        .with_amount("refundable", "refundable_usd", refundable),
        Refusal::RefundWindowClosed { closed_at } => refund_window_closed(closed_at),
        Refusal::TopUpNotFound => top_up_not_found(),
        // Only the provider's words are refused with it, which come over no route.
        Refusal::PaymentUnmatched => Problem::field("payment", "does not fit the top-up"),
        Refusal::PaymentMethodRequired => payment_method_required(),
        Refusal::PlanNotFound => plan_not_found(),
        Refusal::SubscriptionNotFound => subscription_not_found(),
        Refusal::PlanIntervalDiffers => plan_interval_differs(),
        Refusal::SubscriptionExists { why } => Problem::new(Code::SubscriptionExists, why),
        Refusal::NothingDue => nothing_due(),
        Refusal::GrantNotFound => grant_not_found(),
        Refusal::GrantWasPaid => grant_was_paid(),
        Refusal::MemberNotFound => member_not_found(),
        Refusal::RecipientNotFound => recipient_not_found(),
        Refusal::MemberExists => {
            Problem::new(Code::MemberExists, "The workspace has a member with this id already.")
        }
        Refusal::LastAdmin => Problem::new(
            Code::LastAdmin,
            "This is the last admin of the workspace. Make another member an admin first.",
        ),
        Refusal::ApiKeyNotFound => api_key_not_found(),
        Refusal::PortalLinkExpired => portal_link_expired(),
        Refusal::UsedQuantityOutOfRange => {
            Problem::field("quantity", "must be at least 1 and at most what was paid for")
        }
        Refusal::InvalidField { field, why } => Problem::field(field, why),
    };
    problem.decided()
}

/// Adds how much the credit covers: a number of units, or one for each meter.
fn with_affordable(problem: Problem, affordable: &Quantity) -> Problem {
    match affordable {
        Quantity::Units(units) => problem.with("affordable_quantity", *units),
        Quantity::Meters(quantities) => problem.with("affordable_quantities", quantities_json(quantities)),
    }
}

/// There is no workspace with this id, or the text cannot be the id of one.
pub fn workspace_not_found(id: &str) -> Problem {
    let shown: String = id.chars().take(bounds::NAME_MAX_BYTES).collect();
    Problem::new(Code::WorkspaceNotFound, format!("There is no workspace `{shown}`."))
}

/// There is no such path.
pub fn no_such_path() -> Problem {
    Problem::new(Code::NotFound, "There is no such path. /openapi.json lists the paths of the API.")
}

fn refund_window_closed(closed_at: Timestamp) -> Problem {
    let detail = "The charge was settled too long ago to be refunded by a late failure. The platform can refund it with a reason.";
    Problem::new(Code::RefundWindowClosed, detail).with("closed_at", Time(closed_at).to_string())
}

fn workspace_exists(id: &WorkspaceId) -> Problem {
    Problem::new(Code::WorkspaceExists, format!("There is a workspace `{id}` already."))
}

/// The workspace has no charge with this id.
pub fn charge_not_found() -> Problem {
    Problem::new(Code::ChargeNotFound, "This workspace has no such charge.")
}

/// The workspace has no grant with this id.
pub fn grant_not_found() -> Problem {
    Problem::new(Code::GrantNotFound, "This workspace has no such grant.")
}

/// A grant that was paid for cannot be voided.
fn grant_was_paid() -> Problem {
    let detail = "A payment paid for this grant, so it cannot be voided. Refund the payment instead.";
    Problem::new(Code::GrantWasPaid, detail)
}

/// Automatic top-ups have no card that pays for them.
fn payment_method_required() -> Problem {
    let detail = "Automatic top-ups need a saved card. Save one for this workspace first.";
    Problem::new(Code::PaymentMethodRequired, detail)
}

/// The plan cannot be started.
fn plan_not_found() -> Problem {
    Problem::new(
        Code::PlanNotFound,
        "No plan with this id can be started: it does not exist, or it was retired.",
    )
}

/// The plan is paid by another interval than the subscription.
fn plan_interval_differs() -> Problem {
    let detail = "The plan is paid by another interval than the subscription. Cancel the subscription, and start the plan when it has ended.";
    Problem::new(Code::PlanIntervalDiffers, detail)
}

/// Nothing waits for a payment.
fn nothing_due() -> Problem {
    let detail =
        "Nothing waits for a payment now: with `change`, no change; without it, no period that has begun.";
    Problem::new(Code::NothingDue, detail)
}

/// The workspace has no top-up with this id.
pub fn top_up_not_found() -> Problem {
    Problem::new(Code::TopUpNotFound, "This workspace has no such top-up.")
}

/// The workspace has no subscription.
pub fn subscription_not_found() -> Problem {
    Problem::new(Code::SubscriptionNotFound, "This workspace has no subscription.")
}

/// The workspace has no member with this id.
pub fn member_not_found() -> Problem {
    Problem::new(Code::MemberNotFound, "This workspace has no such member.")
}

/// The workspace has no recipient of mails with this id.
pub fn recipient_not_found() -> Problem {
    Problem::new(Code::RecipientNotFound, "This workspace has no such recipient of mails.")
}

/// The workspace has no API key with this id.
pub fn api_key_not_found() -> Problem {
    Problem::new(Code::ApiKeyNotFound, "This workspace has no such API key.")
}

/// The sign-in link was used, or its time is over.
pub fn portal_link_expired() -> Problem {
    Problem::new(
        Code::PortalLinkExpired,
        "A sign-in link works once and for ten minutes. Please ask for a new one where you found this one.",
    )
}

/// A link in a mail does not work. It says nothing of the part that is wrong.
pub fn mail_link_invalid() -> Problem {
    Problem::new(
        Code::MailLinkInvalid,
        "This link is not complete, or what it is about has changed since the e-mail was sent.",
    )
}

/// The request moves credit and has no idempotency key.
pub fn idempotency_key_required() -> Problem {
    Problem::new(
        Code::IdempotencyKeyRequired,
        "Send a unique key in `Idempotency-Key`, so that the request can be repeated without being done twice.",
    )
}

fn idempotency_key_reused(field: &'static str) -> Problem {
    let detail = format!(
        "The idempotency key was used for a request with another `{field}`. Use a new key for a new request."
    );
    Problem::new(Code::IdempotencyKeyReused, detail).with("field", field)
}

fn top_up_out_of_bounds(TopUpBounds { min_cents, max_cents }: TopUpBounds) -> Problem {
    let [min, max] = [min_cents, max_cents].map(|cents| Usd(Micros::from_cents(cents)));
    Problem::field("amount_usd", &format!("must be at least {min} and at most {max}"))
}

fn nothing_to_refund() -> Problem {
    let detail = "Nothing of this top-up can go back: it was not paid, its credit is spent, or its money went back before.";
    Problem::new(Code::NothingToRefund, detail)
}

fn refund_out_of_bounds(refundable_cents: i64) -> Problem {
    let refundable = Usd(Micros::from_cents(refundable_cents));
    Problem::field(
        "amount_usd",
        &format!("must be at least 0.01 and at most {refundable}, whose credit is unspent"),
    )
    .with("refundable_usd", refundable.to_string())
}

fn debt_outstanding(debt: Micros) -> Problem {
    let detail = format!(
        "The workspace owes {} USD after a lost payment. Credit that is added repays the debt first.",
        Usd(debt)
    );
    Problem::new(Code::DebtOutstanding, detail).with_amount("debt", "debt_usd", debt)
}

fn insufficient_credits(required: Micros, available: Micros) -> Problem {
    let shortfall = required - available;
    let detail = format!(
        "This costs {} USD and {} USD are available; {} USD are missing. Nothing was deducted.",
        Usd(required),
        Usd(available),
        Usd(shortfall)
    );
    Problem::new(Code::InsufficientCredits, detail)
        .with_amount("required", "required_usd", required)
        .with_amount("available", "available_usd", available)
        .with_amount("shortfall", "shortfall_usd", shortfall)
}

/// A spending limit that a charge would exceed.
struct ExceededLimit {
    subject: Subject,
    period: Period,
    /// What the charge costs.
    required: Micros,
    /// The limit of the period.
    limit: Micros,
    /// What may still be spent in the current period.
    remaining: Micros,
    /// When the next period begins.
    resets_at: Timestamp,
}

impl ExceededLimit {
    fn problem(self) -> Problem {
        let ExceededLimit { subject, period, required, limit, remaining, resets_at } = self;
        let SubjectFields { kind, id } = SubjectFields::from(&subject);
        let who = match (&subject, &id) {
            (Subject::Workspace, _) => "The workspace".to_owned(),
            (Subject::ApiKey(_), Some(id)) => format!("The API key {id}"),
            (_, Some(id)) => format!("The {kind} {id}"),
            (_, None) => format!("The {kind}"),
        };
        let period = period.as_str();
        let detail = format!(
            "This costs {} USD. {who} may spend {} USD a {period}, and {} USD of that are left; the next \
             {period} begins at {}. Nothing was deducted.",
            Usd(required),
            Usd(limit),
            Usd(remaining),
            Time(resets_at),
        );
        Problem::new(Code::LimitExceeded, detail)
            .with("subject", kind)
            .with("id", id)
            .with("period", period)
            .with_amount("required", "required_usd", required)
            .with_amount("limit", "limit_usd", limit)
            .with_amount("remaining", "remaining_usd", remaining)
            .with("resets_at", Time(resets_at).to_string())
    }
}

/// The charge has an outcome already; the members say which.
fn already(code: Code, state: ChargeState) -> Problem {
    let ChargeState { status, outcome, refunded, quantity, deadline: _, refunds: _ } = state;
    let reported = outcome.map_or("none", |outcome| outcome.as_str());
    let detail =
        format!("The charge is {} with the outcome {reported}. Nothing was changed.", status.as_str());
    Problem::new(code, detail)
        .with("charge_status", status.as_str())
        .with("outcome", outcome.map(|outcome| outcome.as_str()))
        .with("quantity", quantity)
        .with_amount("refunded_amount", "refunded_amount_usd", refunded)
}

/// A client gets only what it can act on. Damage and bugs go to the log under an id.
impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        if error.is_overloaded() {
            let detail = format!("The request was not processed, because {error}. Repeat it in a moment.");
            Problem::new(Code::Overloaded, detail)
        } else if error.is_clock_wrong() {
            // The log has one line for it, not one for each request (`clock_watch`).
            Problem::new(
                Code::StoreUnavailable,
                "The clock of this server is wrong, so that it decides nothing. Repeat the request in a moment; under the same idempotency key it is done once.",
            )
        } else if error.is_unavailable() || error.is_unusable() {
            log_unavailable(&error);
            Problem::new(
                Code::StoreUnavailable,
                "The store accepts no requests at the moment. Repeat the request in a moment; under the same idempotency key it is done once.",
            )
        } else if error.is_account_refused() {
            tracing::error!(%error, hint = error.hint(), "an account is refused");
            Problem::new(
                Code::AccountUnavailable,
                "The account of this workspace is being checked, so it takes no requests. Other workspaces are served.",
            )
        } else if error.is_bad_cursor() {
            Problem::parameter("cursor", CURSOR_RULE)
        } else {
            internal(&error)
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Problem {
        match denied {
            Denied::Unauthenticated(detail) => Problem::new(Code::Unauthenticated, detail),
            Denied::Forbidden(detail) => Problem::new(Code::Forbidden, detail),
            Denied::WorkspaceNotFound(id) => workspace_not_found(&id),
            Denied::RateLimited(status) => {
                let seconds = status.retry_after_seconds();
                let detail = format!(
                    "This {} may make {} requests a second, and {} at once; each item of a batch counts. Wait {seconds} s.",
                    status.name(),
                    status.per_second(),
                    status.burst(),
                );
                let problem = Problem::new(Code::RateLimited, detail).with("retry_after_seconds", seconds);
                Problem { rate: Some(Box::new(status)), ..problem }
            }
            Denied::Engine(error) => error.into(),
        }
    }
}

/// Between two lines of the log with the same reason why the store is away.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Logs why the store is not available, but not the same for each request.
fn log_unavailable(error: &Error) {
    static LOGGED: Mutex<Option<(Instant, String)>> = Mutex::new(None);
    let why = error.to_string();
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    if logged.as_ref().is_some_and(|(at, what)| *what == why && at.elapsed() < LOG_INTERVAL) {
        return;
    }
    tracing::error!(%error, hint = error.hint(), "the store is not available");
    *logged = Some((Instant::now(), why));
}

/// A bug or damage. The log has `what` under an id, and the client gets the id only.
pub fn internal(what: &dyn Display) -> Problem {
    let mut bytes = [0_u8; 8];
    // Without random numbers the id is zeros, and the time in the log still identifies the line.
    let _ = getrandom::fill(&mut bytes);
    let id = format!("err_{:016x}", u64::from_be_bytes(bytes));
    tracing::error!(id, "{what}");
    let detail = format!(
        "The request failed because of an error in the server; its log has the details under {id}. \
         Under the same idempotency key it can be repeated safely."
    );
    Problem::new(Code::InternalError, detail).with("id", id)
}
