//! Ids that carry the number of the entry that makes them, so that a charge is found by the primary key of its entry,
//! without an index of ids. An id that another ledger made carries something else and is found in the table `moved`;
//! so whatever is found is compared with the id in full.

use std::hash::Hasher;

use sha2::Digest;
use siphasher::sip::SipHasher13;
use tollkeeper_ledger::{Id, IdempotencyKey, Timestamp};

use super::database::session::Uuid;
use crate::Error;

/// The number of an entry is kept in these low bits of the ids it makes: 2.8 × 10^14 entries.
const NUMBER_BITS: u32 = 48;

/// A maker of ids.
#[derive(Debug)]
pub(super) struct Ids {
    key: (u64, u64),
    made: u64,
}

impl Ids {
    /// A maker whose ids nobody outside can foretell.
    pub(super) fn new() -> Result<Ids, Error> {
        let word = || getrandom::u64().map_err(|error| Error::unavailable(format!("no entropy: {error}")));
        Ok(Ids { key: (word()?, word()?), made: 0 })
    }

    /// An id for whatever the entry of this number makes.
    pub(super) fn fresh(&mut self, now: Timestamp, n: u64) -> Id {
        self.made += 1;
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write_i64(now.millis());
        hasher.write_u64(self.made);
        let scattered = hasher.finish();
        Id::v7(now.millis(), (scattered >> 32) as u16, n | (scattered << NUMBER_BITS))
    }
}

/// The number that an id of this engine's own making carries; of any other id, some number.
pub(super) fn number_in(id: Id) -> i64 {
    (id.group_b() & ((1 << NUMBER_BITS) - 1)) as i64
}

/// What stands for an idempotency key in the index: its digest, so that all are short and of one size. Whatever is found
/// is compared with the key in full.
pub(super) fn fingerprint(key: &IdempotencyKey) -> Uuid {
    let digest: [u8; 32] = sha2::Sha256::digest(key.as_str()).into();
    let [first, ..] = digest.as_chunks::<16>().0 else { unreachable!("a digest has 32 bytes") };
    Uuid(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_its_number_and_is_no_other() {
        let mut ids = Ids::new().expect("entropy");
        let now = Timestamp::from_millis(1_767_225_600_000);
        let made: Vec<Id> = [1, 2, (1 << NUMBER_BITS) - 1].map(|n| ids.fresh(now, n)).to_vec();
        assert_eq!(made.iter().map(|id| number_in(*id)).collect::<Vec<_>>(), [1, 2, (1 << NUMBER_BITS) - 1]);
        assert_ne!(ids.fresh(now, 1), made[0]);
    }
}
