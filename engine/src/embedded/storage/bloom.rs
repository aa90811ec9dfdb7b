//! A Bloom filter for the fingerprints in a run of the key index.
//!
//! It answers "surely not" for nearly every fingerprint that is not in the run, without a look at
//! the disk. It takes sixteen bits a key, and all probes of a key lie in one cache line, so a
//! question costs one access to memory.
//!
//! Guarantee: no false negatives. A fingerprint that was inserted is always found.

/// Bits of filter per key. With [`PROBES`] about one in 800 absent keys is taken to be present.
const BITS_PER_KEY: usize = 16;
const PROBES: u32 = 6;
const LINE_BITS: usize = 512;
const LINE_WORDS: usize = LINE_BITS / 64;

/// A blocked Bloom filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bloom {
    words: Vec<u64>,
}

impl Bloom {
    /// An empty filter for `keys` keys.
    pub(crate) fn for_keys(keys: usize) -> Bloom {
        let lines = (keys * BITS_PER_KEY).div_ceil(LINE_BITS).max(1);
        Bloom { words: vec![0; lines * LINE_WORDS] }
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
        for probe in 0..PROBES {
            let bit = (bits >> (10 + 9 * probe)) as usize % LINE_BITS;
            self.words[line + bit / 64] |= 1 << (bit % 64);
        }
    }

    /// False only if the fingerprint was never added.
    pub(crate) fn may_contain(&self, fingerprint: u64) -> bool {
        let (line, bits) = self.line_of(fingerprint);
        (0..PROBES).all(|probe| {
            let bit = (bits >> (10 + 9 * probe)) as usize % LINE_BITS;
            self.words[line + bit / 64] & (1 << (bit % 64)) != 0
        })
    }

    /// The bytes of the filter, as they are stored.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// The filter of stored bytes; `None` if they are not whole lines.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Bloom> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(LINE_BITS / 8) {
            return None;
        }
        let (words, _) = bytes.as_chunks::<8>();
        Some(Bloom { words: words.iter().map(|word| u64::from_le_bytes(*word)).collect() })
    }
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
        let bloom = Bloom::from_bytes(&bloom.to_bytes()).expect("a filter stores whole lines");
        assert!((0..keys).all(|n| bloom.may_contain(spread(n))));
        let wrong = (keys..keys * 11).filter(|n| bloom.may_contain(spread(*n))).count();
        assert!(wrong < 500, "{wrong} of 200,000 absent keys are taken to be present");
    }
}
