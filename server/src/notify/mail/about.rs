//! What a mail is about: the facts of one event, as plain data.
//!
//! A fact is what the journal says, so that a mail that is composed again after a failed attempt is
//! about the same. What may have changed since is in `context`.

use tollkeeper_ledger::{
    AlertLine, EndpointFault, MailFault, MailTopic, Micros, Period, StopReason, Subject, Timestamp,
    TopUpFailure,
};

/// What a mail is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// The available credit fell below thresholds, or is used up.
    Low {
        /// The thresholds that were crossed at once; the one that leaves the least comes first.
        lines: Vec<Line>,
        /// What was available then; zero makes it a mail about used-up credit.
        available: Micros,
    },
    /// The available credit has recovered since the alerts of these thresholds.
    Recovered {
        /// The thresholds.
        lines: Vec<Line>,
        /// What was available then.
        available: Micros,
    },
    /// Charges were refused for lack of credit (P3).
    Refused {
        /// The operation that was to be paid last.
        operation: String,
        /// What it cost.
        required: Micros,
        /// What was available.
        available: Micros,
        /// The charges that were refused since the last notice.
        refusals: u64,
    },
    /// A spending limit refused a charge.
    Limit {
        /// Whose spending it caps.
        subject: Subject,
        /// Its period.
        period: Period,
        /// The cap.
        amount: Micros,
        /// When it begins anew.
        resets_at: Timestamp,
    },
    /// A top-up was paid.
    TopUpSucceeded {
        /// What was paid, without tax, in cents.
        cents: i64,
        /// The credit that it brought.
        credits: Micros,
        /// True for an automatic top-up.
        is_automatic: bool,
    },
    /// A top-up was not paid.
    TopUpFailed {
        /// What was to be paid, in cents.
        cents: i64,
        /// Why it failed.
        failure: TopUpFailure,
        /// True for an automatic top-up.
        is_automatic: bool,
    },
    /// Money of a top-up was sent back.
    TopUpRefunded {
        /// What was sent back, in cents.
        cents: i64,
    },
    /// Automatic top-ups wait after a failed one.
    AutoTopUpPaused {
        /// When they go on.
        until: Timestamp,
    },
    /// Automatic top-ups were stopped.
    AutoTopUpStopped {
        /// Why.
        why: StopReason,
    },
    /// A month of the subscription has begun.
    SubscriptionRenewed {
        /// The name of the plan.
        plan: String,
        /// The credit of the month.
        credits: Micros,
    },
    /// A period of the subscription has begun that is not paid.
    SubscriptionPastDue {
        /// The name of the plan.
        plan: String,
    },
    /// The subscription has ended.
    SubscriptionEnded {
        /// The name of the plan.
        plan: String,
    },
    /// A payment is disputed or was taken back, and its credit with it.
    Dispute {
        /// What is lost of the payment now, in cents.
        cents: i64,
        /// True if it is disputed; else it was sent back at the provider.
        is_disputed: bool,
    },
    /// More credit was taken back than was left.
    Debt {
        /// What the workspace owes.
        owed: Micros,
    },
    /// An address was entered as a recipient, whose owner has to agree.
    ConfirmAddress {
        /// The page on which the owner agrees.
        confirm_url: String,
    },
    /// The address of a recipient takes no mails.
    AddressRefused {
        /// The address.
        address: String,
        /// How that is known.
        how: MailFault,
    },
    /// A webhook endpoint was disabled by the system.
    EndpointDisabled {
        /// Its address.
        url: String,
        /// Why.
        fault: EndpointFault,
    },
    /// A webhook endpoint has accepted nothing for a while.
    EndpointFailing {
        /// Its address.
        url: String,
        /// For how many hours.
        hours: u32,
        /// The last answer, for people.
        last_outcome: String,
    },
    /// Somebody wants to see whether mails arrive.
    Test,
}

impl About {
    /// The topic, by which a recipient can mute it; `None` for a mail that somebody has just asked
    /// for.
    #[must_use]
    pub const fn topic(&self) -> Option<MailTopic> {
        Some(match self {
            About::Low { .. } => MailTopic::Low,
            About::Recovered { .. } => MailTopic::Recovered,
            About::Refused { .. } => MailTopic::Refused,
            About::Limit { .. } => MailTopic::Limit,
            About::TopUpSucceeded { .. } | About::TopUpFailed { .. } | About::TopUpRefunded { .. } => {
                MailTopic::TopUp
            }
            About::AutoTopUpPaused { .. } | About::AutoTopUpStopped { .. } => MailTopic::AutoTopUp,
            About::SubscriptionRenewed { .. }
            | About::SubscriptionPastDue { .. }
            | About::SubscriptionEnded { .. } => MailTopic::Subscription,
            About::Dispute { .. } | About::Debt { .. } => MailTopic::Debt,
            About::AddressRefused { .. } => MailTopic::Recipient,
            About::EndpointDisabled { .. } | About::EndpointFailing { .. } => MailTopic::Endpoint,
            About::ConfirmAddress { .. } | About::Test => return None,
        })
    }

    /// How urgent it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            About::Low { available, .. } if *available <= Micros::ZERO => Severity::Critical,
            About::Low { lines, .. } => {
                let is_forecast = |line: &Line| matches!(line.watched, AlertLine::RunwayDays(_));
                if lines.iter().all(is_forecast) { Severity::Info } else { Severity::Warning }
            }
            About::Refused { .. }
            | About::AutoTopUpStopped { .. }
            | About::Dispute { .. }
            | About::Debt { .. } => Severity::Critical,
            About::Limit { .. }
            | About::TopUpFailed { .. }
            | About::AutoTopUpPaused { .. }
            | About::SubscriptionPastDue { .. }
            | About::SubscriptionEnded { .. }
            | About::AddressRefused { .. }
            | About::EndpointDisabled { .. }
            | About::EndpointFailing { .. } => Severity::Warning,
            About::Recovered { .. }
            | About::TopUpSucceeded { .. }
            | About::TopUpRefunded { .. }
            | About::SubscriptionRenewed { .. }
            | About::ConfirmAddress { .. }
            | About::Test => Severity::Info,
        }
    }
}

/// How urgent a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something should be done soon.
    Warning,
    /// Operations are refused, or soon will be, until something is done.
    Critical,
}

/// A threshold that was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it watches.
    pub watched: AlertLine,
    /// The credit of the line. For days of runway it is what the forecast says that they need.
    pub amount: Micros,
}
