//! The audit: recomputes every number from the journal and reports the first entry or stored row
//! that disagrees.
//!
//! It reads all blocks in order and replays each workspace from nothing: entry numbers, the hash
//! chain, balances, grants, the life of every charge, prices against the price book in the
//! platform's journal, idempotency keys that are used once. Then it compares what the state file
//! holds with what was recomputed: accounts, grants, usage, hours, pending charges, the key index
//! (`audit_state`). It also reports what only the files show: entries that the state file derives
//! from and the journal has lost, a damaged WAL, an import that was not finished. A state file that
//! is absent is no disagreement, a damaged one is. The caller can name an entry that must be there,
//! with its hash, and can ask what the rules of today would decide otherwise ([`audit_with`]).
//!
//! **Memory.** The accounts that are recomputed together are a range of workspaces, as many as fit
//! into [`AuditOptions::memory_bytes`]. For the workspaces that do not fit, the journal is read
//! again. All else that can be many is summed up or lies in a temporary file.
//!
//! Read-only and on one state of the files, so it is safe beside a running server. Damage is a
//! finding, not an error.

use std::collections::BTreeMap;
use std::path::Path;

use tollkeeper_ledger::{Charge, Entry, EntryBody, Hash, Platform, Usage, UsageKey, UsageSums, WorkspaceId};

use super::audit_state::StateComparison;
use super::audit_texts::AuditedTexts;
use super::audited_workspace::{Hours, Workspace, pending_row};
use crate::audit::rules::{Asked, Facts};
use crate::audit::{
    AuditDisagreement, AuditOptions, AuditReport, ChargeLife, DisagreementKind, PlatformHistory, Recomputed,
    RuleFindings, Scratch, Sketch, Sketcher, life_disagrees, price_disagrees,
};
use crate::embedded::core::ids;
use crate::embedded::core::mending::find_loss;
use crate::embedded::storage::block::{EntryHeader, Stored};
use crate::embedded::storage::journal::{self, Journal};
use crate::embedded::storage::key_index::{Fingerprints, Name};
use crate::embedded::storage::sqlite::Access;
use crate::embedded::storage::state_db::StateFile;
use crate::embedded::storage::state_rows::Awaits;
use crate::{Error, answer, calendar};

/// A place in the journal and the hash of the entry there, which was noted down outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedEntry {
    /// The sequence number of the entry.
    pub place: u64,
    /// Its hash.
    pub hash: Hash,
}

/// Recomputes everything from the journal of a data directory, beside a running server or without
/// one.
///
/// # Errors
/// When the directory cannot be read at all. A disagreement is no error; the report has it.
pub fn audit(path: &Path) -> Result<AuditReport, Error> {
    audit_with(path, None, AuditOptions::default())
}

/// The same with options; also disagrees if the journal does not hold the expected entry.
///
/// # Errors
/// As [`audit`], and when there is no room for a temporary file.
pub fn audit_with(
    path: &Path,
    expected: Option<ExpectedEntry>,
    options: AuditOptions,
) -> Result<AuditReport, Error> {
    let loss = find_loss(path)?.map(|loss| loss.to_string());
    if !journal::holds_ledger(path)
        && let Some(what) = loss
    {
        let disagreement =
            Some(AuditDisagreement { kind: DisagreementKind::Journal, workspace: None, entry: None, what });
        return Ok(AuditReport { disagreement, ..AuditReport::default() });
    }
    journal::must_hold(path)?;
    // The state file first: a journal that is read later holds all entries that it derives from.
    let opened = StateFile::open(path, None, Access::Read).and_then(|state| {
        state.begin_snapshot()?;
        Ok(state)
    });
    let (state, damage) = match opened {
        Ok(state) => (Some(state), None),
        // Nothing to compare with; the next start builds the file again.
        Err(error) if error.is_unusable() => (None, None),
        Err(error) if error.is_damaged() => (None, Some(error.to_string())),
        Err(error) => return Err(error),
    };
    let journal = Journal::open(path, None, Access::Read)?;
    journal.begin_snapshot()?;
    let mut auditor = Auditor::new(&journal, StateComparison::new(state.as_ref(), damage), options)?;
    auditor.begin(loss, expected)?;
    auditor.run()?;
    auditor.finish()
}

struct Auditor<'a> {
    journal: &'a Journal,
    state: StateComparison<'a>,
    options: AuditOptions,
    fingerprints: Fingerprints,
    sketcher: Sketcher,
    scratch: Scratch,
    /// The first account index of the range.
    first: u32,
    /// The first account index after the range; `None` if there is room for all that follow.
    end: Option<u32>,
    /// The workspaces of the range, by their account index.
    workspaces: BTreeMap<u32, Workspace>,
    /// About how many bytes they take.
    bytes: usize,
    platform: Platform,
    history: PlatformHistory,
    texts: AuditedTexts,
    report: AuditReport,
}

impl<'a> Auditor<'a> {
    fn new(
        journal: &'a Journal,
        state: StateComparison<'a>,
        options: AuditOptions,
    ) -> Result<Auditor<'a>, Error> {
        let without_id = || [0; 16];
        let rules = options.rules.then(RuleFindings::default);
        Ok(Auditor {
            journal,
            state,
            options,
            fingerprints: Fingerprints::new(journal.directory_id(without_id)?),
            sketcher: Sketcher::new()?,
            scratch: Scratch::new(options.memory_bytes / 4)?,
            first: 0,
            end: None,
            workspaces: BTreeMap::new(),
            bytes: 0,
            platform: Platform::default(),
            history: PlatformHistory::default(),
            texts: AuditedTexts::default(),
            report: AuditReport { rules, ..AuditReport::default() },
        })
    }

    /// Reports what is known before the journal is read.
    fn begin(&mut self, loss: Option<String>, expected: Option<ExpectedEntry>) -> Result<(), Error> {
        for what in self.state.begin(self.journal)?.into_iter().chain(loss) {
            self.store_disagrees(DisagreementKind::Journal, what);
        }
        if let Some(ExpectedEntry { place, hash }) = expected {
            let found = self.journal.read(place, |stored| Ok(stored.hash()))?;
            if found != Some(hash) {
                let what = if found.is_none() { "is missing" } else { "has another hash" };
                self.store_disagrees(
                    DisagreementKind::Journal,
                    format!("journal entry {place}, which is expected, {what}"),
                );
            }
        }
        Ok(())
    }

    /// Reads the journal once for each range of workspaces.
    fn run(&mut self) -> Result<(), Error> {
        loop {
            self.state.begin_range(&self.sketcher, self.first)?;
            let journal = self.journal;
            let read = journal.read_from(1, |stored| match self.report.disagreement {
                None => self.check_entry(stored),
                Some(_) => Ok(()),
            });
            match read {
                Err(error) if error.is_damaged() => {
                    self.store_disagrees(DisagreementKind::Journal, error.to_string())
                }
                other => other?,
            }
            self.end_range();
            if let Some(what) = self.state.end_range() {
                self.store_disagrees(DisagreementKind::Derived, what);
            }
            let Some(next) = self.end.take().filter(|_| self.report.disagreement.is_none()) else {
                return Ok(());
            };
            self.first = next;
            self.platform = Platform::default();
            self.history = PlatformHistory::default();
            self.scratch.forget()?;
        }
    }

    /// Takes the workspaces of the range into the report.
    fn end_range(&mut self) {
        for (index, workspace) in std::mem::take(&mut self.workspaces) {
            if index > 0 {
                self.report.add(&workspace.recomputed.account);
            }
            if let Some(what) = self.state.end_workspace(index, &workspace) {
                self.store_disagrees(DisagreementKind::Derived, what);
            }
            let id = workspace.recomputed.account.profile.id.clone();
            if let (Some(rules), Some(findings)) = (&workspace.recomputed.rules, &mut self.report.rules)
                && let Some(what) = rules.missing()
            {
                findings.add(&id, workspace.recomputed.account.chain.n, what);
            }
        }
        self.bytes = 0;
    }

    fn store_disagrees(&mut self, kind: DisagreementKind, what: String) {
        let found = AuditDisagreement { kind, workspace: None, entry: None, what };
        self.report.disagreement.get_or_insert(found);
    }

    /// An entry disagrees.
    fn disagrees(&mut self, account_index: u32, n: u64, what: String) {
        self.disagrees_in(DisagreementKind::Journal, account_index, n, what);
    }

    /// Something that belongs to an entry disagrees.
    fn disagrees_in(&mut self, kind: DisagreementKind, account_index: u32, n: u64, what: String) {
        let workspace = self.workspaces.get(&account_index);
        let workspace = workspace.map(|workspace| workspace.recomputed.account.profile.id.clone());
        self.report.disagreement.get_or_insert(AuditDisagreement { kind, workspace, entry: Some(n), what });
    }

    /// Checks one entry of the journal: its place, when the journal is read for the first time, and
    /// what it says, if its workspace is in the range.
    fn check_entry(&mut self, stored: Stored) -> Result<(), Error> {
        let EntryHeader { seq, account_index, .. } = stored.header;
        let is_first_time = self.first == 0;
        if is_first_time {
            let expected = self.report.entries + 1;
            if seq != expected {
                self.store_disagrees(
                    DisagreementKind::Journal,
                    format!("journal entry {expected} is missing; {seq} follows"),
                );
                return Ok(());
            }
            self.report.entries = seq;
        }
        let is_in_range = account_index >= self.first && self.end.is_none_or(|end| account_index < end);
        if !is_first_time && !is_in_range && account_index > 0 {
            return Ok(());
        }
        let entry = stored.entry()?;
        let mut texts_disagree = None;
        if is_first_time {
            self.note_names(&entry, &stored)?;
            let stores = (self.journal, &self.scratch);
            texts_disagree = self.texts.check_entry(stores, &stored.header, &entry.body)?;
        }
        if is_in_range {
            self.check_in_range(&stored, &entry)?;
        }
        if let Some(what) = texts_disagree {
            self.disagrees_in(DisagreementKind::Text, account_index, entry.n, what);
        }
        if account_index == 0 {
            match self.platform.apply(&entry) {
                Ok(()) if self.options.rules => self.history.add(entry),
                Ok(()) => {}
                Err(violation) => self.disagrees(0, entry.n, violation.to_string()),
            }
        }
        Ok(())
    }

    fn check_in_range(&mut self, stored: &Stored, entry: &Entry) -> Result<(), Error> {
        let header = stored.header;
        let account_index = header.account_index;
        if !self.workspaces.contains_key(&account_index) && !self.add_workspace(&header, entry)? {
            return Ok(());
        }
        let charge = match self.charge_before(entry, &header)? {
            Ok(charge) => charge,
            Err(what) => {
                self.disagrees(account_index, entry.n, what);
                return Ok(());
            }
        };
        let workspace = self.workspaces.get_mut(&account_index).expect("it was just added");
        workspace.recomputed.load_grants(&self.scratch, entry, charge.as_ref())?;
        if self.options.rules {
            self.check_rules(&header, entry, charge.as_ref())?;
        }
        let workspace = self.workspaces.get_mut(&account_index).expect("it is in the range");
        let sums = (&self.sketcher, &mut self.scratch);
        let replayed = workspace.recomputed.apply(sums, header.seq, entry, stored.hash())?;
        let linked = workspace.head == header.previous;
        workspace.head = header.seq;
        workspace.hours.note(&self.sketcher, entry.at.hour(), header.seq);
        if let Some(deadline) = charge.and_then(|charge| charge.state.deadline) {
            workspace.pending.remove(pending_row(
                &self.sketcher,
                Awaits::Charge(header.opening_seq),
                deadline,
            ));
        }
        if let Some(deadline) = entry.body.state().and_then(|state| state.deadline) {
            let awaits = Awaits::Charge(header.charge_opening_seq());
            workspace.pending.add(pending_row(&self.sketcher, awaits, deadline));
        }
        let is_persisted_here = workspace.persisted_n == Some(entry.n);
        if let Err(disagreement) = replayed {
            self.disagrees(account_index, entry.n, disagreement.to_string());
        } else if !linked {
            self.disagrees(account_index, entry.n, "it does not point to the entry before it".to_owned());
        } else if is_persisted_here
            && let Some(what) = self.state.compare(&self.sketcher, account_index, workspace)?
        {
            self.disagrees_in(DisagreementKind::Derived, account_index, entry.n, what.to_owned());
        }
        if Recomputed::is_growth(&entry.body) {
            self.weigh(account_index);
        }
        Ok(())
    }

    /// Adds a workspace that has its first entry; false if that entry does not create it.
    fn add_workspace(&mut self, header: &EntryHeader, entry: &Entry) -> Result<bool, Error> {
        let EntryHeader { seq, account_index, .. } = *header;
        let id = match &entry.body {
            EntryBody::WorkspaceCreated(profile) => profile.id.clone(),
            _ if account_index == 0 => WorkspaceId::platform(),
            _ => {
                let what = format!(
                    "journal entry {seq}: the workspace with account index {account_index} was never created"
                );
                self.store_disagrees(DisagreementKind::Journal, what);
                return Ok(false);
            }
        };
        let persisted_n = self.state.persisted_n(account_index)?;
        let workspace = Workspace {
            recomputed: Recomputed::new(account_index, id, self.options.rules),
            head: 0,
            hours: Hours::default(),
            pending: Sketch::default(),
            persisted_n,
            is_persisted: persisted_n.is_some(),
            bytes: 0,
        };
        self.workspaces.insert(account_index, workspace);
        Ok(true)
    }

    /// Counts the memory of a workspace that may have grown. If the range takes too much, its upper
    /// half is left for the next time.
    fn weigh(&mut self, account_index: u32) {
        let Some(workspace) = self.workspaces.get_mut(&account_index) else { return };
        let bytes = workspace.recomputed.bytes() + size_of::<Workspace>() - size_of::<Recomputed>();
        self.bytes = self.bytes + bytes - workspace.bytes;
        workspace.bytes = bytes;
        if self.bytes <= self.options.memory_bytes || self.workspaces.len() < 2 {
            return;
        }
        let middle = self.workspaces.keys().nth(self.workspaces.len().div_ceil(2));
        let end = *middle.expect("a range of two workspaces has an upper half");
        assert!(end > self.first, "a range must keep its first workspace");
        let left_out = self.workspaces.split_off(&end);
        self.bytes -= left_out.values().map(|workspace| workspace.bytes).sum::<usize>();
        self.state.leave_out(end, left_out.values().filter(|workspace| workspace.is_persisted).count());
        self.end = Some(end);
    }

    /// Notes the names of an entry: idempotency keys for [`Auditor::check_keys`], all of them for
    /// the key index.
    fn note_names(&mut self, entry: &Entry, stored: &Stored) -> Result<(), Error> {
        let (account_index, seq) = (stored.header.account_index, stored.header.seq);
        let key = entry.key.as_ref().map(|key| self.fingerprints.of(account_index, Name::Key(key)));
        let opening_seq = Some(stored.header.opening_seq);
        let opening_seq = opening_seq.filter(|seq| ids::is_change_indexed(entry, *seq));
        let changed = opening_seq.map(|seq| self.fingerprints.of(account_index, Name::Changed(seq)));
        let foreign = ids::foreign_id(entry, seq);
        let foreign = foreign.map(|id| self.fingerprints.of(account_index, Name::Id(id.to_bytes())));
        let created = match &entry.body {
            EntryBody::WorkspaceCreated(profile) => {
                Some(self.fingerprints.of(account_index, Name::Workspace(&profile.id)))
            }
            _ => None,
        };
        self.state.note_names(seq, key.into_iter().chain(changed).chain(foreign).chain(created));
        key.map_or(Ok(()), |fingerprint| self.scratch.put_pair((fingerprint, seq)))
    }

    /// The charge that an entry is about, as it was before. Checks the price of a new charge, and
    /// that a later entry follows from that state; returns what is wrong.
    fn charge_before(
        &mut self,
        entry: &Entry,
        header: &EntryHeader,
    ) -> Result<Result<Option<Charge>, String>, Error> {
        if let EntryBody::ChargeOpened(details) = &entry.body {
            return Ok(price_disagrees(&self.platform, details).map_or(Ok(None), Err));
        }
        let (Some((id, opening_n)), Some(next)) = (entry.body.charge(), entry.body.state()) else {
            return Ok(Ok(None));
        };
        let opened = self.journal.read(header.opening_seq, decoded)?;
        let opened = opened.filter(|(opened, _)| opened.account_index == header.account_index);
        let charge = opened.and_then(|(_, entry)| answer::charge_opened_by(entry));
        let is_it = |charge: &Charge| charge.details.id == id && Some(charge.opening_entry) == opening_n;
        let Some(mut charge) = charge.filter(is_it) else {
            return Ok(Err(format!("charge {id} was never opened")));
        };
        if let Some(life) = self.scratch.charge(header.opening_seq)? {
            charge.state = life.state;
        }
        if let Some(what) = life_disagrees(entry, (id, charge.details.amount), charge.state) {
            return Ok(Err(what));
        }
        self.scratch.put_charge(header.opening_seq, ChargeLife { state: next, opening: [].into() })?;
        Ok(Ok(Some(charge)))
    }

    /// Decides the entry again by the rules of today.
    fn check_rules(
        &mut self,
        header: &EntryHeader,
        entry: &Entry,
        charge: Option<&Charge>,
    ) -> Result<(), Error> {
        let workspace = self.workspaces.get_mut(&header.account_index).expect("it is in the range");
        let Recomputed { account, rules: Some(rules), .. } = &mut workspace.recomputed else { return Ok(()) };
        let objection = match rules.ask(entry, account, charge) {
            Asked::Agrees => None,
            Asked::Objection(why) => Some(why),
            Asked::Decide(question) => {
                let usage = match question.counts_from() {
                    Some(hour) => {
                        usage_since(self.journal, header.previous, hour, &account.profile.timezone)?
                    }
                    None => Vec::new(),
                };
                let facts = Facts { account, charge, platforms: &[&self.platform], usage: &usage };
                rules.answer(&question, entry, &facts).and_then(|_| {
                    let platforms = self.history.states_at(entry.decided_at, entry.at);
                    rules.answer(&question, entry, &Facts { platforms: &platforms, ..facts })
                })
            }
        };
        if let (Some(what), Some(findings)) = (objection, &mut self.report.rules) {
            findings.add(&account.profile.id, entry.n, what);
        }
        Ok(())
    }

    /// Finds an idempotency key that is used twice (i07): entries with equal fingerprints are
    /// compared in full.
    fn check_keys(&mut self) -> Result<(), Error> {
        let journal = self.journal;
        let mut twice = None;
        self.scratch.equal_pairs(|one, other| {
            let read = |seq| journal.read(seq, decoded);
            if let (None, Some(one), Some(other)) = (&twice, read(one.1)?, read(other.1)?)
                && one.0.account_index == other.0.account_index
                && one.1.key == other.1.key
            {
                twice = Some(other);
            }
            Ok(())
        })?;
        let Some((header, entry)) = twice else { return Ok(()) };
        let workspace = workspace_of(journal, header.seq)?;
        let what = "i07: its idempotency key is used twice".to_owned();
        self.report.disagreement = Some(AuditDisagreement {
            kind: DisagreementKind::Journal,
            workspace,
            entry: Some(entry.n),
            what,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<AuditReport, Error> {
        if self.report.disagreement.is_none() {
            self.check_keys()?;
        }
        let is_good = self.report.disagreement.is_none();
        if let Some(what) = self.state.finish(is_good)? {
            self.store_disagrees(DisagreementKind::Derived, what);
        }
        if self.journal.is_importing()? {
            self.store_disagrees(DisagreementKind::Import, crate::transfer::unfinished().to_string());
        }
        if let Some(what) = self.state.take_damage() {
            self.store_disagrees(DisagreementKind::Derived, what);
        }
        let ((texts, texts_erased), what) = self.texts.finish(self.journal, &self.scratch)?;
        if let Some(what) = what {
            self.store_disagrees(DisagreementKind::Text, what);
        }
        Ok(AuditReport { texts, texts_erased, ..self.report })
    }
}

fn decoded(stored: Stored) -> Result<(EntryHeader, Entry), Error> {
    Ok((stored.header, stored.entry()?))
}

/// The usage of a workspace from an hour on, up to its entry with the sequence number `seq`, after
/// which it has this time zone.
fn usage_since(
    journal: &Journal,
    seq: u64,
    hour: i64,
    timezone: &str,
) -> Result<Vec<(UsageKey, UsageSums)>, Error> {
    let (mut usage, mut timezone) = (Usage::default(), Box::from(timezone));
    let mut next = seq;
    // The time of a decision is never after that of its entry, and those do not run backwards.
    while let Some((header, entry)) =
        journal.read(next, decoded)?.filter(|(_, entry)| entry.at.hour() >= hour)
    {
        usage.record(&entry, calendar::hour_part(&timezone, entry.decided_at));
        next = header.previous;
        if matches!(entry.body, EntryBody::WorkspaceUpdated(_)) {
            timezone = timezone_at(journal, next)?;
        }
    }
    Ok(usage.take())
}

/// The time zone of a workspace after its entry with the sequence number `seq`.
fn timezone_at(journal: &Journal, seq: u64) -> Result<Box<str>, Error> {
    let mut next = seq;
    while let Some((header, entry)) = journal.read(next, decoded)? {
        if let EntryBody::WorkspaceCreated(profile) | EntryBody::WorkspaceUpdated(profile) = entry.body {
            return Ok(profile.timezone);
        }
        next = header.previous;
    }
    Err(Error::damaged("a workspace has entries but was never created"))
}

/// The workspace of a journal entry: its first entry has the id.
fn workspace_of(journal: &Journal, seq: u64) -> Result<Option<WorkspaceId>, Error> {
    let mut next = seq;
    while let Some((header, entry)) = journal.read(next, decoded)? {
        if header.previous == 0 {
            return Ok(match entry.body {
                EntryBody::WorkspaceCreated(profile) => Some(profile.id),
                _ => Some(WorkspaceId::platform()),
            });
        }
        next = header.previous;
    }
    Ok(None)
}
