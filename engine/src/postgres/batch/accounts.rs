//! The accounts that a lane has in memory, as the database had them when they were last seen. Nothing relies on their
//! being up to date: what was decided on an old one fails at the guard, and the account is loaded again.

use std::sync::Arc;

use hashbrown::HashMap;
use tollkeeper_ledger::{Account, Team, Totals, Usage, WorkspaceId, invariants};

use super::current_hour::OpenHour;

/// An account in memory.
#[derive(Debug)]
pub(crate) struct Slot {
    pub account: Account,
    pub hour: OpenHour,
    /// What the batch under way used.
    pub gathered: Usage,
    /// The number of the last entry in the database; 0 if there is none.
    pub n_stored: u64,
    totals_stored: Totals,
    /// The team in the database; while nobody changes it, it is the account's own.
    team_stored: Arc<Team>,
    /// Whether the batch under way speaks of it.
    touched: bool,
    /// Looked at since the last search for accounts to let go.
    used: bool,
}

impl Slot {
    /// An account as it was read.
    pub(crate) fn stored(account: Account, hour: OpenHour) -> Slot {
        let (n_stored, totals_stored) = (account.chain.n, account.totals);
        let team_stored = Arc::clone(&account.team);
        let (gathered, touched, used) = (Usage::default(), false, true);
        Slot { account, hour, gathered, n_stored, totals_stored, team_stored, touched, used }
    }

    /// Whether the batch under way changes it.
    pub(crate) fn is_changed(&self) -> bool {
        self.account.chain.n != self.n_stored
    }

    /// The team, if the batch under way changes it.
    pub(crate) fn changed_team(&self) -> Option<&Team> {
        let changed = !Arc::ptr_eq(&self.team_stored, &self.account.team);
        changed.then_some(&*self.account.team)
    }

    /// The batch under way was committed.
    fn settle(&mut self) {
        self.touched = false;
        self.n_stored = self.account.chain.n;
        self.totals_stored = self.account.totals;
        if self.changed_team().is_some() {
            self.team_stored = Arc::clone(&self.account.team);
        }
    }

    /// i08: what was gathered is what the account was charged and refunded.
    pub(crate) fn assert_usage(&self) {
        invariants::i08_usage_covers(self.gathered.total(), self.totals_stored, self.account.totals);
    }
}

/// The working set of a lane. Numbers of accounts are good for the batch under way only.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    slots: Vec<Option<Box<Slot>>>,
    by_id: HashMap<Box<str>, usize>,
    free: Vec<usize>,
    /// Those that the batch under way speaks of.
    touched: Vec<usize>,
    /// Where the search for accounts to let go stopped.
    hand: usize,
}

impl Accounts {
    /// How many are in memory.
    pub(crate) fn in_memory(&self) -> usize {
        self.by_id.len()
    }

    /// The number of an account that is in memory; the batch under way then speaks of it.
    pub(crate) fn touch(&mut self, id: &str) -> Option<usize> {
        let no = *self.by_id.get(id)?;
        let slot = self.get_mut(no);
        slot.used = true;
        if !slot.touched {
            slot.touched = true;
            self.touched.push(no);
        }
        Some(no)
    }

    /// Takes an account in, instead of the one of the same name if there is one.
    pub(crate) fn admit(&mut self, slot: Slot) {
        let id = slot.account.profile.id.as_str();
        if let Some(no) = self.by_id.get(id) {
            let touched = self.get(*no).touched;
            let no = *no;
            self.slots[no] = Some(Box::new(Slot { touched, ..slot }));
            return;
        }
        let id: Box<str> = id.into();
        let no = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[no] = Some(Box::new(slot));
        self.by_id.insert(id, no);
    }

    /// A workspace that the database does not have; it counts once its first entry is recorded.
    pub(crate) fn admit_new(&mut self, id: WorkspaceId) {
        self.admit(Slot::stored(Account::new(id), OpenHour::default()));
    }

    /// Forgets an account, if it is in memory.
    pub(crate) fn evict(&mut self, id: &str) {
        if let Some(no) = self.by_id.remove(id) {
            self.slots[no] = None;
            self.free.push(no);
            self.touched.retain(|touched| *touched != no);
        }
    }

    pub(crate) fn get(&self, no: usize) -> &Slot {
        self.slots[no].as_deref().expect("an account that a batch speaks of stays in memory")
    }

    pub(crate) fn get_mut(&mut self, no: usize) -> &mut Slot {
        self.slots[no].as_deref_mut().expect("an account that a batch speaks of stays in memory")
    }

    /// Those that the batch under way speaks of, in the order in which the database locks them.
    pub(crate) fn touched(&mut self) -> &[usize] {
        let slots = &self.slots;
        let id = |no: &usize| slots[*no].as_deref().map(|slot| slot.account.profile.id.as_str());
        self.touched.sort_by(|a, b| id(a).cmp(&id(b)));
        &self.touched
    }

    /// The batch under way was committed: what is in memory is what the database has.
    pub(crate) fn settle(&mut self) {
        for no in std::mem::take(&mut self.touched) {
            let slot = self.get_mut(no);
            slot.settle();
            if !slot.account.exists() {
                // Another server may open it at any time.
                let id = slot.account.profile.id.clone();
                self.evict(id.as_str());
            }
        }
    }

    /// The batch under way came to nothing: what it speaks of is loaded again.
    pub(crate) fn forget_touched(&mut self) {
        for no in std::mem::take(&mut self.touched) {
            let id = self.get(no).account.profile.id.clone();
            self.evict(id.as_str());
        }
    }

    /// Lets go of accounts that were not used lately while there are more than `most`; looks at a few only.
    pub(crate) fn let_go(&mut self, most: usize) {
        let mut looks = if self.in_memory() > most { 2 * (self.in_memory() - most) + 64 } else { 0 };
        while looks > 0 && self.in_memory() > most {
            looks -= 1;
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            let Some(slot) = self.slots[self.hand].as_deref_mut() else { continue };
            if slot.used {
                slot.used = false;
            } else {
                let id = slot.account.profile.id.clone();
                self.evict(id.as_str());
            }
        }
    }
}
