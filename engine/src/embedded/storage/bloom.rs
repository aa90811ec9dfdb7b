//! A Bloom filter for the fingerprints in a run of the key index.
//!
//! It answers "surely not" for nearly every fingerprint that is not in the run, without a look at
//! the disk. It takes twenty bits a key, and all probes of a key lie in one cache line, so a
//! question costs one access to memory.
//!
//! Guarantee: no false negatives. A fingerprint that was inserted is always found.

/// Bits of filter per key. With [`PROBES`] about one in 3,000 absent keys is taken to be present.
const BITS_PER_KEY: usize = 20;
/// Probes per key; each takes nine bits of a word.
const PROBES: u32 = 7;
const LINE_BITS: usize = 512;
const LINE_WORDS: usize = LINE_BITS / 64;

/// A filter is stored in parts of at most this number of bytes.
pub(crate) const PART_BYTES: usize = 256 * 1024;
const PART_WORDS: usize = PART_BYTES / 8;

/// A blocked Bloom filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bloom {
    words: Vec<u64>,
}

impl Bloom {
    /// An empty filter for `keys` keys.
    pub(crate) fn for_keys(keys: usize) -> Bloom {
        Bloom { words: vec![0; lines_for(keys) * LINE_WORDS] }
    }

    /// Where a fingerprint's line begins (from its high half), and the bits that choose the probes
    /// (from its low half).
    fn line_of(&self, fingerprint: u64) -> (usize, u64) {
        let lines = (self.words.len() / LINE_WORDS) as u64;
        let line = ((fingerprint >> 32) * lines) >> 32;
        // Fingerprints are uniform; the multiplication spreads the low half over the bits the
        // probes use.
        (line as usize * LINE_WORDS, (fingerprint as u32 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Adds a fingerprint.
    pub(crate) fn insert(&mut self, fingerprint: u64) {
        let (line, bits) = self.line_of(fingerprint);
        for bit in probes(bits) {
            self.words[line + bit / 64] |= 1 << (bit % 64);
        }
    }

    /// False only if the fingerprint was never added.
    pub(crate) fn may_contain(&self, fingerprint: u64) -> bool {
        let (line, bits) = self.line_of(fingerprint);
        probes(bits).all(|bit| self.words[line + bit / 64] & (1 << (bit % 64)) != 0)
    }

    /// Checks that the filter has the bits of just the fingerprints that are added in ascending
    /// order.
    pub(crate) fn check(&self) -> BloomCheck<'_> {
        BloomCheck { bloom: self, at: 0, line: [0; LINE_WORDS], is_right: true, keys: 0 }
    }

    /// The number of parts in which the filter is stored.
    pub(crate) fn parts(&self) -> usize {
        self.words.len().div_ceil(PART_WORDS)
    }

    /// The bytes of a part, as they are stored.
    pub(crate) fn part(&self, part: usize) -> Vec<u8> {
        let words = self.words.chunks(PART_WORDS).nth(part).unwrap_or_default();
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Sets a part from its stored bytes; false if they have another length.
    pub(crate) fn set_part(&mut self, part: usize, bytes: &[u8]) -> bool {
        let Some(words) = self.words.chunks_mut(PART_WORDS).nth(part) else { return false };
        if bytes.len() != words.len() * 8 {
            return false;
        }
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        true
    }
}

/// A filter that is made again line by line and compared, so that it is not held twice.
#[derive(Debug)]
pub(crate) struct BloomCheck<'a> {
    bloom: &'a Bloom,
    /// Where the line begins that is being made.
    at: usize,
    line: [u64; LINE_WORDS],
    is_right: bool,
    keys: usize,
}

impl BloomCheck<'_> {
    /// Adds the next fingerprint. Ascending fingerprints have ascending lines.
    pub(crate) fn add(&mut self, fingerprint: u64) {
        let (line, bits) = self.bloom.line_of(fingerprint);
        while self.at < line {
            self.end_line();
        }
        self.is_right &= self.at == line;
        for bit in probes(bits) {
            self.line[bit / 64] |= 1 << (bit % 64);
        }
        self.keys += 1;
    }

    fn end_line(&mut self) {
        self.is_right &= self.bloom.words[self.at..self.at + LINE_WORDS] == self.line;
        self.line = [0; LINE_WORDS];
        self.at += LINE_WORDS;
    }

    /// True if the filter is the one of these fingerprints.
    pub(crate) fn finish(mut self) -> bool {
        while self.at < self.bloom.words.len() {
            self.end_line();
        }
        self.is_right && self.bloom.words.len() == lines_for(self.keys) * LINE_WORDS
    }
}

/// How many lines the filter of a number of keys has.
fn lines_for(keys: usize) -> usize {
    (keys * BITS_PER_KEY).div_ceil(LINE_BITS).max(1)
}

/// The bits of a fingerprint within its line.
fn probes(bits: u64) -> impl Iterator<Item = usize> {
    (0..PROBES).map(move |probe| (bits >> (1 + 9 * probe)) as usize % LINE_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(n: u64) -> u64 {
        let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[test]
    fn what_was_added_is_found_and_little_else_is() {
        let keys = 20_000;
        let mut bloom = Bloom::for_keys(keys as usize);
        (0..keys).for_each(|n| bloom.insert(spread(n)));
        let mut read = Bloom::for_keys(keys as usize);
        assert!(!read.set_part(0, &bloom.part(0)[8..]) && !read.set_part(1, &bloom.part(0)));
        assert!(bloom.parts() == 1 && read.set_part(0, &bloom.part(0)));
        assert!(read == bloom);
        assert!((0..keys).all(|n| bloom.may_contain(spread(n))));
        let wrong = (keys..keys * 11).filter(|n| bloom.may_contain(spread(*n))).count();
        assert!(wrong < 120, "{wrong} of 200,000 absent keys are taken to be present");
    }

    #[test]
    fn a_filter_is_checked_line_by_line() {
        let mut fingerprints: Vec<u64> = (0..5_000).map(spread).collect();
        fingerprints.sort_unstable();
        let mut bloom = Bloom::for_keys(fingerprints.len());
        fingerprints.iter().for_each(|fingerprint| bloom.insert(*fingerprint));
        let is_right = |bloom: &Bloom, fingerprints: &[u64]| {
            let mut check = bloom.check();
            fingerprints.iter().for_each(|fingerprint| check.add(*fingerprint));
            check.finish()
        };
        assert!(is_right(&bloom, &fingerprints));
        assert!(!is_right(&bloom, &fingerprints[1..]), "it has a bit too many");
        for word in [0, bloom.words.len() / 2, bloom.words.len() - 1] {
            let mut flipped = bloom.clone();
            flipped.words[word] ^= 1 << 33;
            assert!(!is_right(&flipped, &fingerprints));
        }
        fingerprints.swap(10, 4_000);
        assert!(!is_right(&bloom, &fingerprints), "out of order");
        assert!(is_right(&Bloom::for_keys(0), &[]));
    }
}
