//! The newest entries that are on disk, as they were written: the outcome of a charge comes soon
//! after it, and a repeated request soon after the first. Both read an entry again.
//!
//! Guarantee: what is found here was appended by this state machine, byte for byte. What checks the
//! file, such as the rebuild of an account, reads the file and not this.

use crate::embedded::storage::journal::EncodedEntries;

/// Consecutive entries, of which the oldest are forgotten.
#[derive(Debug)]
pub(crate) struct RecentEntries {
    newer: Run,
    older: Run,
    /// The bytes of a run beyond which it becomes the older one; 0 keeps nothing.
    run_bytes: usize,
}

/// Consecutive entries.
#[derive(Debug, Default)]
struct Run {
    /// The sequence number of the first entry.
    first: u64,
    entries: EncodedEntries,
}

impl Run {
    /// The sequence number after the last entry.
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn get(&self, seq: u64) -> Option<&[u8]> {
        self.entries.get(usize::try_from(seq.checked_sub(self.first)?).ok()?)
    }
}

impl RecentEntries {
    /// Keeps about this many bytes of entries.
    pub(crate) fn new(bytes_max: usize) -> RecentEntries {
        RecentEntries { newer: Run::default(), older: Run::default(), run_bytes: bytes_max / 2 }
    }

    /// Adds entries that were appended, the first with sequence number `first`. After a gap they
    /// begin another run. More than a run takes are not kept.
    pub(crate) fn push(&mut self, first: u64, appended: &EncodedEntries) {
        if appended.bytes.len() > self.run_bytes {
            return;
        }
        if self.newer.end() != first || self.newer.entries.bytes.len() + appended.bytes.len() > self.run_bytes
        {
            std::mem::swap(&mut self.newer, &mut self.older);
            self.newer.entries.clear();
            self.newer.first = first;
        }
        let kept = &mut self.newer.entries;
        let shift = kept.bytes.len();
        kept.bytes.extend_from_slice(&appended.bytes);
        kept.offsets.extend(appended.offsets.iter().map(|offset| shift + offset));
        assert_eq!(self.newer.end(), first + appended.len() as u64, "a run has no gap");
    }

    /// The stored bytes of entry `seq`, if it is among the newest.
    pub(crate) fn get(&self, seq: u64) -> Option<&[u8]> {
        self.newer.get(seq).or_else(|| self.older.get(seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of four bytes each, which repeat their sequence number.
    fn entries(first: u64, count: u64) -> EncodedEntries {
        let mut entries = EncodedEntries::default();
        for seq in first..first + count {
            entries.offsets.push(entries.bytes.len());
            entries.bytes.extend_from_slice(&[seq as u8; 4]);
        }
        entries
    }

    fn kept(recent: &RecentEntries) -> Vec<u64> {
        let found = (0..200).filter_map(|seq| recent.get(seq).map(|bytes| (seq, bytes)));
        found.inspect(|(seq, bytes)| assert_eq!(*bytes, [*seq as u8; 4])).map(|(seq, _)| seq).collect()
    }

    #[test]
    fn the_newest_entries_are_found_and_older_ones_are_forgotten() {
        let mut recent = RecentEntries::new(80);
        recent.push(1, &entries(1, 6));
        recent.push(7, &entries(7, 4));
        assert_eq!(kept(&recent), Vec::from_iter(1..=10));
        recent.push(11, &entries(11, 1));
        assert_eq!(kept(&recent), Vec::from_iter(1..=11), "the run before is kept");
        recent.push(12, &entries(12, 10));
        assert_eq!(kept(&recent), Vec::from_iter(11..=21));
    }

    #[test]
    fn entries_after_a_gap_have_their_own_numbers() {
        let mut recent = RecentEntries::new(80);
        recent.push(1, &entries(1, 2));
        recent.push(50, &entries(50, 2));
        assert_eq!(kept(&recent), [1, 2, 50, 51]);
        recent.push(52, &entries(52, 11));
        assert_eq!(kept(&recent), [1, 2, 50, 51], "more than is kept");
    }

    #[test]
    fn nothing_is_kept_in_no_memory() {
        let mut recent = RecentEntries::new(0);
        recent.push(1, &entries(1, 1));
        assert_eq!(recent.get(1), None);
    }
}
