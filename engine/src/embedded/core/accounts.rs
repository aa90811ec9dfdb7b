//! The accounts in memory: the working set, by index and by workspace id, with what changed in each
//! since it was persisted.
//!
//! Accounts that are not in memory are loaded on demand. Idle ones are evicted when there are too
//! many.
//!
//! Accounts are persisted in *checkpoint rounds*, in small chunks, while commands go on (a fuzzy
//! checkpoint). A round takes every account that was dirty when it began, each with all its changes
//! up to the moment at which its chunk is taken. An account's row says up to which entry it goes,
//! so rows of different moments are consistent. After the last chunk everything up to the beginning
//! of the round is persisted.
//!
//! A quarantined account is left out of rounds, so a round that leaves one out does not say up to
//! where everything is persisted.
//!
//! Invariants: an account that is dirty or being persisted stays in memory; index 0 is the
//! platform's own chain; an index is never used for two workspaces.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;
use tollkeeper_ledger::{
    Account, Grant, GrantId, Payments, Team, Timestamp, Totals, Usage, UsageKey, UsageSums, WorkspaceId,
    invariants,
};

use crate::Error;
use crate::embedded::storage::checkpoint_task::AccountChunk;
use crate::embedded::storage::state_db::{PersistedAccount, StateFile};
use crate::embedded::storage::state_rows::{AccountRow, Awaits, Linked, Part};
use crate::workspace_search::SearchRow;

/// An account with this number of unpersisted rows is given to the checkpointer at once. So what
/// the writer thread hands over in one piece is bounded.
const WIDE_ROWS: usize = 4_096;

/// An account with this number of unpersisted rows takes no more before the checkpointer has taken
/// some: memory stays bounded if rows come faster than they are written.
const OVERFULL_ROWS: usize = 4 * WIDE_ROWS;

/// What changed since an account was last persisted, besides the account itself.
#[derive(Debug, Default)]
pub(crate) struct Unpersisted {
    pub usage: Usage,
    /// The hours in which it has entries, oldest first, each with the sequence number of the last
    /// of them.
    pub hours: Vec<(i64, u64)>,
    /// Charges whose deadline changed, by the sequence number of the entry that opened them; `None`
    /// once a charge is not pending any more.
    pub pending: BTreeMap<u64, Option<Timestamp>>,
    /// Grants that came in, each with the sequence number of its entry.
    pub grants: Vec<(u64, Grant)>,
    /// True if searches of workspaces may no longer find it by what the state file says.
    pub unlisted: bool,
    /// True if its profile changed.
    pub is_updated: bool,
}

impl Unpersisted {
    /// The number of rows that it becomes in the state file, without its few hours.
    fn rows(&self) -> usize {
        self.usage.len() + self.pending.len() + self.grants.len()
    }

    /// Notes that entry `seq` falls into an hour.
    pub(super) fn note_hour(&mut self, hour: i64, seq: u64) {
        match self.hours.last_mut() {
            Some(last) if last.0 == hour => last.1 = seq,
            _ => {
                // Rarely more than one between two rounds, and there are many accounts.
                self.hours.reserve_exact(1);
                self.hours.push((hour, seq));
            }
        }
    }
}

/// What was given to the checkpointer and is not known to be in the state file.
#[derive(Debug)]
pub(crate) struct BeingPersisted {
    /// The number of the account's last entry that it includes.
    pub n: u64,
    /// Shared with the chunk and with reads.
    pub usage: Arc<Vec<(UsageKey, UsageSums)>>,
    /// As in [`Unpersisted`].
    pub hours: Vec<(i64, u64)>,
    /// As in [`Unpersisted`].
    pub grants: Vec<(u64, Grant)>,
    /// Spent grants, which left memory at this moment.
    pub spent: Vec<Grant>,
    /// As in [`Unpersisted`].
    pub unlisted: bool,
}

/// An account in memory.
#[derive(Debug)]
pub(crate) struct Slot {
    pub account_index: u32,
    pub account: Account,
    /// The sequence number of its last entry, 0 if it has none.
    pub head: u64,
    /// The sequence number of its last entry that was given to the checkpointer.
    given_to: u64,
    pub unpersisted: Unpersisted,
    pub being_persisted: Option<Box<BeingPersisted>>,
    /// The number of its last entry that the state file includes.
    pub stored_n: u64,
    pub(super) stored_totals: Totals,
    /// The time before which limits are not counted anew from many rows.
    pub(super) recounts_from: Timestamp,
    /// True while the account is not believed. It is neither used nor persisted then.
    pub(super) quarantined: bool,
    /// The team in the state file. While no command changes it, it is the same allocation as the
    /// account's team.
    stored_team: Arc<Team>,
    /// The payments in the state file, likewise.
    stored_payments: Option<Arc<Payments>>,
    /// What names the rows of the account in the state file.
    linked: Linked,
    /// True once the end of its chain was found in the journal. Until then it takes no entry.
    pub is_compared: bool,
    dirty: bool,
    /// True while it is among the accounts that are given to the checkpointer outside of a round.
    is_wide: bool,
    /// Whether the account was used since the clock hand last passed it.
    recently_used: bool,
}

impl Slot {
    fn new(account_index: u32, account: Account, head: u64, linked: Linked) -> Slot {
        let is_compared = head == 0 && !account.exists();
        let (stored_n, stored_totals) = (account.chain.n, account.totals);
        let (stored_team, stored_payments) = (Arc::clone(&account.team), account.payments.clone());
        let (unpersisted, being_persisted, dirty, recently_used) =
            (Unpersisted::default(), None, false, true);
        Slot {
            account_index,
            account,
            head,
            given_to: head,
            unpersisted,
            being_persisted,
            stored_n,
            stored_totals,
            recounts_from: Timestamp::ZERO,
            quarantined: false,
            stored_team,
            stored_payments,
            linked,
            is_compared,
            dirty,
            is_wide: false,
            recently_used,
        }
    }

    /// Brings a spent grant back into memory; [`Error::is_damaged_state`] if it is nowhere.
    pub(crate) fn load_grant(&mut self, n: u64, state: &StateFile) -> Result<(), Error> {
        if self.account.grants.get(n).is_some() {
            return Ok(());
        }
        let being_persisted = self
            .being_persisted
            .as_ref()
            .and_then(|being_persisted| being_persisted.spent.iter().find(|grant| grant.n == n));
        let grant = match being_persisted {
            Some(grant) => Some(grant.clone()),
            None => state.lot(self.account_index, n)?,
        };
        let missing =
            || state.damaged(format!("grant {n} of workspace {} is missing", self.account.profile.id));
        self.account.grants.insert(grant.ok_or_else(missing)?);
        Ok(())
    }

    /// The id of a grant, unless only the state file holds it.
    pub(super) fn grant_id_in_memory(&self, n: u64) -> Option<GrantId> {
        let spent = self.being_persisted.iter().flat_map(|given| &given.spent);
        let spent = || spent.clone().find(|grant| grant.n == n);
        self.account.grants.get(n).or_else(spent).map(|grant| grant.id)
    }

    /// Notes the deadline of a charge, `None` once it is not pending any more. A charge that was
    /// opened and settled between two rounds never gets a row, so it leaves nothing to write.
    pub(super) fn note_deadline(&mut self, opening_seq: u64, deadline: Option<Timestamp>) {
        let pending = &mut self.unpersisted.pending;
        if deadline.is_none() && opening_seq > self.given_to {
            pending.remove(&opening_seq);
        } else {
            pending.insert(opening_seq, deadline);
        }
    }

    /// Moves everything that is unpersisted into a chunk.
    fn take_dirty(&mut self, chunk: &mut AccountChunk) {
        assert!(!self.quarantined, "an account that is not believed is not persisted");
        assert!(self.being_persisted.is_none(), "the chunk before is in the state file");
        let account_index = self.account_index;
        assert!(self.given_to <= self.head, "no entry is taken back");
        self.given_to = self.head;
        let unpersisted = std::mem::take(&mut self.unpersisted);
        invariants::i08_usage_covers(unpersisted.usage.total(), self.stored_totals, self.account.totals);
        let Unpersisted { mut usage, hours, pending, grants, unlisted, is_updated } = unpersisted;
        let usage = Arc::new(usage.take());
        let spent = self.account.grants.release_spent();
        self.take_lots(chunk, &grants, &spent);
        self.take_hours(chunk, &hours, &usage);
        chunk.rows += usage.len() + pending.len() + grants.len() + spent.len();
        chunk.usage.push((account_index, Arc::clone(&usage)));
        let of_charge = |(seq, deadline)| (Awaits::Charge(seq), account_index, deadline);
        chunk.pending.extend(pending.into_iter().map(of_charge));
        if !Arc::ptr_eq(&self.stored_team, &self.account.team) {
            let mut data = Vec::with_capacity(512);
            self.account.team.encode(&mut data);
            self.linked.team = Some(Part::Team.crc(account_index, &data));
            chunk.parts.push((Part::Team, account_index, data));
            self.stored_team = Arc::clone(&self.account.team);
        }
        if let Some(payments) = self.account.payments_since(self.stored_payments.as_ref()) {
            let mut data = Vec::with_capacity(256);
            payments.encode(&mut data);
            self.linked.payments = Some(Part::Payments.crc(account_index, &data));
            chunk.parts.push((Part::Payments, account_index, data));
            assert!(account_index != 0, "only workspaces have payments");
            chunk.pending.push((Awaits::Payments, account_index, payments.due_at()));
            self.stored_payments.clone_from(&self.account.payments);
        }
        if is_updated {
            chunk.timezones.push((account_index, self.account.profile.timezone.clone()));
        }
        if account_index != 0 {
            chunk.search.push((account_index, SearchRow::of(&self.account)));
        }
        let mut data = Vec::with_capacity(256);
        self.account.encode(&mut data);
        let (id, n) = (self.account.profile.id.as_str().into(), self.account.chain.n);
        chunk.accounts.push(AccountRow { account_index, id, head: self.head, n, data, linked: self.linked });
        self.stored_totals = self.account.totals;
        self.being_persisted = Some(Box::new(BeingPersisted { n, usage, hours, grants, spent, unlisted }));
        (self.dirty, self.is_wide) = (false, false);
    }
}

/// The accounts in memory.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// By account index; `None` for an account that is not in memory.
    slots: Vec<Option<Box<Slot>>>,
    by_id: HashMap<WorkspaceId, u32>,
    /// Accounts that changed since their last chunk. One that was given to the checkpointer outside
    /// of a round may stand here once more.
    dirty: Vec<u32>,
    /// Accounts with many unpersisted rows. They do not wait for a round.
    wide: Vec<u32>,
    /// Workspaces whose row for searches may differ from the one in the state file. All of them are
    /// in memory.
    unlisted: BTreeSet<u32>,
    /// The accounts of the round under way that are still to come, the next one last.
    round: Vec<u32>,
    /// The last sequence number at the beginning of the round under way.
    round_began: Option<u64>,
    /// The same of the last round that began.
    last_round_began: u64,
    /// True if that round left out a quarantined account.
    left_out: bool,
    in_memory: usize,
    /// The slot at which the last search for idle accounts stopped (the hand of the CLOCK
    /// algorithm).
    clock_hand: usize,
}

impl Accounts {
    /// No accounts in memory; the next new workspace gets index `next_index`.
    pub(crate) fn new(next_index: u32) -> Accounts {
        let mut accounts = Accounts::default();
        accounts.slots.resize_with(next_index as usize, || None);
        accounts
    }

    /// Loads or adds the platform's own chain as index 0, before any workspace gets an index.
    pub(crate) fn add_platform(&mut self, state: &StateFile) -> Result<(), Error> {
        if self.slots.is_empty() {
            self.slots.push(None);
        }
        if self.load(0, state)?.is_none() {
            self.admit(Slot::new(0, Account::new(WorkspaceId::platform()), 0, Linked::default()));
        }
        Ok(())
    }

    /// The number of accounts in memory.
    pub(crate) fn in_memory(&self) -> usize {
        self.in_memory
    }

    /// The index that the next new workspace gets.
    pub(crate) fn next_index(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The index of a workspace, which is loaded if necessary; `None` if there is no such
    /// workspace.
    pub(crate) fn resolve(&mut self, id: &WorkspaceId, state: &StateFile) -> Result<Option<u32>, Error> {
        if let Some(account_index) = self.by_id.get(id) {
            return Ok(Some(*account_index));
        }
        let persisted = state.account(id.as_str())?;
        persisted.map(|persisted| self.add_persisted(persisted, state)).transpose()
    }

    /// The account with this index, loaded if necessary; `None` if there is none. An account that
    /// is not in memory must be in the state file.
    pub(crate) fn load(&mut self, account_index: u32, state: &StateFile) -> Result<Option<&mut Slot>, Error> {
        let slot = self.slots.get(account_index as usize);
        if slot.is_some_and(Option::is_none) {
            match state.account_at(account_index)? {
                Some(persisted) => _ = self.add_persisted(persisted, state)?,
                // The platform's own chain has index 0 also before it has an entry.
                None if account_index == 0 && !state.meta()?.has_platform => {}
                None => {
                    return Err(state.damaged(format!(
                        "the row of the workspace with account index {account_index} is missing"
                    )));
                }
            }
        }
        Ok(self.slots.get_mut(account_index as usize).and_then(Option::as_deref_mut))
    }

    fn add_persisted(&mut self, persisted: PersistedAccount, state: &StateFile) -> Result<u32, Error> {
        let PersistedAccount { account_index, head, account, linked } = persisted;
        if !self.slots.get(account_index as usize).is_some_and(Option::is_none) {
            return Err(state.damaged(format!("account index {account_index} is of two workspaces")));
        }
        Ok(self.admit(Slot::new(account_index, account, head, linked)))
    }

    /// Adds a workspace that does not exist yet; returns its index. It exists once its first entry
    /// is recorded.
    pub(crate) fn admit_new(&mut self, id: WorkspaceId) -> u32 {
        let account_index = self.next_index();
        self.slots.push(None);
        self.admit(Slot::new(account_index, Account::new(id), 0, Linked::default()))
    }

    /// Reverts [`Accounts::admit_new`], because the workspace was refused.
    ///
    /// # Panics
    /// When it is not the newest: a later workspace would take its index.
    pub(crate) fn remove_new(&mut self, account_index: u32) {
        assert_eq!(account_index + 1, self.next_index(), "only the newest workspace is removed");
        if let Some(Some(slot)) = self.slots.pop() {
            assert_eq!(slot.head, 0, "a workspace with entries is never removed");
            self.by_id.remove(&slot.account.profile.id);
            self.in_memory -= 1;
        }
    }

    fn admit(&mut self, slot: Slot) -> u32 {
        let index = slot.account_index;
        let free = &mut self.slots[index as usize];
        assert!(free.is_none(), "an account is in memory once");
        self.by_id.insert(slot.account.profile.id.clone(), index);
        *free = Some(Box::new(slot));
        self.in_memory += 1;
        index
    }

    /// An account that was resolved or loaded in this batch.
    pub(crate) fn get(&self, account_index: u32) -> &Slot {
        self.slots[account_index as usize]
            .as_deref()
            .expect("a resolved account stays in memory during its batch")
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, account_index: u32) -> &mut Slot {
        let slot = self.slots[account_index as usize].as_deref_mut();
        let slot = slot.expect("a resolved account stays in memory during its batch");
        slot.recently_used = true;
        slot
    }

    /// Reads what a charge will need of each account, so that the processor loads all of it into
    /// its cache at once. The result has no meaning; it keeps the compiler from removing the reads.
    pub(crate) fn prefetch_into_cache(&self, account_indexes: impl Iterator<Item = u32>) -> i64 {
        account_indexes.filter_map(|account_index| self.slots.get(account_index as usize)?.as_deref()).fold(
            0,
            |sum, slot| {
                let Account { profile, chain, balance, totals, grants, limits, alerts, .. } = &slot.account;
                let grant = grants.iter().next().map_or(0, |grant| grant.remaining.get());
                let hour = slot.unpersisted.hours.last().map_or(0, |(hour, _)| *hour);
                // Each decision asserts the id, and usage counts in days of the time zone. They are
                // not in the cache line of the other fields.
                let last_byte = |text: &[u8]| text.last().map_or(0, |byte| i64::from(*byte));
                let id = last_byte(profile.id.as_bytes()) ^ last_byte(profile.timezone.as_bytes());
                let flags = [
                    profile.suspended,
                    limits.is_empty(),
                    alerts.thresholds.is_empty(),
                    slot.dirty,
                    slot.recently_used,
                ];
                let flags = flags.into_iter().fold(0, |sum, flag| sum << 1 | i64::from(flag));
                let chain = chain.n as i64 ^ chain.at.millis() ^ i64::from(chain.hash[31]);
                let sums = balance.available.get() ^ totals.charged.get() ^ slot.stored_totals.charged.get();
                sum ^ flags
                    ^ chain
                    ^ sums
                    ^ id
                    ^ grant
                    ^ hour
                    ^ slot.unpersisted.usage.first_hash() as i64
                    ^ slot.head as i64
            },
        )
    }

    /// The index of a workspace that is in memory.
    pub(super) fn index_in_memory(&self, id: &WorkspaceId) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// Notes that an account changed.
    pub(crate) fn mark_dirty(&mut self, account_index: u32) {
        let slot = self.slots[account_index as usize].as_deref_mut().expect("a changed account is in memory");
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(account_index);
        }
        if slot.unpersisted.rows() >= WIDE_ROWS && !slot.is_wide {
            slot.is_wide = true;
            self.wide.push(account_index);
        }
    }

    /// True if an account has too many unpersisted rows: no more are to come before the
    /// checkpointer has taken some.
    pub(crate) fn is_overfull(&self) -> bool {
        let rows =
            |index: &u32| self.slots[*index as usize].as_ref().map_or(0, |slot| slot.unpersisted.rows());
        self.wide.iter().any(|index| rows(index) >= OVERFULL_ROWS && !self.get(*index).quarantined)
    }

    /// Notes that searches may no longer find a workspace by what the state file says.
    pub(crate) fn mark_unlisted(&mut self, account_index: u32) {
        self.get_mut(account_index).unpersisted.unlisted = true;
        if account_index != 0 {
            self.unlisted.insert(account_index);
        }
    }

    /// The workspaces below an account index that were noted so, the highest first.
    pub(crate) fn unlisted_below(&self, before: u32) -> impl Iterator<Item = u32> {
        self.unlisted.range(..before).rev().copied()
    }

    /// The account with this index if it is in memory and exists.
    pub(crate) fn in_memory_at(&self, account_index: u32) -> Option<&Account> {
        let slot = self.slots.get(account_index as usize)?.as_deref()?;
        Some(&slot.account).filter(|account| account.exists())
    }

    /// True if a round is under way.
    pub(crate) fn in_round(&self) -> bool {
        self.round_began.is_some()
    }

    /// Begins a round; `last_seq` is the sequence number up to which it will have persisted
    /// everything.
    pub(crate) fn begin_round(&mut self, last_seq: u64) {
        assert!(self.round_began.is_none() && self.round.is_empty(), "one round is under way at a time");
        self.round = std::mem::take(&mut self.dirty);
        // In the order of the table's rows, so that neighbors in the file are written together.
        self.round.sort_unstable_by(|a, b| b.cmp(a));
        (self.round_began, self.last_round_began, self.left_out) = (Some(last_seq), last_seq, false);
    }

    /// The last sequence number at the beginning of the last round; 0 before the first round.
    pub(crate) fn last_round_began(&self) -> u64 {
        self.last_round_began
    }

    /// The next chunk: wide accounts, or at most `limit` accounts of the round. It ends with the
    /// account that brings it to [`WIDE_ROWS`] rows. `None` if there is nothing to persist now.
    pub(crate) fn next_chunk(&mut self, limit: usize) -> Option<AccountChunk> {
        let mut chunk = AccountChunk::default();
        while chunk.rows < WIDE_ROWS
            && let Some(account_index) = self.wide.pop()
        {
            let Some(slot) = self.slot_in_memory(account_index) else { continue };
            if slot.quarantined {
                // A change after it was rebuilt adds it again.
                slot.is_wide = false;
            } else if slot.is_wide {
                slot.take_dirty(&mut chunk);
            }
        }
        if !chunk.accounts.is_empty() {
            return Some(chunk);
        }
        let began = self.round_began?;
        while chunk.accounts.len() < limit
            && chunk.rows < WIDE_ROWS
            && let Some(account_index) = self.round.pop()
        {
            let Some(slot) = self.slot_in_memory(account_index) else { continue };
            if slot.quarantined {
                self.dirty.push(account_index);
                self.left_out = true;
            } else if slot.dirty {
                slot.take_dirty(&mut chunk);
            }
        }
        if self.round.is_empty() {
            chunk.persists_to = Some(began).filter(|_| !self.left_out);
            self.round_began = None;
        }
        Some(chunk)
    }

    /// The account, unless it was evicted. A dirty one stays in memory; one that is still listed
    /// may have been persisted outside of its round since.
    fn slot_in_memory(&mut self, account_index: u32) -> Option<&mut Slot> {
        self.slots[account_index as usize].as_deref_mut()
    }

    /// Notes that the chunk with these accounts is in the state file.
    pub(crate) fn mark_persisted(&mut self, accounts: &[u32]) {
        for account_index in accounts {
            if let Some(slot) = self.slots[*account_index as usize].as_deref_mut()
                && let Some(being_persisted) = slot.being_persisted.take()
            {
                assert!(slot.stored_n <= being_persisted.n, "a checkpoint never goes back");
                slot.stored_n = being_persisted.n;
                if being_persisted.unlisted && !slot.unpersisted.unlisted {
                    self.unlisted.remove(account_index);
                }
            }
        }
    }

    /// Evicts accounts that were not used recently while more than `limit` are in memory. Examines
    /// at most 64 slots more than twice the excess.
    pub(crate) fn evict_idle(&mut self, limit: usize) {
        let mut examinations = if self.in_memory > limit { 2 * (self.in_memory - limit) + 64 } else { 0 };
        while examinations > 0 && self.in_memory > limit {
            examinations -= 1;
            self.clock_hand = if self.clock_hand + 1 < self.slots.len() {
                self.clock_hand + 1
            } else {
                1.min(self.slots.len() - 1)
            };
            let Some(slot) = self.slots[self.clock_hand].as_deref_mut() else { continue };
            let idle = !slot.dirty && slot.being_persisted.is_none() && slot.account_index != 0;
            if idle && !slot.recently_used {
                self.by_id.remove(&slot.account.profile.id);
                self.slots[self.clock_hand] = None;
                self.in_memory -= 1;
            } else {
                slot.recently_used = false;
            }
        }
    }
}

mod closable;
mod linked_rows;
#[cfg(test)]
mod tests;
