//! The audit: recomputes every number from the journal and reports the first entry or stored row
//! that disagrees.
//!
//! It reads all blocks in order and replays each workspace from nothing: entry numbers, the hash
//! chain, balances, grants, the life of every charge, prices against the price book in the
//! platform's journal, idempotency keys that are used once. Then it compares what the state file
//! holds with what was recomputed: accounts, usage, hours, pending charges, the key index.
//!
//! Read-only and on one state of the files, so it is safe beside a running server. Damage is a
//! finding, not an error.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use tollkeeper_ledger::{Account, ChargeState, Entry, EntryBody, Platform, Timestamp, Usage, WorkspaceId};

use crate::audit::{AuditDisagreement, AuditReport, life_disagrees, price_disagrees};
use crate::embedded::storage::block::{EntryHeader, Stored};
use crate::embedded::storage::journal::{self, Journal};
use crate::embedded::storage::key_index::{Fingerprints, Name, pairs_of};
use crate::embedded::storage::sqlite::Access;
use crate::embedded::storage::state_db::{PersistedAccount, StateFile};
use crate::{Error, rollups};

/// Recomputes everything from the journal of a data directory, beside a running server or without
/// one.
///
/// # Errors
/// When the directory cannot be read at all. A disagreement is no error; the report has it.
pub fn audit(path: &Path) -> Result<AuditReport, Error> {
    journal::must_hold(path)?;
    // The state file first: a journal that is read later holds all entries that it derives from.
    let state = match StateFile::open(path, None, Access::Read) {
        Ok(state) => Some(state),
        // Nothing to compare with; the next start builds the file again.
        Err(error) if error.is_unusable() || error.is_damaged() => None,
        Err(error) => return Err(error),
    };
    if let Some(state) = &state {
        state.begin_snapshot()?;
    }
    let journal = Journal::open(path, None, Access::Read)?;
    journal.begin_snapshot()?;
    let mut auditor = Auditor::new(&journal, state.as_ref())?;
    let mut expected = 1;
    let read = journal.read_from(1, |stored| {
        if auditor.disagreement.is_none() {
            auditor.check_entry(expected, stored)?;
            expected += 1;
        }
        Ok(())
    });
    match read {
        Err(error) if error.is_damaged() => auditor.store_disagrees(error.to_string()),
        other => other?,
    }
    auditor.finish(state.as_ref(), expected - 1)
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
    /// What the state file holds of it, until that was compared.
    persisted: Option<PersistedAccount>,
    /// True if the state file holds it.
    is_persisted: bool,
}

impl Recomputed {
    fn new(id: WorkspaceId, persisted: Option<PersistedAccount>) -> Recomputed {
        let (usage, hours, pending) = Default::default();
        let is_persisted = persisted.is_some();
        Recomputed { account: Account::new(id), head: 0, usage, hours, pending, persisted, is_persisted }
    }

    /// Takes what an entry adds besides the account.
    fn note(&mut self, entry: &Entry, header: &EntryHeader) {
        self.head = header.seq;
        self.usage.record(entry);
        self.hours.insert(entry.at.hour(), header.seq);
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
    disagreement: Option<AuditDisagreement>,
}

fn fold(sum: u64, (fingerprint, seq): (u64, u64)) -> u64 {
    // A sum, so that the order of the pairs does not matter.
    sum.wrapping_add((fingerprint ^ seq.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

impl<'a> Auditor<'a> {
    fn new(journal: &'a Journal, state: Option<&'a StateFile>) -> Result<Auditor<'a>, Error> {
        let without_id = || [0; 16];
        let fingerprints = Fingerprints::new(journal.directory_id(without_id)?);
        let (mut persisted, mut index_persisted_to, mut disagreement) = (HashMap::new(), 0, None);
        let mut pending: HashMap<u32, BTreeMap<u64, Timestamp>> = HashMap::new();
        if let Some(state) = state {
            match (state.accounts(), state.runs()) {
                (Ok(accounts), Ok(runs)) => {
                    persisted =
                        accounts.into_iter().map(|persisted| (persisted.account_index, persisted)).collect();
                    index_persisted_to = runs.last().map_or(0, |run| run.head.covers.last);
                    for (opening_seq, account_index, deadline) in state.pending()? {
                        pending.entry(account_index).or_default().insert(opening_seq, deadline);
                    }
                }
                (Err(error), _) | (_, Err(error)) if error.is_damaged() => {
                    let what = format!(
                        "{error} (nothing is lost with the state file: remove it and start a server)"
                    );
                    disagreement = Some(AuditDisagreement { workspace: None, entry: None, what });
                }
                (Err(error), _) | (_, Err(error)) => return Err(error),
            }
        }
        Ok(Auditor {
            journal,
            state,
            fingerprints,
            workspaces: HashMap::new(),
            persisted,
            pending,
            platform: Platform::default(),
            states: HashMap::new(),
            keys: Vec::new(),
            index_persisted_to,
            index_sum: 0,
            disagreement,
        })
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
            self.compare_persisted(account_index)?;
        }
        self.platform.apply(&entry);
        Ok(())
    }

    fn note_names(&mut self, entry: &Entry, stored: &Stored) {
        let (account_index, seq) = (stored.header.account_index, stored.header.seq);
        let key = entry.key.as_ref().map(|key| self.fingerprints.of(account_index, Name::Key(key)));
        let opening_seq = Some(stored.header.opening_seq).filter(|seq| *seq != 0);
        let changed = opening_seq.map(|seq| self.fingerprints.of(account_index, Name::Changed(seq)));
        let foreign = crate::embedded::core::ids::foreign_id(entry, seq);
        let foreign = foreign.map(|id| self.fingerprints.of(account_index, Name::Id(id.to_bytes())));
        self.keys.extend(key.map(|fingerprint| (fingerprint, seq)));
        if seq <= self.index_persisted_to {
            for fingerprint in key.into_iter().chain(changed).chain(foreign) {
                self.index_sum = fold(self.index_sum, (fingerprint, seq));
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
        for grant in &spent {
            if state.lot(account_index, grant.n)?.as_ref() != Some(grant) {
                what = Some("a spent grant in the state file differs from the journal");
            }
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

    fn index_disagrees(&self) -> Result<bool, Error> {
        let Some(state) = self.state else { return Ok(false) };
        let mut sum = 0;
        for run in state.runs()? {
            for page in 0..run.head.pages {
                let read = state.page(run.head.id, page, |bytes| pairs_of(bytes).fold(0, fold))?;
                sum = read.unwrap_or_default().wrapping_add(sum);
            }
        }
        Ok(sum != self.index_sum)
    }

    fn finish(mut self, state: Option<&StateFile>, entries: u64) -> Result<AuditReport, Error> {
        if self.disagreement.is_none() {
            self.double_keys()?;
        }
        if self.disagreement.is_none() && self.index_disagrees()? {
            self.store_disagrees("the key index in the state file differs from the journal".to_owned());
        }
        let is_ahead = self.workspaces.values().any(|workspace| workspace.persisted.is_some())
            || !self.persisted.is_empty()
            || !self.pending.is_empty();
        if self.disagreement.is_none() && is_ahead {
            self.store_disagrees("the state file holds more than the journal".to_owned());
        }
        let integrity_error = state.map_or(Ok(None), StateFile::integrity_error)?;
        if let Some(what) = integrity_error {
            self.store_disagrees(format!("the state file is damaged: {what}"));
        }
        let persisted_to = state.map_or(Ok(0), StateFile::accounts_persisted_to)?;
        let lost = self
            .workspaces
            .values()
            .find(|workspace| !workspace.is_persisted && workspace.head <= persisted_to);
        if let Some(id) = lost.map(|workspace| workspace.account.profile.id.clone()) {
            self.store_disagrees(format!("the state file has lost workspace {id}"));
        }
        if let Some(state) = state {
            state.end_snapshot();
        }
        let mut report = AuditReport { entries, disagreement: self.disagreement, ..AuditReport::default() };
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
