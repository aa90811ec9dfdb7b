//! Following a journal: the entries of a workspace behind a number, oldest first.
//!
//! The answer says up to which number entries were looked at, so a caller goes on behind it, also
//! if no entry was of its kinds. One answer looks at a bounded number of entries and holds a
//! bounded number of bytes. How a caller learns that there is something new is in `watch`.

use std::collections::VecDeque;

use tollkeeper_ledger::Kind;

use crate::EntryRecord;
use crate::contract::ENTRIES_MAX_BYTES;

/// The most entries that one answer looks at for those of some kinds.
const LOOKS_MAX: u64 = 2_048;

/// Which entries of a journal are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    /// Only entries behind this number; 0 begins with the first.
    pub after: u64,
    /// Only entries of these kinds; all when `None`.
    pub kinds: Option<Vec<Kind>>,
    /// The most entries of the answer.
    pub limit: usize,
}

/// The entries behind a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The entries that are wanted, oldest first.
    pub data: Vec<EntryRecord>,
    /// Every entry up to this number was looked at. A caller goes on behind it.
    pub through: u64,
    /// The number of the last entry of the journal. It is below [`Follow::after`] if the journal
    /// never had that entry, or lost it in a restore.
    pub last: u64,
}

impl Follow {
    /// True if an entry of this kind is wanted.
    #[must_use]
    pub fn admits(&self, kind: Kind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }

    /// The number up to which one answer looks at entries, in a journal with this last number.
    #[must_use]
    pub fn through(&self, last: u64) -> u64 {
        let looks = if self.kinds.is_some() { LOOKS_MAX } else { self.limit as u64 };
        self.after.saturating_add(looks).min(last.max(self.after))
    }
}

/// Collects the entries of one answer, in either direction.
#[derive(Debug)]
pub(crate) struct Collected {
    limit: usize,
    records: VecDeque<(EntryRecord, usize)>,
    bytes: usize,
    through: u64,
}

impl Collected {
    /// An answer that looks at the entries up to number `through`.
    pub(crate) fn new(follow: &Follow, through: u64) -> Collected {
        Collected { limit: follow.limit, records: VecDeque::new(), bytes: 0, through }
    }

    /// Adds an entry of `bytes` bytes that is newer than those before. Returns false if it does not
    /// fit any more: the answer ends before it.
    pub(crate) fn push_newer(&mut self, record: EntryRecord, bytes: usize) -> bool {
        if self.is_full() {
            self.through = record.entry.n - 1;
            return false;
        }
        self.bytes += bytes;
        self.records.push_back((record, bytes));
        true
    }

    /// Adds an entry that is older than those before. The newest ones leave the answer if they do
    /// not fit any more.
    pub(crate) fn push_older(&mut self, record: EntryRecord, bytes: usize) {
        self.bytes += bytes;
        self.records.push_front((record, bytes));
        while let Some((newest, bytes)) = self.records.back()
            && self.records.len() > 1
            && (self.records.len() > self.limit || self.bytes - bytes >= ENTRIES_MAX_BYTES)
        {
            self.through = newest.entry.n - 1;
            self.bytes -= bytes;
            self.records.pop_back();
        }
    }

    fn is_full(&self) -> bool {
        self.records.len() >= self.limit || self.bytes >= ENTRIES_MAX_BYTES
    }

    /// The answer, of a journal with this last number.
    pub(crate) fn into_followed(self, last: u64) -> Followed {
        assert!(
            self.records.iter().map(|(record, _)| record.entry.n).is_sorted_by(|before, next| before < next),
            "entries are in the order of their numbers"
        );
        let data: Vec<EntryRecord> = self.records.into_iter().map(|(record, _)| record).collect();
        assert!(data.last().is_none_or(|newest| newest.entry.n <= self.through), "it was looked at");
        Followed { data, through: self.through, last }
    }
}
