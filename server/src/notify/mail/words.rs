//! Counts, times and codes as words: thresholds, periods, reasons. Amounts and dates are written by
//! the same formatter as on pages.

use tollkeeper_ledger::{
    AlertLine, EndpointFault, MailFault, Period, StopReason, Subject, Timestamp, TopUpFailure,
};

use super::about::Line;
use crate::language::Format;

/// A number with its noun: `1 day`, `2 days`.
pub fn counted(format: &Format, number: u64, noun: &str) -> String {
    let written = format.number(i64::try_from(number).unwrap_or(i64::MAX));
    format!("{written} {noun}{}", if number == 1 { "" } else { "s" })
}

/// An instant with its time zone: `29 Nov 2026, 14:05 (Europe/Berlin)`.
pub fn time(format: &Format, at: Timestamp) -> String {
    format!("{} ({})", format.time(at), format.zone.iana_name().unwrap_or("UTC"))
}

/// What a threshold watches, to follow "below".
pub fn line(format: &Format, line: &Line) -> String {
    match line.watched {
        AlertLine::Amount(amount) => format.usd(amount),
        AlertLine::RunwayDays(days) => {
            let days = counted(format, days.into(), "day");
            format!("the expected use of {days} ({})", format.usd(line.amount))
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
