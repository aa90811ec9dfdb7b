//! The key index: from what a request names to the places in the journal that may hold it, kept for ever and never in
//! the way of a commit.
//!
//! A name (an idempotency key in its workspace, a charge that was touched, an id from elsewhere) becomes a 64-bit fingerprint; the index holds
//! (fingerprint, place) pairs. The newest are in a table in memory; when that is full it is frozen, sorted, and written
//! by the keeper as a *run*: pages of sorted pairs, with a filter and the first fingerprint of each page in memory.
//! Runs of like size are merged in the background. So an insertion touches memory only, and the look-up of a new key
//! nearly always ends at the filters, however long the history is.
//!
//! A fingerprint is a hint: whoever looks up reads the entry and compares the name itself, so that equal fingerprints of
//! different names do no harm. The function is keyed by the data directory, so that nobody can aim at a collision.
//! The index is derived from the journal and knows which places it covers.

use std::hash::Hasher;

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use tollkeeper_ledger::IdempotencyKey;

use super::bloom::Bloom;

/// A fingerprint and the place of an entry that has it.
pub(crate) type Pair = (u64, u64);

/// Pairs in a page of a run: 508 × 16 bytes fill one page of the state file.
pub(crate) const PAGE_PAIRS: usize = 508;

/// So many pairs in memory make a run: just below where the table would double.
pub(crate) const TABLE_PAIRS: usize = 450_000;

/// So many runs of a tier are merged into one of the next.
pub(crate) const RUNS_PER_TIER: usize = 4;

/// What a name is the name of; part of its fingerprint.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Name<'a> {
    /// An idempotency key.
    Key(&'a IdempotencyKey),
    /// A charge, by the place of the entry that opened it; the pairs are the entries that touched it since.
    Touched(u64),
    /// An id that does not say its place by itself.
    Id([u8; 16]),
}

/// Makes fingerprints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprints {
    key: (u64, u64),
}

impl Fingerprints {
    /// Keyed by the number of the data directory.
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
            Name::Touched(seq) => {
                hasher.write_u64(u64::from(account_index) | 1 << 32);
                hasher.write_u64(seq);
            }
            Name::Id(id) => {
                hasher.write_u64(u64::from(account_index) | 2 << 32);
                hasher.write(&id);
            }
        }
        hasher.finish()
    }

    /// 64 bits that look random and are the same for the same input: the entropy of ids.
    pub(crate) fn scatter(&self, at: i64, seq: u64) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key.1, self.key.0);
        hasher.write_i64(at);
        hasher.write_u64(seq);
        hasher.finish()
    }
}

/// What is known of a run without its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunHead {
    pub id: i64,
    pub tier: u32,
    /// The first and the last place it covers; runs follow each other without gaps.
    pub covers: (u64, u64),
    pub pairs: u64,
    pub pages: usize,
}

/// A run: sorted pairs on disk, what finds them in memory.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub head: RunHead,
    pub bloom: Bloom,
    /// The first fingerprint of each page.
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

/// The index as far as it is in memory.
#[derive(Debug)]
pub(crate) struct KeyIndex {
    table: HashTable<Pair>,
    frozen: Option<HashTable<Pair>>,
    /// Oldest first.
    runs: Vec<Run>,
    /// The last place that is in a run or in the frozen table.
    frozen_to: u64,
    /// So many pairs make a run.
    table_pairs: usize,
}

impl KeyIndex {
    /// The index as it was kept.
    pub(crate) fn new(runs: Vec<Run>, table_pairs: usize) -> KeyIndex {
        let frozen_to = runs.last().map_or(0, |run| run.head.covers.1);
        KeyIndex { table: HashTable::new(), frozen: None, runs, frozen_to, table_pairs }
    }

    /// The last place whose pairs are kept on disk: what comes after is to be inserted again after a restart.
    pub(crate) fn persisted_to(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.head.covers.1)
    }

    /// Whether the table has grown to twice a run's size while the one before is not yet kept.
    pub(crate) fn is_crowded(&self) -> bool {
        self.table.len() >= 2 * self.table_pairs
    }

    /// Adds a pair.
    pub(crate) fn insert(&mut self, fingerprint: u64, seq: u64) {
        self.table.insert_unique(fingerprint, (fingerprint, seq), |pair| pair.0);
    }

    /// Asks of many fingerprints at once whether anything but the table in memory may hold them: the memory accesses of
    /// one do not wait for those of another.
    pub(crate) fn probe(&self, fingerprints: &[u64], may: &mut Vec<bool>) {
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

    /// Looks where fingerprints are or will be, so that the processor fetches it for all of them at once.
    pub(crate) fn touch(&self, fingerprints: impl Iterator<Item = u64>) -> usize {
        fingerprints.filter(|wanted| self.table.find(*wanted, |pair| pair.0 == *wanted).is_some()).count()
    }

    /// The places in memory that have a fingerprint. `beyond`: whether the frozen table is to be asked as well.
    pub(crate) fn in_memory(&self, fingerprint: u64, beyond: bool, seqs: &mut Vec<u64>) {
        let frozen = self.frozen.as_ref().filter(|_| beyond);
        for table in std::iter::once(&self.table).chain(frozen) {
            for pair in table.iter_hash(fingerprint).filter(|pair| pair.0 == fingerprint) {
                seqs.push(pair.1);
            }
        }
    }

    /// The runs that may hold a fingerprint, newest first.
    pub(crate) fn runs_with(&self, fingerprint: u64) -> impl Iterator<Item = &Run> {
        self.runs.iter().rev().filter(move |run| run.bloom.may_contain(fingerprint))
    }

    /// If the table is full and the one before is kept: freezes it and gives its pairs, to be written as a run that
    /// covers all places up to `last`.
    pub(crate) fn freeze(&mut self, last: u64, force: bool) -> Option<(Vec<Pair>, (u64, u64))> {
        let full = self.table.len() >= self.table_pairs || (force && self.frozen_to < last);
        if !full || self.frozen.is_some() {
            return None;
        }
        let covers = (self.frozen_to + 1, last);
        self.frozen_to = last;
        let table = std::mem::take(&mut self.table);
        let pairs = table.iter().copied().collect();
        self.frozen = Some(table);
        Some((pairs, covers))
    }

    /// The frozen table is kept as this run.
    pub(crate) fn frozen_is_persisted(&mut self, run: Run) {
        self.frozen = None;
        self.runs.push(run);
    }

    /// The runs of one tier that are to be merged, oldest first; the lowest tier that has enough.
    pub(crate) fn to_merge(&self) -> Option<Vec<RunHead>> {
        let mut tiers: Vec<u32> = self.runs.iter().map(|run| run.head.tier).collect();
        tiers.sort_unstable();
        tiers.dedup();
        tiers.into_iter().find_map(|tier| {
            let same = self.runs.iter().map(|run| run.head).filter(|head| head.tier == tier);
            let same: Vec<RunHead> = same.collect();
            (same.len() >= RUNS_PER_TIER).then_some(same)
        })
    }

    /// Puts a merged run in the place of those it was made of; gives the ids that may be dropped.
    pub(crate) fn merged(&mut self, run: Run) -> Vec<i64> {
        let inside =
            |old: &Run| old.head.covers.0 >= run.head.covers.0 && old.head.covers.1 <= run.head.covers.1;
        let at = self.runs.iter().position(inside).unwrap_or(self.runs.len());
        let dropped = self.runs.iter().filter(|old| inside(old)).map(|old| old.head.id).collect();
        self.runs.retain(|old| !inside(old));
        self.runs.insert(at, run);
        dropped
    }
}

/// Splits the bytes of a page into its pairs.
pub(crate) fn pairs_of(page: &[u8]) -> impl Iterator<Item = Pair> {
    page.as_chunks::<16>().0.iter().map(|pair| {
        let (fingerprint, seq) = pair.split_at(8);
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        (number(fingerprint), number(seq))
    })
}

/// The bytes of a page.
pub(crate) fn page_of(pairs: &[Pair], bytes: &mut Vec<u8>) {
    bytes.clear();
    for (fingerprint, seq) in pairs {
        bytes.extend_from_slice(&fingerprint.to_le_bytes());
        bytes.extend_from_slice(&seq.to_le_bytes());
    }
}
