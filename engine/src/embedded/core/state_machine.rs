//! In-memory state of the engine and the path of one command: load, decide, record, apply.
//!
//! Load what the command refers to, let the ledger decide, record the entries of the change, apply
//! them to everything that is derived from entries. Loading looks up many commands together, and
//! prefetches the accounts of the next few, so that the processor waits for memory once and not
//! once a command.
//!
//! A command that panics or meets damage is undone alone. Its entries are encoded first and applied
//! to what is derived afterwards, so until then nothing but its account has changed. The account is
//! then quarantined. A panic while entries are applied leaves a part of the derived state changed,
//! so all memory is discarded and loaded again.
//!
//! Nothing here decides credit, and nothing is on disk until [`StateMachine::commit`] returns or a
//! batch in flight was appended. Searching for entries is in `lookup`, loading from disk in
//! `recovery`, persisting in `maintenance`, rebuilding a single account in `quarantine`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tollkeeper_ledger::{
    Actor, Change, Charge, Command, Decision, Entry, EntryBody, Id, IdempotencyKey, Payments, PeriodWindows,
    PersonalText, Platform, Refusal, Submission, Timestamp, View, decide,
};

use super::accounts::Accounts;
use super::closing::Closing;
use super::deadlines::Deadlines;
use super::ids;
use super::in_flight::{InFlightBatch, UncommittedEntries};
use super::quarantine::Quarantine;
use super::recent::RecentEntries;
use crate::answer::Asked;
use crate::clock::warn_of_account_ahead;
use crate::delivery::subscriber;
use crate::embedded::storage::block::EntryHeader;
use crate::embedded::storage::journal::Journal;
use crate::embedded::storage::key_index::{Fingerprints, KeyIndex, Name};
use crate::embedded::storage::maintenance_state::MaintenanceState;
use crate::embedded::storage::state_db::StateFile;
use crate::hash::digest;
use crate::{Answer, CommandResult, Error, Ran, answer, calendar};

/// Commands that are looked up together: few enough that what was found is still in the cache at
/// their turn.
const LOADED_AHEAD: usize = 512;

/// Commands whose accounts and keys are prefetched together just before their turn.
const PREFETCHED_AHEAD: usize = 32;

/// Everything in memory that comes from disk.
#[derive(Debug)]
pub(crate) struct StateMachine {
    pub(super) journal: Journal,
    pub(super) state: StateFile,
    pub(super) accounts: Accounts,
    pub(super) index: KeyIndex,
    pub(super) fingerprints: Fingerprints,
    /// The deadlines of pending charges, by the sequence number of their opening entry.
    pub(super) deadlines: Deadlines,
    /// When the payments of workspaces need attention, by account index.
    pub(super) due_payments: Deadlines,
    /// Due charges that could not be read, by the sequence number of their opening entry, each with
    /// the time from which it is tried again.
    pub(super) unreadable: BTreeMap<u64, Timestamp>,
    pub(super) maintenance: MaintenanceState,
    pub(super) uncommitted: UncommittedEntries,
    pub(super) recent: RecentEntries,
    pub(super) platform: Arc<Platform>,
    pub(super) quarantine: Quarantine,
    pub(super) closing: Closing,
    /// The command under way; `None` between commands.
    under_way: Option<UnderWay>,
    /// The sequence number of the next entry.
    pub(super) next_seq: u64,
    /// The sequence number up to which every account is persisted.
    pub(super) accounts_persisted_to: u64,
    /// Memory of a search in the key index.
    pub(super) found: Vec<u64>,
    /// Entries since the start that were decided while their account was ahead of the clock.
    pub(super) decided_ahead: u64,
    /// The sequence number of the last entry since the start that a subscriber may follow.
    pub(super) last_followed: u64,
}

/// The parts of a state machine before the rest of the journal is replayed.
pub(super) struct Parts {
    pub journal: Journal,
    pub state: StateFile,
    pub accounts: Accounts,
    pub index: KeyIndex,
    pub fingerprints: Fingerprints,
    pub maintenance: MaintenanceState,
    /// The sequence number at which the replay begins.
    pub next_seq: u64,
    pub accounts_persisted_to: u64,
    /// Bytes of the newest entries that are kept in memory.
    pub recent_bytes: usize,
}

/// What was looked up for a command before its turn.
#[derive(Clone, Copy, Debug)]
struct Loaded {
    /// The account of its workspace; `None` if there is none yet.
    account_index: Option<u32>,
    /// The fingerprint of its idempotency key.
    key: Option<u64>,
    /// True if the frozen table or a run may hold the key, so that they must be searched too.
    search_older: bool,
}

/// A charge, and the sequence number of the entry that opened it.
#[derive(Debug)]
pub(crate) struct LocatedCharge {
    pub charge: Charge,
    pub opening_seq: u64,
}

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing has changed.
    Deciding,
    /// The account has changed, and entries may be encoded.
    Recording,
    /// What is derived from the entries is changing.
    Applying,
    /// The change is complete; its answer is being made.
    Answering,
}

/// The command under way, to undo it.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    phase: Phase,
    /// The account of its workspace, once it is known.
    account_index: Option<u32>,
    /// True if the command creates the workspace.
    is_new: bool,
}

/// What a change is recorded with.
struct Recording {
    actor: Actor,
    now: Timestamp,
    /// The existing charge that the command is about.
    charge: Option<LocatedCharge>,
    /// The fingerprint of the command's idempotency key.
    key: Option<u64>,
    /// The texts about a person that the command brought.
    texts: Vec<PersonalText>,
}

impl StateMachine {
    pub(super) fn new(parts: Parts) -> StateMachine {
        let Parts { journal, state, accounts, index, fingerprints, maintenance, .. } = parts;
        let Parts { next_seq, accounts_persisted_to, recent_bytes, .. } = parts;
        StateMachine {
            journal,
            state,
            accounts,
            index,
            fingerprints,
            deadlines: Deadlines::default(),
            due_payments: Deadlines::default(),
            unreadable: BTreeMap::new(),
            maintenance,
            uncommitted: UncommittedEntries::during_replay(),
            recent: RecentEntries::new(recent_bytes),
            platform: Arc::default(),
            quarantine: Quarantine::default(),
            closing: Closing::default(),
            under_way: None,
            next_seq,
            accounts_persisted_to,
            found: Vec::new(),
            decided_ahead: 0,
            last_followed: 0,
        }
    }

    /// The sequence number of the last entry, 0 if there is none.
    pub(crate) fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    /// Decides commands in order, on top of what was decided and not yet committed; adds one result
    /// each to `results`. A command that panics or meets damage is undone, and has an error.
    ///
    /// # Errors
    /// When the fault is not of a single command. Then memory must be discarded.
    pub(super) fn decide_all(
        &mut self,
        batch: Vec<(Submission, Timestamp)>,
        results: &mut Vec<Ran>,
    ) -> Result<(), Error> {
        let results_after = results.len() + batch.len();
        results.reserve(batch.len());
        let mut rest = batch.into_iter();
        while results.len() < results_after {
            let decide = AssertUnwindSafe(|| self.decide_rest(&mut rest, results));
            let fault = match catch_unwind(decide) {
                Ok(decided) => decided?,
                Err(panic) => Some(Error::panicked(&*panic)),
            };
            if let Some(error) = fault {
                results.push(Err(self.undo(error)?));
                assert_eq!(results.len() + rest.len(), results_after, "one command is undone");
            }
        }
        assert_eq!(results.len(), results_after, "every command has one result");
        Ok(())
    }

    /// Decides commands until none is left or one is at fault, whose error it returns.
    fn decide_rest(
        &mut self,
        rest: &mut std::vec::IntoIter<(Submission, Timestamp)>,
        results: &mut Vec<Ran>,
    ) -> Result<Option<Error>, Error> {
        while rest.len() > 0 {
            let loaded = self.load(&rest.as_slice()[..rest.len().min(LOADED_AHEAD)])?;
            for (index, (submission, now)) in rest.by_ref().take(loaded.len()).enumerate() {
                if index % PREFETCHED_AHEAD == 0 {
                    let next = &loaded[index..loaded.len().min(index + PREFETCHED_AHEAD)];
                    let accounts = self
                        .accounts
                        .prefetch_into_cache(next.iter().filter_map(|loaded| loaded.account_index));
                    let keys = self.index.prefetch_into_cache(next.iter().filter_map(|loaded| loaded.key));
                    std::hint::black_box((accounts, keys));
                }
                match self.run_one(submission, loaded[index], now) {
                    Ok(answer) => results.push(Ok(answer)),
                    Err(error) if error.is_account_refused() || error.is_overloaded() => {
                        results.push(Err(error));
                    }
                    // Damage of the state file is mended as a whole.
                    Err(error) if error.is_damaged() && !error.is_damaged_state() => return Ok(Some(error)),
                    Err(error) => return Err(error),
                }
                self.under_way = None;
            }
        }
        Ok(None)
    }

    /// Undoes the command under way, which is at fault; returns the error that answers it.
    ///
    /// # Errors
    /// When it cannot be undone alone.
    fn undo(&mut self, error: Error) -> Result<Error, Error> {
        let Some(UnderWay { phase, account_index, is_new }) = self.under_way.take() else {
            return Err(error);
        };
        match phase {
            Phase::Deciding | Phase::Recording => {
                self.uncommitted.truncate(self.next_seq);
                match account_index {
                    Some(index) if is_new => self.accounts.remove_new(index),
                    Some(index) => {
                        self.quarantine_account(index, phase == Phase::Deciding, &error);
                        // What is damaged is of this account. The log has the cause.
                        if error.is_damaged() {
                            return Ok(self.quarantine.error(index));
                        }
                    }
                    None => {}
                }
                Ok(error)
            }
            Phase::Applying => Err(error),
            // The change stands. Only its answer is missing.
            Phase::Answering => Ok(Error::unavailable(format!("the answer could not be made: {error}"))),
        }
    }

    /// Notes how far the command under way has come.
    fn enter(&mut self, phase: Phase) {
        if let Some(under_way) = &mut self.under_way {
            under_way.phase = phase;
        }
    }

    /// Appends what was decided; returns its number of bytes. When this returns, it is on disk.
    pub(super) fn commit(&mut self) -> Result<u64, Error> {
        let bytes = self.uncommitted.append_to(&mut self.journal, &mut self.recent)?;
        self.maintenance.note_appended(bytes);
        Ok(bytes)
    }

    /// Hands over what was decided, so that more can be decided while it is appended; `None` if
    /// nothing was recorded.
    pub(super) fn begin_append(&mut self) -> Option<InFlightBatch> {
        let StateMachine { uncommitted, maintenance, .. } = self;
        uncommitted.begin_append(|| maintenance.take_wal_remainder())
    }

    /// The batch in flight is on disk; returns its number of bytes.
    pub(super) fn append_finished(&mut self) -> u64 {
        let bytes = self.uncommitted.append_finished();
        self.maintenance.note_appended(bytes);
        self.maintenance.submit_deferred();
        bytes
    }

    /// Looks up the workspaces and the idempotency keys of many commands at once.
    fn load(&mut self, batch: &[(Submission, Timestamp)]) -> Result<Vec<Loaded>, Error> {
        let mut loaded = Vec::with_capacity(batch.len());
        for (submission, _) in batch {
            let account_index = self.resolve(&submission.workspace)?;
            loaded.push(Loaded { account_index, key: None, search_older: false });
        }
        let mut keys = Vec::with_capacity(batch.len());
        for ((submission, _), loaded) in batch.iter().zip(&mut loaded) {
            loaded.key = loaded.account_index.and_then(|index| self.key_fingerprint(index, submission));
            keys.push(loaded.key.unwrap_or(0));
        }
        let mut search_older = Vec::new();
        self.index.may_contain_each(&keys, &mut search_older);
        for (loaded, search_older) in loaded.iter_mut().zip(search_older) {
            loaded.search_older = search_older;
        }
        Ok(loaded)
    }

    /// Looks up a command whose workspace was not there when its batch was loaded: an earlier
    /// command may have created it.
    fn load_again(&mut self, submission: &Submission) -> Result<Loaded, Error> {
        let account_index = self.resolve(&submission.workspace)?;
        let key = account_index.and_then(|index| self.key_fingerprint(index, submission));
        // All entries of a workspace this young are in the table in memory, but to search further
        // is never wrong.
        Ok(Loaded { account_index, key, search_older: key.is_some() })
    }

    fn key_fingerprint(&self, account_index: u32, submission: &Submission) -> Option<u64> {
        let derived = submission.command.derived_key();
        let key = derived.as_ref().or(submission.key.as_ref());
        key.map(|key| self.fingerprints.of(account_index, Name::Key(key)))
    }

    /// Begins a command: finds its account, or adds it for a new workspace. Returns its index and
    /// whether it is new; `None` if there is no such workspace.
    fn begin_command(
        &mut self,
        submission: &Submission,
        loaded: &mut Loaded,
    ) -> Result<Option<(u32, bool)>, Error> {
        self.under_way = Some(UnderWay { phase: Phase::Deciding, account_index: None, is_new: false });
        if loaded.account_index.is_none() {
            *loaded = self.load_again(submission)?;
        }
        let (index, is_new) = match loaded.account_index {
            Some(index) => (index, false),
            None if matches!(submission.command, Command::CreateWorkspace(_)) => {
                (self.accounts.admit_new(submission.workspace.clone()), true)
            }
            None => return Ok(None),
        };
        if self.accounts.get(index).quarantined {
            return Err(self.quarantine.error(index));
        }
        self.under_way = Some(UnderWay { phase: Phase::Deciding, account_index: Some(index), is_new });
        Ok(Some((index, is_new)))
    }

    fn run_one(
        &mut self,
        mut submission: Submission,
        mut loaded: Loaded,
        now: Timestamp,
    ) -> Result<CommandResult, Error> {
        let Some((index, is_new)) = self.begin_command(&submission, &mut loaded)? else {
            return Ok(Err(Refusal::WorkspaceNotFound));
        };
        let earlier_entry = match loaded.key {
            Some(key) => self.find_entry_under_key(index, &submission, key, loaded.search_older)?,
            None => None,
        };
        let charge = match submission.command.charge() {
            Some(id) => self.find_charge(index, id)?,
            None => None,
        };
        self.load_grants(index, &submission.command, charge.as_ref())?;
        let texts_of_member = self.load_texts(index, &mut submission.command)?;
        let paid_cents = self.paid_cents(index, &submission.command)?;
        let present = self.accounts.get(index).account.present(now);
        let recount = submission.command.recount(&self.accounts.get(index).account);
        let used_by_limit = match &recount {
            Some(recount) => self.used_by_limit(index, recount, present)?,
            None => Vec::new(),
        };
        let account = &self.accounts.get(index).account;
        let view = View {
            account: Some(account),
            platform: &self.platform,
            entry_under_key: earlier_entry.as_ref(),
            charge: charge.as_ref().map(|located| &located.charge),
            used_by_limit: &used_by_limit,
            texts_of_member,
            paid_cents,
            windows: calendar::windows_for(account, recount.as_ref(), present),
            fresh_id: self.fresh_id(now),
        };
        let actor = submission.actor.clone();
        let (asked, texts) = (Asked::of(&submission.command), submission.command.texts());
        let windows = view.windows;
        match decide(&view, submission, now) {
            Ok(Decision::Change(change)) => {
                let with = Recording { actor, now, charge, key: loaded.key, texts };
                self.record(index, change, with).map(Ok)
            }
            Ok(Decision::Replay) => {
                let earlier_entry =
                    earlier_entry.expect("the ledger replays only an entry that it was shown");
                answer::replay_answer(earlier_entry, &mut self.records(index)).map(Ok)
            }
            Ok(Decision::Unchanged) => {
                let charge = charge.map(|located| located.charge);
                self.unchanged_answer(index, asked, charge, (&windows, now)).map(Ok)
            }
            Err(refusal) => {
                if is_new {
                    self.accounts.remove_new(index);
                }
                Ok(Err(refusal))
            }
        }
    }

    /// The answer to a command that changed nothing.
    fn unchanged_answer(
        &mut self,
        index: u32,
        asked: Asked,
        charge: Option<Charge>,
        present: (&PeriodWindows, Timestamp),
    ) -> Result<Answer, Error> {
        let account = &self.accounts.get(index).account;
        if let Asked::Grant(id) = asked {
            let (grant, balance) = (account.grants.find(id).cloned(), account.balance);
            return answer::unchanged_grant(grant, balance, &mut self.records(index));
        }
        Ok(answer::unchanged_answer(asked, account, charge, &self.platform, present))
    }

    /// The id for what the next entry makes.
    fn fresh_id(&self, now: Timestamp) -> Id {
        let random = self.fingerprints.random_bits(now.millis(), self.next_seq);
        ids::id_with_seq(now.millis(), random, self.next_seq)
    }

    /// Records a change: encodes and links its entries, then indexes and applies them. Returns
    /// their answer.
    fn record(&mut self, index: u32, change: Change, with: Recording) -> Result<Answer, Error> {
        if !self.accounts.get(index).is_compared {
            self.compare_chain_end(index)?;
        }
        let Change { first, rest, key } = change;
        let Recording { actor, now, charge, key: fingerprint, texts } = with;
        let charge_opening_seq = charge.as_ref().map_or(0, |located| located.opening_seq);
        self.enter(Phase::Recording);
        let mut seq = self.next_seq;
        let mut previous = self.accounts.get(index).head;
        let mut encode = |body: EntryBody, key: Option<IdempotencyKey>| {
            let opening_seq = if body.state().is_some() { charge_opening_seq } else { 0 };
            let header = EntryHeader { seq, account_index: index, previous, opening_seq };
            (previous, seq) = (seq, seq + 1);
            (self.encode_entry(header, (body, key), actor.clone(), now), header)
        };
        let first = encode(first, key);
        let rest: Vec<(Entry, EntryHeader)> = rest.into_iter().map(|body| encode(body, None)).collect();
        self.accounts.get(index).account.finish_change();
        self.enter(Phase::Applying);
        let (mut answering, header) = first;
        self.write_texts(&answering.body, header, texts);
        self.apply(&answering, header, fingerprint)?;
        for (entry, header) in rest {
            self.apply(&entry, header, None)?;
            if entry.body.state().is_some() {
                answering = entry;
            }
        }
        self.enter(Phase::Answering);
        answer::answer(answering, charge.map(|located| located.charge), &mut self.records(index))
    }

    /// Applies an entry to everything besides the account itself. `key`: the fingerprint of its
    /// idempotency key, if it is known.
    fn apply(&mut self, entry: &Entry, header: EntryHeader, key: Option<u64>) -> Result<(), Error> {
        self.index_entry(entry, header, key);
        self.apply_derived(entry, header);
        self.apply_to_platform(entry, header)
    }

    /// Records an entry in its account, encodes it and links it.
    fn encode_entry(
        &mut self,
        header: EntryHeader,
        (body, key): (EntryBody, Option<IdempotencyKey>),
        actor: Actor,
        now: Timestamp,
    ) -> Entry {
        let slot = self.accounts.get_mut(header.account_index);
        let entry = slot.account.record(body, key, actor, now);
        if entry.decided_at != entry.at {
            warn_of_account_ahead(self.decided_ahead, 1, &slot.account.profile.id, entry.at);
            self.decided_ahead += 1;
        }
        if subscriber::is_followed(&self.platform, entry.body.kind()) {
            self.last_followed = header.seq;
        }
        let bytes = self.uncommitted.begin_entry(&header);
        let canonical = bytes.len();
        entry.encode(bytes);
        slot.account.link(digest(&bytes[canonical..]));
        entry
    }

    /// Adds the names of an entry to the key index. `key`: the fingerprint of its idempotency key,
    /// if it is known.
    pub(super) fn index_entry(&mut self, entry: &Entry, header: EntryHeader, key: Option<u64>) {
        let EntryHeader { seq, account_index, opening_seq, .. } = header;
        if let Some(name) = &entry.key {
            let fingerprint = key.unwrap_or_else(|| self.fingerprints.of(account_index, Name::Key(name)));
            self.index.insert(fingerprint, seq);
        }
        if ids::is_change_indexed(entry, opening_seq) {
            self.index.insert(self.fingerprints.of(account_index, Name::Changed(opening_seq)), seq);
        }
        if let Some(id) = ids::foreign_id(entry, seq) {
            self.index.insert(self.fingerprints.of(account_index, Name::Id(id.to_bytes())), seq);
        }
        if let EntryBody::WorkspaceCreated(profile) = &entry.body {
            self.index.insert(self.fingerprints.of(account_index, Name::Workspace(&profile.id)), seq);
        }
    }

    /// Applies an entry to what is derived from the journal, besides the account itself and the key
    /// index. The same for new entries and for entries that are replayed after a crash.
    pub(super) fn apply_derived(&mut self, entry: &Entry, header: EntryHeader) {
        let EntryHeader { seq, account_index, .. } = header;
        assert_eq!(seq, self.next_seq, "entries are applied in their order, without gaps");
        let slot = self.accounts.get_mut(account_index);
        slot.head = seq;
        let unpersisted = &mut slot.unpersisted;
        unpersisted.note_hour(entry.at.hour(), seq);
        let part = calendar::hour_part(&slot.account.profile.timezone, entry.decided_at);
        unpersisted.usage.record(entry, part);
        match &entry.body {
            EntryBody::Granted { grant, .. } => unpersisted.grants.push((seq, grant.clone())),
            EntryBody::ChargeOpened(details) if details.deadline.is_none() => {}
            EntryBody::WorkspaceUpdated(_) => unpersisted.is_updated = true,
            EntryBody::Payment(_) => {
                let due_at = slot.account.payments.as_deref().and_then(Payments::due_at);
                self.due_payments.set(u64::from(account_index), due_at);
            }
            body => {
                if let Some(state) = body.state() {
                    let opening_seq = header.charge_opening_seq();
                    slot.note_deadline(opening_seq, state.deadline);
                    self.deadlines.set(opening_seq, state.deadline);
                }
            }
        }
        self.accounts.mark_dirty(account_index);
        if changes_listing(entry) {
            self.accounts.mark_unlisted(account_index);
        }
        self.next_seq = seq + 1;
    }

    /// Applies an entry of the platform's own chain to the platform.
    pub(super) fn apply_to_platform(&mut self, entry: &Entry, header: EntryHeader) -> Result<(), Error> {
        if header.account_index == 0 {
            let applied = Arc::make_mut(&mut self.platform).apply(entry);
            applied.map_err(|violation| Error::damaged(format!("the platform's journal: {violation}")))?;
        }
        Ok(())
    }
}

/// True if searches may find a workspace differently after an entry. A charge makes it more
/// recently used, which is looked at when it is listed; only one that is decided while the account
/// is ahead of the clock can make it less recently used.
fn changes_listing(entry: &Entry) -> bool {
    match &entry.body {
        EntryBody::ChargeOpened(_) => entry.decided_at != entry.at,
        EntryBody::WorkspaceCreated(_)
        | EntryBody::WorkspaceUpdated(_)
        | EntryBody::ClawedBack { .. }
        | EntryBody::DebtRepaid { .. }
        | EntryBody::ClawBackRestored { .. }
        | EntryBody::ClawBackIncreased { .. }
        | EntryBody::ClawBackReduced { .. } => true,
        _ => false,
    }
}
