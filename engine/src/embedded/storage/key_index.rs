//! The key index: from a name to the entries in the journal that may carry it.
//!
//! A name is an idempotency key in its workspace, a charge that was changed, an id from another
//! ledger, or a workspace that was created. A keyed hash makes a 64-bit fingerprint of it, and the
//! index holds pairs of a fingerprint and a sequence number. The newest pairs are in a hash table
//! in memory (the memtable). A full table is frozen (an immutable memtable), sorted, and written by
//! the checkpointer as a *run*: pages of sorted pairs on disk, with a Bloom filter and the first
//! fingerprint of each page (its *fence*) in memory. Runs of like size are merged in the background
//! (compaction), as in an LSM tree.
//!
//! So an insertion touches memory only, and a search for a new key nearly always ends at the
//! filters, however long the history is. Keys are kept as long as the journal.
//!
//! A fingerprint is a hint. The caller reads the entry and compares the name itself, so equal
//! fingerprints of different names do no harm. The hash is keyed by the data directory, so nobody
//! outside can prepare a collision.
//!
//! Invariant: the runs, the frozen table and the table cover the journal without gaps, in this
//! order. The index is derived from the journal; after a restart the entries after the last run are
//! inserted again.

use std::hash::Hasher;

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use tollkeeper_ledger::{IdempotencyKey, WorkspaceId};

use super::bloom::Bloom;

/// A fingerprint, and the sequence number of an entry that has it.
pub(crate) type Pair = (u64, u64);

/// Pairs in a page of a run: 508 × 16 bytes fill one page of the state file.
pub(crate) const PAGE_PAIRS: usize = 508;

/// Pairs in memory that make a run: just below the size at which the table would double its memory.
pub(crate) const TABLE_PAIRS: usize = 450_000;

/// This many runs of a tier are merged into one run of the next.
pub(crate) const RUNS_PER_TIER: usize = 4;

/// The most pairs of a merged run. Its filter is in memory beside those of its sources while it is
/// made; larger runs would make a search for a key only little shorter.
pub(crate) const MERGED_PAIRS_MAX: u64 = 64 << 20;

/// A name, by its kind; the kind is part of the fingerprint.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Name<'a> {
    /// An idempotency key.
    Key(&'a IdempotencyKey),
    /// The charge that entry `.0` opened; its pairs are the later entries about it.
    Changed(u64),
    /// An id that does not hold the sequence number of its entry.
    Id([u8; 16]),
    /// A workspace; its pair is the entry that created it.
    Workspace(&'a WorkspaceId),
}

/// The keyed hash of a data directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprints {
    key: (u64, u64),
}

impl Fingerprints {
    /// The hash whose secret key is the id of the data directory.
    pub(crate) fn new(directory_id: [u8; 16]) -> Fingerprints {
        let number = u128::from_le_bytes(directory_id);
        Fingerprints { key: (number as u64, (number >> 64) as u64) }
    }

    /// The fingerprint of a name in a workspace.
    pub(crate) fn of(&self, account_index: u32, name: Name) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        match name {
            Name::Key(key) => {
                hasher.write_u32(account_index);
                hasher.write(key.as_bytes());
            }
            Name::Changed(opening_seq) => {
                hasher.write_u64(u64::from(account_index) | 1 << 32);
                hasher.write_u64(opening_seq);
            }
            Name::Id(id) => {
                hasher.write_u64(u64::from(account_index) | 2 << 32);
                hasher.write(&id);
            }
            // Asked for by its name, when its account index is not known.
            Name::Workspace(id) => {
                hasher.write_u64(3 << 32);
                hasher.write(id.as_bytes());
            }
        }
        hasher.finish()
    }

    /// 64 pseudo-random bits for a new id: unpredictable without the id of the data directory,
    /// which is the key of the hash; the same for the same input.
    pub(crate) fn random_bits(&self, at: i64, seq: u64) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key.1, self.key.0);
        hasher.write_i64(at);
        hasher.write_u64(seq);
        hasher.finish()
    }
}

/// A range of sequence numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeqRange {
    pub first: u64,
    pub last: u64,
}

/// The description of a run, without its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunHead {
    /// The row id of the run in the state file.
    pub id: i64,
    /// 0 for a frozen table, one more than its sources for a merged run.
    pub tier: u32,
    /// The entries whose names are in the run.
    pub covers: SeqRange,
    /// The number of pairs.
    pub pairs: u64,
    /// The number of pages.
    pub pages: usize,
}

/// A run: its pages are on disk, what finds the right page is in memory.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub head: RunHead,
    pub bloom: Bloom,
    /// The first fingerprint of each page, ascending.
    pub fences: Vec<u64>,
}

impl Run {
    /// The pages that may hold a fingerprint: one, except where equal fingerprints span two.
    pub(crate) fn pages(&self, fingerprint: u64) -> std::ops::Range<usize> {
        let from = self.fences.partition_point(|fence| *fence < fingerprint).saturating_sub(1);
        let to = self.fences.partition_point(|fence| *fence <= fingerprint);
        from..to
    }
}

/// The part of the index that is in memory.
#[derive(Debug)]
pub(crate) struct KeyIndex {
    table: HashTable<Pair>,
    /// A full table that is being written as a run.
    frozen: Option<HashTable<Pair>>,
    /// Oldest first.
    runs: Vec<Run>,
    /// The last sequence number that the runs and the frozen table cover.
    frozen_to: u64,
    /// The number of pairs that makes a run.
    table_pairs: usize,
}

impl KeyIndex {
    /// The index as the state file holds it: `runs`, oldest first, without gaps.
    pub(crate) fn new(runs: Vec<Run>, table_pairs: usize) -> KeyIndex {
        let frozen_to = runs.last().map_or(0, |run| run.head.covers.last);
        KeyIndex { table: HashTable::new(), frozen: None, runs, frozen_to, table_pairs }
    }

    /// The last sequence number whose names are in the state file; later entries are inserted again
    /// after a restart.
    pub(crate) fn persisted_to(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.head.covers.last)
    }

    /// True if the table has twice the size of a run while the frozen one is still being written.
    pub(crate) fn is_overfull(&self) -> bool {
        self.table.len() >= 2 * self.table_pairs
    }

    /// Adds a pair.
    ///
    /// # Panics
    /// When the entry belongs to a range that is already in a run: the pair would be lost at a
    /// restart.
    pub(crate) fn insert(&mut self, fingerprint: u64, seq: u64) {
        assert!(seq > self.frozen_to, "a new pair is of an entry after the frozen ones");
        self.table.insert_unique(fingerprint, (fingerprint, seq), |pair| pair.0);
    }

    /// For each fingerprint: true if the frozen table or a run may hold it. All are asked together,
    /// so that the memory accesses of one do not wait for those of another.
    pub(crate) fn may_contain_each(&self, fingerprints: &[u64], may: &mut Vec<bool>) {
        may.clear();
        may.resize(fingerprints.len(), false);
        if let Some(frozen) = &self.frozen {
            for (fingerprint, may) in fingerprints.iter().zip(&mut *may) {
                *may |= frozen.find(*fingerprint, |pair| pair.0 == *fingerprint).is_some();
            }
        }
        for run in &self.runs {
            for (fingerprint, may) in fingerprints.iter().zip(&mut *may) {
                *may |= run.bloom.may_contain(*fingerprint);
            }
        }
    }

    /// Reads the table's memory for these fingerprints, so that the processor loads all of it into
    /// its cache at once. The result has no meaning; it keeps the compiler from removing the reads.
    pub(crate) fn prefetch_into_cache(&self, fingerprints: impl Iterator<Item = u64>) -> usize {
        fingerprints.filter(|wanted| self.table.find(*wanted, |pair| pair.0 == *wanted).is_some()).count()
    }

    /// Appends the sequence numbers that the table has for a fingerprint. `search_older`: also
    /// those of the frozen table.
    pub(crate) fn in_memory(&self, fingerprint: u64, search_older: bool, seqs: &mut Vec<u64>) {
        let frozen = self.frozen.as_ref().filter(|_| search_older);
        for table in std::iter::once(&self.table).chain(frozen) {
            for pair in table.iter_hash(fingerprint).filter(|pair| pair.0 == fingerprint) {
                seqs.push(pair.1);
            }
        }
    }

    /// The runs whose filter admits a fingerprint, newest first.
    pub(crate) fn runs_with(&self, fingerprint: u64) -> impl Iterator<Item = &Run> {
        self.runs.iter().rev().filter(move |run| run.bloom.may_contain(fingerprint))
    }

    /// Freezes the table, to be written as a run that covers all entries up to `last`. `None` while
    /// the table is not full (with `force`: while nothing is new) or the previous one is still
    /// being written.
    pub(crate) fn freeze(&mut self, last: u64, force: bool) -> Option<(Vec<Pair>, SeqRange)> {
        let full = self.table.len() >= self.table_pairs || (force && self.frozen_to < last);
        if !full || self.frozen.is_some() {
            return None;
        }
        let covers = SeqRange { first: self.frozen_to + 1, last };
        assert!(covers.first <= covers.last, "a frozen table holds names of new entries");
        self.frozen_to = last;
        let table = std::mem::take(&mut self.table);
        let pairs = table.iter().copied().collect();
        self.frozen = Some(table);
        Some((pairs, covers))
    }

    /// Replaces the frozen table by the run written from it.
    pub(crate) fn frozen_is_persisted(&mut self, run: Run) {
        assert!(self.frozen.is_some(), "a run is written of a frozen table");
        assert_eq!(run.head.covers.first, self.persisted_to() + 1, "runs follow each other without gaps");
        self.frozen = None;
        self.runs.push(run);
    }

    /// The runs to merge next, oldest first: those of the lowest tier that has enough of them,
    /// unless the merged run would be too large.
    pub(crate) fn to_merge(&self) -> Option<Vec<RunHead>> {
        let mut tiers: Vec<u32> = self.runs.iter().map(|run| run.head.tier).collect();
        tiers.sort_unstable();
        tiers.dedup();
        tiers.into_iter().find_map(|tier| {
            let same = self.runs.iter().map(|run| run.head).filter(|head| head.tier == tier);
            let same: Vec<RunHead> = same.collect();
            let pairs = same.iter().map(|head| head.pairs).sum::<u64>();
            (same.len() >= RUNS_PER_TIER && pairs <= MERGED_PAIRS_MAX).then_some(same)
        })
    }

    /// Replaces the source runs of `merged` by it; returns their ids, whose pages may be deleted.
    pub(crate) fn merged(&mut self, merged: Run) -> Vec<i64> {
        let covers = merged.head.covers;
        let is_source =
            |run: &Run| run.head.covers.first >= covers.first && run.head.covers.last <= covers.last;
        let sources: Vec<RunHead> =
            self.runs.iter().filter(|run| is_source(run)).map(|run| run.head).collect();
        assert!(
            sources.first().is_some_and(|head| head.covers.first == covers.first)
                && sources.last().is_some_and(|head| head.covers.last == covers.last),
            "a merged run covers exactly the entries of its sources"
        );
        let at = self.runs.iter().position(is_source).unwrap_or(self.runs.len());
        self.runs.retain(|run| !is_source(run));
        self.runs.insert(at, merged);
        sources.into_iter().map(|head| head.id).collect()
    }
}

/// The pairs in the bytes of a page.
pub(crate) fn pairs_of(page: &[u8]) -> impl Iterator<Item = Pair> {
    page.as_chunks::<16>().0.iter().map(|pair| {
        let (fingerprint, seq) = pair.split_at(8);
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        (number(fingerprint), number(seq))
    })
}

/// Writes the bytes of a page.
pub(crate) fn page_of(pairs: &[Pair], bytes: &mut Vec<u8>) {
    assert!(pairs.len() <= PAGE_PAIRS, "a page holds at most {PAGE_PAIRS} pairs");
    bytes.clear();
    for (fingerprint, seq) in pairs {
        bytes.extend_from_slice(&fingerprint.to_le_bytes());
        bytes.extend_from_slice(&seq.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_merged_up_to_a_largest_size() {
        let index = |pairs: u64| {
            let run = |n: u64| {
                let covers = SeqRange { first: n * pairs + 1, last: (n + 1) * pairs };
                let head = RunHead { id: n as i64, tier: 3, covers, pairs, pages: 0 };
                Run { head, bloom: Bloom::for_keys(0), fences: Vec::new() }
            };
            KeyIndex::new((0..RUNS_PER_TIER as u64).map(run).collect(), TABLE_PAIRS)
        };
        let most = MERGED_PAIRS_MAX / RUNS_PER_TIER as u64;
        assert_eq!(index(most).to_merge().map(|heads| heads.len()), Some(RUNS_PER_TIER));
        assert_eq!(index(most + 1).to_merge(), None);
    }
}
