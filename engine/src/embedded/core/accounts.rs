//! The accounts in memory: the working set, by number and by name, with what has happened to each since it was last
//! kept. Cold ones are loaded on demand and leave again when there are too many.
//!
//! Keeping goes in rounds, in small steps, while service goes on: a round takes every account that was changed when it
//! began, some at a time, each with all its changes up to that moment. An account's row says up to which entry it holds,
//! so rows of different moments make one whole. When the round is through, everything up to its beginning is kept.

use std::sync::Arc;

use hashbrown::HashMap;
use tollkeeper_ledger::{
    Account, Grant, Team, Timestamp, Totals, Usage, UsageKey, Used, WorkspaceId, invariants,
};

use crate::Error;
use crate::embedded::storage::checkpointer::{AccountRow, Slice};
use crate::embedded::storage::state_db::{PersistedAccount, State};

/// What has happened to an account since it was last kept, besides the account itself.
#[derive(Debug, Default)]
pub(crate) struct Unpersisted {
    pub usage: Usage,
    /// The hours in which it has entries, with the place of the last.
    pub hours: Vec<(i64, u64)>,
    /// Places of openings, with their deadline while pending.
    pub pending: Vec<(u64, Option<Timestamp>)>,
    /// Grants that came, with the place of their entry.
    pub lots: Vec<(u64, Grant)>,
}

/// What was handed to the keeper and is not yet known to be on disk.
#[derive(Debug)]
pub(crate) struct BeingPersisted {
    /// Up to which of its entries.
    pub n: u64,
    pub usage: Vec<(UsageKey, Used)>,
    pub hours: Vec<(i64, u64)>,
    pub lots: Vec<(u64, Grant)>,
    /// Grants that were spent and left memory with it.
    pub spent: Vec<Grant>,
}

/// An account in memory.
#[derive(Debug)]
pub(crate) struct Slot {
    pub account_index: u32,
    pub account: Account,
    /// The place of its last entry.
    pub head: u64,
    pub unpersisted: Unpersisted,
    pub being_persisted: Option<Box<BeingPersisted>>,
    /// Up to which of its entries the state file holds it.
    pub persisted_n: u64,
    persisted_totals: Totals,
    /// The team as it is kept; while nobody changes it, it is the account's own.
    persisted_team: Arc<Team>,
    dirty: bool,
    /// Looked at since the last search for accounts to let go.
    used: bool,
}

impl Slot {
    fn new(account_index: u32, account: Account, head: u64) -> Slot {
        let (persisted_n, persisted_totals) = (account.chain.n, account.totals);
        let persisted_team = Arc::clone(&account.team);
        let (unpersisted, being_persisted, dirty, used) = (Unpersisted::default(), None, false, true);
        Slot {
            account_index,
            account,
            head,
            unpersisted,
            being_persisted,
            persisted_n,
            persisted_totals,
            persisted_team,
            dirty,
            used,
        }
    }

    /// Brings a spent grant back into memory because a command needs it.
    pub(crate) fn load_grant(&mut self, n: u64, state: &State) -> Result<(), Error> {
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
            || Error::damaged(format!("grant {n} of workspace {} is missing", self.account.profile.id));
        self.account.grants.insert(grant.ok_or_else(missing)?);
        Ok(())
    }

    /// Adds everything that is to be kept of it to a slice.
    fn take_dirty(&mut self, slice: &mut Slice) {
        let account_index = self.account_index;
        let unpersisted = std::mem::take(&mut self.unpersisted);
        invariants::i08_usage_covers(unpersisted.usage.total(), self.persisted_totals, self.account.totals);
        let Unpersisted { mut usage, hours, pending, lots } = unpersisted;
        let usage = usage.take();
        let spent = self.account.grants.release_spent();
        let bytes = |grant: &Grant| {
            let mut bytes = Vec::with_capacity(48);
            grant.encode(&mut bytes);
            bytes
        };
        slice.lots.extend(lots.iter().map(|(seq, grant)| (account_index, grant.n, Some(*seq), bytes(grant))));
        slice.lots.extend(spent.iter().map(|grant| (account_index, grant.n, None, bytes(grant))));
        slice.usage.extend(usage.iter().map(|(key, used)| (account_index, key.clone(), *used)));
        slice.hours.extend(hours.iter().map(|(hour, seq)| (account_index, *hour, *seq)));
        slice.pending.extend(pending.into_iter().map(|(seq, deadline)| (seq, account_index, deadline)));
        let mut data = Vec::with_capacity(256);
        self.account.encode(&mut data);
        let (id, n) = (self.account.profile.id.as_str().into(), self.account.chain.n);
        slice.accounts.push(AccountRow { account_index, id, head: self.head, n, data });
        self.persisted_totals = self.account.totals;
        if !Arc::ptr_eq(&self.persisted_team, &self.account.team) {
            let mut data = Vec::with_capacity(512);
            self.account.team.encode(&mut data);
            slice.teams.push((account_index, data));
            self.persisted_team = Arc::clone(&self.account.team);
        }
        self.being_persisted = Some(Box::new(BeingPersisted { n, usage, hours, lots, spent }));
        self.dirty = false;
    }
}

/// The working set.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// By workspace number.
    slots: Vec<Option<Box<Slot>>>,
    by_id: HashMap<WorkspaceId, u32>,
    /// Changed since they were last handed over.
    dirty: Vec<u32>,
    /// The rest of the round under way, and the place it began at.
    round: Vec<u32>,
    round_began: Option<u64>,
    in_memory: usize,
    /// Where the search for accounts to let go stopped.
    hand: usize,
}

impl Accounts {
    /// A working set in which the next new workspace gets this number.
    pub(crate) fn new(next_index: u32) -> Accounts {
        let mut accounts = Accounts::default();
        accounts.slots.resize_with(next_index as usize, || None);
        accounts
    }

    /// Makes sure that the platform's own chain is there, as number 0, before any workspace gets a number.
    pub(crate) fn admit_platform(&mut self, state: &State) -> Result<(), Error> {
        if self.slots.is_empty() {
            self.slots.push(None);
        }
        if self.load(0, state)?.is_none() {
            self.put(Slot::new(0, Account::new(WorkspaceId::platform()), 0));
        }
        Ok(())
    }

    /// How many are in memory.
    pub(crate) fn in_memory(&self) -> usize {
        self.in_memory
    }

    /// One more than the highest number.
    pub(crate) fn next_index(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The number of a workspace, loading it if it is cold; `None` if there is none of that name.
    pub(crate) fn resolve(&mut self, id: &WorkspaceId, state: &State) -> Result<Option<u32>, Error> {
        if let Some(account_index) = self.by_id.get(id) {
            return Ok(Some(*account_index));
        }
        let persisted = state.account(id.as_str())?;
        Ok(persisted.map(|persisted| self.admit(persisted)))
    }

    /// The account of a number, loading it if it is cold.
    pub(crate) fn load(&mut self, account_index: u32, state: &State) -> Result<Option<&mut Slot>, Error> {
        let known = self.slots.get(account_index as usize).is_some_and(Option::is_some);
        if !known && let Some(persisted) = state.account_at(account_index)? {
            self.admit(persisted);
        }
        Ok(self.slots.get_mut(account_index as usize).and_then(Option::as_deref_mut))
    }

    fn admit(&mut self, persisted: PersistedAccount) -> u32 {
        let PersistedAccount { account_index, head, account } = persisted;
        self.put(Slot::new(account_index, account, head))
    }

    /// A workspace nobody has yet, with its number; it counts once its first entry is recorded.
    pub(crate) fn admit_new(&mut self, id: WorkspaceId) -> u32 {
        let account_index = self.next_index();
        self.slots.push(None);
        self.put(Slot::new(account_index, Account::new(id), 0))
    }

    /// Takes back [`Accounts::admit_new`] because the workspace was refused; it must be the newest.
    pub(crate) fn dismiss_new(&mut self, account_index: u32) {
        if account_index + 1 == self.next_index()
            && let Some(Some(slot)) = self.slots.pop()
        {
            self.by_id.remove(&slot.account.profile.id);
            self.in_memory -= 1;
        }
    }

    fn put(&mut self, slot: Slot) -> u32 {
        let account_index = slot.account_index;
        self.by_id.insert(slot.account.profile.id.clone(), account_index);
        self.slots[account_index as usize] = Some(Box::new(slot));
        self.in_memory += 1;
        account_index
    }

    /// An account that was resolved or loaded before in this batch.
    pub(crate) fn get(&self, account_index: u32) -> &Slot {
        self.slots[account_index as usize]
            .as_deref()
            .expect("a resolved account stays in memory during its batch")
    }

    /// See [`Accounts::get`].
    pub(crate) fn get_mut(&mut self, account_index: u32) -> &mut Slot {
        let slot = self.slots[account_index as usize].as_deref_mut();
        let slot = slot.expect("a resolved account stays in memory during its batch");
        slot.used = true;
        slot
    }

    /// Looks at what a charge will need of each account, so that the processor fetches it for all of them at once.
    pub(crate) fn touch(&self, numbers: impl Iterator<Item = u32>) -> i64 {
        numbers.filter_map(|account_index| self.slots.get(account_index as usize)?.as_deref()).fold(
            0,
            |sum, slot| {
                let Account { profile, chain, balance, totals, grants, limits, alerts, .. } = &slot.account;
                let grant = grants.iter().next().map_or(0, |grant| grant.remaining.get());
                let hour = slot.unpersisted.hours.last().map_or(0, |(hour, _)| *hour);
                let flags = [
                    profile.suspended,
                    limits.is_empty(),
                    alerts.thresholds.is_empty(),
                    slot.dirty,
                    slot.used,
                ];
                let flags = flags.into_iter().fold(0, |sum, flag| sum << 1 | i64::from(flag));
                let chain = chain.n as i64 ^ chain.at.millis() ^ i64::from(chain.hash[31]);
                let sums =
                    balance.available.get() ^ totals.charged.get() ^ slot.persisted_totals.charged.get();
                sum ^ flags
                    ^ chain
                    ^ sums
                    ^ grant
                    ^ hour
                    ^ slot.unpersisted.usage.first_hash() as i64
                    ^ slot.head as i64
            },
        )
    }

    /// Notes that an account was changed.
    pub(crate) fn mark_dirty(&mut self, account_index: u32) {
        let slot = self.slots[account_index as usize].as_deref_mut().expect("a changed account is in memory");
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(account_index);
        }
    }

    /// Whether a round is under way.
    pub(crate) fn in_round(&self) -> bool {
        self.round_began.is_some()
    }

    /// Begins a round that will keep everything up to `last`.
    pub(crate) fn begin_round(&mut self, last: u64) {
        self.round = std::mem::take(&mut self.dirty);
        // Neighbours in the state file are written together.
        self.round.sort_unstable_by(|a, b| b.cmp(a));
        self.round_began = Some(last);
    }

    /// The next accounts of the round, at most `most`; the last slice of a round says so.
    pub(crate) fn next_slice(&mut self, most: usize) -> Option<Slice> {
        let began = self.round_began?;
        let mut slice = Slice::default();
        while slice.accounts.len() < most
            && let Some(account_index) = self.round.pop()
        {
            let slot =
                self.slots[account_index as usize].as_deref_mut().expect("a dirty account stays in memory");
            slot.take_dirty(&mut slice);
        }
        if self.round.is_empty() {
            slice.persists_to = Some(began);
            self.round_began = None;
        }
        Some(slice)
    }

    /// These accounts are on disk as they were handed over.
    pub(crate) fn persisted(&mut self, accounts: &[u32]) {
        for account_index in accounts {
            if let Some(slot) = self.slots[*account_index as usize].as_deref_mut()
                && let Some(being_persisted) = slot.being_persisted.take()
            {
                slot.persisted_n = being_persisted.n;
            }
        }
    }

    /// Lets go of accounts that were not used lately while there are more than `most`; looks at a few only.
    pub(crate) fn evict_idle(&mut self, most: usize) {
        let mut looks = if self.in_memory > most { 2 * (self.in_memory - most) + 64 } else { 0 };
        while looks > 0 && self.in_memory > most {
            looks -= 1;
            self.hand =
                if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 1.min(self.slots.len() - 1) };
            let Some(slot) = self.slots[self.hand].as_deref_mut() else { continue };
            let idle = !slot.dirty && slot.being_persisted.is_none() && slot.account_index != 0;
            if idle && !slot.used {
                self.by_id.remove(&slot.account.profile.id);
                self.slots[self.hand] = None;
                self.in_memory -= 1;
            } else {
                slot.used = false;
            }
        }
    }
}
