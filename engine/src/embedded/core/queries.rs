//! What the heart answers from memory, for commands and for readers: balances, single charges, and what a reader needs
//! to make a whole of what it finds on disk (a *glance* at an account and its unkept changes). Long lists are not read
//! here: that is `lists`, on connections and threads of their own.

use std::sync::Arc;

use tollkeeper_ledger::{
    ChargeId, Entry, EntryBody, Grant, GrantId, Limits, Micros, PeriodWindows, Profile, Recount, Team,
    Timestamp, UsageKey, Used, WorkspaceId,
};

use super::Core;
use super::state_machine::StateMachine;
use crate::embedded::storage::block::Stored;
use crate::embedded::storage::key_index::Name;
use crate::{
    BalanceAt, ChargeRecord, Error, GrantRecord, Listing, Page, RefundRecord, answer, calendar, rollups,
};

/// What the state file does not hold yet of an account that it holds up to some entry.
#[derive(Debug)]
pub(crate) struct AccountSnapshot {
    pub account_index: u32,
    /// The place of the last entry.
    pub head: u64,
    /// Hours with the place of their last entry, oldest first.
    pub hours: Vec<(i64, u64)>,
    /// To be added to the kept usage.
    pub usage: Vec<(UsageKey, Used)>,
    /// Grants that came, with the place of their entry.
    pub lots: Vec<(u64, Grant)>,
    /// Grants whose remainder differs from what is kept.
    pub grants: Vec<Grant>,
}

impl Core {
    /// What is said of a workspace.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn workspace(&mut self, id: &WorkspaceId) -> Result<Option<Profile>, Error> {
        let machine = self.ensure_loaded()?;
        let account_index = machine.known(id)?;
        Ok(account_index.map(|account_index| (*machine.accounts.get(account_index).account.profile).clone()))
    }

    /// All workspaces, newest first.
    ///
    /// # Errors
    /// When the store cannot be read, or the cursor is none of this list.
    pub fn workspaces(&mut self, page: &Page) -> Result<Listing<Profile>, Error> {
        let machine = self.ensure_loaded()?;
        let before = match &page.cursor {
            None => machine.accounts.next_index(),
            Some(cursor) => cursor.parse().map_err(|_| Error::bad_cursor())?,
        };
        let mut data = Vec::new();
        let mut account_index = before.min(machine.accounts.next_index());
        // The platform's own chain has number 0 and is no workspace.
        while account_index > 1 && data.len() < page.limit {
            account_index -= 1;
            data.extend(
                machine
                    .accounts
                    .load(account_index, &machine.state)?
                    .map(|slot| (*slot.account.profile).clone()),
            );
        }
        Ok(Listing { data, next: (account_index > 1).then(|| account_index.to_string()) })
    }

    /// What a workspace has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn balance(&mut self, id: &WorkspaceId) -> Result<Option<BalanceAt>, Error> {
        let machine = self.ensure_loaded()?;
        let account_index = machine.known(id)?;
        Ok(account_index.map(|account_index| {
            let account = &machine.accounts.get(account_index).account;
            BalanceAt { balance: account.balance, last_entry_at: account.chain.at }
        }))
    }

    /// Who belongs to a workspace and who may act in its name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn team(&mut self, id: &WorkspaceId) -> Result<Option<Arc<Team>>, Error> {
        let machine = self.ensure_loaded()?;
        let account_index = machine.known(id)?;
        Ok(account_index.map(|account_index| Arc::clone(&machine.accounts.get(account_index).account.team)))
    }

    /// The spending limits of a workspace, and the day and month they count at an instant.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn limits(
        &mut self,
        id: &WorkspaceId,
        now: Timestamp,
    ) -> Result<Option<(Limits, PeriodWindows)>, Error> {
        let machine = self.ensure_loaded()?;
        let account_index = machine.known(id)?;
        Ok(account_index
            .map(|account_index| calendar::limits(&machine.accounts.get(account_index).account, now)))
    }

    /// A charge of a workspace with all that happened to it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn charge(&mut self, id: &WorkspaceId, charge: ChargeId) -> Result<Option<ChargeRecord>, Error> {
        let machine = self.ensure_loaded()?;
        let Some(account_index) = machine.known(id)? else { return Ok(None) };
        let Some(located) = machine.find_charge(account_index, charge)? else { return Ok(None) };
        let mut refunds = Vec::new();
        for entry in machine.touches(account_index, located.opened_at)?.into_iter().rev() {
            if let EntryBody::ChargeRefunded(refund) = entry.body
                && refund.charge == charge
            {
                refunds.push(RefundRecord { at: entry.at, refund: *refund });
            }
        }
        let mut draws = Vec::new();
        for draw in located.charge.details.draws.iter() {
            let slot = machine.accounts.get_mut(account_index);
            slot.load_grant(draw.grant, &machine.state)?;
            draws.extend(slot.account.grants.get(draw.grant).map(|grant| (grant.id, draw.amount)));
        }
        let balance = machine.accounts.get(account_index).account.balance;
        Ok(Some(ChargeRecord { charge: located.charge, draws, refunds, balance }))
    }

    /// Pending charges whose deadline has passed, at most so many.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn due(&mut self, now: Timestamp, most: usize) -> Result<Vec<(WorkspaceId, ChargeId)>, Error> {
        let machine = self.ensure_loaded()?;
        let seqs: Vec<u64> = machine.timers.due(now).take(most).collect();
        let mut due = Vec::with_capacity(seqs.len());
        for seq in seqs {
            let read = |stored: Stored| Ok((stored.envelope.account_index, stored.entry()?));
            let Some((account_index, entry)) = machine.read(seq, read)? else { continue };
            if let Some((charge, _)) = entry.body.charge()
                && let Some(slot) = machine.accounts.load(account_index, &machine.state)?
            {
                due.push((slot.account.profile.id.clone(), charge));
            }
        }
        Ok(due)
    }

    /// What a reader needs besides a state file that holds the account up to its entry `n_in_file`; the outer `None` if
    /// there is no such workspace, the inner if the reader's file is too old by now.
    pub(crate) fn snapshot(
        &mut self,
        id: &WorkspaceId,
        n_in_file: u64,
    ) -> Result<Option<Option<AccountSnapshot>>, Error> {
        let machine = self.ensure_loaded()?;
        let Some(account_index) = machine.known(id)? else { return Ok(None) };
        Ok(Some(machine.snapshot(account_index, n_in_file)))
    }

    /// The number of a workspace.
    pub(crate) fn number(&mut self, id: &WorkspaceId) -> Result<Option<u32>, Error> {
        self.ensure_loaded()?.known(id)
    }

    /// The places that may hold what happened to charges since they were opened, each list newest first.
    pub(crate) fn touches_of(&mut self, account_index: u32, opened: &[u64]) -> Result<Vec<Vec<u64>>, Error> {
        let machine = self.ensure_loaded()?;
        let seqs = opened.iter().map(|seq| {
            let fingerprint = machine.fingerprints.of(account_index, Name::Touched(*seq));
            machine.seqs_of(fingerprint, true)
        });
        seqs.collect()
    }
}

impl StateMachine {
    /// The number of a workspace that exists; the platform's own chain is none.
    pub(crate) fn known(&mut self, id: &WorkspaceId) -> Result<Option<u32>, Error> {
        let account_index = self.accounts.resolve(id, &self.state)?;
        Ok(account_index.filter(|account_index| {
            *account_index != 0 && self.accounts.get(*account_index).account.exists()
        }))
    }

    fn touches(&mut self, account_index: u32, opened: u64) -> Result<Vec<Entry>, Error> {
        let fingerprint = self.fingerprints.of(account_index, Name::Touched(opened));
        let seqs = self.seqs_of(fingerprint, true)?;
        let entries = seqs.iter().map(|seq| self.read(*seq, |stored| stored.entry()));
        entries.filter_map(Result::transpose).collect()
    }

    fn snapshot(&self, account_index: u32, n_in_file: u64) -> Option<AccountSnapshot> {
        let slot = self.accounts.get(account_index);
        let being_persisted = slot.being_persisted.as_deref();
        let being_persisted = match being_persisted {
            Some(being_persisted) if n_in_file == being_persisted.n => None,
            _ if n_in_file == slot.persisted_n => being_persisted,
            _ => return None,
        };
        let unpersisted = &slot.unpersisted;
        let (mut hours, mut usage, mut lots) = (Vec::new(), Vec::new(), Vec::new());
        let mut grants: Vec<Grant> = slot.account.grants.iter().cloned().collect();
        if let Some(being_persisted) = being_persisted {
            hours.extend_from_slice(&being_persisted.hours);
            usage.extend_from_slice(&being_persisted.usage);
            lots.extend_from_slice(&being_persisted.lots);
            let again = |grant: &&Grant| slot.account.grants.get(grant.n).is_none();
            grants.extend(being_persisted.spent.iter().filter(again).cloned());
        }
        hours.extend_from_slice(&unpersisted.hours);
        usage.extend(unpersisted.usage.rows());
        lots.extend_from_slice(&unpersisted.lots);
        Some(AccountSnapshot { account_index, head: slot.head, hours, usage, lots, grants })
    }
}

/// What each line of a recount has used (net) of the present period.
pub(crate) fn spent(
    machine: &StateMachine,
    account_index: u32,
    recount: &Recount,
    now: Timestamp,
) -> Result<Vec<Micros>, Error> {
    let windows = calendar::period_windows(&recount.timezone, now);
    let hours = (windows.month.start.hour(), now.hour() + 1);
    // Both of one moment, or what the keeper writes in between would be missed.
    machine.state.hold()?;
    let persisted = machine
        .state
        .usage(account_index, hours)
        .and_then(|rows| Ok((rows, machine.state.account_n(account_index)?)));
    machine.state.release();
    let (mut rows, n_in_file) = persisted?;
    let snapshot = machine.snapshot(account_index, n_in_file);
    let snapshot = snapshot.ok_or_else(|| Error::unavailable("the state file is older than memory says"))?;
    rows.extend(snapshot.usage);
    Ok(rollups::spent(recount, &windows, &rows))
}

/// The entry that brought a grant of this workspace.
fn grant_entry(machine: &mut StateMachine, account_index: u32, id: GrantId) -> Result<Option<Entry>, Error> {
    let made = machine.entry_of_id(account_index, id.0)?.map(|(_, entry)| entry);
    Ok(made.filter(|entry| matches!(entry.body, EntryBody::Granted { .. })))
}

/// The number of a grant inside its workspace.
pub(crate) fn grant_number(
    machine: &mut StateMachine,
    account_index: u32,
    id: GrantId,
) -> Result<Option<u64>, Error> {
    if let Some(grant) = machine.accounts.get(account_index).account.grants.find(id) {
        return Ok(Some(grant.n));
    }
    Ok(grant_entry(machine, account_index, id)?.map(|entry| entry.n))
}

/// A grant with what was said of it.
pub(crate) fn grant_record(
    machine: &mut StateMachine,
    account_index: u32,
    id: GrantId,
) -> Result<Option<GrantRecord>, Error> {
    let Some(entry) = grant_entry(machine, account_index, id)? else { return Ok(None) };
    Ok(answer::record_of(entry))
}
