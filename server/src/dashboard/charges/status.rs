//! The status of a charge in words: in short for a list, in full for its page.

use tollkeeper_ledger::{Charge, Micros, Outcome, RefundReason, Status};

use crate::dashboard::words::ChargeWords;
use crate::language::Format;

/// A short status and how it looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortStatus {
    pub text: String,
    /// The class of the style sheet.
    pub class: &'static str,
}

/// The status in a few words.
pub fn in_short(charge: &Charge, words: &ChargeWords, format: &Format) -> ShortStatus {
    let (state, amount) = (&charge.state, charge.details.amount);
    let refunded = format.usd(state.refunded);
    let (text, class) = match state.status {
        Status::Pending => (words.waiting.to_owned(), "warn"),
        Status::Refunded if amount == Micros::ZERO => (words.not_charged.to_owned(), "good"),
        Status::Refunded => ((words.refunded)(&refunded), "good"),
        Status::Settled if state.refunded > Micros::ZERO => ((words.refunded_in_part)(&refunded), "good"),
        Status::Settled if state.outcome == Some(Outcome::FailedUser) => {
            (words.failed_by_user.to_owned(), "soft")
        }
        Status::Settled => (words.paid.to_owned(), "soft"),
    };
    ShortStatus { text, class }
}

/// The status in a sentence, with what was deducted and what came back.
pub fn in_full(charge: &Charge, words: &ChargeWords, format: &Format) -> String {
    let (state, amount) = (&charge.state, charge.details.amount);
    let both = |amount| format.both_units(amount);
    match state.status {
        Status::Pending => {
            let deadline = state.deadline.map_or_else(String::new, |at| format.time(at));
            (words.waiting_until)(&both(amount), &deadline)
        }
        Status::Refunded if amount == Micros::ZERO => words.nothing_was_charged.to_owned(),
        Status::Refunded => {
            (words.refunded_because)(&both(state.refunded), outcome_reason(state.outcome, words))
        }
        Status::Settled if state.refunded > Micros::ZERO => {
            (words.partly_refunded)(&both(amount), &both(state.refunded))
        }
        Status::Settled if amount == Micros::ZERO => words.nothing_was_charged.to_owned(),
        Status::Settled => (words.paid_because)(&both(amount), settled_reason(state.outcome, words)),
    }
}

/// Why all of a charge came back.
fn outcome_reason(outcome: Option<Outcome>, words: &ChargeWords) -> &'static str {
    match outcome {
        Some(Outcome::FailedSystem) => words.reason_system,
        Some(Outcome::TimedOut) => words.reason_time,
        Some(Outcome::Succeeded) => words.reason_unused,
        Some(Outcome::Reversed | Outcome::FailedUser) | None => words.reason_platform,
    }
}

/// Why a charge stays paid.
fn settled_reason(outcome: Option<Outcome>, words: &ChargeWords) -> &'static str {
    match outcome {
        Some(Outcome::Succeeded) => words.settled_succeeded,
        Some(Outcome::FailedUser) => words.settled_user,
        Some(Outcome::FailedSystem | Outcome::TimedOut | Outcome::Reversed) | None => words.settled_at_once,
    }
}

/// The outcome of the operation, as far as it was reported.
pub fn outcome(outcome: Option<Outcome>, words: &ChargeWords) -> &'static str {
    match outcome {
        None => words.outcome_none,
        Some(Outcome::Succeeded) => words.outcome_succeeded,
        Some(Outcome::FailedSystem) => words.outcome_system,
        Some(Outcome::FailedUser) => words.outcome_user,
        Some(Outcome::TimedOut) => words.outcome_time,
        Some(Outcome::Reversed) => words.outcome_reversed,
    }
}

/// Why credit came back by a refund.
pub fn refund_reason(reason: RefundReason, words: &ChargeWords) -> &'static str {
    match reason {
        RefundReason::FailedSystem => words.reason_system,
        RefundReason::TimedOut => words.reason_time,
        RefundReason::PartlyUsed => words.reason_unused,
        RefundReason::Requested => words.reason_platform,
    }
}
