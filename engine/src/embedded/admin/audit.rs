//! The audit: recomputes every number from the journal and reports the first entry or stored row
//! that disagrees.
//!
//! It reads all blocks in order and replays each workspace from nothing: entry numbers, the hash
//! chain, balances, grants, the life of every charge, prices against the price book in the
//! platform's journal, idempotency keys that are used once. Then it compares what the state file
//! holds with what was recomputed: accounts, grants, usage, hours, pending charges, the key index.
//! It also reports what only the files show: entries that the state file derives from and the
//! journal has lost, a damaged WAL, an import that was not finished. A state file that is absent is
//! no disagreement, a damaged one is. The caller can name an entry that must be there, with its
//! hash ([`audit_expecting`]).
//!
//! Read-only and on one state of the files, so it is safe beside a running server. Damage is a
//! finding, not an error.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use tollkeeper_ledger::{
    Account, ChargeState, Entry, EntryBody, Grant, Hash, Micros, Platform, Timestamp, Usage, WorkspaceId,
};

use super::audit_index;
use super::audit_texts::AuditedTexts;
use crate::audit::{AuditDisagreement, AuditReport, life_disagrees, price_disagrees};
use crate::embedded::core::ids;
use crate::embedded::core::mending::find_loss;
use crate::embedded::storage::block::{EntryHeader, Stored};
use crate::embedded::storage::journal::{self, Journal};
use crate::embedded::storage::key_index::{Fingerprints, Name};
use crate::embedded::storage::sqlite::Access;
use crate::embedded::storage::state_db::{self, PersistedAccount, StateFile};
use crate::{Error, rollups};

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
    audit_expecting(path, None)
}

/// The same; also disagrees if the journal does not hold the expected entry.
///
/// # Errors
/// As [`audit`].
pub fn audit_expecting(path: &Path, expected: Option<ExpectedEntry>) -> Result<AuditReport, Error> {
    let loss = find_loss(path)?.map(|loss| loss.to_string());
    if !journal::holds_ledger(path)
        && let Some(what) = loss
    {
        let disagreement = Some(AuditDisagreement { workspace: None, entry: None, what });
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
    let mut auditor = Auditor::new(&journal, state.as_ref(), damage)?;
    if let Some(what) = loss {
        auditor.store_disagrees(what);
    }
    let mut next = 1;
    let read = auditor.check_expected(expected).and_then(|()| {
        journal.read_from(1, |stored| {
            if auditor.disagreement.is_none() {
                auditor.check_entry(next, stored)?;
                next += 1;
            }
            Ok(())
        })
    });
    match read {
        Err(error) if error.is_damaged() => auditor.store_disagrees(error.to_string()),
        other => other?,
    }
    auditor.finish(next - 1)
}

/// A workspace as it is recomputed.
struct Recomputed {
    account: Account,
    /// The sequence number of its last entry.
    head: u64,
    usage: Usage,
    /// The hours in which it has entries, each with the sequence number of the last of them.
    hours: BTreeMap<i64, u64>,
    /// The deadlines of its pending charges, by the sequence number of their opening entry.
    pending: BTreeMap<u64, Timestamp>,
    /// Its grants as they were granted, by their number, with the sequence number of their entry.
    grants: BTreeMap<u64, (u64, Grant)>,
    /// What the state file holds of it, until that was compared.
    persisted: Option<PersistedAccount>,
    /// True if the state file holds it.
    is_persisted: bool,
}

impl Recomputed {
    fn new(id: WorkspaceId, persisted: Option<PersistedAccount>) -> Recomputed {
        let (usage, hours, pending, grants) = Default::default();
        let is_persisted = persisted.is_some();
        let account = Account::new(id);
        Recomputed { account, head: 0, usage, hours, pending, grants, persisted, is_persisted }
    }

    /// Takes what an entry adds besides the account.
    fn note(&mut self, entry: &Entry, header: &EntryHeader) {
        self.head = header.seq;
        self.usage.record(entry);
        self.hours.insert(entry.at.hour(), header.seq);
        if let EntryBody::Granted { grant, .. } = &entry.body {
            self.grants.insert(grant.n, (header.seq, grant.clone()));
        }
        match entry.body.state().map(|state| state.deadline) {
            Some(Some(deadline)) => _ = self.pending.insert(header.charge_opening_seq(), deadline),
            Some(None) => _ = self.pending.remove(&header.charge_opening_seq()),
            None => {}
        }
    }
}

struct Auditor<'a> {
    journal: &'a Journal,
    state: Option<&'a StateFile>,
    fingerprints: Fingerprints,
    workspaces: HashMap<u32, Recomputed>,
    persisted: HashMap<u32, PersistedAccount>,
    /// The pending charges that the state file holds of each workspace, until they were compared.
    pending: HashMap<u32, BTreeMap<u64, Timestamp>>,
    platform: Platform,
    /// The last state of every charge that changed, by the sequence number of its opening entry.
    states: HashMap<u64, ChargeState>,
    /// The fingerprint and sequence number of every idempotency key, to find one that is used
    /// twice.
    keys: Vec<(u64, u64)>,
    index_persisted_to: u64,
    /// The checksum of all pairs that the runs in the state file must hold.
    index_sum: u64,
    texts: AuditedTexts,
    /// The highest account index in the state file.
    highest_persisted: Option<u32>,
    /// Damage of the state file, which is reported if the journal itself agrees.
    state_damage: Option<String>,
    disagreement: Option<AuditDisagreement>,
}

impl<'a> Auditor<'a> {
    fn new(
        journal: &'a Journal,
        state: Option<&'a StateFile>,
        state_damage: Option<String>,
    ) -> Result<Auditor<'a>, Error> {
        let without_id = || [0; 16];
        let mut auditor = Auditor {
            journal,
            state: None,
            fingerprints: Fingerprints::new(journal.directory_id(without_id)?),
            workspaces: HashMap::new(),
            persisted: HashMap::new(),
            pending: HashMap::new(),
            platform: Platform::default(),
            states: HashMap::new(),
            keys: Vec::new(),
            index_persisted_to: 0,
            index_sum: 0,
            texts: AuditedTexts::default(),
            highest_persisted: None,
            state_damage,
            disagreement: None,
        };
        if let Some(state) = state {
            let loaded = auditor.load_state(state);
            auditor.unless_damaged(loaded)?;
        }
        Ok(auditor)
    }

    /// Reads what is compared with the journal.
    fn load_state(&mut self, state: &'a StateFile) -> Result<(), Error> {
        let meta = state.meta()?;
        state.check_highest_index(&meta)?;
        if let Some(what) = state.integrity_error()? {
            return Err(state.damaged(what));
        }
        let (accounts, runs, pending) = (state.accounts()?, state.runs(&meta)?, state.pending(&meta)?);
        if let Some(what) = state_db::missing_entries(&meta, self.journal)? {
            self.store_disagrees(format!("{}: {what}", journal::FILE));
        }
        self.persisted = accounts.into_iter().map(|persisted| (persisted.account_index, persisted)).collect();
        self.index_persisted_to = runs.last().map_or(0, |run| run.head.covers.last);
        self.highest_persisted = meta.highest_index;
        for (opening_seq, account_index, deadline) in pending {
            self.pending.entry(account_index).or_default().insert(opening_seq, deadline);
        }
        self.state = Some(state);
        Ok(())
    }

    /// Takes the result of a comparison with the state file. After damage of it nothing more is
    /// compared; the journal is still checked to its end.
    fn unless_damaged<T>(&mut self, result: Result<T, Error>) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_damaged_state() => {
                self.state_damage.get_or_insert(format!(
                    "{error} (nothing is lost with this file: delete it while no server runs; the next start builds it)"
                ));
                self.state = None;
                self.persisted.clear();
                self.pending.clear();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Checks the entry that must be there.
    fn check_expected(&mut self, expected: Option<ExpectedEntry>) -> Result<(), Error> {
        if let Some(ExpectedEntry { place, hash }) = expected {
            let found = self.journal.read(place, |stored| Ok(stored.hash()))?;
            if found != Some(hash) {
                let what = if found.is_none() { "is missing" } else { "has another hash" };
                self.store_disagrees(format!("journal entry {place}, which is expected, {what}"));
            }
        }
        Ok(())
    }

    fn store_disagrees(&mut self, what: String) {
        self.disagreement.get_or_insert(AuditDisagreement { workspace: None, entry: None, what });
    }

    fn disagrees(&mut self, account_index: u32, n: u64, what: String) {
        let workspace =
            self.workspaces.get(&account_index).map(|workspace| workspace.account.profile.id.clone());
        self.disagreement.get_or_insert(AuditDisagreement { workspace, entry: Some(n), what });
    }

    /// Checks one entry of the journal.
    fn check_entry(&mut self, expected: u64, stored: Stored) -> Result<(), Error> {
        let header = stored.header;
        if header.seq != expected {
            self.store_disagrees(format!("journal entry {expected} is missing; {} follows", header.seq));
            return Ok(());
        }
        let entry = stored.entry()?;
        self.note_names(&entry, &stored);
        let account_index = header.account_index;
        let texts_disagree = self.texts.check_entry(self.journal, &header, &entry.body)?;
        if !self.workspaces.contains_key(&account_index) {
            let id = match &entry.body {
                EntryBody::WorkspaceCreated(profile) => profile.id.clone(),
                _ if account_index == 0 => WorkspaceId::platform(),
                _ => {
                    self.store_disagrees(format!(
                        "journal entry {expected}: the workspace with account index {account_index} was never created"
                    ));
                    return Ok(());
                }
            };
            self.workspaces.insert(account_index, Recomputed::new(id, self.persisted.remove(&account_index)));
        }
        if let Some(what) = self.charge_disagrees(&entry, header.opening_seq)? {
            self.disagrees(account_index, entry.n, what);
            return Ok(());
        }
        let workspace = self.workspaces.get_mut(&account_index).expect("it was just added");
        let linked = workspace.head == header.previous;
        let replayed = workspace.account.replay(&entry, stored.hash());
        workspace.note(&entry, &header);
        if let Err(disagreement) = replayed {
            self.disagrees(account_index, entry.n, disagreement.to_string());
        } else if !linked {
            self.disagrees(account_index, entry.n, "it does not point to the entry before it".to_owned());
        } else if workspace.persisted.as_ref().is_some_and(|persisted| persisted.account.chain.n == entry.n) {
            let compared = self.compare_persisted(account_index);
            self.unless_damaged(compared)?;
        }
        if let Some(what) = texts_disagree {
            self.disagrees(account_index, entry.n, what);
        }
        if account_index == 0
            && let Err(violation) = self.platform.apply(&entry)
        {
            self.disagrees(account_index, entry.n, violation.to_string());
        }
        Ok(())
    }

    fn note_names(&mut self, entry: &Entry, stored: &Stored) {
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
        self.keys.extend(key.map(|fingerprint| (fingerprint, seq)));
        if seq <= self.index_persisted_to {
            for fingerprint in key.into_iter().chain(changed).chain(foreign).chain(created) {
                self.index_sum = audit_index::fold(self.index_sum, (fingerprint, seq));
            }
        }
    }

    /// Checks the price of a new charge, and that a later entry about a charge follows from its
    /// state before.
    fn charge_disagrees(&mut self, entry: &Entry, opening_seq: u64) -> Result<Option<String>, Error> {
        if let EntryBody::ChargeOpened(details) = &entry.body {
            return Ok(price_disagrees(&self.platform, details));
        }
        let (Some((id, opening_n)), Some(next)) = (entry.body.charge(), entry.body.state()) else {
            return Ok(None);
        };
        let details =
            self.journal.read(opening_seq, |stored| Ok((stored.header.account_index, stored.entry()?)))?;
        let details = details.and_then(|(_, entry)| match entry.body {
            EntryBody::ChargeOpened(details) if details.id == id && Some(entry.n) == opening_n => {
                Some(details)
            }
            _ => None,
        });
        let Some(details) = details else {
            return Ok(Some(format!("charge {id} was never opened")));
        };
        let before = self.states.get(&opening_seq).copied().unwrap_or_else(|| details.state());
        let what = life_disagrees(entry, (id, details.amount), before);
        self.states.insert(opening_seq, next);
        Ok(what)
    }

    /// Compares what the state file holds of an account with what was recomputed up to the same
    /// entry.
    fn compare_persisted(&mut self, account_index: u32) -> Result<(), Error> {
        let Some(state) = self.state else { return Ok(()) };
        let workspace = self.workspaces.get_mut(&account_index).expect("its entry was just read");
        let Some(persisted) = workspace.persisted.take() else { return Ok(()) };
        let n = persisted.account.chain.n;
        let mut recomputed = workspace.account.clone();
        let spent = recomputed.grants.release_spent();
        let mut what = None;
        if persisted.account != recomputed || persisted.head != workspace.head {
            what = Some("the account in the state file differs from the journal");
        }
        let mut lots = state.lots(account_index, u64::MAX, usize::MAX)?;
        lots.reverse();
        let agree = |((seq, lot), (granted_seq, granted)): (&(u64, Grant), &(u64, Grant))| {
            let now = spent.iter().find(|grant| grant.n == lot.n);
            // The row of a grant that is in memory is as it was granted, or as it was once spent.
            let is_spent = Grant { remaining: Micros::ZERO, ..granted.clone() };
            let is_right = now.map_or(*lot == *granted || *lot == is_spent, |now| lot == now);
            seq == granted_seq && is_right
        };
        if lots.len() != workspace.grants.len() || !lots.iter().zip(workspace.grants.values()).all(agree) {
            what = Some("the grants in the state file differ from the journal");
        }
        let rows = rollups::folded(workspace.usage.rows());
        if state.usage(account_index, i64::MIN..i64::MAX)? != rows {
            what = Some("i08: the usage in the state file differs from the sum of the entries");
        }
        if self.pending.remove(&account_index).unwrap_or_default() != workspace.pending {
            what = Some("the pending charges in the state file differ from the journal");
        }
        if state.hours(account_index)? != workspace.hours || state.account_n(account_index)? != n {
            what = Some("the hours of entries in the state file differ from the journal");
        }
        if let Some(what) = what {
            self.disagrees(account_index, n, what.to_owned());
        }
        Ok(())
    }

    /// Finds an idempotency key that is used twice (i07): entries with equal fingerprints are
    /// compared in full.
    fn double_keys(&mut self) -> Result<(), Error> {
        let mut keys = std::mem::take(&mut self.keys);
        keys.sort_unstable();
        for pair in keys.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            let read =
                |seq| self.journal.read(seq, |stored| Ok((stored.header.account_index, stored.entry()?)));
            let (Some(one), Some(other)) = (read(pair[0].1)?, read(pair[1].1)?) else { continue };
            if one.0 == other.0 && one.1.key == other.1.key {
                self.disagrees(other.0, other.1.n, "i07: its idempotency key is used twice".to_owned());
            }
        }
        Ok(())
    }

    fn compare_index(&mut self) -> Result<(), Error> {
        let Some(state) = self.state else { return Ok(()) };
        let compared = audit_index::index_disagrees(state, self.index_sum);
        if let Some(Some(what)) = self.unless_damaged(compared)? {
            self.store_disagrees(what.to_owned());
        }
        Ok(())
    }

    fn finish(mut self, entries: u64) -> Result<AuditReport, Error> {
        let state = self.state;
        if self.disagreement.is_none() {
            self.double_keys()?;
        }
        if self.disagreement.is_none() {
            self.compare_index()?;
        }
        let is_ahead = self.workspaces.values().any(|workspace| workspace.persisted.is_some())
            || !self.persisted.is_empty()
            || !self.pending.is_empty();
        if self.disagreement.is_none() && self.state.is_some() && is_ahead {
            self.store_disagrees("the state file holds more than the journal".to_owned());
        }
        // The platform's own chain has an index before it has an entry.
        let lost = self.workspaces.iter().find(|(index, workspace)| {
            !workspace.is_persisted && **index > 0 && Some(**index) <= self.highest_persisted
        });
        if self.state.is_some()
            && let Some(id) = lost.map(|(_, workspace)| workspace.account.profile.id.clone())
        {
            self.store_disagrees(format!("{}: the row of workspace {id} is missing", state_db::FILE));
        }
        if self.journal.is_importing()? {
            self.store_disagrees(crate::transfer::unfinished().to_string());
        }
        if let Some(what) = self.state_damage.take() {
            self.store_disagrees(what);
        }
        if let Some(state) = state {
            state.end_snapshot();
        }
        let ((texts, texts_erased), what) = self.texts.finish(self.journal)?;
        if let Some(what) = what {
            self.store_disagrees(what);
        }
        let disagreement = self.disagreement;
        let mut report = AuditReport { entries, texts, texts_erased, disagreement, ..AuditReport::default() };
        for account in self
            .workspaces
            .iter()
            .filter(|(account_index, _)| **account_index != 0)
            .map(|(_, workspace)| &workspace.account)
        {
            report.add(account);
        }
        Ok(report)
    }
}
