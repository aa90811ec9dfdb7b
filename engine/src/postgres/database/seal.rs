//! The checksum of derived data: every stored account, team, grant and hour of usage is *sealed*.
//!
//! ```text
//! mark      one byte, 0x80
//! crc       CRC-32 of the payload, 4 bytes, little-endian
//! payload   the encoded account, team, grant or usage
//! ```
//!
//! Entries carry no seal: the hash chain covers them.

use crate::Error;

const MARK: u8 = 0x80;

/// The length of mark and checksum.
const SEAL_LENGTH: usize = 5;

/// Encodes a payload and seals it. `capacity`: the length that the payload probably has.
pub(crate) fn sealed(capacity: usize, encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SEAL_LENGTH + capacity);
    bytes.extend_from_slice(&[MARK, 0, 0, 0, 0]);
    encode(&mut bytes);
    assert!(bytes.len() >= SEAL_LENGTH, "encoding appends");
    let crc = crc32fast::hash(&bytes[SEAL_LENGTH..]);
    bytes[1..SEAL_LENGTH].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The payload of sealed bytes.
///
/// # Errors
/// [`Error::is_damaged`] without the mark, or if the checksum is that of another payload.
pub(crate) fn unsealed(bytes: &[u8]) -> Result<&[u8], Error> {
    let sealed = bytes.strip_prefix(&[MARK]);
    match sealed.and_then(|sealed| sealed.split_first_chunk::<4>()) {
        Some((crc, payload)) if crc32fast::hash(payload) == u32::from_le_bytes(*crc) => Ok(payload),
        _ => Err(Error::damaged("the checksum of a stored row is that of other bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let bytes = sealed(8, |bytes| bytes.extend_from_slice(b"\x01account"));
        assert_eq!(unsealed(&bytes).expect("it is as it was sealed"), b"\x01account");
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(unsealed(&changed).expect_err("one bit has changed").is_damaged());
        }
        for cut in 0..bytes.len() {
            assert!(unsealed(&bytes[..cut]).expect_err("it is cut").is_damaged());
        }
    }
}
