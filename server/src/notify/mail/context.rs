//! What a mail says besides its event: the workspace and its credit, links, and why it came.
//!
//! It is read when a mail is composed, so a second attempt may say something newer than the first.

use jiff::civil::Date;
use tollkeeper_ledger::{Balance, Micros, WorkspaceId};

/// What a mail says besides its event.
#[derive(Clone, Debug)]
pub struct Context {
    /// The workspace; `None` for a mail about the platform.
    pub workspace: Option<WorkspaceFacts>,
    /// Where an admin changes what is mailed to whom.
    pub manage_url: Option<String>,
    /// The page that stops mails of this kind to this address.
    pub unsubscribe_url: Option<String>,
    /// Why the recipient gets it.
    pub why_you: WhyYou,
    /// Whether the subject may contain an amount.
    pub amount_in_subject: bool,
}

/// The workspace and its credit.
#[derive(Clone, Debug)]
pub struct WorkspaceFacts {
    /// The id.
    pub id: WorkspaceId,
    /// The name, as a customer wrote it.
    pub name: String,
    /// The time zone in which days and times are written.
    pub timezone: String,
    /// The credit now.
    pub balance: Balance,
    /// What is used, and how long the credit lasts; `None` if that is not known.
    pub burn: Option<Burn>,
    /// When the subscription brings credit the next time.
    pub next_grant_on: Option<Date>,
    /// The page where credit is added.
    pub add_credits_url: Option<String>,
}

/// What a workspace uses, and how long its credit lasts.
#[derive(Clone, Debug, Default)]
pub struct Burn {
    /// What a day uses on average.
    pub daily_average: Micros,
    /// The days that the credit lasts; `None` if there is no forecast.
    pub runway_days: Option<u32>,
    /// The day on which it is used up.
    pub depletes_on: Option<Date>,
    /// The operations that use the most, each with its average of a day; at most three are shown.
    pub top: Vec<(String, Micros)>,
}

/// Why somebody gets a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyYou {
    /// As an admin of the workspace: nobody else was chosen, or nobody else is left.
    Admin,
    /// As a member who was chosen.
    ChosenMember,
    /// By an address that was entered and confirmed.
    ChosenAddress,
    /// By an address that was entered and has to be confirmed.
    Unconfirmed,
    /// By the settings of the server.
    Platform,
    /// Somebody tries the settings of the server.
    Tester,
}
