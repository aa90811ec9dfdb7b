//! SHA-256 digests as the ledger sees them: 32 bytes that the caller computed.
//!
//! The ledger links entries by hashes and compares the hashes of secrets, but computes none: it has
//! no dependencies, and which bytes are hashed is decided where they are written (the canonical
//! bytes of an entry, see `entry_codec`).

/// A SHA-256 digest: of an entry's canonical bytes, or of a secret.
pub type Hash = [u8; 32];

/// The digest in 64 lower-case hexadecimal digits.
///
/// ```
/// let hash = [0xa5; 32];
/// assert_eq!(tollkeeper_ledger::hex(&hash), "a5".repeat(32));
/// ```
#[must_use]
pub fn hex(hash: &Hash) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits =
        hash.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    let text: String = digits.map(char::from).collect();
    assert!(text.len() == 2 * hash.len(), "a byte must be two hexadecimal digits");
    text
}

/// Compares hashes of secrets in constant time, so that the time tells nothing about how much of
/// them is equal.
pub(crate) fn constant_time_eq(one: &Hash, other: &Hash) -> bool {
    one.iter().zip(other).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_that_differ_in_one_bit_are_different() {
        let one = [7; 32];
        assert!(constant_time_eq(&one, &[7; 32]));
        for byte in [0, 31] {
            let mut other = one;
            other[byte] ^= 0x80;
            assert!(!constant_time_eq(&one, &other));
        }
    }
}
