//! Figures and codes as words: amounts in both units, thresholds, reasons.

use tollkeeper_ledger::{
    AlertLine, EndpointFault, MailFault, Micros, Period, StopReason, Subject, TopUpFailure,
};

use super::about::Line;
use crate::wire::write::{grouped, grouped_usd};

/// An amount in dollars: `12.30 USD`.
pub fn usd(amount: Micros) -> String {
    format!("{} USD", grouped_usd(amount))
}

/// An amount of money: `20.00 USD`.
pub fn cents(cents: i64) -> String {
    usd(Micros::from_cents(cents))
}

/// An amount of credit in both units: `12.30 USD (1,230,000 micro-units)`.
pub fn both_units(amount: Micros) -> String {
    format!("{} ({})", usd(amount), micro_units(amount))
}

/// An amount of credit in micro-units: `1,230,000 micro-units`.
pub fn micro_units(amount: Micros) -> String {
    format!("{} micro-units", grouped(amount))
}

/// A number with its noun: `1 day`, `2 days`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// What a threshold watches, to follow "below".
pub fn line(line: &Line) -> String {
    match line.watched {
        AlertLine::Amount(amount) => usd(amount),
        AlertLine::RunwayDays(days) => {
            format!("the expected use of {} ({})", counted(days.into(), "day"), usd(line.amount))
        }
    }
}

/// A list in a sentence: `a`, `a and b`, `a, b and c`.
pub fn and(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The period of a limit, to stand before "limit".
pub const fn period(period: Period) -> &'static str {
    match period {
        Period::Day => "daily",
        Period::Month => "monthly",
    }
}

/// Whose spending a limit caps, to follow "for".
pub fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Workspace => "the whole workspace".to_owned(),
        Subject::Member(id) => format!("the member {id}"),
        Subject::Worker(id) => format!("the worker {id}"),
        Subject::Operation(id) => format!("the operation {id}"),
        Subject::ApiKey(id) => format!("the API key {id}"),
    }
}

/// Why a top-up failed, as a sentence.
pub const fn failure(failure: TopUpFailure) -> &'static str {
    match failure {
        TopUpFailure::SoftDecline => "The bank declined the card for now.",
        TopUpFailure::HardDecline => "The bank declined the card. Please use another one.",
        TopUpFailure::AuthenticationNeeded => "The bank wants the holder of the card to confirm the payment.",
        TopUpFailure::NotPaid => "The payment was cancelled, or no money came in.",
        TopUpFailure::RefusedByProvider => "The payment provider did not carry it out.",
    }
}

/// Why automatic top-ups were stopped, as a sentence.
pub const fn stop(why: StopReason) -> &'static str {
    match why {
        StopReason::Requested => "Somebody turned them off.",
        StopReason::PaymentMethodRemoved => "The saved card was removed.",
        StopReason::Declined => "The bank declined the saved card.",
        StopReason::AuthenticationNeeded => {
            "The bank wants the holder of the card to confirm each payment, which cannot be done automatically."
        }
        StopReason::Disputed => "A payment is disputed.",
        StopReason::FraudWarning => "The payment provider warned of fraud.",
    }
}

/// How it is known that an address takes no mails, as a sentence.
pub const fn address_fault(how: MailFault) -> &'static str {
    match how {
        MailFault::Bounced => "Its mail server refused the last mail.",
        MailFault::Complained => "Its owner reported a mail as unwanted.",
    }
}

/// Why an endpoint was disabled, as a sentence.
pub const fn endpoint_fault(fault: EndpointFault) -> &'static str {
    match fault {
        EndpointFault::Gone => "It answered 410, which means that it is gone for good.",
        EndpointFault::Failing => "It has accepted no message for five days.",
    }
}
