//! The accounts that a lane keeps in memory, as the database had them when they were last read or
//! written.
//!
//! An account in memory may be out of date, and that is safe. A decision made on an old account
//! fails at the condition of its UPDATE, or at the guard if it writes nothing. The account is then
//! loaded again.

use std::sync::Arc;

use hashbrown::HashMap;
use tokio_postgres::Row;
use tollkeeper_ledger::{Account, Payments, Team, Totals, Usage, WorkspaceId, invariants};

use super::current_hour::CurrentHour;
use super::recount_pauses::RecountPauses;
use crate::Error;
use crate::postgres::database::decode::{check_companions, decode_whole_account};
use crate::postgres::database::failure::Failure;
use crate::postgres::database::seal::{Companions, sealed};
use crate::postgres::database::session::column;
use crate::workspace_search::SearchRow;

/// An account in memory.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The account after the commands of the current batch that were decided so far.
    pub account: Account,
    /// The current hour's usage in the account's row, without the usage of the current batch.
    pub hour: CurrentHour,
    /// The usage of the current batch.
    pub batch_usage: Usage,
    /// The number of the account's last entry in the database; 0 if there is none.
    pub stored_n: u64,
    stored_totals: Totals,
    /// The team in the database. While no command changes it, it is the same allocation as the
    /// account's team.
    stored_team: Arc<Team>,
    /// The payments in the database, likewise.
    stored_payments: Option<Arc<Payments>>,
    /// The checksums of the rows of both in the database.
    stored_companions: Companions,
    /// The row for searches in the database; `None` if there is none.
    stored_search: Option<SearchRow>,
    /// Whether the current batch uses the account.
    touched: bool,
    /// Whether the account was used since the clock hand last passed it.
    recently_used: bool,
}

/// The row for searches that a batch writes.
#[derive(Debug)]
pub(crate) struct ChangedSearch {
    pub row: SearchRow,
    /// True if the words of the name change too.
    pub is_renamed: bool,
}

impl Slot {
    /// An account as the database has it.
    fn stored(account: Account, hour: CurrentHour, stored_companions: Companions) -> Slot {
        let (stored_n, stored_totals) = (account.chain.n, account.totals);
        let (stored_team, stored_payments) = (Arc::clone(&account.team), account.payments.clone());
        let is_listed = account.exists() && !account.profile.id.is_platform();
        let stored_search = is_listed.then(|| SearchRow::of(&account));
        let (batch_usage, touched, recently_used) = (Usage::default(), false, true);
        Slot {
            account,
            hour,
            batch_usage,
            stored_n,
            stored_totals,
            stored_team,
            stored_payments,
            stored_companions,
            stored_search,
            touched,
            recently_used,
        }
    }

    /// Decodes a row of [`Sql::AccountsOf`](crate::postgres::database::sql::Sql::AccountsOf): the
    /// account, its current hour, team and payments, and the last entry of its journal. The end of
    /// the account's chain is compared with that entry, because the next entry will carry its
    /// hash. `None` if the workspace has neither an account nor an entry.
    pub(crate) fn from_row(row: &Row) -> Result<Option<Slot>, Error> {
        let (n, last): (Option<i64>, Option<i64>) = (column(row, 4)?, column(row, 5)?);
        if n != last {
            return Err(Error::damaged("an account does not end where its journal ends"));
        }
        let Some(n) = n else { return Ok(None) };
        let (data, team, payments) = (column(row, 0)?, column(row, 2)?, column(row, 7)?);
        let account = decode_whole_account(data, team, payments)?;
        let companions = check_companions(data, team, payments)?;
        let hour = CurrentHour::decode(column(row, 1)?)?;
        if hour.newest().is_some_and(|newest| newest > account.chain.at.hour()) {
            return Err(Error::damaged("an account has usage of an hour after its last entry"));
        }
        let hash: &[u8] = column(row, 6)?;
        let is_at_end = account.chain.n as i64 == n && *hash == account.chain.hash;
        if !is_at_end || account.profile.id.as_str() != column::<&str>(row, 3)? {
            return Err(Error::damaged("an account is not the one that its journal makes"));
        }
        Ok(Some(Slot::stored(account, hour, companions)))
    }

    /// True if the current batch has recorded an entry of this account.
    pub(crate) fn is_changed(&self) -> bool {
        self.account.chain.n != self.stored_n
    }

    /// The team, if the current batch has changed it.
    pub(crate) fn changed_team(&self) -> Option<&Team> {
        let changed = !Arc::ptr_eq(&self.stored_team, &self.account.team);
        changed.then_some(&*self.account.team)
    }

    /// The payments, if the current batch has changed them.
    pub(crate) fn changed_payments(&self) -> Option<&Payments> {
        self.account.payments_since(self.stored_payments.as_ref())
    }

    /// The checksums of the rows that go with the account once the current batch is written.
    /// `team` and `payments` are the rows that it changes.
    pub(crate) fn companions(&self, team: Option<&[u8]>, payments: Option<&[u8]>) -> Companions {
        let (changed, stored) = (Companions::of_rows(team, payments), self.stored_companions);
        Companions {
            team: if team.is_some() { changed.team } else { stored.team },
            payments: if payments.is_some() { changed.payments } else { stored.payments },
        }
    }

    /// The row of the team, if the current batch has changed it.
    pub(crate) fn changed_team_row(&self) -> Option<Vec<u8>> {
        self.changed_team().map(|team| sealed(512, |bytes| team.encode(bytes)))
    }

    /// The row of the payments, if the current batch has changed them.
    pub(crate) fn changed_payments_row(&self) -> Option<Vec<u8>> {
        self.changed_payments().map(|payments| sealed(256, |bytes| payments.encode(bytes)))
    }

    /// The row for searches, if the current batch has changed it.
    pub(crate) fn changed_search(&self) -> Option<ChangedSearch> {
        let stored = self.stored_search.as_ref();
        if stored.is_some_and(|stored| stored.is_of(&self.account)) || self.account.profile.id.is_platform() {
            return None;
        }
        let row = SearchRow::of(&self.account);
        let is_renamed = stored.is_none_or(|stored| stored.name != row.name);
        Some(ChangedSearch { row, is_renamed })
    }

    /// The current batch is committed: what is in memory is now in the database.
    fn mark_committed(&mut self) {
        assert!(self.account.chain.n >= self.stored_n, "i02: a commit never takes entries back");
        assert!(self.batch_usage.is_empty(), "i08: the usage of a committed batch is stored with it");
        self.touched = false;
        self.stored_n = self.account.chain.n;
        self.stored_totals = self.account.totals;
        let (team, payments) = (self.changed_team_row(), self.changed_payments_row());
        self.stored_companions = self.companions(team.as_deref(), payments.as_deref());
        if self.changed_team().is_some() {
            self.stored_team = Arc::clone(&self.account.team);
        }
        if self.changed_payments().is_some() {
            self.stored_payments.clone_from(&self.account.payments);
        }
        if self.account.exists()
            && let Some(changed) = self.changed_search()
        {
            self.stored_search = Some(changed.row);
        }
    }

    /// i08: the usage of the current batch is what the account was charged and refunded by it.
    pub(crate) fn assert_usage(&self) {
        invariants::i08_usage_covers(self.batch_usage.total(), self.stored_totals, self.account.totals);
    }
}

/// The accounts of one lane. An `account_index` identifies an account during the current batch
/// only: after that, the account may be evicted and the index reused.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    slots: Vec<Option<Box<Slot>>>,
    by_id: HashMap<Box<str>, usize>,
    free: Vec<usize>,
    /// The accounts that the current batch uses, each once.
    touched: Vec<usize>,
    /// The slot at which the last search for idle accounts stopped (the hand of the CLOCK
    /// algorithm).
    clock_hand: usize,
    pub recount_pauses: RecountPauses,
}

impl Accounts {
    /// The account of a workspace, if it is in memory.
    pub(crate) fn in_memory_of(&self, workspace: &WorkspaceId) -> Option<&Account> {
        self.by_id.get(workspace.as_str()).map(|index| &self.get(*index).account)
    }

    /// How many accounts are in memory.
    pub(crate) fn in_memory(&self) -> usize {
        self.by_id.len()
    }

    /// The index of an account, if it is in memory. Marks the account as used by the current batch.
    pub(crate) fn touch(&mut self, id: &str) -> Option<usize> {
        let account_index = *self.by_id.get(id)?;
        let slot = self.get_mut(account_index);
        slot.recently_used = true;
        if !slot.touched {
            slot.touched = true;
            self.touched.push(account_index);
        }
        Some(account_index)
    }

    /// Adds an account, or replaces the account of the same workspace.
    pub(crate) fn admit(&mut self, slot: Slot) {
        let id = slot.account.profile.id.as_str();
        if let Some(account_index) = self.by_id.get(id).copied() {
            let touched = self.get(account_index).touched;
            self.slots[account_index] = Some(Box::new(Slot { touched, ..slot }));
            return;
        }
        let id: Box<str> = id.into();
        let account_index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        assert!(self.slots[account_index].is_none(), "a free slot holds no account");
        self.slots[account_index] = Some(Box::new(slot));
        self.by_id.insert(id, account_index);
    }

    /// Adds an empty account for a workspace that is not in the database. It exists once its first
    /// entry is recorded.
    pub(crate) fn admit_new(&mut self, id: WorkspaceId) {
        self.admit(Slot::stored(Account::new(id), CurrentHour::default(), Companions::default()));
    }

    /// Removes an account from memory, if it is there.
    pub(crate) fn evict(&mut self, id: &str) {
        if let Some(account_index) = self.by_id.remove(id) {
            self.slots[account_index] = None;
            self.free.push(account_index);
            self.touched.retain(|touched| *touched != account_index);
        }
    }

    pub(crate) fn get(&self, account_index: usize) -> &Slot {
        self.slots[account_index].as_deref().expect("an account of the current batch stays in memory")
    }

    pub(crate) fn get_mut(&mut self, account_index: usize) -> &mut Slot {
        self.slots[account_index].as_deref_mut().expect("an account of the current batch stays in memory")
    }

    /// The accounts of the current batch in the order of their workspace ids, in which the database
    /// locks them.
    pub(crate) fn touched(&mut self) -> &[usize] {
        let slots = &self.slots;
        let id = |index: &usize| slots[*index].as_deref().map(|slot| slot.account.profile.id.as_str());
        self.touched.sort_by(|a, b| id(a).cmp(&id(b)));
        &self.touched
    }

    /// The current batch is committed: what is in memory is now in the database.
    pub(crate) fn mark_committed(&mut self) {
        for account_index in std::mem::take(&mut self.touched) {
            let slot = self.get_mut(account_index);
            slot.mark_committed();
            if !slot.account.exists() {
                // Another server may create the workspace at any time.
                let id = slot.account.profile.id.clone();
                self.evict(id.as_str());
            }
        }
    }

    /// The current batch is not committed: removes its accounts from memory, so that they are
    /// loaded again.
    pub(crate) fn discard_touched(&mut self) {
        for account_index in std::mem::take(&mut self.touched) {
            let id = self.get(account_index).account.profile.id.clone();
            self.evict(id.as_str());
        }
    }

    /// Damages the memory: the next call of [`Accounts::discard_touched`] panics.
    #[cfg(test)]
    pub(crate) fn touch_missing_slot(&mut self) {
        self.touched.push(self.slots.len());
    }

    /// Returns a conflict unless the account in memory is at entry `n`, at which it was when rows
    /// of it were loaded. Rows of different moments must not be combined.
    pub(crate) fn check_same_moment(&self, account_index: usize, n: i64) -> Result<(), Failure> {
        if self.get(account_index).account.chain.n as i64 == n { Ok(()) } else { Err(Failure::Conflict) }
    }

    /// Evicts accounts that were not used recently while more than `limit` are in memory. Examines
    /// at most 64 slots more than twice the excess.
    pub(crate) fn evict_idle(&mut self, limit: usize) {
        assert!(self.touched.is_empty(), "accounts are evicted between batches only");
        let excess = self.in_memory().saturating_sub(limit);
        let mut examinations = if excess > 0 { 2 * excess + 64 } else { 0 };
        while examinations > 0 && self.in_memory() > limit {
            examinations -= 1;
            self.clock_hand = if self.clock_hand + 1 < self.slots.len() { self.clock_hand + 1 } else { 0 };
            let Some(slot) = self.slots[self.clock_hand].as_deref_mut() else { continue };
            if slot.recently_used {
                slot.recently_used = false;
            } else {
                let id = slot.account.profile.id.clone();
                self.evict(id.as_str());
            }
        }
    }
}
