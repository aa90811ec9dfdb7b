//! The report of a month for finance: what was sold, what is earned and what is owed to customers.
//!
//! It is computed from the entries alone. An entry counts by its own time ([`Entry::at`]), which
//! never runs backwards in a workspace. So a position is what the entries up to an instant say, it
//! agrees with the balances of that instant, and it does not change once the instant has passed.
//!
//! Guarantee: integers only; each position agrees with the balances that the entries state, or the
//! report is refused as damaged.
//!
//! ```text
//! month     a calendar month in UTC
//! movement  what moved between the ledger accounts
//! facts     one workspace: of each grant, who paid for it and where its credit is
//! position  all workspaces at one instant
//! ```

mod facts;
mod month;
mod movement;
mod position;

use std::collections::BTreeMap;

use tollkeeper_ledger::{Entry, EntryBody, Timestamp};

pub use facts::Provider;
pub use month::Month;
pub use movement::{ACCOUNTS, Movement};
pub use position::{Aged, Debt, Line, Position, Unmatched};

use self::facts::Facts;
use crate::Error;

/// How much memory a report uses for the workspaces that it adds up together.
pub(crate) const MEMORY_BYTES: usize = 256 << 20;

/// The numbers at the beginning and at the end of a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The numbers before the first entry at or after the beginning.
    pub opening: Position,
    /// The numbers before the first entry at or after the end.
    pub closing: Position,
}

/// The time that a report is about: from an instant to before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportTime {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
}

/// One workspace while its entries are read.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// What its entries said before the beginning; `None` until one of them is later.
    opening: Option<Box<Facts>>,
    now: Facts,
}

impl Workspace {
    /// Adds its next entry.
    ///
    /// # Errors
    /// [`Error::is_damaged`] if the entry does not follow from those before it.
    pub(crate) fn add(&mut self, time: ReportTime, entry: &Entry) -> Result<(), Error> {
        if entry.at >= time.to {
            return Ok(());
        }
        if entry.at >= time.from && self.opening.is_none() {
            self.opening = Some(Box::new(self.now.clone()));
        }
        self.now.apply(entry).map_err(|what| Error::damaged(format!("entry {}: {what}", entry.n)))
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.now.bytes() + self.opening.as_ref().map_or(0, |opening| opening.bytes())
    }
}

impl Report {
    /// The report of a time, from the journal of the platform and those of all workspaces, each
    /// from its first entry.
    ///
    /// # Errors
    /// [`Error::is_damaged`] if an entry does not follow from those before it.
    pub fn of_journals<'a, J: IntoIterator<Item = &'a Entry>>(
        time: ReportTime,
        platform: impl IntoIterator<Item = &'a Entry>,
        journals: impl IntoIterator<Item = J>,
    ) -> Result<Report, Error> {
        let mut report = Report::default();
        platform.into_iter().for_each(|entry| report.add_of_platform(time, entry));
        for journal in journals {
            let mut workspace = Workspace::default();
            for entry in journal {
                workspace.add(time, entry)?;
            }
            report.add(&workspace)?;
        }
        Ok(report.finished())
    }

    /// Adds an entry of the platform's own journal: money that fits nothing.
    pub(crate) fn add_of_platform(&mut self, time: ReportTime, entry: &Entry) {
        let EntryBody::PaymentUnmatched(payment) = &entry.body else { return };
        for (position, end) in [(&mut self.opening, time.from), (&mut self.closing, time.to)] {
            if entry.at < end {
                position.add_unmatched(payment);
            }
        }
    }

    /// Adds a workspace whose entries were all read.
    ///
    /// # Errors
    /// [`Error::is_damaged`] if its grants do not add up to its balance.
    pub(crate) fn add(&mut self, workspace: &Workspace) -> Result<(), Error> {
        let opening = workspace.opening.as_deref().unwrap_or(&workspace.now);
        for (position, facts) in [(&mut self.opening, opening), (&mut self.closing, &workspace.now)] {
            if facts.is_empty() {
                continue;
            }
            facts.check()?;
            position.add(facts);
        }
        Ok(())
    }

    /// The report, once all workspaces are added.
    pub(crate) fn finished(self) -> Report {
        self.opening.assert_ties();
        self.closing.assert_ties();
        self
    }
}

/// Workspaces whose entries come mixed, by a number that grows with each new one. Those that do not
/// fit into memory are left for another pass over the entries.
#[derive(Debug)]
pub(crate) struct Pass {
    time: ReportTime,
    memory_bytes: usize,
    first: u32,
    /// The first workspace that does not fit; `None` if all do.
    end: Option<u32>,
    workspaces: BTreeMap<u32, Workspace>,
    bytes: usize,
}

impl Pass {
    /// A pass over all entries that adds up the workspaces from `first` on.
    pub(crate) fn new(time: ReportTime, first: u32, memory_bytes: usize) -> Pass {
        Pass { time, memory_bytes, first, end: None, workspaces: BTreeMap::new(), bytes: 0 }
    }

    /// True if the entries of a workspace are wanted.
    pub(crate) fn wants(&self, workspace: u32) -> bool {
        workspace >= self.first && self.end.is_none_or(|end| workspace < end)
    }

    /// Adds an entry of a workspace that is wanted.
    ///
    /// # Errors
    /// As [`Workspace::add`].
    pub(crate) fn add(&mut self, index: u32, entry: &Entry) -> Result<(), Error> {
        assert!(self.wants(index), "an entry belongs to the pass");
        if entry.at >= self.time.to {
            return Ok(());
        }
        let workspace = self.workspaces.entry(index).or_default();
        let before = if workspace.now.is_empty() { 0 } else { workspace.bytes() };
        workspace.add(self.time, entry)?;
        self.bytes = (self.bytes + workspace.bytes()).saturating_sub(before);
        while self.bytes > self.memory_bytes && self.workspaces.len() > 1 {
            let Some((last, left)) = self.workspaces.pop_last() else { break };
            self.bytes = self.bytes.saturating_sub(left.bytes());
            self.end = Some(last);
        }
        Ok(())
    }

    /// Adds what was read to a report; returns the pass for the workspaces that are left.
    ///
    /// # Errors
    /// As [`Report::add`].
    pub(crate) fn finish(self, report: &mut Report) -> Result<Option<Pass>, Error> {
        for workspace in self.workspaces.values() {
            report.add(workspace)?;
        }
        Ok(self.end.map(|next| Pass::new(self.time, next, self.memory_bytes)))
    }
}
