//! The mind of the heart: everything in memory that comes from disk, and how a command passes through it. Load what the
//! command speaks of, let the ledger decide, write the entries of the change, absorb them into what is derived.
//!
//! Loading looks many commands up together and then the accounts of the next few, so that the processor waits for memory
//! once instead of once a command. Nothing here decides, and nothing is on disk until [`Mind::commit`] returns.

use std::sync::Arc;

use tollkeeper_ledger::{
    Actor, Change, Charge, ChargeId, Command, Decision, Entry, EntryBody, Id, Platform, Refusal, Submission,
    Timestamp, View, decide,
};

use super::accounts::Accounts;
use super::in_flight::InFlightBatch;
use super::maintenance::MaintenanceState;
use super::recovery::Parts;
use super::timers::Timers;
use crate::answer::{self, About};
use crate::embedded::storage::block::{Envelope, Stored, digest};
use crate::embedded::storage::checkpointer::CheckpointerLink;
use crate::embedded::storage::journal::{Journal, Tail};
use crate::embedded::storage::key_index::{Fingerprints, KeyIndex, Name};
use crate::embedded::storage::state_db::State;
use crate::{Answer, CommandResult, Error, calendar};

/// The place of an entry is kept in these low bits of the ids it makes: 2.8 × 10^14 entries.
const PLACE_BITS: u32 = 48;

/// Commands that are looked up together: few enough that what was found is still at hand at their turn.
const LOADED_AHEAD: usize = 512;

/// Accounts that are looked at together just before their turn: their memory is then waited for together.
const TOUCHED_AHEAD: usize = 32;

/// Everything in memory that comes from disk.
#[derive(Debug)]
pub(crate) struct StateMachine {
    pub journal: Journal,
    pub state: State,
    pub checkpointer: CheckpointerLink,
    pub accounts: Accounts,
    pub index: KeyIndex,
    pub fingerprints: Fingerprints,
    pub timers: Timers,
    pub platform: Arc<Platform>,
    /// The place the next entry gets.
    pub next: u64,
    /// Everything up to here is kept in the state file.
    pub accounts_persisted_to: u64,
    pub maintenance: MaintenanceState,
    /// Entries of the batch under way, not yet on disk; the first is at `tail_from`.
    pub tail: Tail,
    pub tail_from: u64,
    /// Entries before those, handed over to be appended and not yet known to be on disk.
    pub in_flight: Option<InFlightBatch>,
    refund_window_seconds: i64,
    seqs: Vec<u64>,
}

/// What was found out about a command before its turn: the number of its workspace; the fingerprint of its key, and
/// whether anything but the table in memory may hold it.
#[derive(Clone, Copy, Debug)]
struct Loaded {
    account_index: Option<u32>,
    fingerprint: Option<u64>,
    may: bool,
}

/// A charge and the places of its entries.
#[derive(Debug)]
pub(crate) struct Located {
    pub charge: Charge,
    pub opened_at: u64,
}

/// The place that an id of this engine's own making names; of any other id, some place or none.
pub(crate) fn seq_of_id(id: Id) -> u64 {
    id.group_b() & ((1 << PLACE_BITS) - 1)
}

impl StateMachine {
    pub(crate) fn new(parts: Parts, refund_window_seconds: i64) -> StateMachine {
        let Parts {
            journal,
            state,
            checkpointer,
            accounts,
            index,
            fingerprints,
            next,
            accounts_persisted_to,
        } = parts;
        StateMachine {
            journal,
            state,
            checkpointer,
            accounts,
            index,
            fingerprints,
            timers: Timers::default(),
            platform: Arc::default(),
            next,
            accounts_persisted_to,
            maintenance: MaintenanceState::default(),
            tail: Tail::default(),
            tail_from: next,
            in_flight: None,
            refund_window_seconds,
            seqs: Vec::new(),
        }
    }

    /// Decides commands in order, on top of what was decided and not yet committed; `at` says which one is on.
    pub(crate) fn decide_all(
        &mut self,
        batch: Vec<(Submission, Timestamp)>,
        at: &mut usize,
    ) -> Result<Vec<CommandResult>, Error> {
        let mut answers = Vec::with_capacity(batch.len());
        let mut rest = batch.into_iter();
        while rest.len() > 0 {
            let loaded = self.load(&rest.as_slice()[..rest.len().min(LOADED_AHEAD)])?;
            for (index, (submission, now)) in rest.by_ref().take(loaded.len()).enumerate() {
                if index % TOUCHED_AHEAD == 0 {
                    let next = &loaded[index..loaded.len().min(index + TOUCHED_AHEAD)];
                    let fetched = self.accounts.touch(next.iter().filter_map(|loaded| loaded.account_index));
                    let keys = self.index.touch(next.iter().filter_map(|loaded| loaded.fingerprint));
                    std::hint::black_box((fetched, keys));
                }
                *at = answers.len();
                answers.push(self.run_one(submission, loaded[index], now)?);
            }
        }
        Ok(answers)
    }

    /// Appends what was decided; says how many bytes that was. When this returns, it is on disk.
    pub(crate) fn commit(&mut self) -> Result<u64, Error> {
        assert!(
            self.in_flight.is_none(),
            "entries are appended in their order: what is under way lands first"
        );
        let bytes = self.tail.bytes.len() as u64;
        if bytes > 0 {
            self.journal.append(self.tail_from, &self.tail)?;
            self.maintenance.appended += bytes;
            self.tail.clear();
            self.tail_from = self.next;
        }
        Ok(bytes)
    }

    /// Hands over what was decided, to be appended by someone else while more is decided; nothing if nothing was written.
    pub(crate) fn begin_append(&mut self) -> Option<InFlightBatch> {
        assert!(
            self.in_flight.is_none(),
            "entries are appended in their order: what is under way lands first"
        );
        if self.tail.len() == 0 {
            return None;
        }
        let tail = std::mem::take(&mut self.tail);
        let in_flight =
            InFlightBatch::new(self.tail_from, tail, std::mem::take(&mut self.maintenance.wal_rest));
        self.tail_from = self.next;
        self.in_flight = Some(in_flight.clone());
        Some(in_flight)
    }

    /// What was handed over is on disk; says how many bytes that was.
    pub(crate) fn append_finished(&mut self) -> u64 {
        let Some(in_flight) = self.in_flight.take() else { return 0 };
        let bytes = in_flight.bytes();
        self.maintenance.appended += bytes;
        for task in std::mem::take(&mut self.maintenance.held) {
            self.checkpointer.give(task);
        }
        if self.tail.len() == 0
            && let Some(tail) = in_flight.into_tail()
        {
            self.tail = tail;
        }
        bytes
    }

    /// Finds the workspaces and asks the key index for many commands at once, so that memory is waited for together.
    fn load(&mut self, batch: &[(Submission, Timestamp)]) -> Result<Vec<Loaded>, Error> {
        let mut loaded = Vec::with_capacity(batch.len());
        for (submission, _) in batch {
            let account_index = self.accounts.resolve(&submission.workspace, &self.state)?;
            loaded.push(Loaded { account_index, fingerprint: None, may: false });
        }
        let mut fingerprints = Vec::with_capacity(batch.len());
        for ((submission, _), loaded) in batch.iter().zip(&mut loaded) {
            let Some(account_index) = loaded.account_index else {
                fingerprints.push(0);
                continue;
            };
            let own = submission.command.derived_key();
            let key = own.as_ref().or(submission.key.as_ref());
            loaded.fingerprint = key.map(|key| self.fingerprints.of(account_index, Name::Key(key)));
            fingerprints.push(loaded.fingerprint.unwrap_or(0));
        }
        let mut may = Vec::new();
        self.index.probe(&fingerprints, &mut may);
        for (loaded, may) in loaded.iter_mut().zip(may) {
            loaded.may = may;
        }
        Ok(loaded)
    }

    fn run_one(
        &mut self,
        submission: Submission,
        mut loaded: Loaded,
        now: Timestamp,
    ) -> Result<CommandResult, Error> {
        let creates = matches!(submission.command, Command::CreateWorkspace(_));
        if loaded.account_index.is_none() {
            // Another command of the same batch may have opened it.
            loaded = self.load_late(&submission)?;
        }
        let account_index = match loaded.account_index {
            Some(account_index) => account_index,
            None if creates => self.accounts.admit_new(submission.workspace.clone()),
            None => return Ok(Err(Refusal::WorkspaceNotFound)),
        };
        let made = match loaded.fingerprint {
            Some(fingerprint) => self.find_made(account_index, &submission, fingerprint, loaded.may)?,
            None => None,
        };
        let charge = match submission.command.charge() {
            Some(id) => self.find_charge(account_index, id)?,
            None => None,
        };
        self.load_grants(account_index, &submission.command, charge.as_ref())?;
        let clock = self.accounts.get(account_index).account.clock(now);
        let recount = submission.command.recount(&self.accounts.get(account_index).account);
        let spent = match &recount {
            Some(recount) => super::queries::spent(self, account_index, recount, clock)?,
            None => Vec::new(),
        };
        let windows =
            calendar::windows_for(&self.accounts.get(account_index).account, recount.as_ref(), clock);
        let actor = submission.actor.clone();
        let account = &self.accounts.get(account_index).account;
        let view = View {
            account: Some(account),
            price_book: &self.platform.price_book,
            entry_under_key: made.as_ref(),
            charge: charge.as_ref().map(|located| &located.charge),
            used_by_limit: &spent,
            windows,
            fresh_id: self.fresh_id(now),
            refund_window_seconds: self.refund_window_seconds,
        };
        match decide(&view, submission, now) {
            Ok(Decision::Change(change)) => {
                let key = loaded.fingerprint;
                self.write(account_index, change, (actor, now), (charge, key)).map(Ok)
            }
            Ok(Decision::Replay) => {
                let made = made.expect("only what was made before is replayed");
                self.replay_answer(account_index, made).map(Ok)
            }
            Ok(Decision::Unchanged) => {
                let account = &self.accounts.get(account_index).account;
                Ok(Ok(answer::unchanged(account, charge.map(|located| located.charge))))
            }
            Err(refusal) => {
                if creates && !self.accounts.get(account_index).account.exists() {
                    self.accounts.dismiss_new(account_index);
                }
                Ok(Err(refusal))
            }
        }
    }

    fn load_late(&mut self, submission: &Submission) -> Result<Loaded, Error> {
        let account_index = self.accounts.resolve(&submission.workspace, &self.state)?;
        let own = submission.command.derived_key();
        let key = own.as_ref().or(submission.key.as_ref()).zip(account_index);
        let fingerprint = key.map(|(key, account_index)| self.fingerprints.of(account_index, Name::Key(key)));
        // A workspace this young has all its entries in the table in memory, but to ask more is never wrong.
        Ok(Loaded { account_index, fingerprint, may: fingerprint.is_some() })
    }

    /// An id for whatever the next entry makes: its place, and bits that nobody outside can foretell.
    fn fresh_id(&self, now: Timestamp) -> Id {
        let scattered = self.fingerprints.scatter(now.millis(), self.next);
        let group_b = self.next | (scattered << PLACE_BITS);
        Id::v7(now.millis(), (scattered >> 32) as u16, group_b)
    }

    /// Writes a change: records, encodes, links and absorbs its entries, and says what they answer.
    fn write(
        &mut self,
        account_index: u32,
        change: Change,
        (actor, now): (Actor, Timestamp),
        (charge, key_fingerprint): (Option<Located>, Option<u64>),
    ) -> Result<Answer, Error> {
        let Change { first, rest, mut key } = change;
        let opened_at = charge.as_ref().map_or(0, |located| located.opened_at);
        let mut rest = rest.into_iter();
        let mut body = Some(first);
        let mut answer: Option<Entry> = None;
        let mut fingerprint = key_fingerprint;
        while let Some(present) = body {
            let about_charge = present.state().is_some();
            let slot = self.accounts.get_mut(account_index);
            let entry = slot.account.record(present, key.take(), actor.clone(), now);
            let opened = if about_charge { opened_at } else { 0 };
            let envelope = Envelope { seq: self.next, account_index, previous: slot.head, opened };
            let beginning = self.tail.bytes.len();
            self.tail.beginnings.push(beginning);
            envelope.write(&mut self.tail.bytes);
            let canonical = self.tail.bytes.len();
            entry.encode(&mut self.tail.bytes);
            slot.account.link(digest(&self.tail.bytes[canonical..]));
            self.index_entry(&entry, envelope, fingerprint.take());
            self.apply_derived(&entry, envelope);
            if account_index == 0 {
                Arc::make_mut(&mut self.platform).apply(&entry);
            }
            if answer.is_none() || about_charge {
                answer = Some(entry);
            }
            body = rest.next();
        }
        let entry = answer.expect("a change has at least one entry");
        let about = self.about(account_index, &entry.body, charge)?;
        Ok(answer::answer(entry, about))
    }

    /// Makes an entry findable by its key and its charge. `key`: the fingerprint of its key, if that is known already.
    pub(crate) fn index_entry(&mut self, entry: &Entry, envelope: Envelope, key: Option<u64>) {
        let Envelope { seq, account_index, opened, .. } = envelope;
        if let Some(name) = &entry.key {
            let fingerprint = key.unwrap_or_else(|| self.fingerprints.of(account_index, Name::Key(name)));
            self.index.insert(fingerprint, seq);
        }
        if opened != 0 {
            self.index.insert(self.fingerprints.of(account_index, Name::Touched(opened)), seq);
        }
        if let Some(id) = super::ids::foreign_id(entry, seq) {
            self.index.insert(self.fingerprints.of(account_index, Name::Id(id.to_bytes())), seq);
        }
    }

    /// Takes an entry into everything else that is derived from the journal, besides the account itself. The same for
    /// entries that are being written and entries that are read back after a crash.
    pub(crate) fn apply_derived(&mut self, entry: &Entry, envelope: Envelope) {
        let Envelope { seq, account_index, .. } = envelope;
        let slot = self.accounts.get_mut(account_index);
        slot.head = seq;
        let hour = entry.at.hour();
        match slot.unpersisted.hours.last_mut() {
            Some(last) if last.0 == hour => last.1 = seq,
            _ => {
                // Rarely more than one between two rounds, and there are many accounts.
                slot.unpersisted.hours.reserve_exact(1);
                slot.unpersisted.hours.push((hour, seq));
            }
        }
        slot.unpersisted.usage.record(entry);
        match &entry.body {
            EntryBody::Granted { grant, .. } => slot.unpersisted.lots.push((seq, grant.clone())),
            EntryBody::ChargeOpened(details) if details.deadline.is_none() => {}
            body => {
                if let Some(state) = body.state() {
                    let opened = envelope.opening();
                    slot.unpersisted.pending.push((opened, state.deadline));
                    self.timers.set(opened, state.deadline);
                }
            }
        }
        self.accounts.mark_dirty(account_index);
        self.next = seq + 1;
    }

    /// Reads an entry that is on disk or in the batch under way.
    pub(crate) fn read<T>(
        &self,
        seq: u64,
        mut then: impl FnMut(Stored) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match seq.checked_sub(self.tail_from) {
            Some(index) => {
                let bytes = self.tail.get(index as usize);
                bytes.map(|bytes| then(Stored::parse(seq, bytes)?)).transpose()
            }
            None => match self.in_flight.as_ref().and_then(|in_flight| in_flight.get(seq)) {
                Some(bytes) => Some(then(Stored::parse(seq, bytes)?)).transpose(),
                None => self.journal.read(seq, then),
            },
        }
    }

    /// The places that may hold a name, the newest first.
    pub(crate) fn seqs_of(&mut self, fingerprint: u64, beyond: bool) -> Result<Vec<u64>, Error> {
        let mut seqs = std::mem::take(&mut self.seqs);
        seqs.clear();
        self.index.in_memory(fingerprint, beyond, &mut seqs);
        if beyond {
            for run in self.index.runs_with(fingerprint) {
                for page in run.pages(fingerprint) {
                    self.state.page(run.head.id, page, |bytes| {
                        let pairs = crate::embedded::storage::key_index::pairs_of(bytes)
                            .filter(|pair| pair.0 == fingerprint);
                        seqs.extend(pairs.map(|pair| pair.1));
                    })?;
                }
            }
        }
        seqs.sort_unstable_by(|a, b| b.cmp(a));
        Ok(seqs)
    }

    /// The entry that was made under the command's key in this workspace.
    fn find_made(
        &mut self,
        account_index: u32,
        submission: &Submission,
        fingerprint: u64,
        beyond: bool,
    ) -> Result<Option<Entry>, Error> {
        let seqs = self.seqs_of(fingerprint, beyond)?;
        let mut found = None;
        if !seqs.is_empty() {
            let own = submission.command.derived_key();
            let key = own.as_ref().or(submission.key.as_ref());
            for seq in &seqs {
                let entry = self.read(*seq, |stored| {
                    if stored.envelope.account_index == account_index {
                        stored.entry().map(Some)
                    } else {
                        Ok(None)
                    }
                })?;
                if let Some(entry) = entry.flatten().filter(|entry| entry.key.as_ref() == key) {
                    found = Some(entry);
                    break;
                }
            }
        }
        self.seqs = seqs;
        Ok(found)
    }

    /// A charge of a workspace as it stands.
    pub(crate) fn find_charge(&mut self, account_index: u32, id: ChargeId) -> Result<Option<Located>, Error> {
        let Some((opened_at, made)) = self.entry_of_id(account_index, id.0)? else { return Ok(None) };
        let Entry { n: opened, at: created_at, body: EntryBody::ChargeOpened(details), .. } = made else {
            return Ok(None);
        };
        let mut state = details.state();
        let fingerprint = self.fingerprints.of(account_index, Name::Touched(opened_at));
        let seqs = self.seqs_of(fingerprint, true)?;
        for seq in &seqs {
            let touch = self.read(*seq, |stored| stored.entry())?;
            let about = |entry: &Entry| entry.body.charge().is_some_and(|(charge, _)| charge == id);
            if let Some(now) = touch.filter(about).and_then(|entry| entry.body.state()) {
                state = now;
                break;
            }
        }
        self.seqs = seqs;
        let charge = Charge { details, opening_entry: opened, created_at, state };
        Ok(Some(Located { charge, opened_at }))
    }

    /// Brings the grants into memory that a command may take from or give to.
    fn load_grants(
        &mut self,
        account_index: u32,
        command: &Command,
        charge: Option<&Located>,
    ) -> Result<(), Error> {
        let mut wanted: Vec<u64> = Vec::new();
        if let Some(located) = charge {
            wanted.extend(located.charge.details.draws.iter().map(|draw| draw.grant));
        }
        if let Some(id) = command.grant() {
            wanted.extend(super::queries::grant_number(self, account_index, id)?);
        }
        let slot = self.accounts.get_mut(account_index);
        if let Command::RestoreClawBack { dispute } = command {
            let received = slot.account.claw_backs.iter().filter(|claw_back| claw_back.dispute == *dispute);
            wanted.extend(received.flat_map(|claw_back| claw_back.taken.iter().map(|draw| draw.grant)));
        }
        for n in wanted {
            slot.load_grant(n, &self.state)?;
        }
        Ok(())
    }

    /// The first answer again.
    fn replay_answer(&mut self, account_index: u32, made: Entry) -> Result<Answer, Error> {
        let charge = match &made.body {
            EntryBody::ChargeRefunded(refund) => self.find_charge(account_index, refund.charge)?,
            _ => None,
        };
        let about = self.about(account_index, &made.body, charge)?;
        Ok(Answer { replayed: true, ..answer::answer(made, about) })
    }

    /// What an answer needs that its entry does not hold.
    fn about(
        &mut self,
        account_index: u32,
        body: &EntryBody,
        charge: Option<Located>,
    ) -> Result<About, Error> {
        if let EntryBody::GrantVoided { grant, .. } = body {
            let record = super::queries::grant_record(self, account_index, *grant)?;
            return Ok(record.map_or(About::Nothing, |record| About::Grant(Box::new(record))));
        }
        Ok(charge.map_or(About::Nothing, |located| About::Charge(Box::new(located.charge))))
    }
}
