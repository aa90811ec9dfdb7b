//! Decides the commands of a batch in memory, one after another.
//!
//! Each command is decided on what was prefetched and on what the earlier commands of the batch
//! have recorded. Its entries are encoded and linked into the hash chain, and what follows from
//! them becomes rows to write. This module neither waits nor commits: if the batch is not
//! committed, its accounts are removed from memory.

use std::collections::HashMap;

use tollkeeper_ledger::{
    Account, Actor, Change, Charge, ChargeId, ChargeState, Decision, Entry, EntryBody, GrantId, Micros,
    PeriodWindows, PersonalText, Recount, Refusal, Status, Submission, TextsOfMember, Timestamp, View,
    decide,
};

use super::accounts::Accounts;
use super::prefetch::{ChargeRef, GrantRef, Loaded, Resolved};
use super::texts;
use super::write::{BatchWrites, EntryRef, EntryRow, KeyRef, PendingWrite, PlatformNumbers};
use crate::answer::{self, Asked, Records};
use crate::delivery::subscriber;
use crate::hash::digest;
use crate::postgres::database::decode::decode_entry;
use crate::postgres::database::session::Uuid;
use crate::postgres::ids::Ids;
use crate::postgres::platform::PlatformSnapshot;
use crate::{Answer, CommandResult, Error, GrantRecord, calendar, rollups};

/// The bytes to reserve for the entries of one command.
const BYTES_PER_COMMAND: usize = 512;

/// The state of one batch while it is decided.
pub(crate) struct StateMachine<'a> {
    accounts: &'a mut Accounts,
    ids: &'a mut Ids,
    platform: PlatformSnapshot,
    writes: BatchWrites,
    loaded: Loaded,
    /// For each key under which this batch recorded an entry: the entry's index in `writes`.
    entries_by_key: HashMap<KeyRef, usize>,
}

/// A decided batch.
pub(crate) struct DecidedBatch {
    /// One for each command, in order.
    pub answers: Vec<CommandResult>,
    pub writes: BatchWrites,
    /// The platform after the batch.
    pub platform: PlatformSnapshot,
}

/// What was found out for a command.
struct Known<'a> {
    /// The entry under its idempotency key.
    earlier_entry: Option<&'a Entry>,
    charge: Option<&'a Charge>,
    texts_of_member: TextsOfMember,
}

/// What a change is recorded with.
struct Recording {
    actor: Actor,
    now: Timestamp,
    /// The existing charge that the command is about.
    charge: Option<Charge>,
    /// The digest of the command's idempotency key.
    key_digest: Option<Uuid>,
    /// The texts about a person that the command brought.
    texts: Vec<PersonalText>,
}

impl<'a> StateMachine<'a> {
    pub(crate) fn new(
        accounts: &'a mut Accounts,
        ids: &'a mut Ids,
        platform: PlatformSnapshot,
        loaded: Loaded,
    ) -> StateMachine<'a> {
        let writes =
            BatchWrites { platform: PlatformNumbers::unchanged(platform.n), ..BatchWrites::default() };
        let entries_by_key = HashMap::new();
        StateMachine { accounts, ids, platform, writes, loaded, entries_by_key }
    }

    /// Decides all commands in order. While a command is being decided, `current` is its index, so
    /// that the caller knows which one failed if this panics.
    ///
    /// # Errors
    /// [`Error::is_damaged`] if an entry that a command needs cannot be decoded.
    pub(crate) fn decide_all(
        mut self,
        batch: &[(Submission, Timestamp)],
        resolved: &[Resolved],
        current: &mut Option<usize>,
    ) -> Result<DecidedBatch, Error> {
        self.writes.bytes.reserve(BYTES_PER_COMMAND * batch.len());
        let mut answers = Vec::with_capacity(batch.len());
        for ((submission, now), resolved) in batch.iter().zip(resolved) {
            *current = Some(answers.len());
            let answer = self.run_one(submission.clone(), *now, *resolved)?;
            self.writes.accepts |= answer.is_ok();
            answers.push(answer);
        }
        *current = None;
        assert_eq!(answers.len(), batch.len(), "every command has one answer");
        self.writes.finish(self.accounts);
        Ok(DecidedBatch { answers, writes: self.writes, platform: self.platform })
    }

    /// Runs one command: finds the entry under its key and its charge, decides, and records the
    /// change.
    fn run_one(
        &mut self,
        mut submission: Submission,
        now: Timestamp,
        Resolved { account_index, key }: Resolved,
    ) -> Result<CommandResult, Error> {
        let earlier_entry = self.find_by_key(&submission, account_index, key)?;
        let charge = submission.command.charge();
        let charge = charge.and_then(|charge| self.loaded.charges.get(&ChargeRef { account_index, charge }));
        let charge = charge.cloned();
        let actor = submission.actor.clone();
        let texts_of_member =
            texts::prepare(&mut submission.command, self.accounts, account_index, &self.loaded.texts);
        let (asked, texts) = (Asked::of(&submission.command), submission.command.texts());
        let known = Known { earlier_entry: earlier_entry.as_ref(), charge: charge.as_ref(), texts_of_member };
        let decided = self.decide_one(submission, now, account_index, known);
        if let (Some(key_digest), None) = (key, &earlier_entry)
            && !matches!(decided, Ok(Decision::Change(_)))
        {
            self.writes.unused_keys.push(KeyRef { account_index, key_digest });
        }
        Ok(match decided {
            Ok(Decision::Change(change)) => {
                let with = Recording { actor, now, charge, key_digest: key, texts };
                Ok(self.record(account_index, change, with)?)
            }
            Ok(Decision::Replay) => {
                let earlier_entry =
                    earlier_entry.expect("decide replays only an entry that the view contains");
                Ok(answer::replay_answer(earlier_entry, &mut self.records(account_index))?)
            }
            Ok(Decision::Unchanged) if let Asked::Grant(id) = asked => {
                let Account { grants, balance, .. } = &self.accounts.get(account_index).account;
                let (grant, balance) = (grants.find(id).cloned(), *balance);
                Ok(answer::unchanged_grant(grant, balance, &mut self.records(account_index))?)
            }
            Ok(Decision::Unchanged) => {
                let account = &self.accounts.get(account_index).account;
                let windows = calendar::windows_for(account, None, account.present(now));
                let platform = &self.platform.platform;
                Ok(answer::unchanged_answer(asked, account, charge, platform, (&windows, now)))
            }
            Err(refusal) => Err(refusal),
        })
    }

    /// Builds the view of one command and decides it. Changes nothing.
    fn decide_one(
        &mut self,
        submission: Submission,
        now: Timestamp,
        account_index: usize,
        Known { earlier_entry, charge, texts_of_member }: Known<'_>,
    ) -> Result<Decision, Refusal> {
        let account = &self.accounts.get(account_index).account;
        let command = &submission.command;
        assert!(account.profile.id == submission.workspace, "the view is of the command's workspace");
        assert!(
            charge.is_none_or(|charge| Some(charge.details.id) == command.charge()),
            "the view is of the command's charge"
        );
        let recount = command.recount(account);
        let windows = calendar::windows_for(account, recount.as_ref(), account.present(now));
        let used_by_limit =
            recount.map_or_else(Vec::new, |recount| self.used_by_limit(account_index, &recount, &windows));
        let view = View {
            account: Some(account),
            platform: &self.platform.platform,
            entry_under_key: earlier_entry,
            charge,
            used_by_limit: &used_by_limit,
            texts_of_member,
            paid_cents: self.loaded.paid_cents(account_index, command),
            windows,
            fresh_id: self.ids.fresh(now, account.chain.n + 1),
        };
        decide(&view, submission, now)
    }

    /// The entry recorded under the command's key, by this batch or before it.
    fn find_by_key(
        &self,
        submission: &Submission,
        account_index: usize,
        key: Option<Uuid>,
    ) -> Result<Option<Entry>, Error> {
        let Some(key_digest) = key else { return Ok(None) };
        let key = KeyRef { account_index, key_digest };
        let own = self.entries_by_key.get(&key).map(|index| self.writes.entry_bytes(*index));
        let Some(bytes) = own.or_else(|| self.loaded.entries_by_key.get(&key).map(Vec::as_slice)) else {
            return Ok(None);
        };
        let entry = decode_entry(bytes)?;
        let derived_key = submission.command.derived_key();
        if entry.key.as_ref() == derived_key.as_ref().or(submission.key.as_ref()) {
            return Ok(Some(entry));
        }
        // A chance collision of 128-bit digests does not happen, so the stored digest is
        // damaged.
        Err(Error::damaged("an entry is stored under the digest of another idempotency key"))
    }

    /// What each limit of a recount has used of its current period, net of refunds.
    fn used_by_limit(&self, account_index: usize, recount: &Recount, windows: &PeriodWindows) -> Vec<Micros> {
        let slot = self.accounts.get(account_index);
        let mut rows = self.loaded.usage.get(&account_index).cloned().unwrap_or_default();
        rows.extend(slot.hour.rows().iter().cloned());
        rows.extend(slot.batch_usage.rows());
        rollups::used_by_limit(recount, windows, &rows)
    }

    /// Records the entries of a change and returns the answer.
    fn record(&mut self, account_index: usize, change: Change, with: Recording) -> Result<Answer, Error> {
        let Change { first, rest, mut key } = change;
        let Recording { actor, now, charge, key_digest, texts } = with;
        let mut key_digest = key_digest.filter(|_| key.is_some());
        let mut answering: Option<Entry> = None;
        for body in std::iter::once(first).chain(rest) {
            let about_charge = body.state().is_some();
            let account = &mut self.accounts.get_mut(account_index).account;
            let before = account.chain;
            let entry = account.record(body, key.take(), actor.clone(), now);
            if entry.decided_at != entry.at {
                let count = self.writes.decided_ahead.as_ref().map_or(0, |(count, ..)| *count);
                self.writes.decided_ahead = Some((count + 1, account.profile.id.clone(), entry.at));
            }
            assert_eq!(entry.n, before.n + 1, "i02: an entry has the number after the last one");
            assert!(entry.previous == before.hash, "i02: an entry carries the hash of the one before it");
            self.append(account_index, &entry, key_digest.take());
            self.apply_derived(account_index, &entry)?;
            let said = (entry.n, &entry.body);
            self.writes.texts.note(account_index, said, &texts, &mut self.loaded.texts);
            if answering.is_none() || about_charge {
                answering = Some(entry);
            }
        }
        self.accounts.get(account_index).account.finish_change();
        let entry = answering.expect("a change has at least one entry");
        answer::answer(entry, charge, &mut self.records(account_index))
    }

    /// Encodes an entry, links its hash into the chain of its account and adds its row.
    fn append(&mut self, account_index: usize, entry: &Entry, key: Option<Uuid>) {
        let start = self.writes.bytes.len();
        entry.encode(&mut self.writes.bytes);
        let end = self.writes.bytes.len();
        let slot = self.accounts.get_mut(account_index);
        slot.account.link(digest(&self.writes.bytes[start..]));
        let part = calendar::hour_part(&slot.account.profile.timezone, entry.decided_at);
        slot.batch_usage.record(entry, part);
        if let Some(key_digest) = key {
            let key = KeyRef { account_index, key_digest };
            let other = self.entries_by_key.insert(key, self.writes.entries.len());
            assert!(other.is_none(), "i07: one entry for each idempotency key");
        }
        if subscriber::is_followed(&self.platform.platform, entry.body.kind()) {
            self.writes.followed.insert(account_index);
        }
        let opening_entry = entry.body.charge().and_then(|(_, opening_entry)| opening_entry);
        self.writes.entries.push(EntryRow { account_index, n: entry.n, key, opening_entry, end });
    }

    /// Updates what is derived from an entry: the rows of other tables, and what later commands of
    /// the batch look at.
    fn apply_derived(&mut self, account_index: usize, entry: &Entry) -> Result<(), Error> {
        match &entry.body {
            EntryBody::Granted { grant, .. } => self.writes.put_grant_row(account_index, grant),
            EntryBody::WorkspaceUpdated(_) => drop(self.writes.updated_profiles.insert(account_index)),
            EntryBody::ChargeOpened(details) => {
                if details.deadline.is_some() {
                    let opening_entry = EntryRef { account_index, n: entry.n };
                    let write = PendingWrite { charge: details.id, deadline: details.deadline };
                    self.writes.pending.insert(opening_entry, write);
                    self.writes.pending_change += 1;
                }
            }
            body if body.kind().is_for_platform() => {
                self.platform.apply(entry)?;
                self.writes.platform.after = entry.n;
            }
            body => {
                if let (Some((charge, Some(opening_entry))), Some(state)) = (body.charge(), body.state()) {
                    let opening_entry = EntryRef { account_index, n: opening_entry };
                    self.update_charge(ChargeRef { account_index, charge }, opening_entry, state);
                }
            }
        }
        Ok(())
    }

    /// Sets the new state of a charge, and writes its deadline if it was pending.
    fn update_charge(&mut self, key: ChargeRef, opening_entry: EntryRef, state: ChargeState) {
        let is_pending = state.status == Status::Pending;
        assert_eq!(state.deadline.is_some(), is_pending, "a charge has a deadline while it is pending");
        let Some(charge) = self.loaded.charges.get_mut(&key) else { return };
        let was_pending = charge.state.deadline.is_some();
        assert!(was_pending || !is_pending, "i06: a charge leaves pending once");
        if was_pending {
            let write = PendingWrite { charge: key.charge, deadline: state.deadline };
            self.writes.pending.insert(opening_entry, write);
            self.writes.pending_change -= i64::from(!is_pending);
        }
        charge.state = state;
    }

    /// The charges and grants that answers of this account show.
    fn records(&self, account_index: usize) -> AccountRecords<'_> {
        AccountRecords { loaded: &self.loaded, account_index }
    }
}

/// What was prefetched of one account, for answers.
struct AccountRecords<'a> {
    loaded: &'a Loaded,
    account_index: usize,
}

impl Records for AccountRecords<'_> {
    fn find_charge(&mut self, charge: ChargeId) -> Result<Option<Charge>, Error> {
        let account_index = self.account_index;
        Ok(self.loaded.charges.get(&ChargeRef { account_index, charge }).cloned())
    }

    fn find_grant(&mut self, grant: GrantId) -> Result<Option<GrantRecord>, Error> {
        let account_index = self.account_index;
        Ok(self.loaded.grants.get(&GrantRef { account_index, grant }).cloned())
    }
}
