//! What the writer thread answers, from memory and single reads of the files: profiles, balances,
//! what is due.
//!
//! Charges and lists are read from the files by other threads, in `scan`. For them it answers
//! where the entries about a charge are. What the files do not hold yet of an account is in
//! `delta`.
//!
//! Every query may load an account from the state file, or load everything again after a failure.
//! So every query can fail.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use tollkeeper_ledger::{
    Alerts, Balance, ChargeId, GrantId, Limits, Payments, PeriodWindows, Profile, Team, Timestamp,
    WorkspaceId,
};

use super::Core;
use super::ids::seq_of_id;
use super::state_machine::StateMachine;
use crate::embedded::storage::block::Stored;
use crate::embedded::storage::key_index::Name;
use crate::embedded::storage::state_meta::KnownEntry;
use crate::{BalanceAt, DuePlace, Error, JournalHead, WorkspaceRecord, calendar};

/// The time after which a due charge that cannot be read is looked at again.
const UNREADABLE_PAUSE_SECONDS: i64 = 600;

/// What has become of a charge since it was opened.
#[derive(Debug)]
pub(crate) enum ChargeChanges {
    /// It is pending, with this deadline.
    Pending(Timestamp),
    /// The later entries that may be about it, newest first.
    Entries(Vec<u64>),
}

/// The last entry of a workspace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChainEnd {
    pub account_index: u32,
    /// Its sequence number.
    pub seq: u64,
    /// Its number in the workspace.
    pub n: u64,
}

/// The workspaces that a search does not find as they are in the state file.
#[derive(Debug)]
pub(crate) struct Unlisted {
    /// The account index below which they were looked for.
    pub before: u32,
    /// The account index down to which these are all.
    pub from: u32,
    /// Account indices, the highest first.
    pub indices: Vec<u32>,
}

/// What the details of a charge show besides its entries.
#[derive(Debug)]
pub(crate) struct ChargeNow {
    pub changes: ChargeChanges,
    /// The ids of the grants that it drew from; `None` for one that only the state file holds.
    pub grants: Vec<Option<GrantId>>,
    /// The balance of its workspace.
    pub balance: Balance,
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

    /// The workspaces with account indices below `before` whose row for searches may differ from
    /// the one in the state file, or is not there yet. At most `most`, the newest first.
    pub(crate) fn unlisted(&mut self, before: Option<u32>, most: usize) -> Result<Unlisted, Error> {
        let accounts = &self.ensure_loaded()?.accounts;
        let before = before.map_or(accounts.next_index(), |before| before.min(accounts.next_index()));
        let mut indices: Vec<u32> = accounts.unlisted_below(before).take(most + 1).collect();
        let more = indices.len() > most;
        indices.truncate(most);
        let from = if more { indices.last().copied().unwrap_or(before) } else { 1 };
        Ok(Unlisted { before, from, indices })
    }

    /// The workspaces with these account indices as they are now; `None` for one that is as the
    /// state file says.
    pub(crate) fn records_in_memory(
        &mut self,
        indices: &[u32],
    ) -> Result<Vec<Option<WorkspaceRecord>>, Error> {
        let accounts = &self.ensure_loaded()?.accounts;
        let in_memory = |index: &u32| accounts.in_memory_at(*index).map(WorkspaceRecord::of);
        Ok(indices.iter().map(in_memory).collect())
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

    /// Answers [`Query::Payments`](crate::Query::Payments).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn payments(&mut self, id: &WorkspaceId) -> Result<Option<Arc<Payments>>, Error> {
        let machine = self.ensure_loaded()?;
        let index = machine.find_workspace(id)?;
        Ok(index.map(|index| machine.accounts.get(index).account.payments.clone().unwrap_or_default()))
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

    /// Answers [`Query::Alerts`](crate::Query::Alerts).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn alerts(&mut self, id: &WorkspaceId) -> Result<Option<Alerts>, Error> {
        let machine = self.ensure_loaded()?;
        let index = machine.find_workspace(id)?;
        Ok(index.map(|index| machine.accounts.get(index).account.alerts.clone()))
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
        self.look_at_files();
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

    /// At most `most` workspaces with work of payments that is due, behind a place in the list of
    /// them: the longest overdue first, and of one time those that were created first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn due_payments(
        &mut self,
        now: Timestamp,
        after: Option<&DuePlace>,
        most: usize,
    ) -> Result<Vec<DuePlace>, Error> {
        self.look_at_files();
        let machine = self.ensure_loaded()?;
        let after = match after {
            // A workspace that is not there is before all others.
            Some(DuePlace { due_at, workspace }) => {
                Some((*due_at, machine.find_workspace(workspace)?.map_or(0, u64::from)))
            }
            None => None,
        };
        let due: Vec<(Timestamp, u64)> = machine.due_payments.due_behind(now, after).take(most).collect();
        let place = |(due_at, index)| Ok(DuePlace { due_at, workspace: machine.workspace_at(index)? });
        due.into_iter().map(place).collect()
    }

    /// Where the journal of a workspace ends; `None` if there is no such workspace.
    pub(crate) fn chain_end(&mut self, id: &WorkspaceId) -> Result<Option<ChainEnd>, Error> {
        let machine = self.ensure_loaded()?;
        let Some(account_index) = machine.find_workspace(id)? else { return Ok(None) };
        let slot = machine.accounts.get(account_index);
        Ok(Some(ChainEnd { account_index, seq: slot.head, n: slot.account.chain.n }))
    }

    /// The sequence number of the platform's last entry; 0 if it has none.
    pub(crate) fn platform_end(&mut self) -> Result<u64, Error> {
        Ok(self.ensure_loaded()?.accounts.get(0).head)
    }

    /// The ids of the workspaces with these account indices, which are in use. Index 0 is the
    /// platform.
    pub(crate) fn workspaces_at(&mut self, indices: Vec<u32>) -> Result<BTreeMap<u32, WorkspaceId>, Error> {
        let machine = self.ensure_loaded()?;
        let mut ids = BTreeMap::new();
        for index in indices {
            if let Entry::Vacant(place) = ids.entry(index) {
                let is_platform = index == 0;
                let id = if is_platform { None } else { Some(machine.workspace_at(u64::from(index))?) };
                place.insert(id.unwrap_or_else(WorkspaceId::platform));
            }
        }
        Ok(ids)
    }

    /// The account index of a workspace; `None` if there is no such workspace.
    pub(crate) fn account_index(&mut self, id: &WorkspaceId) -> Result<Option<u32>, Error> {
        self.ensure_loaded()?.find_workspace(id)
    }

    /// The account index of a workspace, and the entries that may have opened a charge of it;
    /// `None` if there is no such workspace.
    pub(crate) fn opening_candidates(
        &mut self,
        id: &WorkspaceId,
        charge: ChargeId,
    ) -> Result<Option<(u32, Vec<u64>)>, Error> {
        let machine = self.ensure_loaded()?;
        let Some(index) = machine.find_workspace(id)? else { return Ok(None) };
        let fingerprint = machine.fingerprints.of(index, Name::Id(charge.0.to_bytes()));
        let mut seqs = machine.seqs_of(fingerprint, true)?;
        let seq = seq_of_id(charge.0);
        if (1..=machine.last_seq()).contains(&seq) {
            seqs.insert(0, seq);
        }
        Ok(Some((index, seqs)))
    }

    /// What has become of the charge that entry `opening_seq` opened, with the ids of the grants of
    /// these numbers.
    pub(crate) fn charge_now(
        &mut self,
        id: &WorkspaceId,
        opening_seq: u64,
        grants: &[u64],
    ) -> Result<Option<ChargeNow>, Error> {
        let machine = self.ensure_loaded()?;
        let Some(index) = machine.find_workspace(id)? else { return Ok(None) };
        let changes = machine.changes_of(index, opening_seq)?;
        let slot = machine.accounts.get(index);
        let grants = grants.iter().map(|n| slot.grant_id_in_memory(*n)).collect();
        Ok(Some(ChargeNow { changes, grants, balance: slot.account.balance }))
    }

    /// For each charge, by the sequence number of its opening entry: what has become of it.
    pub(crate) fn changes_of(
        &mut self,
        account_index: u32,
        opening_seqs: &[u64],
    ) -> Result<Vec<ChargeChanges>, Error> {
        let machine = self.ensure_loaded()?;
        opening_seqs.iter().map(|seq| machine.changes_of(account_index, *seq)).collect()
    }
}

impl StateMachine {
    /// What has become of the charge that entry `opening_seq` opened. No entry is read.
    fn changes_of(&mut self, account_index: u32, opening_seq: u64) -> Result<ChargeChanges, Error> {
        if let Some(deadline) = self.deadlines.get(opening_seq) {
            return Ok(ChargeChanges::Pending(deadline));
        }
        let fingerprint = self.fingerprints.of(account_index, Name::Changed(opening_seq));
        self.seqs_of(fingerprint, true).map(ChargeChanges::Entries)
    }

    /// The workspace and the id of the charge that entry `seq` opened.
    fn due_charge(&mut self, seq: u64) -> Result<(WorkspaceId, ChargeId), Error> {
        let missing = || Error::damaged(format!("journal entry {seq}, which opened it, is missing"));
        let read = |stored: Stored| Ok((stored.header.account_index, stored.entry()?));
        let (index, entry) = self.read_existing(seq, read)?;
        let (charge, _) = entry.body.charge().ok_or_else(missing)?;
        let slot = self.accounts.load(index, &self.state)?.ok_or_else(missing)?;
        Ok((slot.account.profile.id.clone(), charge))
    }

    /// The workspace with an account index that is in use.
    fn workspace_at(&mut self, index: u64) -> Result<WorkspaceId, Error> {
        let index = u32::try_from(index).expect("the key of due payments is an account index");
        let missing = || Error::damaged(format!("the account with index {index} is missing"));
        let slot = self.accounts.load(index, &self.state)?.ok_or_else(missing)?;
        Ok(slot.account.profile.id.clone())
    }

    /// The account index of a workspace that exists. The platform's own chain is no workspace.
    pub(super) fn find_workspace(&mut self, id: &WorkspaceId) -> Result<Option<u32>, Error> {
        let index = self.resolve(id)?;
        if let Some(index) = index.filter(|index| self.accounts.get(*index).quarantined) {
            return Err(self.quarantine.error(index));
        }
        Ok(index.filter(|index| *index != 0 && self.accounts.get(*index).account.exists()))
    }
}
