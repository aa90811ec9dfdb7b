//! The checksum of derived data: every stored account, team, grant and hour of usage is *sealed*.
//!
//! ```text
//! mark      one byte, 0x80
//! crc       CRC-32 of the payload, 4 bytes, little-endian
//! payload   the encoded account, team, payments, grant or usage
//! ```
//!
//! The team and the payments of a workspace are rows of their own. The row of the account names
//! their checksums, so that a row of an earlier time or of another workspace is noticed:
//!
//! ```text
//! mark      one byte, 0x87: more than one bit differs from 0x80
//! crc       CRC-32 of all that follows
//! team      the CRC-32 in the seal of the team, or zero without one
//! payments  the CRC-32 in the seal of the payments, or zero without them
//! payload   the encoded account
//! ```
//!
//! Accounts of earlier versions have the first form and name no other rows. Entries carry no seal:
//! the hash chain covers them.

use crate::Error;

const MARK: u8 = 0x80;
const ACCOUNT_MARK: u8 = 0x87;

/// The length of mark and checksum.
const SEAL_LENGTH: usize = 5;

/// The checksums of the rows that go with an account; zero for a row that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Companions {
    /// Of the team.
    pub team: u32,
    /// Of the payments.
    pub payments: u32,
}

impl Companions {
    /// Those of the rows that were read.
    pub(crate) fn of_rows(team: Option<&[u8]>, payments: Option<&[u8]>) -> Companions {
        let checksum = |row: Option<&[u8]>| {
            let crc = row.and_then(|row| row.get(1..SEAL_LENGTH)?.first_chunk::<4>());
            crc.map_or(0, |crc| u32::from_le_bytes(*crc))
        };
        Companions { team: checksum(team), payments: checksum(payments) }
    }
}

/// Encodes a payload and seals it. `capacity`: the length that the payload probably has.
pub(crate) fn sealed(capacity: usize, encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SEAL_LENGTH + capacity);
    bytes.extend_from_slice(&[MARK, 0, 0, 0, 0]);
    encode(&mut bytes);
    set_checksum(bytes)
}

/// Encodes an account and seals it with the names of the rows that go with it.
pub(crate) fn sealed_account(
    capacity: usize,
    Companions { team, payments }: Companions,
    encode: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SEAL_LENGTH + 8 + capacity);
    bytes.extend_from_slice(&[ACCOUNT_MARK, 0, 0, 0, 0]);
    bytes.extend_from_slice(&team.to_le_bytes());
    bytes.extend_from_slice(&payments.to_le_bytes());
    encode(&mut bytes);
    set_checksum(bytes)
}

fn set_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
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
    checked(bytes, MARK).ok_or_else(|| Error::damaged(OTHER_BYTES))
}

/// The payload of a sealed account, and the rows that it names; `None` for one of an earlier
/// version.
///
/// # Errors
/// [`Error::is_damaged`] as for [`unsealed`].
pub(crate) fn unsealed_account(bytes: &[u8]) -> Result<(&[u8], Option<Companions>), Error> {
    if bytes.first() == Some(&MARK) {
        return Ok((unsealed(bytes)?, None));
    }
    let payload = checked(bytes, ACCOUNT_MARK);
    let parts = payload.and_then(|payload| {
        let (team, rest) = payload.split_first_chunk::<4>()?;
        let (payments, rest) = rest.split_first_chunk::<4>()?;
        Some((rest, u32::from_le_bytes(*team), u32::from_le_bytes(*payments)))
    });
    let (rest, team, payments) = parts.ok_or_else(|| Error::damaged(OTHER_BYTES))?;
    Ok((rest, Some(Companions { team, payments })))
}

const OTHER_BYTES: &str = "the checksum of a stored row is that of other bytes";

/// What follows a seal with this mark, if its checksum is right.
fn checked(bytes: &[u8], mark: u8) -> Option<&[u8]> {
    let (crc, payload) = bytes.strip_prefix(&[mark])?.split_first_chunk::<4>()?;
    (crc32fast::hash(payload) == u32::from_le_bytes(*crc)).then_some(payload)
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

    #[test]
    fn an_account_names_the_rows_that_go_with_it() {
        let team = sealed(4, |bytes| bytes.extend_from_slice(b"team"));
        let companions = Companions::of_rows(Some(&team), None);
        assert_ne!(companions.team, 0);
        assert_eq!(companions.payments, 0);
        let bytes = sealed_account(7, companions, |bytes| bytes.extend_from_slice(b"account"));
        let read = unsealed_account(&bytes).expect("it is as it was sealed");
        assert_eq!(read, (&b"account"[..], Some(companions)));
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(unsealed_account(&changed).is_err(), "bit {bit} has changed");
        }
        let earlier = sealed(7, |bytes| bytes.extend_from_slice(b"account"));
        let read = unsealed_account(&earlier).expect("an earlier version sealed it");
        assert_eq!(read, (&b"account"[..], None));
        assert!(unsealed_account(&bytes[..8]).is_err(), "it is cut");
    }
}
