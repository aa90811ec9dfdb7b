//! Closing days of usage: which accounts the checkpointer looks at next, and up to which instant.
//!
//! A walk goes over all accounts, a slice at a time. Days are closed from rows that are in the
//! state file, so those of an account end where rows begin that are not. If those are old, the
//! account is given to the checkpointer now: on a quiet store its turn in a round may be months
//! away.

use tollkeeper_ledger::Timestamp;

use super::Core;
use super::state_machine::StateMachine;
use crate::embedded::storage::checkpoint_task::Task;
use crate::embedded::storage::state_days::ClosedSlice;
use crate::{ClosedDays, Error, closed_days};

/// A walk over the accounts.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// The account at which the next slice begins.
    next: u32,
    /// True if the last slice of the walk was given to the checkpointer.
    is_at_end: bool,
    /// True if the walk met old rows that are not in the state file, so that another one is due.
    left_out: bool,
    /// Days that were closed and not reported.
    days: u64,
}

impl Closing {
    /// Notes what became of a slice.
    pub(super) fn note(&mut self, slice: ClosedSlice) {
        self.days += slice.days;
        if let Some(account_index) = slice.stopped_at {
            (self.next, self.is_at_end) = (account_index, false);
        }
    }
}

impl Core {
    /// Answers [`Engine::close_days`](crate::Engine::close_days).
    pub(crate) fn close_days(&mut self, now: Timestamp, most: usize) -> Result<ClosedDays, Error> {
        Ok(self.ensure_loaded()?.close_days(now, most))
    }
}

impl StateMachine {
    fn close_days(&mut self, now: Timestamp, most: usize) -> ClosedDays {
        if self.maintenance.is_read_only() {
            return ClosedDays::default();
        }
        let days = std::mem::take(&mut self.closing.days);
        if self.maintenance.is_closing_days() {
            return ClosedDays { days, has_more: true };
        }
        let Closing { next, is_at_end, left_out, .. } = self.closing;
        if is_at_end {
            self.closing = Closing::default();
            return ClosedDays { days, has_more: left_out };
        }
        // Account 0 is the platform's own chain, which uses nothing.
        let first = next.max(1);
        let end =
            self.accounts.next_index().min(first.saturating_add(u32::try_from(most).unwrap_or(u32::MAX)));
        let limit = closed_days::closable_until(now);
        let slice: Vec<_> = (first..end).map(|index| (index, self.closable(index, limit))).collect();
        self.closing.next = end;
        self.closing.is_at_end = end >= self.accounts.next_index();
        if !slice.is_empty() {
            self.maintenance.submit(Task::CloseDays(slice));
        }
        ClosedDays { days, has_more: true }
    }

    /// The instant up to which the days of an account can be closed.
    fn closable(&mut self, account_index: u32, limit: Timestamp) -> Timestamp {
        match self.accounts.earliest_unpersisted_use(account_index) {
            Some(begin) if begin < limit => {
                self.closing.left_out |= self.accounts.persist_soon(account_index);
                begin
            }
            _ => limit,
        }
    }
}
