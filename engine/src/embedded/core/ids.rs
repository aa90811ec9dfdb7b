//! From an id to the entry that made it, and back.
//!
//! An id that this engine makes holds the sequence number of its entry. An id that came with an
//! imported ledger does so only if all entries were imported in the order in which they were first
//! written. Otherwise it is *foreign*, and the key index finds its entry by name.

use tollkeeper_ledger::{Entry, EntryBody, Id};

/// The bits of an id that hold the sequence number of its entry: enough for 2.8 × 10^14 entries.
const SEQ_BITS: u32 = 48;

/// The id of the entry `seq`: `millis` for its time, `random` for what nobody outside can predict.
///
/// # Panics
/// When the sequence number does not fit.
pub(crate) fn id_with_seq(millis: i64, random: u64, seq: u64) -> Id {
    assert!(seq < 1 << SEQ_BITS, "a sequence number fits into an id");
    Id::v7(millis, (random >> 32) as u16, seq | (random << SEQ_BITS))
}

/// The sequence number that an id of this engine's own holds; of any other id, some number.
pub(crate) fn seq_of_id(id: Id) -> u64 {
    id.rand_b() & ((1 << SEQ_BITS) - 1)
}

/// The id of the charge or grant that an entry makes.
pub(crate) fn id_made_by(entry: &Entry) -> Option<Id> {
    match &entry.body {
        EntryBody::ChargeOpened(details) => Some(details.id.0),
        EntryBody::Granted { grant, .. } => Some(grant.id.0),
        _ => None,
    }
}

/// The id that entry `seq` makes, if it does not hold that number.
pub(crate) fn foreign_id(entry: &Entry, seq: u64) -> Option<Id> {
    id_made_by(entry).filter(|id| seq_of_id(*id) != seq)
}

/// True if the key index leads from a charge to this entry about it. A heartbeat is left out: it
/// changes the deadline only, which is kept for each pending charge.
pub(crate) fn is_change_indexed(entry: &Entry, opening_seq: u64) -> bool {
    opening_seq != 0 && !matches!(entry.body, EntryBody::ChargeExtended { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_holds_the_sequence_number_of_its_entry() {
        for seq in [1, 2, 1_000_000, (1 << SEQ_BITS) - 1] {
            assert_eq!(seq_of_id(id_with_seq(1_767_225_600_000, u64::MAX, seq)), seq);
            assert_eq!(seq_of_id(id_with_seq(0, 0, seq)), seq);
        }
    }
}
