//! Searches of the state machine: entries by number, by idempotency key and by id; charges and
//! grants in their current state.
//!
//! The key index (memory, then runs in the state file) gives sequence numbers. Their entries are
//! read from the uncommitted ones or from the journal. A fingerprint of the index is a hint, so
//! every entry that it leads to is read and compared.

use tollkeeper_ledger::{
    Charge, ChargeId, Command, Entry, EntryBody, GrantId, Id, Micros, PeriodWindow, Recount, Submission,
    Timestamp, WorkspaceId,
};

use super::delta::Wanted;
use super::ids;
use super::state_machine::{LocatedCharge, StateMachine};
use crate::answer::{self, Records};
use crate::embedded::storage::block::Stored;
use crate::embedded::storage::key_index::{Name, pairs_of};
use crate::{Error, GrantRecord, calendar, rollups};

impl StateMachine {
    /// Reads entry `seq`, uncommitted or on disk; `None` beyond the end.
    pub(super) fn read<T>(
        &self,
        seq: u64,
        mut read: impl FnMut(Stored) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match self.uncommitted.get(seq) {
            Some(bytes) => read(Stored::parse(seq, bytes)?).map(Some),
            None if self.uncommitted.is_on_disk(seq) => self.journal.read(seq, read),
            None => Ok(None),
        }
    }

    /// Reads entry `seq`, which something points to. If it is missing, the journal is damaged: to
    /// go on as if it had never been written would charge a key twice.
    pub(super) fn read_existing<T>(
        &self,
        seq: u64,
        read: impl FnMut(Stored) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.read(seq, read)?.ok_or_else(|| Error::damaged(format!("journal entry {seq} is missing")))
    }

    /// The same for an entry that a command names, which is usually one of the newest.
    fn read_named<T>(&self, seq: u64, mut read: impl FnMut(Stored) -> Result<T, Error>) -> Result<T, Error> {
        match self.recent.get(seq) {
            Some(bytes) => read(Stored::parse(seq, bytes)?),
            None => self.read_existing(seq, read),
        }
    }

    /// The account index of a workspace; `None` if it was never created. A workspace that was
    /// created must be in memory or in the state file.
    pub(super) fn resolve(&mut self, id: &WorkspaceId) -> Result<Option<u32>, Error> {
        if let Some(index) = self.accounts.resolve(id, &self.state)? {
            return Ok(Some(index));
        }
        let seqs = self.seqs_of(self.fingerprints.of(0, Name::Workspace(id)), true)?;
        let mut was_created = false;
        for seq in &seqs {
            let body = self.read_existing(*seq, |stored| Ok(stored.entry()?.body))?;
            was_created |= matches!(body, EntryBody::WorkspaceCreated(profile) if profile.id == *id);
        }
        self.found = seqs;
        if was_created {
            Err(self.state.damaged(format!("the row of workspace {id} is missing")))
        } else {
            Ok(None)
        }
    }

    /// Compares the end of an account's chain with the entry in the journal, before the account
    /// takes its first entry after it was loaded: a wrong hash must never enter the journal.
    pub(super) fn compare_chain_end(&mut self, account_index: u32) -> Result<(), Error> {
        let slot = self.accounts.get(account_index);
        let (head, chain) = (slot.head, slot.account.chain);
        let found =
            self.read(head, |stored| Ok((stored.header.account_index, stored.entry()?.n, stored.hash())))?;
        if found != Some((account_index, chain.n, chain.hash)) {
            return Err(self.state.damaged(format!(
                "the state of the workspace with account index {account_index} does not end with journal entry {head}"
            )));
        }
        self.accounts.get_mut(account_index).is_compared = true;
        Ok(())
    }

    /// The entries that may carry a name, newest first. `search_older`: false searches only the
    /// table of the newest names, for a name that is known to be neither in the frozen table nor in
    /// a run.
    pub(super) fn seqs_of(&mut self, fingerprint: u64, search_older: bool) -> Result<Vec<u64>, Error> {
        let mut seqs = std::mem::take(&mut self.found);
        seqs.clear();
        self.index.in_memory(fingerprint, search_older, &mut seqs);
        if search_older {
            for run in self.index.runs_with(fingerprint) {
                for page in run.pages(fingerprint) {
                    self.state.page(run.head.id, page, |bytes| {
                        let pairs = pairs_of(bytes).filter(|pair| pair.0 == fingerprint);
                        seqs.extend(pairs.map(|pair| pair.1));
                    })?;
                }
            }
        }
        seqs.sort_unstable_by(|a, b| b.cmp(a));
        Ok(seqs)
    }

    /// The entry that was recorded in this workspace under the command's idempotency key.
    pub(super) fn find_entry_under_key(
        &mut self,
        account_index: u32,
        submission: &Submission,
        fingerprint: u64,
        search_older: bool,
    ) -> Result<Option<Entry>, Error> {
        let seqs = self.seqs_of(fingerprint, search_older)?;
        let mut found = None;
        if !seqs.is_empty() {
            let derived = submission.command.derived_key();
            let key = derived.as_ref().or(submission.key.as_ref());
            for seq in &seqs {
                let entry = self.read_named(*seq, |stored| in_workspace(stored, account_index))?;
                if let Some(entry) = entry.filter(|entry| entry.key.as_ref() == key) {
                    found = Some(entry);
                    break;
                }
            }
        }
        self.found = seqs;
        Ok(found)
    }

    /// The entry of a workspace that made an id, and its sequence number.
    fn find_entry_of_id(&mut self, account_index: u32, id: Id) -> Result<Option<(u64, Entry)>, Error> {
        let with_this_id = |stored: Stored| {
            let entry = in_workspace(stored, account_index)?;
            Ok(entry.filter(|entry| ids::id_made_by(entry) == Some(id)))
        };
        let seq = ids::seq_of_id(id);
        if (1..self.next_seq).contains(&seq)
            && let Some(entry) = self.read_named(seq, with_this_id)?
        {
            return Ok(Some((seq, entry)));
        }
        let fingerprint = self.fingerprints.of(account_index, Name::Id(id.to_bytes()));
        for seq in self.seqs_of(fingerprint, true)? {
            if let Some(entry) = self.read_named(seq, with_this_id)? {
                return Ok(Some((seq, entry)));
            }
        }
        Ok(None)
    }

    /// A charge of a workspace in its current state: its details from the entry that opened it, its
    /// state from the last entry about it. While it is pending, only its deadline can have changed,
    /// which is in memory.
    pub(super) fn find_charge(
        &mut self,
        account_index: u32,
        id: ChargeId,
    ) -> Result<Option<LocatedCharge>, Error> {
        let Some((opening_seq, entry)) = self.find_entry_of_id(account_index, id.0)? else { return Ok(None) };
        let Entry { n, at: created_at, decided_at, body: EntryBody::ChargeOpened(details), .. } = entry
        else {
            return Ok(None);
        };
        let mut state = details.state();
        if let Some(deadline) = self.deadlines.get(opening_seq) {
            assert!(details.deadline.is_some(), "i06: only a charge that awaits its outcome is pending");
            state.deadline = Some(deadline);
            let charge = Charge { details, opening_entry: n, created_at, decided_at, state };
            return Ok(Some(LocatedCharge { charge, opening_seq }));
        }
        let fingerprint = self.fingerprints.of(account_index, Name::Changed(opening_seq));
        let seqs = self.seqs_of(fingerprint, true)?;
        for seq in &seqs {
            let entry = self.read_named(*seq, |stored| stored.entry())?;
            let about = entry.body.charge().is_some_and(|(charge, _)| charge == id);
            if let Some(now) = entry.body.state().filter(|_| about) {
                state = now;
                break;
            }
        }
        self.found = seqs;
        let charge = Charge { details, opening_entry: n, created_at, decided_at, state };
        Ok(Some(LocatedCharge { charge, opening_seq }))
    }

    /// Brings the grants into memory that a command may draw from or return credit to.
    pub(super) fn load_grants(
        &mut self,
        account_index: u32,
        command: &Command,
        charge: Option<&LocatedCharge>,
    ) -> Result<(), Error> {
        let mut wanted: Vec<u64> = Vec::new();
        if let Some(located) = charge {
            wanted.extend(located.charge.details.draws.iter().map(|draw| draw.grant));
        }
        let of_payment = command.grants_of_payment(&self.accounts.get(account_index).account);
        for id in command.grant().into_iter().chain(of_payment) {
            wanted.extend(self.grant_number(account_index, id)?);
        }
        let slot = self.accounts.get_mut(account_index);
        if command.may_give_back() {
            wanted.extend(slot.account.claw_backs.drawn_grants());
        }
        for n in wanted {
            slot.load_grant(n, &self.state)?;
        }
        Ok(())
    }

    /// What was paid for the grant that a command names, in cents; 0 for other commands.
    pub(super) fn paid_cents(&mut self, account_index: u32, command: &Command) -> Result<i64, Error> {
        let Some(grant) = command.grant() else { return Ok(0) };
        let record = self.records(account_index).find_grant(grant)?;
        Ok(record.map_or(0, |record| record.paid_cents))
    }

    /// What each limit of a recount has used of its current period, net of refunds. After a recount
    /// of many rows the next one has to wait, so that one workspace cannot keep the engine busy.
    ///
    /// # Errors
    /// Also [`Error::is_overloaded`] if it comes too soon.
    pub(super) fn used_by_limit(
        &mut self,
        account_index: u32,
        recount: &Recount,
        now: Timestamp,
    ) -> Result<Vec<Micros>, Error> {
        let from = self.accounts.get(account_index).recounts_from;
        // A longer pause than the longest is one of a clock that was ahead.
        if now < from && from <= now.plus_seconds(rollups::RECOUNT_PAUSE_MAX_SECONDS) {
            return Err(Error::recount_too_soon());
        }
        let windows = calendar::period_windows(&recount.timezone, now);
        let PeriodWindow { start, end } = windows.month;
        let hours = start.hour()..end.hour() + 1;
        // Both reads see one state of the file; else what the checkpointer writes in between would
        // be missed.
        self.state.begin_snapshot()?;
        let rows = self.state.usage(account_index, hours.clone());
        let persisted = rows.and_then(|rows| Ok((rows, self.state.account_n(account_index)?)));
        self.state.end_snapshot();
        let (mut rows, n_in_file) = persisted?;
        if n_in_file == 0 && self.accounts.get(account_index).stored_n > 0 {
            return Err(self
                .state
                .damaged(format!("the row of the workspace with account index {account_index} is missing")));
        }
        let delta = self.account_delta(account_index, n_in_file, &Wanted::Usage { hours: hours.clone() });
        let delta = delta.ok_or_else(|| Error::unavailable("the state file is older than memory expects"))?;
        rows.extend(delta.usage.of(hours));
        if let Some(pause) = rollups::recount_pause_seconds(rows.len()) {
            self.accounts.get_mut(account_index).recounts_from = now.plus_seconds(pause);
        }
        Ok(rollups::used_by_limit(recount, &windows, &rows))
    }

    /// The number, inside its workspace, of the entry that brought a grant.
    pub(super) fn grant_number(&mut self, account_index: u32, id: GrantId) -> Result<Option<u64>, Error> {
        if let Some(grant) = self.accounts.get(account_index).account.grants.find(id) {
            return Ok(Some(grant.n));
        }
        Ok(self.granted_entry(account_index, id)?.map(|entry| entry.n))
    }

    fn granted_entry(&mut self, account_index: u32, id: GrantId) -> Result<Option<Entry>, Error> {
        let found = self.find_entry_of_id(account_index, id.0)?.map(|(_, entry)| entry);
        Ok(found.filter(|entry| matches!(entry.body, EntryBody::Granted { .. })))
    }

    /// The look-ups that answers need, inside one workspace.
    pub(super) fn records(&mut self, account_index: u32) -> WorkspaceRecords<'_> {
        WorkspaceRecords { machine: self, account_index }
    }
}

/// The entry, if it belongs to this workspace.
fn in_workspace(stored: Stored, account_index: u32) -> Result<Option<Entry>, Error> {
    if stored.header.account_index == account_index { stored.entry().map(Some) } else { Ok(None) }
}

/// The look-ups that answers need, inside one workspace.
pub(super) struct WorkspaceRecords<'a> {
    machine: &'a mut StateMachine,
    account_index: u32,
}

impl Records for WorkspaceRecords<'_> {
    fn find_charge(&mut self, id: ChargeId) -> Result<Option<Charge>, Error> {
        let located = self.machine.find_charge(self.account_index, id)?;
        Ok(located.map(|located| located.charge))
    }

    fn find_grant(&mut self, id: GrantId) -> Result<Option<GrantRecord>, Error> {
        let entry = self.machine.granted_entry(self.account_index, id)?;
        Ok(entry.and_then(answer::granted_by))
    }
}
