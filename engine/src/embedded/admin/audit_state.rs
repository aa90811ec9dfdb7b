//! What the audit compares with the journal: the state file.
//!
//! Accounts, what they are found by, grants, usage, hours, deadlines and the key index are
//! compared with what was recomputed. After damage of the file nothing more is compared; the
//! journal is still checked to its end.

use std::collections::HashMap;

use tollkeeper_ledger::{Grant, Micros};

use super::audit_index;
use super::audited_workspace::{Workspace, hour_row, pending_row};
use crate::Error;
use crate::audit::{ClosedDaysAudit, GrantRows, Sketch, Sketcher};
use crate::embedded::storage::journal::{self, Journal};
use crate::embedded::storage::state_db::{self, StateFile};
use crate::embedded::storage::state_meta::Meta;
use crate::workspace_search::SearchRow;

/// How many rows of grants are read together.
const GRANTS_READ: usize = 1_000;

/// The state file, as far as it was not found damaged.
pub(super) struct StateComparison<'a> {
    state: Option<&'a StateFile>,
    meta: Option<Meta>,
    /// The file, to end its snapshot.
    opened: Option<&'a StateFile>,
    /// Damage, which is reported if the journal itself agrees.
    damage: Option<String>,
    /// The deadlines of the range that were not compared yet, by account index.
    pending: HashMap<u32, Sketch>,
    /// The number of accounts of the file that the journal has.
    found: u64,
    /// The checksum of all pairs that the runs of the key index must hold.
    index_sum: u64,
}

impl<'a> StateComparison<'a> {
    pub fn new(state: Option<&'a StateFile>, damage: Option<String>) -> StateComparison<'a> {
        let pending = HashMap::new();
        StateComparison { state, meta: None, opened: state, damage, pending, found: 0, index_sum: 0 }
    }

    /// Reads what the file says of itself and of the journal; returns what the journal has lost.
    pub fn begin(&mut self, journal: &Journal) -> Result<Option<String>, Error> {
        let Some(state) = self.state else { return Ok(None) };
        let begun = (|| {
            let meta = state.meta()?;
            state.check_highest_index(&meta)?;
            if let Some(what) = state.integrity_error()? {
                return Err(state.damaged(what));
            }
            let lost = state_db::missing_entries(&meta, journal)?;
            Ok((meta, lost.map(|what| format!("{}: {what}", journal::FILE))))
        })();
        let Some((meta, lost)) = self.unless_damaged(begun)? else { return Ok(None) };
        self.meta = Some(meta);
        Ok(lost)
    }

    /// Sums up the deadlines of a range of workspaces that begins with an account index.
    pub fn begin_range(&mut self, sketcher: &Sketcher, first: u32) -> Result<(), Error> {
        let (Some(state), Some(meta)) = (self.state, self.meta) else { return Ok(()) };
        let mut pending: HashMap<u32, Sketch> = HashMap::new();
        let read = state.each_pending(&meta, |awaits, account_index, deadline| {
            if account_index >= first {
                pending.entry(account_index).or_default().add(pending_row(sketcher, awaits, deadline));
            }
        });
        if self.unless_damaged(read)?.is_some() {
            self.pending = pending;
        }
        Ok(())
    }

    /// The range ends before an account index; `found` accounts of the file are compared later.
    pub fn leave_out(&mut self, end: u32, found: usize) {
        self.pending.retain(|account_index, _| *account_index < end);
        self.found -= found as u64;
    }

    /// The number of the last entry that the row of an account includes; `None` without a row.
    pub fn persisted_n(&mut self, account_index: u32) -> Result<Option<u64>, Error> {
        let Some(state) = self.state else { return Ok(None) };
        let n = state.account_n(account_index);
        let n = self.unless_damaged(n)?.filter(|n| *n > 0);
        self.found += u64::from(n.is_some());
        Ok(n)
    }

    /// Notes the names of an entry that are in the key index.
    pub fn note_names(&mut self, seq: u64, names: impl Iterator<Item = u64>) {
        if self.meta.is_some_and(|meta| seq <= meta.keys_persisted_to) {
            self.index_sum = names.fold(self.index_sum, |sum, name| audit_index::fold(sum, (name, seq)));
        }
    }

    /// Compares what the file holds of a workspace with what was recomputed up to the same entry.
    pub fn compare(
        &mut self,
        sketcher: &Sketcher,
        account_index: u32,
        workspace: &mut Workspace,
    ) -> Result<Option<&'static str>, Error> {
        let Some(state) = self.state else { return Ok(None) };
        workspace.persisted_n = None;
        let pending = self.pending.remove(&account_index).unwrap_or_default();
        let compared = (|| {
            let mut what = account_differs(state, account_index, workspace)?;
            if grants_differ(state, sketcher, account_index, workspace)? {
                what = Some("the grants in the state file differ from the journal");
            }
            let mut usage = Sketch::default();
            let closed = state.closed_until(account_index)?;
            let mut days = ClosedDaysAudit::new(closed.clone());
            state.each_usage(account_index, i64::MIN..i64::MAX, |key, sums| {
                usage.add(sketcher.usage(&key, sums));
                days.add_row(sketcher, &key, sums);
            })?;
            if let Some(closed) = closed {
                let range = closed.from..closed.until;
                state.each_closed_day(account_index, &closed, range, |day, part| {
                    days.add_day(sketcher, day, part);
                    Ok(())
                })?;
            }
            what = days.finish().or(what);
            if usage != workspace.recomputed.usage {
                what = Some("i08: the usage in the state file differs from the sum of the entries");
            }
            if pending != workspace.deadlines(sketcher) {
                what = Some("the deadlines in the state file differ from the journal");
            }
            let mut hours = Sketch::default();
            state.hours(account_index)?.into_iter().for_each(|hour| hours.add(hour_row(sketcher, hour)));
            if hours != workspace.hours.all(sketcher) {
                what = Some("the hours of entries in the state file differ from the journal");
            }
            Ok(what)
        })();
        Ok(self.unless_damaged(compared)?.flatten())
    }

    /// What is wrong with the row of a workspace after all its entries.
    pub fn end_workspace(&self, account_index: u32, workspace: &Workspace) -> Option<String> {
        self.state?;
        if workspace.persisted_n.is_some() {
            return Some(AHEAD.to_owned());
        }
        let highest = self.meta.and_then(|meta| meta.highest_index);
        // The platform's own chain has an index before it has an entry.
        if workspace.is_persisted || account_index == 0 || Some(account_index) > highest {
            return None;
        }
        let id = &workspace.recomputed.account.profile.id;
        Some(format!("{}: the row of workspace {id} is missing", state_db::FILE))
    }

    /// What is left of the range that the journal does not have.
    pub fn end_range(&mut self) -> Option<String> {
        let left = std::mem::take(&mut self.pending);
        (!left.is_empty()).then(|| AHEAD.to_owned())
    }

    /// Ends the comparison; if all was compared, with the key index and the number of accounts.
    pub fn finish(&mut self, is_good: bool) -> Result<Option<String>, Error> {
        let mut what = None;
        if let Some(state) = self.state.filter(|_| is_good) {
            let compared = audit_index::index_disagrees(state, self.index_sum);
            what = self.unless_damaged(compared)?.flatten().map(str::to_owned);
        }
        if let Some(state) = self.state.filter(|_| is_good && what.is_none()) {
            let counted = state.check_search().and_then(|()| state.count_accounts());
            let searched = self.meta.map(|meta| meta.searched + u64::from(meta.has_platform));
            let found = self.found;
            let is_ahead = |count| count != found || Some(count) != searched;
            let is_ahead = self.unless_damaged(counted)?.is_some_and(is_ahead);
            what = is_ahead.then(|| AHEAD.to_owned());
        }
        if let Some(state) = self.opened.take() {
            state.end_snapshot();
        }
        Ok(what)
    }

    /// The damage of the file, if there is any.
    pub fn take_damage(&mut self) -> Option<String> {
        self.damage.take()
    }

    /// Takes the result of a comparison. After damage nothing more is compared.
    fn unless_damaged<T>(&mut self, result: Result<T, Error>) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_damaged_state() => {
                self.damage.get_or_insert(format!(
                    "{error} (nothing is lost with this file: delete it while no server runs; the next start builds it)"
                ));
                self.state = None;
                self.pending = HashMap::new();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

const AHEAD: &str = "the state file holds more than the journal";

fn account_differs(
    state: &StateFile,
    account_index: u32,
    workspace: &Workspace,
) -> Result<Option<&'static str>, Error> {
    let persisted = state.account_at(account_index)?;
    let is_same = persisted.is_some_and(|persisted| {
        persisted.account == workspace.recomputed.account && persisted.head == workspace.head
    });
    let row = SearchRow::of(&workspace.recomputed.account);
    if account_index != 0 && state.search_row(account_index)? != Some(row) {
        return Ok(Some("what the workspace is found by in the state file differs from the journal"));
    }
    Ok((!is_same).then_some("the account in the state file differs from the journal"))
}

/// Every grant has a row. The row of a grant that holds credit is as it was granted, or as it was
/// once spent; the row of a spent grant is as it is.
fn grants_differ(
    state: &StateFile,
    sketcher: &Sketcher,
    account_index: u32,
    workspace: &Workspace,
) -> Result<bool, Error> {
    let grants = workspace.recomputed.account.grants.iter();
    let open: HashMap<u64, &Grant> = grants.map(|grant| (grant.n, grant)).collect();
    let mut rows = GrantRows::default();
    let mut before = u64::MAX;
    loop {
        let lots = state.lots(account_index, before, GRANTS_READ)?;
        for (seq, lot) in &lots {
            let open = open.get(&lot.n).copied();
            let is_stored_state = lot.remaining == lot.amount || lot.remaining == Micros::ZERO;
            if !rows.add(sketcher, *seq, lot, open) || !is_stored_state {
                return Ok(true);
            }
        }
        match lots.last() {
            Some((_, oldest)) if lots.len() == GRANTS_READ => before = oldest.n,
            _ => return Ok(workspace.recomputed.grants_differ(&rows).is_some()),
        }
    }
}
