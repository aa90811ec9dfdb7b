//! What the state file does not hold yet of an account, for a list that another thread reads from
//! the files.
//!
//! The writer thread answers these questions between commands. So a question names what is
//! [`Wanted`], and the answer holds no more: no list copies the grants or the usage of an account
//! that it does not show. Usage that was given to the checkpointer is shared, not copied.

use std::ops::Range;
use std::sync::Arc;

use tollkeeper_ledger::{Grant, UsageKey, UsageSums, WorkspaceId};

use super::Core;
use super::state_machine::StateMachine;
use crate::Error;

/// What a reader needs of an account.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// The last entry up to this hour, or the last of all.
    Entries { up_to: Option<i64> },
    /// The usage of these hours.
    Usage { hours: Range<i64> },
    /// At most `most` grants with numbers below `before`. `in_file`: those of them that the file
    /// holds.
    Grants { before: u64, most: usize, in_file: Vec<u64> },
}

/// Rows of usage that are added to those of the file.
#[derive(Debug, Default)]
pub(crate) struct UnpersistedUsage {
    /// What is being persisted, of all hours.
    pub being_persisted: Option<Arc<Vec<(UsageKey, UsageSums)>>>,
    /// What was counted since, of the hours that are wanted.
    pub rows: Vec<(UsageKey, UsageSums)>,
}

impl UnpersistedUsage {
    /// The rows of these hours.
    pub(crate) fn of(self, hours: Range<i64>) -> impl Iterator<Item = (UsageKey, UsageSums)> {
        let UnpersistedUsage { being_persisted, rows } = self;
        let shared = being_persisted.unwrap_or_default();
        let in_hours: Vec<_> = shared.iter().filter(|(key, _)| hours.contains(&key.hour)).cloned().collect();
        in_hours.into_iter().chain(rows)
    }
}

/// What the state file does not hold yet of an account that it holds up to some entry: of what is
/// wanted.
#[derive(Debug)]
pub(crate) struct AccountDelta {
    pub account_index: u32,
    /// The sequence number of the account's last entry.
    pub head: u64,
    /// The last entry up to the hour that is wanted; `None` if it is in the file.
    pub up_to_hour: Option<u64>,
    pub usage: UnpersistedUsage,
    /// Grants that came in, oldest first, each with the sequence number of its entry.
    pub new_grants: Vec<(u64, Grant)>,
    /// The grants of the list whose remainder may differ from the one in the file.
    pub changed_grants: Vec<Grant>,
}

/// A delta is possible only for a file that is as young as memory expects.
#[derive(Debug)]
pub(crate) enum DeltaResult {
    /// There is no such workspace.
    NoWorkspace,
    /// The state file that was read is too old by now; read it again.
    FileTooOld,
    Delta(AccountDelta),
}

impl Core {
    /// What a reader needs besides a state file that holds the account up to its entry `n_in_file`.
    pub(crate) fn delta(
        &mut self,
        id: &WorkspaceId,
        n_in_file: u64,
        wanted: &Wanted,
    ) -> Result<DeltaResult, Error> {
        let machine = self.ensure_loaded()?;
        let Some(index) = machine.find_workspace(id)? else { return Ok(DeltaResult::NoWorkspace) };
        Ok(match machine.account_delta(index, n_in_file, wanted) {
            Some(delta) => DeltaResult::Delta(delta),
            None => DeltaResult::FileTooOld,
        })
    }
}

impl StateMachine {
    /// What a state file that holds the account up to its entry `n_in_file` is missing; `None` if
    /// memory no longer knows what that is.
    pub(super) fn account_delta(
        &self,
        account_index: u32,
        n_in_file: u64,
        wanted: &Wanted,
    ) -> Option<AccountDelta> {
        let slot = self.accounts.get(account_index);
        let being_persisted = match slot.being_persisted.as_deref() {
            Some(written) if n_in_file == written.n => None,
            _ if n_in_file == slot.stored_n => slot.being_persisted.as_deref(),
            _ => return None,
        };
        let mut delta = AccountDelta {
            account_index,
            head: slot.head,
            up_to_hour: None,
            usage: UnpersistedUsage::default(),
            new_grants: Vec::new(),
            changed_grants: Vec::new(),
        };
        let earlier = being_persisted.map_or(&[][..], |being_persisted| &being_persisted.hours);
        match wanted {
            Wanted::Entries { up_to: None } => delta.up_to_hour = Some(slot.head),
            Wanted::Entries { up_to: Some(hour) } => {
                let hours = slot.unpersisted.hours.iter().rev().chain(earlier.iter().rev());
                delta.up_to_hour = hours.into_iter().find(|(at, _)| at <= hour).map(|(_, seq)| *seq);
            }
            Wanted::Usage { hours } => {
                delta.usage.being_persisted = being_persisted.map(|given| Arc::clone(&given.usage));
                delta.usage.rows = slot.unpersisted.usage.rows_in(hours);
            }
            Wanted::Grants { before, most, in_file } => {
                let earlier = being_persisted.map_or(&[][..], |given| &given.grants);
                let newest = slot.unpersisted.grants.iter().rev().chain(earlier.iter().rev());
                let newest = newest.filter(|(_, grant)| grant.n < *before).take(*most);
                delta.new_grants = newest.cloned().collect();
                delta.new_grants.reverse();
                assert!(delta.new_grants.is_sorted_by_key(|(seq, _)| *seq), "grants come in order");
                let mut shown: Vec<u64> = delta.new_grants.iter().map(|(_, grant)| grant.n).collect();
                shown.extend(in_file);
                shown.sort_unstable();
                // What has left memory has not changed since.
                let spent = being_persisted.map_or(&[][..], |given| &given.spent);
                let spent = spent.iter().filter(|grant| slot.account.grants.get(grant.n).is_none());
                let changed = slot.account.grants.iter().chain(spent);
                let changed = changed.filter(|grant| shown.binary_search(&grant.n).is_ok());
                delta.changed_grants = changed.cloned().collect();
                assert!(delta.changed_grants.len() <= shown.len(), "a grant is in one place");
            }
        }
        Some(delta)
    }
}
