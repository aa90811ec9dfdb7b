//! What the heart answers from memory, for commands and for readers: balances, single charges, and what a reader needs
//! to make a whole of what it finds on disk (a *glance* at an account and its unkept changes). Long lists are not read
//! here: that is `lists`, on connections and threads of their own.

use std::sync::Arc;

use tollkeeper_ledger::{
    ChargeId, Entry, EntryBody, Grant, GrantId, Limits, Micros, PeriodWindows, Profile, Recount, Team,
    Timestamp, UsageKey, Used, WorkspaceId,
};

use super::Heart;
use super::state_machine::Mind;
use crate::embedded::storage::block::Stored;
use crate::embedded::storage::key_index::Name;
use crate::{
    BalanceAt, ChargeRecord, Error, GrantRecord, Listing, Page, RefundRecord, answer, calendar, rollups,
};

/// What the state file does not hold yet of an account that it holds up to some entry.
#[derive(Debug)]
pub(crate) struct Glance {
    pub no: u32,
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

impl Heart {
    /// What is said of a workspace.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn workspace(&mut self, id: &WorkspaceId) -> Result<Option<Profile>, Error> {
        let mind = self.wake()?;
        let no = mind.known(id)?;
        Ok(no.map(|no| (*mind.accounts.get(no).account.profile).clone()))
    }

    /// All workspaces, newest first.
    ///
    /// # Errors
    /// When the store cannot be read, or the cursor is none of this list.
    pub fn workspaces(&mut self, page: &Page) -> Result<Listing<Profile>, Error> {
        let mind = self.wake()?;
        let before = match &page.cursor {
            None => mind.accounts.next_no(),
            Some(cursor) => cursor.parse().map_err(|_| Error::bad_cursor())?,
        };
        let mut data = Vec::new();
        let mut no = before.min(mind.accounts.next_no());
        // The platform's own chain has number 0 and is no workspace.
        while no > 1 && data.len() < page.limit {
            no -= 1;
            data.extend(mind.accounts.load(no, &mind.state)?.map(|slot| (*slot.account.profile).clone()));
        }
        Ok(Listing { data, next: (no > 1).then(|| no.to_string()) })
    }

    /// What a workspace has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn balance(&mut self, id: &WorkspaceId) -> Result<Option<BalanceAt>, Error> {
        let mind = self.wake()?;
        let no = mind.known(id)?;
        Ok(no.map(|no| {
            let account = &mind.accounts.get(no).account;
            BalanceAt { balance: account.balance, last_entry_at: account.chain.at }
        }))
    }

    /// Who belongs to a workspace and who may act in its name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn team(&mut self, id: &WorkspaceId) -> Result<Option<Arc<Team>>, Error> {
        let mind = self.wake()?;
        let no = mind.known(id)?;
        Ok(no.map(|no| Arc::clone(&mind.accounts.get(no).account.team)))
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
        let mind = self.wake()?;
        let no = mind.known(id)?;
        Ok(no.map(|no| calendar::limits(&mind.accounts.get(no).account, now)))
    }

    /// A charge of a workspace with all that happened to it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn charge(&mut self, id: &WorkspaceId, charge: ChargeId) -> Result<Option<ChargeRecord>, Error> {
        let mind = self.wake()?;
        let Some(no) = mind.known(id)? else { return Ok(None) };
        let Some(located) = mind.find_charge(no, charge)? else { return Ok(None) };
        let mut refunds = Vec::new();
        for entry in mind.touches(no, located.opened_at)?.into_iter().rev() {
            if let EntryBody::ChargeRefunded(refund) = entry.body
                && refund.charge == charge
            {
                refunds.push(RefundRecord { at: entry.at, refund: *refund });
            }
        }
        let mut draws = Vec::new();
        for draw in located.charge.details.draws.iter() {
            let slot = mind.accounts.get_mut(no);
            slot.load_grant(draw.grant, &mind.state)?;
            draws.extend(slot.account.grants.get(draw.grant).map(|grant| (grant.id, draw.amount)));
        }
        let balance = mind.accounts.get(no).account.balance;
        Ok(Some(ChargeRecord { charge: located.charge, draws, refunds, balance }))
    }

    /// Pending charges whose deadline has passed, at most so many.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn due(&mut self, now: Timestamp, most: usize) -> Result<Vec<(WorkspaceId, ChargeId)>, Error> {
        let mind = self.wake()?;
        let places: Vec<u64> = mind.timers.due(now).take(most).collect();
        let mut due = Vec::with_capacity(places.len());
        for place in places {
            let read = |stored: Stored| Ok((stored.envelope.no, stored.entry()?));
            let Some((no, entry)) = mind.read(place, read)? else { continue };
            if let Some((charge, _)) = entry.body.charge()
                && let Some(slot) = mind.accounts.load(no, &mind.state)?
            {
                due.push((slot.account.profile.id.clone(), charge));
            }
        }
        Ok(due)
    }

    /// What a reader needs besides a state file that holds the account up to its entry `n_in_file`; the outer `None` if
    /// there is no such workspace, the inner if the reader's file is too old by now.
    pub(crate) fn glance(
        &mut self,
        id: &WorkspaceId,
        n_in_file: u64,
    ) -> Result<Option<Option<Glance>>, Error> {
        let mind = self.wake()?;
        let Some(no) = mind.known(id)? else { return Ok(None) };
        Ok(Some(mind.glance(no, n_in_file)))
    }

    /// The number of a workspace.
    pub(crate) fn number(&mut self, id: &WorkspaceId) -> Result<Option<u32>, Error> {
        self.wake()?.known(id)
    }

    /// The places that may hold what happened to charges since they were opened, each list newest first.
    pub(crate) fn touches_of(&mut self, no: u32, opened: &[u64]) -> Result<Vec<Vec<u64>>, Error> {
        let mind = self.wake()?;
        let places = opened.iter().map(|place| {
            let fingerprint = mind.fingerprints.of(no, Name::Touched(*place));
            mind.places_of(fingerprint, true)
        });
        places.collect()
    }
}

impl Mind {
    /// The number of a workspace that exists; the platform's own chain is none.
    pub(crate) fn known(&mut self, id: &WorkspaceId) -> Result<Option<u32>, Error> {
        let no = self.accounts.resolve(id, &self.state)?;
        Ok(no.filter(|no| *no != 0 && self.accounts.get(*no).account.exists()))
    }

    fn touches(&mut self, no: u32, opened: u64) -> Result<Vec<Entry>, Error> {
        let fingerprint = self.fingerprints.of(no, Name::Touched(opened));
        let places = self.places_of(fingerprint, true)?;
        let entries = places.iter().map(|place| self.read(*place, |stored| stored.entry()));
        entries.filter_map(Result::transpose).collect()
    }

    fn glance(&self, no: u32, n_in_file: u64) -> Option<Glance> {
        let slot = self.accounts.get(no);
        let handed = slot.handed.as_deref();
        let handed = match handed {
            Some(handed) if n_in_file == handed.n => None,
            _ if n_in_file == slot.kept_n => handed,
            _ => return None,
        };
        let unkept = &slot.unkept;
        let (mut hours, mut usage, mut lots) = (Vec::new(), Vec::new(), Vec::new());
        let mut grants: Vec<Grant> = slot.account.grants.iter().cloned().collect();
        if let Some(handed) = handed {
            hours.extend_from_slice(&handed.hours);
            usage.extend_from_slice(&handed.usage);
            lots.extend_from_slice(&handed.lots);
            let again = |grant: &&Grant| slot.account.grants.get(grant.n).is_none();
            grants.extend(handed.spent.iter().filter(again).cloned());
        }
        hours.extend_from_slice(&unkept.hours);
        usage.extend(unkept.usage.rows());
        lots.extend_from_slice(&unkept.lots);
        Some(Glance { no, head: slot.head, hours, usage, lots, grants })
    }
}

/// What each line of a recount has used (net) of the present period.
pub(crate) fn spent(mind: &Mind, no: u32, recount: &Recount, now: Timestamp) -> Result<Vec<Micros>, Error> {
    let windows = calendar::windows(&recount.timezone, now);
    let hours = (windows.month.start.hour(), now.hour() + 1);
    // Both of one moment, or what the keeper writes in between would be missed.
    mind.state.hold()?;
    let kept = mind.state.usage(no, hours).and_then(|rows| Ok((rows, mind.state.account_n(no)?)));
    mind.state.release();
    let (mut rows, n_in_file) = kept?;
    let glance = mind.glance(no, n_in_file);
    let glance = glance.ok_or_else(|| Error::unavailable("the state file is older than memory says"))?;
    rows.extend(glance.usage);
    Ok(rollups::spent(recount, &windows, &rows))
}

/// The entry that brought a grant of this workspace.
fn grant_entry(mind: &mut Mind, no: u32, id: GrantId) -> Result<Option<Entry>, Error> {
    let made = mind.maker_of(no, id.0)?.map(|(_, entry)| entry);
    Ok(made.filter(|entry| matches!(entry.body, EntryBody::Granted { .. })))
}

/// The number of a grant inside its workspace.
pub(crate) fn grant_number(mind: &mut Mind, no: u32, id: GrantId) -> Result<Option<u64>, Error> {
    if let Some(grant) = mind.accounts.get(no).account.grants.find(id) {
        return Ok(Some(grant.n));
    }
    Ok(grant_entry(mind, no, id)?.map(|entry| entry.n))
}

/// A grant with what was said of it.
pub(crate) fn grant_record(mind: &mut Mind, no: u32, id: GrantId) -> Result<Option<GrantRecord>, Error> {
    let Some(entry) = grant_entry(mind, no, id)? else { return Ok(None) };
    Ok(answer::record_of(entry))
}
