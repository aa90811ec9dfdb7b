//! In-memory state of the engine and the path of one command: load, decide, record, apply.
//!
//! Load what the command refers to, let the ledger decide, record the entries of the change, apply
//! them to everything that is derived from entries. Loading looks up many commands together, and
//! prefetches the accounts of the next few, so that the processor waits for memory once and not
//! once a command.
//!
//! Nothing here decides credit, and nothing is on disk until [`StateMachine::commit`] returns or a
//! batch in flight was appended. Searching for entries is in `lookup`, loading from disk in
//! `recovery`, persisting in `maintenance`.

use std::sync::Arc;

use tollkeeper_ledger::{
    Actor, Change, Charge, Command, Decision, Entry, EntryBody, Id, Platform, Refusal, Submission, Timestamp,
    View, decide,
};

use super::accounts::Accounts;
use super::deadlines::Deadlines;
use super::ids;
use super::in_flight::{InFlightBatch, UncommittedEntries};
use crate::answer::Asked;
use crate::embedded::storage::block::EntryHeader;
use crate::embedded::storage::journal::Journal;
use crate::embedded::storage::key_index::{Fingerprints, KeyIndex, Name};
use crate::embedded::storage::maintenance_state::MaintenanceState;
use crate::embedded::storage::state_db::StateFile;
use crate::hash::digest;
use crate::{Answer, CommandResult, Error, answer, calendar};

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
    pub(super) deadlines: Deadlines,
    pub(super) maintenance: MaintenanceState,
    pub(super) uncommitted: UncommittedEntries,
    pub(super) platform: Arc<Platform>,
    /// The sequence number of the next entry.
    pub(super) next_seq: u64,
    /// The sequence number up to which every account is persisted.
    pub(super) accounts_persisted_to: u64,
    /// Memory of a search in the key index.
    pub(super) found: Vec<u64>,
    refund_window_seconds: i64,
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
    pub refund_window_seconds: i64,
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

/// What a change is recorded with.
struct Recording {
    actor: Actor,
    now: Timestamp,
    /// The existing charge that the command is about.
    charge: Option<LocatedCharge>,
    /// The fingerprint of the command's idempotency key.
    key: Option<u64>,
}

impl StateMachine {
    pub(super) fn new(parts: Parts) -> StateMachine {
        let Parts { journal, state, accounts, index, fingerprints, maintenance, .. } = parts;
        let Parts { next_seq, accounts_persisted_to, refund_window_seconds, .. } = parts;
        StateMachine {
            journal,
            state,
            accounts,
            index,
            fingerprints,
            deadlines: Deadlines::default(),
            maintenance,
            uncommitted: UncommittedEntries::during_replay(),
            platform: Arc::default(),
            next_seq,
            accounts_persisted_to,
            found: Vec::new(),
            refund_window_seconds,
        }
    }

    /// The sequence number of the last entry, 0 if there is none.
    pub(crate) fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    /// Decides commands in order, on top of what was decided and not yet committed; returns one
    /// answer each. `at` is the index of the command under way, for the report of a panic.
    pub(super) fn decide_all(
        &mut self,
        batch: Vec<(Submission, Timestamp)>,
        at: &mut usize,
    ) -> Result<Vec<CommandResult>, Error> {
        let commands = batch.len();
        let mut answers = Vec::with_capacity(commands);
        let mut rest = batch.into_iter();
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
                *at = answers.len();
                answers.push(self.run_one(submission, loaded[index], now)?);
            }
        }
        assert_eq!(answers.len(), commands, "every command has one answer");
        Ok(answers)
    }

    /// Appends what was decided; returns its number of bytes. When this returns, it is on disk.
    pub(super) fn commit(&mut self) -> Result<u64, Error> {
        let bytes = self.uncommitted.append_to(&mut self.journal)?;
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
            let account_index = self.accounts.resolve(&submission.workspace, &self.state)?;
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
        let account_index = self.accounts.resolve(&submission.workspace, &self.state)?;
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

    fn run_one(
        &mut self,
        submission: Submission,
        mut loaded: Loaded,
        now: Timestamp,
    ) -> Result<CommandResult, Error> {
        if loaded.account_index.is_none() {
            loaded = self.load_again(&submission)?;
        }
        let (index, is_new) = match loaded.account_index {
            Some(index) => (index, false),
            None if matches!(submission.command, Command::CreateWorkspace(_)) => {
                (self.accounts.admit_new(submission.workspace.clone()), true)
            }
            None => return Ok(Err(Refusal::WorkspaceNotFound)),
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
        let present = self.accounts.get(index).account.present(now);
        let recount = submission.command.recount(&self.accounts.get(index).account);
        let used_by_limit = match &recount {
            Some(recount) => self.used_by_limit(index, recount, present)?,
            None => Vec::new(),
        };
        let account = &self.accounts.get(index).account;
        let view = View {
            account: Some(account),
            price_book: &self.platform.price_book,
            entry_under_key: earlier_entry.as_ref(),
            charge: charge.as_ref().map(|located| &located.charge),
            used_by_limit: &used_by_limit,
            windows: calendar::windows_for(account, recount.as_ref(), present),
            fresh_id: self.fresh_id(now),
            refund_window_seconds: self.refund_window_seconds,
        };
        let actor = submission.actor.clone();
        let asked = Asked::of(&submission.command);
        match decide(&view, submission, now) {
            Ok(Decision::Change(change)) => {
                self.record(index, change, Recording { actor, now, charge, key: loaded.key }).map(Ok)
            }
            Ok(Decision::Replay) => {
                let earlier_entry =
                    earlier_entry.expect("the ledger replays only an entry that it was shown");
                answer::replay_answer(earlier_entry, &mut self.records(index)).map(Ok)
            }
            Ok(Decision::Unchanged) => {
                let account = &self.accounts.get(index).account;
                if let Asked::Grant(id) = asked {
                    let (grant, balance) = (account.grants.find(id).cloned(), account.balance);
                    return answer::unchanged_grant(grant, balance, &mut self.records(index)).map(Ok);
                }
                Ok(Ok(answer::unchanged_answer(account, charge.map(|located| located.charge))))
            }
            Err(refusal) => {
                if is_new {
                    self.accounts.remove_new(index);
                }
                Ok(Err(refusal))
            }
        }
    }

    /// The id for what the next entry makes.
    fn fresh_id(&self, now: Timestamp) -> Id {
        let random = self.fingerprints.random_bits(now.millis(), self.next_seq);
        ids::id_with_seq(now.millis(), random, self.next_seq)
    }

    /// Records a change: encodes, links, indexes and applies its entries; returns their answer.
    fn record(&mut self, index: u32, change: Change, with: Recording) -> Result<Answer, Error> {
        let Change { first, rest, mut key } = change;
        let Recording { actor, now, charge, key: mut fingerprint } = with;
        let charge_opening_seq = charge.as_ref().map_or(0, |located| located.opening_seq);
        let mut rest = rest.into_iter();
        let mut next = Some(first);
        let mut answering: Option<Entry> = None;
        while let Some(body) = next {
            let about_charge = body.state().is_some();
            let slot = self.accounts.get_mut(index);
            let entry = slot.account.record(body, key.take(), actor.clone(), now);
            let opening_seq = if about_charge { charge_opening_seq } else { 0 };
            let header =
                EntryHeader { seq: self.next_seq, account_index: index, previous: slot.head, opening_seq };
            let bytes = self.uncommitted.begin_entry(&header);
            let canonical = bytes.len();
            entry.encode(bytes);
            slot.account.link(digest(&bytes[canonical..]));
            self.index_entry(&entry, header, fingerprint.take());
            self.apply_derived(&entry, header);
            self.apply_to_platform(&entry, header);
            if answering.is_none() || about_charge {
                answering = Some(entry);
            }
            next = rest.next();
        }
        self.accounts.get(index).account.finish_change();
        let entry = answering.expect("a change has at least one entry");
        answer::answer(entry, charge.map(|located| located.charge), &mut self.records(index))
    }

    /// Adds the names of an entry to the key index. `key`: the fingerprint of its idempotency key,
    /// if it is known.
    pub(super) fn index_entry(&mut self, entry: &Entry, header: EntryHeader, key: Option<u64>) {
        let EntryHeader { seq, account_index, opening_seq, .. } = header;
        if let Some(name) = &entry.key {
            let fingerprint = key.unwrap_or_else(|| self.fingerprints.of(account_index, Name::Key(name)));
            self.index.insert(fingerprint, seq);
        }
        if opening_seq != 0 {
            self.index.insert(self.fingerprints.of(account_index, Name::Changed(opening_seq)), seq);
        }
        if let Some(id) = ids::foreign_id(entry, seq) {
            self.index.insert(self.fingerprints.of(account_index, Name::Id(id.to_bytes())), seq);
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
        unpersisted.usage.record(entry);
        match &entry.body {
            EntryBody::Granted { grant, .. } => unpersisted.grants.push((seq, grant.clone())),
            EntryBody::ChargeOpened(details) if details.deadline.is_none() => {}
            body => {
                if let Some(state) = body.state() {
                    let opening_seq = header.charge_opening_seq();
                    unpersisted.pending.push((opening_seq, state.deadline));
                    self.deadlines.set(opening_seq, state.deadline);
                }
            }
        }
        self.accounts.mark_dirty(account_index);
        self.next_seq = seq + 1;
    }

    /// Applies an entry of the platform's own chain to the price book and the platform keys.
    pub(super) fn apply_to_platform(&mut self, entry: &Entry, header: EntryHeader) {
        if header.account_index == 0 {
            Arc::make_mut(&mut self.platform).apply(entry);
        }
    }
}
