//! What a decision reads and what it answers: [`View`], [`Change`] and [`Decision`].
//!
//! A view holds everything that one command may depend on. The engine loads it before it calls
//! [`decide`](crate::decide), so that a decision never waits and never reads more than it is given.
//! It borrows and changes nothing. How an engine loads a view and writes a change is not here.

use crate::{
    Account, Charge, Command, Entry, EntryBody, Id, IdempotencyKey, Micros, PeriodWindows, Platform, Refusal,
    TextsOfMember, Timestamp, WorkspaceId, bounds,
};

/// Exactly what a decision may read.
#[derive(Debug)]
pub struct View<'a> {
    /// The account of the workspace that the command names. A workspace that does not exist is
    /// `None` or an account without entries.
    pub account: Option<&'a Account>,
    /// The price book and the settings that decide money.
    pub platform: &'a Platform,
    /// The entry that was written under the command's idempotency key, if there is one (i07).
    pub entry_under_key: Option<&'a Entry>,
    /// The charge that the command names, if it exists in this workspace.
    pub charge: Option<&'a Charge>,
    /// For a command with a [`Command::recount`](crate::Command::recount): the net spending under
    /// each of its limits in the current period, in the same order. Empty for other commands.
    pub used_by_limit: &'a [Micros],
    /// What is stored of the texts of the member that the command names
    /// ([`Command::member_with_texts`]).
    pub texts_of_member: TextsOfMember,
    /// What was paid for the grant that the command names ([`Command::grant`]), in cents; 0 if it
    /// does not exist, and for other commands.
    pub paid_cents: i64,
    /// The day and month around [`Account::present`], in the time zone of the workspace or of the
    /// recount. Read only if the command has a recount or the account needs them
    /// ([`Account::needs_windows`]).
    pub windows: PeriodWindows,
    /// An id that nothing has yet; the new charge, grant, key or link gets it.
    pub fresh_id: Id,
}

/// Exactly what a decision may write: entries in this order, the first under the request's key.
#[derive(Debug)]
pub struct Change {
    /// The entry that the command asks for.
    pub first: EntryBody,
    /// The entries that follow from it, such as alerts and repaid debt.
    pub rest: Vec<EntryBody>,
    /// The idempotency key of the first entry.
    pub key: Option<IdempotencyKey>,
}

/// An accepted command.
#[derive(Debug)]
pub enum Decision {
    /// These entries are to be written.
    Change(Change),
    /// The same request wrote [`View::entry_under_key`]: answer as that entry did, write nothing
    /// (i07).
    Replay,
    /// The command would change nothing; there is nothing to write.
    Unchanged,
}

/// The two clocks of one decision. They differ by no more than the clocks of servers may differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    /// The time by which the command is decided ([`Account::present`]).
    pub present: Timestamp,
    /// The clock of the server that received the command.
    pub server: Timestamp,
}

impl Clocks {
    /// The clocks of an account, or of a workspace that does not exist, when the server's clock
    /// shows `server`.
    pub fn new(account: Option<&Account>, server: Timestamp) -> Clocks {
        let clocks = Clocks { present: account.map_or(server, |account| account.present(server)), server };
        let last = account.map_or(server, |account| account.chain.at);
        assert!(
            clocks.present == clocks.server || clocks.present == last,
            "a decision's time must be the server's or that of the last entry"
        );
        assert!(clocks.present >= clocks.server, "a decision's time must not be earlier than the server's");
        assert!(
            !clocks.present.is_ahead_of(clocks.server),
            "a decision must not go by an entry that was made while a clock was ahead"
        );
        clocks
    }
}

impl<'a> View<'a> {
    /// The account, or the refusal that there is no such workspace.
    pub(crate) fn account(&self) -> Result<&'a Account, Refusal> {
        self.account.filter(|account| account.exists()).ok_or(Refusal::WorkspaceNotFound)
    }

    /// The charge, or the refusal that it does not exist.
    pub(crate) fn charge(&self) -> Result<&'a Charge, Refusal> {
        self.account()?;
        self.charge.ok_or(Refusal::ChargeNotFound)
    }

    /// The windows in which a charge or refund counts; `None` if the workspace has no limits.
    pub(crate) fn windows_of_limits(&self, now: Timestamp) -> Option<PeriodWindows> {
        let limited = self.account.is_some_and(|account| !account.limits.is_empty());
        limited.then(|| self.windows_around(now))
    }

    /// The day and month of the view; asserts that they contain `now`.
    pub(crate) fn windows_around(&self, now: Timestamp) -> PeriodWindows {
        assert!(self.windows.day.contains(now), "the day of a view must contain the decision's time");
        assert!(self.windows.month.contains(now), "the month of a view must contain the decision's time");
        assert!(self.windows.month.start <= self.windows.day.start, "a day must start in its month");
        self.windows
    }

    /// Asserts that the engine loaded the view for this command: another workspace's account or
    /// another charge would move credit without a request.
    pub(crate) fn assert_loaded_for(
        &self,
        workspace: &WorkspaceId,
        command: &Command,
        key: Option<&IdempotencyKey>,
    ) {
        assert!(self.fresh_id.is_v7(), "a new id must be a UUID of version 7");
        if let Some(account) = self.account {
            assert!(
                account.profile.id == *workspace,
                "a view must hold the account of its command's workspace"
            );
        }
        if let Some(loaded) = self.charge {
            assert!(
                command.charge() == Some(loaded.details.id),
                "a view must hold the charge that its command names"
            );
        }
        if let Some(entry) = self.entry_under_key {
            assert!(entry.key.as_ref() == key, "i07: a view must hold the entry under its command's key");
        }
        if let (Some(account), Some(entry)) = (self.account, self.entry_under_key) {
            assert!(entry.n <= account.chain.n, "i02: the entry under a key must be in the journal");
        }
        assert!(
            self.used_by_limit.is_empty() || command.may_recount(),
            "a view that counts the use of limits must be of a command that asks for it"
        );
        assert!(
            self.texts_of_member == TextsOfMember::Unknown || command.member_with_texts().is_some(),
            "a view must hold what is stored of a member only for a command that names it"
        );
        assert!(
            self.paid_cents == 0 || command.grant().is_some(),
            "a view must hold what was paid for a grant only for a command that names it"
        );
        let window = self.platform.settings.refund_window_days;
        assert!(window <= bounds::REFUND_WINDOW_MAX_DAYS, "a refund window must be an allowed one");
    }
}
