//! A seeded random number generator for everything that the simulator draws.
//!
//! The simulator promises "same seed, same bytes". So its random numbers come neither from the
//! system nor from a dependency, which may change its stream between versions. The generator is
//! SplitMix64: one addition and three mixing steps, a period of 2^64, and no weak seeds.
//! Guarantee: equal seeds give equal streams, on every machine and in every build.
//! Not here: secrets. A key or a session id must never be drawn from this generator.

/// A stream of numbers that depends on its seed alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`. Panics if `bound` is zero.
    ///
    /// The result is the high half of a 128-bit product. Its bias is below `bound / 2^64`, which no
    /// simulation could notice. Each call draws exactly one number, so streams stay aligned for all
    /// bounds.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a bound is at least 1");
        let product = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64).expect("the high half of a 128-bit product fits 64 bits")
    }

    /// An index in `0..length`, for an element of a slice.
    pub fn index(&mut self, length: usize) -> usize {
        let bound = u64::try_from(length).expect("a length fits 64 bits");
        usize::try_from(self.below(bound)).expect("an index below a length fits usize")
    }

    /// True in `per_mille` cases of a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of the items. Panics if the slice is empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn same_seed_same_numbers() {
        let mut random = Random::new(0);
        // The first three outputs of SplitMix64 for seed 0, as published with the algorithm.
        assert_eq!(random.next_u64(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(random.next_u64(), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(random.next_u64(), 0x06c4_5d18_8009_454f);
    }

    #[test]
    fn choices_stay_in_bounds_and_reach_every_item() {
        let mut random = Random::new(7);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[random.index(5)] = true;
            assert!(random.below(3) < 3);
            assert!(!random.chance(0));
            assert!(random.chance(1000));
        }
        assert_eq!(seen, [true; 5]);
        assert!([1, 2, 3].contains(random.pick(&[1, 2, 3])));
    }
}
