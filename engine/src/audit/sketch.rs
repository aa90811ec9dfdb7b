//! Checksums of sets of rows that are too many to be held: [`Sketch`].
//!
//! The sketch of a set is the sum of one 128-bit number for each of its rows, so the order of the
//! rows does not matter and a row can be removed again. Usage rows also add up: the sketch of
//! partial sums is the sketch of the whole sums. The numbers come from SipHash under a key that is
//! drawn for each audit. So rows that differ have the same sketch with a probability below 2^-60,
//! and nobody who writes rows can choose them to agree.

use std::hash::{Hash, Hasher};

use siphasher::sip128::{Hasher128, SipHasher13};
use tollkeeper_ledger::{UsageKey, UsageSums};

use crate::Error;

/// The checksum of a set of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sketch(u128);

impl Sketch {
    /// Adds a row.
    pub(crate) fn add(&mut self, row: u128) {
        self.0 = self.0.wrapping_add(row);
    }

    /// Removes a row that was added before.
    pub(crate) fn remove(&mut self, row: u128) {
        self.0 = self.0.wrapping_sub(row);
    }
}

/// Makes the numbers of rows.
#[derive(Debug)]
pub(crate) struct Sketcher {
    key: [u8; 16],
    /// One factor for each of the sums of a usage row.
    factors: [u128; 4],
}

impl Sketcher {
    /// A sketcher under a fresh key.
    ///
    /// # Errors
    /// [`Error::is_unavailable`] if the system has no random bytes.
    pub(crate) fn new() -> Result<Sketcher, Error> {
        let mut key = [0; 16];
        let filled = getrandom::fill(&mut key);
        filled.map_err(|error| Error::unavailable(format!("no random bytes: {error}")))?;
        let mut sketcher = Sketcher { key, factors: [0; 4] };
        for index in 0..4 {
            // An odd factor can be divided by, so none of the sums is lost.
            sketcher.factors[index] = sketcher.row(&("factor", index)) | 1;
        }
        Ok(sketcher)
    }

    /// The number of a row.
    pub(crate) fn row(&self, row: &impl Hash) -> u128 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        row.hash(&mut hasher);
        hasher.write_u8(0xff);
        hasher.finish128().as_u128()
    }

    /// The number of a usage row. It is linear in the sums: rows with one key may be added in
    /// parts. How an hour is divided does not count: rows from before hours were divided are right,
    /// and so are those of a program with other rules for a time zone.
    pub(crate) fn usage(&self, key: &UsageKey, sums: UsageSums) -> u128 {
        let UsageSums { runs, quantity, charged, refunded } = sums;
        let sums = [runs, quantity, charged.get(), refunded.get()];
        let products = sums.iter().zip(self.factors).map(|(sum, factor)| (*sum as u128).wrapping_mul(factor));
        products.fold(0, u128::wrapping_add).wrapping_mul(self.row(&(
            "usage",
            key.hour,
            &key.spender,
            &key.meter,
        )))
    }
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{HourPart, Micros, OperationId, Spender};

    use super::*;

    fn key(hour: i64) -> UsageKey {
        let operation = OperationId::new("message").expect("an allowed name");
        let spender = Spender { operation, worker: None, member: None, api_key: None };
        UsageKey { hour, part: HourPart::WHOLE, spender, meter: None }
    }

    fn sums(runs: i64, charged: i64) -> UsageSums {
        let (charged, refunded) = (Micros::new(charged), Micros::ZERO);
        UsageSums { runs, quantity: runs, charged, refunded }
    }

    #[test]
    fn usage_in_parts_and_in_another_order_has_the_sketch_of_its_sum() {
        let sketcher = Sketcher::new().expect("the system has random bytes");
        let sketch = |rows: &[(i64, UsageSums)]| {
            let mut sketch = Sketch::default();
            rows.iter().for_each(|(hour, sums)| sketch.add(sketcher.usage(&key(*hour), *sums)));
            sketch
        };
        let whole = sketch(&[(1, sums(3, 1_500)), (2, sums(1, 500))]);
        assert_eq!(sketch(&[(2, sums(1, 500)), (1, sums(1, 500)), (1, sums(2, 1_000))]), whole);
        assert_ne!(sketch(&[(2, sums(2, 1_000)), (1, sums(2, 1_000))]), whole, "another hour");
        assert_ne!(sketch(&[(1, sums(3, 1_499)), (2, sums(1, 501))]), whole, "other amounts");
    }

    #[test]
    fn a_row_that_is_removed_leaves_nothing() {
        let sketcher = Sketcher::new().expect("the system has random bytes");
        let mut sketch = Sketch::default();
        sketch.add(sketcher.row(&(1, 2)));
        sketch.add(sketcher.row(&(3, 4)));
        sketch.remove(sketcher.row(&(1, 2)));
        let mut other = Sketch::default();
        other.add(sketcher.row(&(3, 4)));
        assert_eq!(sketch, other);
    }
}
