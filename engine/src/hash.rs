//! SHA-256: the one digest of the engines.
//!
//! The hash of an entry is the digest of its canonical bytes. The next entry of the workspace
//! carries it (i02), so a hash stands for all entries up to it. Checksums that find damage but not
//! forgery are CRC-32, beside the bytes they protect.

use sha2::{Digest, Sha256};
use tollkeeper_ledger::Hash;

/// The SHA-256 digest of `bytes`.
#[must_use]
pub fn digest(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn the_digest_is_sha_256() {
        // FIPS 180-4, example "abc".
        assert_eq!(digest(b"abc")[..8], [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]);
    }
}
