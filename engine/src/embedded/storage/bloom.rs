//! A filter that says "surely not" of nearly every fingerprint that is not in a run of the key index, by one look into
//! memory: sixteen bits a key, all probes of a key in one cache line. Never wrong about a key that is in.

/// Bits of filter per key; with [`PROBES`] about one in eight hundred strangers passes.
const BITS_PER_KEY: usize = 16;
const PROBES: u32 = 6;
const LINE_BITS: usize = 512;
const LINE_WORDS: usize = LINE_BITS / 64;

/// A blocked Bloom filter.
#[derive(Clone, Debug)]
pub(crate) struct Bloom {
    words: Vec<u64>,
}

impl Bloom {
    /// A filter for so many keys.
    pub(crate) fn for_keys(keys: usize) -> Bloom {
        let lines = (keys * BITS_PER_KEY).div_ceil(LINE_BITS).max(1);
        Bloom { words: vec![0; lines * LINE_WORDS] }
    }

    /// The line of a fingerprint (by its high half) and the bits in it (by its low half).
    fn place(&self, fingerprint: u64) -> (usize, u64) {
        let lines = (self.words.len() / LINE_WORDS) as u64;
        let line = ((fingerprint >> 32) * lines) >> 32;
        // Fingerprints are uniform; the multiplication spreads the low half over the bits the probes use.
        (line as usize * LINE_WORDS, (fingerprint as u32 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Puts a fingerprint in.
    pub(crate) fn insert(&mut self, fingerprint: u64) {
        let (line, bits) = self.place(fingerprint);
        for probe in 0..PROBES {
            let bit = (bits >> (10 + 9 * probe)) as usize % LINE_BITS;
            self.words[line + bit / 64] |= 1 << (bit % 64);
        }
    }

    /// Whether a fingerprint may be in.
    pub(crate) fn may_contain(&self, fingerprint: u64) -> bool {
        let (line, bits) = self.place(fingerprint);
        (0..PROBES).all(|probe| {
            let bit = (bits >> (10 + 9 * probe)) as usize % LINE_BITS;
            self.words[line + bit / 64] & (1 << (bit % 64)) != 0
        })
    }

    /// The bytes, to be kept.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// The filter of these bytes, if they are whole lines.
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
    fn what_is_in_is_found_and_few_strangers_pass() {
        let keys = 20_000;
        let mut bloom = Bloom::for_keys(keys as usize);
        (0..keys).for_each(|n| bloom.insert(spread(n)));
        let bloom = Bloom::from_bytes(&bloom.to_bytes()).expect("whole lines");
        assert!((0..keys).all(|n| bloom.may_contain(spread(n))));
        let strangers = (keys..keys * 11).filter(|n| bloom.may_contain(spread(*n))).count();
        assert!(strangers < 500, "{strangers} of 200,000 strangers pass");
    }
}
