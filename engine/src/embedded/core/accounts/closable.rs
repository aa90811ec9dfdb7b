//! What closing days of usage asks of the accounts in memory: which rows are not in the state file.

use tollkeeper_ledger::Timestamp;

use super::{Accounts, Slot};

impl Slot {
    /// Where the earliest usage begins that may not be in the state file.
    fn earliest_unpersisted_use(&self) -> Option<Timestamp> {
        let being_persisted = self.being_persisted.iter().flat_map(|given| given.usage.iter());
        let begins = being_persisted.map(|(key, _)| key.begin());
        begins.chain(self.unpersisted.usage.begin()).min()
    }
}

impl Accounts {
    /// Where the earliest usage of an account begins that may not be in the state file; `None` if
    /// all is.
    pub(crate) fn earliest_unpersisted_use(&self, account_index: u32) -> Option<Timestamp> {
        self.slots.get(account_index as usize)?.as_deref()?.earliest_unpersisted_use()
    }

    /// Gives an account to the checkpointer outside of a round. False if it is not believed.
    pub(crate) fn persist_soon(&mut self, account_index: u32) -> bool {
        let Some(slot) = self.slots[account_index as usize].as_deref_mut() else { return false };
        if slot.dirty && !slot.is_wide && !slot.quarantined {
            slot.is_wide = true;
            self.wide.push(account_index);
        }
        !slot.quarantined
    }
}
