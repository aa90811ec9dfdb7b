//! What the writer thread answers, from memory and single reads of the files: profiles, balances,
//! single charges, what is due.
//!
//! For long lists, which are read from disk by other threads, it returns an [`AccountDelta`]: what
//! the state file does not hold yet of an account. The lists themselves are in `scan`.
//!
//! Every query may load an account from the state file, or load everything again after a failure.
//! So every query can fail.

use std::sync::Arc;

use tollkeeper_ledger::{
    ChargeId, EntryBody, Grant, Limits, PeriodWindows, Profile, Team, Timestamp, UsageKey, UsageSums,
    WorkspaceId,
};

use super::Core;
use super::state_machine::StateMachine;
use crate::embedded::storage::block::Stored;
use crate::embedded::storage::key_index::Name;
use crate::embedded::storage::state_meta::KnownEntry;
use crate::{BalanceAt, ChargeRecord, Error, JournalHead, Listing, Page, RefundRecord, calendar};

/// The time after which a due charge that cannot be read is looked at again.
const UNREADABLE_PAUSE_SECONDS: i64 = 600;

/// What the state file does not hold yet of an account that it holds up to some entry.
#[derive(Debug)]
pub(crate) struct AccountDelta {
    pub account_index: u32,
    /// The sequence number of the account's last entry.
    pub head: u64,
    /// Hours with entries, oldest first, each with the sequence number of the last of them.
    pub hours: Vec<(i64, u64)>,
    /// To be added to the usage in the file.
    pub usage: Vec<(UsageKey, UsageSums)>,
    /// Grants that came in, each with the sequence number of its entry.
    pub new_grants: Vec<(u64, Grant)>,
    /// Grants whose remainder may differ from the one in the file.
    pub changed_grants: Vec<Grant>,
}

/// What has become of a charge since it was opened.
#[derive(Debug)]
pub(crate) enum ChargeChanges {
    /// It is pending, with this deadline.
    Pending(Timestamp),
    /// The later entries that may be about it, newest first.
    Entries(Vec<u64>),
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
    /// Answers [`Query::Workspace`](crate::Query::Workspace).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn workspace(&mut self, id: &WorkspaceId) -> Result<Option<Profile>, Error> {
        let machine = self.ensure_loaded()?;
        let index = machine.find_workspace(id)?;
        Ok(index.map(|index| (*machine.accounts.get(index).account.profile).clone()))
    }

    /// Answers [`Query::Workspaces`](crate::Query::Workspaces). A cursor is the account index at
    /// which the page before ended.
    ///
    /// # Errors
    /// When the store cannot be read, or the cursor is not one of this list.
    pub fn workspaces(&mut self, page: &Page) -> Result<Listing<Profile>, Error> {
        let machine = self.ensure_loaded()?;
        let before = match &page.cursor {
            None => machine.accounts.next_index(),
            Some(cursor) => cursor.parse().map_err(|_| Error::bad_cursor())?,
        };
        let mut data = Vec::new();
        let mut index = before.min(machine.accounts.next_index());
        // The platform's own chain has number 0 and is no workspace.
        while index > 1 && data.len() < page.limit {
            index -= 1;
            data.extend(
                machine.accounts.load(index, &machine.state)?.map(|slot| (*slot.account.profile).clone()),
            );
        }
        Ok(Listing { data, next: (index > 1).then(|| index.to_string()) })
    }

    /// Answers [`Query::Balance`](crate::Query::Balance) for the current balance.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn balance(&mut self, id: &WorkspaceId) -> Result<Option<BalanceAt>, Error> {
        let machine = self.ensure_loaded()?;
        let index = machine.find_workspace(id)?;
        Ok(index.map(|index| {
            let account = &machine.accounts.get(index).account;
            BalanceAt { balance: account.balance, last_entry_at: account.chain.at }
        }))
    }

    /// Answers [`Query::Team`](crate::Query::Team).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn team(&mut self, id: &WorkspaceId) -> Result<Option<Arc<Team>>, Error> {
        let machine = self.ensure_loaded()?;
        let index = machine.find_workspace(id)?;
        Ok(index.map(|index| Arc::clone(&machine.accounts.get(index).account.team)))
    }

    /// Answers [`Query::Limits`](crate::Query::Limits).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn limits(
        &mut self,
        id: &WorkspaceId,
        now: Timestamp,
    ) -> Result<Option<(Limits, PeriodWindows)>, Error> {
        let machine = self.ensure_loaded()?;
        let index = machine.find_workspace(id)?;
        Ok(index.map(|index| calendar::limits(&machine.accounts.get(index).account, now)))
    }

    /// Answers [`Query::Charge`](crate::Query::Charge).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn charge(&mut self, id: &WorkspaceId, charge: ChargeId) -> Result<Option<ChargeRecord>, Error> {
        let machine = self.ensure_loaded()?;
        let Some(index) = machine.find_workspace(id)? else { return Ok(None) };
        let Some(located) = machine.find_charge(index, charge)? else { return Ok(None) };
        let mut refunds = Vec::new();
        for entry in machine.changes_of_charge(index, located.opening_seq)?.into_iter().rev() {
            if let EntryBody::ChargeRefunded(refund) = entry.body
                && refund.charge == charge
            {
                refunds.push(RefundRecord { at: entry.at, refund: *refund });
            }
        }
        let mut draws = Vec::new();
        for draw in located.charge.details.draws.iter() {
            let slot = machine.accounts.get_mut(index);
            slot.load_grant(draw.grant, &machine.state)?;
            draws.extend(slot.account.grants.get(draw.grant).map(|grant| (grant.id, draw.amount)));
        }
        let balance = machine.accounts.get(index).account.balance;
        Ok(Some(ChargeRecord { charge: located.charge, draws, refunds, balance }))
    }

    /// Answers [`Query::JournalHead`](crate::Query::JournalHead).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn journal_head(&mut self) -> Result<JournalHead, Error> {
        let machine = self.ensure_loaded()?;
        let KnownEntry { seq, hash } = machine.last_entry()?;
        Ok(JournalHead { epoch: machine.platform.epoch, place: seq, hash, entries: seq })
    }

    /// At most `most` pending charges whose deadline has passed, the longest overdue first. One
    /// that cannot be read is logged, left out, and looked at again some minutes later.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn due(&mut self, now: Timestamp, most: usize) -> Result<Vec<(WorkspaceId, ChargeId)>, Error> {
        let machine = self.ensure_loaded()?;
        machine.unreadable.retain(|_, again_at| *again_at > now);
        let unreadable = &machine.unreadable;
        let due_seqs = machine.deadlines.due(now).filter(|seq| !unreadable.contains_key(seq));
        let seqs: Vec<u64> = due_seqs.take(most).collect();
        let mut due = Vec::with_capacity(seqs.len());
        for seq in seqs {
            match machine.due_charge(seq) {
                Ok(found) => due.push(found),
                Err(error) if error.is_damaged() && !error.is_damaged_state() => {
                    tracing::error!(%error, entry = seq, "a due charge cannot be read; it stays pending");
                    machine.unreadable.insert(seq, now.plus_seconds(UNREADABLE_PAUSE_SECONDS));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(due)
    }

    /// What a reader needs besides a state file that holds the account up to its entry `n_in_file`.
    pub(crate) fn delta(&mut self, id: &WorkspaceId, n_in_file: u64) -> Result<DeltaResult, Error> {
        let machine = self.ensure_loaded()?;
        let Some(index) = machine.find_workspace(id)? else { return Ok(DeltaResult::NoWorkspace) };
        Ok(match machine.account_delta(index, n_in_file) {
            Some(delta) => DeltaResult::Delta(delta),
            None => DeltaResult::FileTooOld,
        })
    }

    /// The account index of a workspace; `None` if there is no such workspace.
    pub(crate) fn account_index(&mut self, id: &WorkspaceId) -> Result<Option<u32>, Error> {
        self.ensure_loaded()?.find_workspace(id)
    }

    /// For each charge, by the sequence number of its opening entry: what has become of it.
    pub(crate) fn changes_of(
        &mut self,
        account_index: u32,
        opening_seqs: &[u64],
    ) -> Result<Vec<ChargeChanges>, Error> {
        let machine = self.ensure_loaded()?;
        let changes = opening_seqs.iter().map(|opening_seq| {
            if let Some(deadline) = machine.deadlines.get(*opening_seq) {
                return Ok(ChargeChanges::Pending(deadline));
            }
            let fingerprint = machine.fingerprints.of(account_index, Name::Changed(*opening_seq));
            machine.seqs_of(fingerprint, true).map(ChargeChanges::Entries)
        });
        changes.collect()
    }
}

impl StateMachine {
    /// The workspace and the id of the charge that entry `seq` opened.
    fn due_charge(&mut self, seq: u64) -> Result<(WorkspaceId, ChargeId), Error> {
        let missing = || Error::damaged(format!("journal entry {seq}, which opened it, is missing"));
        let read = |stored: Stored| Ok((stored.header.account_index, stored.entry()?));
        let (index, entry) = self.read_existing(seq, read)?;
        let (charge, _) = entry.body.charge().ok_or_else(missing)?;
        let slot = self.accounts.load(index, &self.state)?.ok_or_else(missing)?;
        Ok((slot.account.profile.id.clone(), charge))
    }

    /// The account index of a workspace that exists. The platform's own chain is no workspace.
    fn find_workspace(&mut self, id: &WorkspaceId) -> Result<Option<u32>, Error> {
        let index = self.resolve(id)?;
        if let Some(index) = index.filter(|index| self.accounts.get(*index).quarantined) {
            return Err(self.quarantine.error(index));
        }
        Ok(index.filter(|index| *index != 0 && self.accounts.get(*index).account.exists()))
    }

    /// What a state file that holds the account up to its entry `n_in_file` is missing; `None` if
    /// memory no longer knows what that is.
    pub(super) fn account_delta(&self, account_index: u32, n_in_file: u64) -> Option<AccountDelta> {
        let slot = self.accounts.get(account_index);
        let being_persisted = match slot.being_persisted.as_deref() {
            Some(written) if n_in_file == written.n => None,
            _ if n_in_file == slot.stored_n => slot.being_persisted.as_deref(),
            _ => return None,
        };
        let unpersisted = &slot.unpersisted;
        let (mut hours, mut usage, mut new_grants) = (Vec::new(), Vec::new(), Vec::new());
        let mut changed_grants: Vec<Grant> = slot.account.grants.iter().cloned().collect();
        if let Some(being_persisted) = being_persisted {
            hours.extend_from_slice(&being_persisted.hours);
            usage.extend_from_slice(&being_persisted.usage);
            new_grants.extend_from_slice(&being_persisted.grants);
            let left_memory = |grant: &&Grant| slot.account.grants.get(grant.n).is_none();
            changed_grants.extend(being_persisted.spent.iter().filter(left_memory).cloned());
        }
        hours.extend_from_slice(&unpersisted.hours);
        usage.extend(unpersisted.usage.rows());
        new_grants.extend_from_slice(&unpersisted.grants);
        assert!(
            new_grants.last().is_none_or(|(seq, _)| *seq <= slot.head),
            "a grant is not newer than the last entry"
        );
        Some(AccountDelta { account_index, head: slot.head, hours, usage, new_grants, changed_grants })
    }
}
