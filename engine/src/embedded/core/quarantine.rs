//! Accounts that are not believed: each is refused alone, and rebuilt from its own entries.
//!
//! A command that panics or meets damage leaves its account in doubt. The account is *quarantined*:
//! no command and no query of its workspace uses it, and it is not persisted. Between batches it is
//! rebuilt from its chain of entries, a bounded number at a time ([`EntryHeader::previous`] leads
//! from each to the one before). Each entry is verified as at a start. What was rebuilt is compared
//! with memory and with the state file, and is used from then on. If the chain cannot be read or
//! verified, the account stays refused, and everyone else is served.
//!
//! Guarantee: an account leaves quarantine only as the sum of its entries. Counters of what
//! happened are in [`EngineStats`](crate::EngineStats). Undoing a command is in `state_machine`.
//!
//! [`EntryHeader::previous`]: crate::embedded::storage::block::EntryHeader::previous

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tollkeeper_ledger::{Account, EntryBody, Micros, Totals, WorkspaceId};

use super::Core;
use super::state_machine::StateMachine;
use crate::Error;
use crate::embedded::storage::state_db::PersistedAccount;

/// Entries that are read in one step, so that a step delays a batch by about a millisecond.
const STEP_ENTRIES: usize = 64;

/// The accounts in quarantine, by index.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    repairs: BTreeMap<u32, Repair>,
    /// Accounts that were rebuilt since memory was loaded.
    pub(super) rebuilt: u64,
}

#[derive(Debug)]
struct Repair {
    /// True if memory should equal what is rebuilt, because the command at fault changed nothing.
    comparable: bool,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    /// Follows the chain back. `found`: sequence numbers, newest first; `next`: the one to read.
    Collecting {
        found: Vec<u64>,
        next: u64,
    },
    Replaying(Box<Replaying>),
    /// The chain does not give an account.
    Refused,
}

#[derive(Debug)]
struct Replaying {
    /// The entries still to be applied, the oldest last.
    rest: Vec<u64>,
    account: Account,
    /// What the state file holds, until it was compared; `None` if it cannot be read.
    persisted: Option<PersistedAccount>,
    file_differs: bool,
    /// The number of the last entry that was given to the checkpointer, and the totals after it.
    given_to: u64,
    given_totals: Totals,
}

impl Quarantine {
    /// The error for a command or a query that names a quarantined account.
    pub(super) fn error(&self, account_index: u32) -> Error {
        match self.repairs.get(&account_index).map(|repair| &repair.progress) {
            Some(Progress::Refused) => {
                Error::account_refused("the account does not follow from its journal and is not used")
                    .with_hint("run `tollkeeper audit` on the data directory")
            }
            _ => Error::account_refused("the account is being rebuilt from its journal"),
        }
    }

    /// The number of accounts that are not used.
    pub(super) fn len(&self) -> usize {
        self.repairs.len()
    }

    fn next_to_repair(&self) -> Option<u32> {
        let is_open = |repair: &Repair| !matches!(repair.progress, Progress::Refused);
        self.repairs.iter().find(|(_, repair)| is_open(repair)).map(|(index, _)| *index)
    }
}

impl Core {
    /// Damages the total charged of an account in memory, for simulations; a second call undoes
    /// it. Returns false if there is no such workspace.
    ///
    /// # Errors
    /// When the account cannot be loaded.
    #[doc(hidden)]
    pub fn flip_total(&mut self, id: &WorkspaceId) -> Result<bool, Error> {
        let machine = self.ensure_loaded()?;
        let Some(index) = machine.accounts.resolve(id, &machine.state)? else { return Ok(false) };
        let totals = &mut machine.accounts.get_mut(index).account.totals;
        totals.charged = Micros::new(totals.charged.get() ^ 1 << 40);
        Ok(true)
    }
}

impl StateMachine {
    /// Puts an account into quarantine. `comparable`: the command at fault changed nothing of it.
    pub(super) fn quarantine_account(&mut self, account_index: u32, comparable: bool, why: &Error) {
        let slot = self.accounts.get_mut(account_index);
        assert!(!slot.quarantined, "a quarantined account takes no command");
        slot.quarantined = true;
        let (next, workspace) = (slot.head, &slot.account.profile.id);
        tracing::error!(%workspace, error = %why, "an account is not believed; it is rebuilt from its journal");
        self.accounts.mark_dirty(account_index);
        let progress = Progress::Collecting { found: Vec::new(), next };
        self.quarantine.repairs.insert(account_index, Repair { comparable, progress });
    }

    /// True if an account is to be rebuilt.
    pub(super) fn is_repairing(&self) -> bool {
        self.quarantine.next_to_repair().is_some()
    }

    /// Does a step of rebuilding one account; returns true if more is to be done.
    pub(super) fn repair(&mut self) -> bool {
        let Some(index) = self.quarantine.next_to_repair() else { return false };
        let mut repair = self.quarantine.repairs.remove(&index).expect("it is to be repaired");
        let step = AssertUnwindSafe(|| self.repair_step(index, &mut repair));
        let finished = catch_unwind(step).unwrap_or_else(|panic| Err(Error::panicked(&*panic)));
        match finished {
            Ok(true) => {}
            Ok(false) => _ = self.quarantine.repairs.insert(index, repair),
            Err(error) => {
                let workspace = &self.accounts.get(index).account.profile.id;
                tracing::error!(%workspace, %error, "an account does not follow from its journal; it is refused");
                let refused = Repair { progress: Progress::Refused, ..repair };
                self.quarantine.repairs.insert(index, refused);
            }
        }
        self.is_repairing()
    }

    /// Returns true when the account is rebuilt and in use.
    fn repair_step(&mut self, index: u32, repair: &mut Repair) -> Result<bool, Error> {
        for _ in 0..STEP_ENTRIES {
            match &mut repair.progress {
                Progress::Collecting { found, next: 0 } => {
                    let found = std::mem::take(found);
                    let replaying = self.begin_replay(index, found)?;
                    repair.progress = Progress::Replaying(Box::new(replaying));
                }
                Progress::Collecting { found, next } => {
                    let read = self.read(*next, |stored| Ok(stored.header))?;
                    let header = read.filter(|header| header.account_index == index);
                    let header = header.ok_or_else(|| chain_is_cut(*next))?;
                    found.push(*next);
                    assert!(header.previous < *next, "a chain leads back");
                    *next = header.previous;
                }
                Progress::Replaying(replaying) => {
                    let Some(seq) = replaying.rest.pop() else {
                        self.use_rebuilt(index, repair);
                        return Ok(true);
                    };
                    self.replay_one(seq, replaying)?;
                }
                Progress::Refused => return Ok(false),
            }
        }
        Ok(false)
    }

    fn begin_replay(&mut self, index: u32, rest: Vec<u64>) -> Result<Replaying, Error> {
        let id = match rest.last() {
            None => WorkspaceId::platform(),
            Some(seq) => {
                let entry = self.read(*seq, |stored| stored.entry())?.ok_or_else(|| chain_is_cut(*seq))?;
                match entry.body {
                    EntryBody::WorkspaceCreated(profile) => profile.id.clone(),
                    _ if index == 0 => WorkspaceId::platform(),
                    _ => return Err(chain_is_cut(*seq)),
                }
            }
        };
        if self.accounts.index_in_memory(&id) != Some(index) {
            return Err(Error::damaged(format!("the journal says that the workspace is {id}")));
        }
        let slot = self.accounts.get(index);
        let given_to = slot.being_persisted.as_ref().map_or(slot.stored_n, |given| given.n);
        // A row that cannot be read is written anew, like one that differs.
        let read = self.state.account_at(index);
        let file_differs = read.is_err();
        let persisted = read.unwrap_or_default();
        let (account, given_totals) = (Account::new(id), Totals::default());
        Ok(Replaying { rest, account, persisted, file_differs, given_to, given_totals })
    }

    fn replay_one(&mut self, seq: u64, replaying: &mut Replaying) -> Result<(), Error> {
        let read = self.read(seq, |stored| Ok((stored.entry()?, stored.hash())))?;
        let (entry, hash) = read.ok_or_else(|| chain_is_cut(seq))?;
        let Replaying { account, persisted, file_differs, given_to, given_totals, .. } = replaying;
        let replayed = account.replay(&entry, hash);
        replayed.map_err(|what| Error::damaged(format!("journal entry {seq}: {what}")))?;
        assert_eq!(account.chain.n, entry.n, "each entry of the chain is applied once");
        if entry.n == *given_to {
            *given_totals = account.totals;
        }
        if let Some(persisted) = persisted.take_if(|persisted| persisted.account.chain.n == entry.n) {
            *file_differs = !is_same(&persisted.account, account);
        }
        Ok(())
    }

    /// Uses the rebuilt account from now on.
    fn use_rebuilt(&mut self, index: u32, repair: &mut Repair) {
        let Progress::Replaying(replaying) = std::mem::replace(&mut repair.progress, Progress::Refused)
        else {
            return;
        };
        let Replaying { account, file_differs, given_totals, .. } = *replaying;
        let slot = self.accounts.get_mut(index);
        let memory_differs = repair.comparable && !is_same(&slot.account, &account);
        let (workspace, entries) = (&account.profile.id, account.chain.n);
        tracing::warn!(%workspace, entries, memory_differs, file_differs, "an account was rebuilt from its journal");
        slot.account = account;
        slot.stored_totals = given_totals;
        slot.quarantined = false;
        self.quarantine.rebuilt += 1;
    }
}

/// Compares accounts. Spent grants may be in memory or not.
fn is_same(one: &Account, other: &Account) -> bool {
    let without_spent = |account: &Account| {
        let mut account = account.clone();
        account.grants.release_spent();
        account
    };
    without_spent(one) == without_spent(other)
}

fn chain_is_cut(seq: u64) -> Error {
    Error::damaged(format!("journal entry {seq} is not the one that the workspace's chain names"))
}
