//! Entry codec: arbitrary bytes are refused or decoded, never a panic, and an entry has one
//! encoding: the bytes that decode to it are the bytes it encodes to. The hash chain relies on
//! that.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tollkeeper_ledger::{Entry, Micros};

fuzz_target!(|bytes: &[u8]| {
    let Ok(entry) = Entry::decode(bytes) else { return };
    // Only an entry that the ledger could have made is encoded: the sum of its draws is an amount.
    let mut draws = entry.body.draws().iter();
    if draws.try_fold(Micros::ZERO, |sum, draw| sum.checked_add(draw.amount)).is_none() {
        return;
    }
    let mut encoded = Vec::new();
    entry.encode(&mut encoded);
    assert_eq!(encoded, bytes, "two encodings of one entry: {entry:?}");
});
