//! Ids that contain the number of the entry that creates them, and the digest of an
//! idempotency key.
//!
//! A charge or grant is found by the primary key of its entry, so no index of ids is needed. An id
//! that another ledger made is a *foreign id*: it contains some other number and is found through
//! the table `moved`. The caller therefore always compares the id of what it found with the id it
//! searched for.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use tollkeeper_ledger::{Id, IdempotencyKey, Timestamp};

use super::database::session::Uuid;
use crate::Error;

/// The low bits of an id that hold the entry number: enough for 2.8 × 10^14 entries.
const NUMBER_BITS: u32 = 48;

/// Generates the ids of one lane.
#[derive(Debug)]
pub(super) struct Ids {
    hash_key: HashKey,
    /// How many ids were generated.
    count: u64,
}

/// The random key of the hash that makes ids unpredictable.
#[derive(Debug)]
struct HashKey {
    first: u64,
    second: u64,
}

impl Ids {
    /// A generator with a random key, so that its ids cannot be predicted.
    ///
    /// # Errors
    /// [`Error::is_unavailable`] if the operating system gives no random bytes.
    pub(super) fn new() -> Result<Ids, Error> {
        let random =
            || getrandom::u64().map_err(|error| Error::unavailable(format!("no random bytes: {error}")));
        Ok(Ids { hash_key: HashKey { first: random()?, second: random()? }, count: 0 })
    }

    /// A new id for the charge or grant that entry `n` of a workspace creates.
    pub(super) fn fresh(&mut self, now: Timestamp, n: u64) -> Id {
        assert!(n < 1 << NUMBER_BITS, "entry {n} does not fit into the 48 bits of an id");
        self.count += 1;
        let mut hasher = SipHasher13::new_with_keys(self.hash_key.first, self.hash_key.second);
        hasher.write_i64(now.millis());
        hasher.write_u64(self.count);
        let random = hasher.finish();
        Id::v7(now.millis(), (random >> 32) as u16, n | (random << NUMBER_BITS))
    }
}

/// The entry number in an id that this engine made. For any other id the number has no meaning.
pub(super) fn number_in(id: Id) -> i64 {
    (id.rand_b() & ((1 << NUMBER_BITS) - 1)) as i64
}

/// The value of the column `entry.key`: the first 16 bytes of the SHA-256 of the idempotency key.
/// Index entries are thus short and of one size. The caller compares the key of the entry it found
/// with the full key.
pub(super) fn key_digest(key: &IdempotencyKey) -> Uuid {
    let digest = crate::hash::digest(key.as_str().as_bytes());
    let [first, ..] = digest.as_chunks::<16>().0 else { unreachable!("a SHA-256 digest has 32 bytes") };
    Uuid(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_contains_its_entry_number_and_no_two_are_equal() {
        let mut ids = Ids::new().expect("the operating system gives random bytes");
        let now = Timestamp::from_millis(1_767_225_600_000);
        let made: Vec<Id> = [1, 2, (1 << NUMBER_BITS) - 1].map(|n| ids.fresh(now, n)).to_vec();
        assert_eq!(made.iter().map(|id| number_in(*id)).collect::<Vec<_>>(), [1, 2, (1 << NUMBER_BITS) - 1]);
        assert_ne!(ids.fresh(now, 1), made[0]);
    }
}
