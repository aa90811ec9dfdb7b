//! Blocks: how entries lie in the journal. A block is one row: up to [`BLOCK_ENTRIES`] entries in sequence, each behind
//! an envelope with what only this engine knows, then where each begins, then a checksum.
//!
//! Rows are the dear part of an append, bytes the cheap one, so entries share a row; a single entry is still found by
//! one look-up, through the table of beginnings. Keeps: a flipped bit is found when the block is read.
//!
//! ```text
//! entry 0 | entry 1 | … | beginning of each (u32) | count (u32) | CRC-32 of all before (u32)
//! entry  = workspace number, distance to the workspace's previous entry, distance to the entry that opened the charge
//!          this one is about (both 0 if there is none), then the ledger's canonical bytes
//! ```

use tollkeeper_ledger::{Entry, Hash};

use crate::Error;

/// The most entries in a block: reading one entry reads its block.
pub(crate) const BLOCK_ENTRIES: usize = 128;

/// A block is closed once it holds so much: a row of this size spans a few pages.
pub(crate) const BLOCK_BYTES: usize = 16 * 1024;

/// What only this engine knows of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// The place of the entry in the whole journal: 1, 2, 3 …
    pub seq: u64,
    /// The workspace, by number.
    pub account_index: u32,
    /// The place of the workspace's previous entry; 0 if there is none.
    pub previous: u64,
    /// The place of the entry that opened the charge this one is about; 0 if it is about none, or opens it.
    pub opened: u64,
}

impl Envelope {
    /// The place of the opening of the charge that the entry is about or opens.
    pub fn opening(&self) -> u64 {
        if self.opened == 0 { self.seq } else { self.opened }
    }
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

impl Envelope {
    /// Appends the envelope; the entry's canonical bytes follow.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        let distance = |place: u64| if place == 0 { 0 } else { self.seq - place };
        push_varint(bytes, u64::from(self.account_index));
        push_varint(bytes, distance(self.previous));
        push_varint(bytes, distance(self.opened));
    }

    /// Reads the envelope of the entry at `seq` and leaves its canonical bytes.
    fn read(seq: u64, bytes: &mut &[u8]) -> Option<Envelope> {
        let account_index = u32::try_from(take_varint(bytes)?).ok()?;
        let mut place = || match take_varint(bytes)? {
            0 => Some(0),
            distance => seq.checked_sub(distance),
        };
        Some(Envelope { seq, account_index, previous: place()?, opened: place()? })
    }
}

/// An entry with its envelope and its canonical bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored<'a> {
    pub envelope: Envelope,
    pub bytes: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Takes apart what [`Envelope::write`] and the ledger wrote.
    pub(crate) fn parse(seq: u64, mut bytes: &'a [u8]) -> Result<Stored<'a>, Error> {
        let envelope = Envelope::read(seq, &mut bytes).ok_or_else(|| damaged(seq))?;
        Ok(Stored { envelope, bytes })
    }

    /// The entry.
    pub(crate) fn entry(&self) -> Result<Entry, Error> {
        Entry::decode(self.bytes)
            .map_err(|error| Error::damaged(format!("journal line {}: {error}", self.envelope.seq)))
    }

    /// The hash that the workspace's next entry carries.
    pub(crate) fn hash(&self) -> Hash {
        digest(self.bytes)
    }
}

/// The digest of the hash chain: SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> Hash {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

fn damaged(seq: u64) -> Error {
    Error::damaged(format!("journal line {seq} cannot be read: its block is damaged"))
}

/// Appends the end of a block to its entries, which begin at `beginnings` (relative to `bytes`).
pub(crate) fn seal(bytes: &mut Vec<u8>, beginnings: &[u32]) {
    for beginning in beginnings {
        bytes.extend_from_slice(&beginning.to_le_bytes());
    }
    bytes.extend_from_slice(&(beginnings.len() as u32).to_le_bytes());
    let crc = crc32fast::hash(bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
}

/// A block whose checksum is right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    first: u64,
    bytes: &'a [u8],
    count: usize,
    table: usize,
}

impl<'a> Block<'a> {
    /// Checks a block whose first entry is at `first`.
    pub(crate) fn open(first: u64, bytes: &'a [u8]) -> Result<Block<'a>, Error> {
        let parts = || {
            let (body, crc) = bytes.split_last_chunk::<4>()?;
            let (_, count) = body.split_last_chunk::<4>()?;
            let count = u32::from_le_bytes(*count) as usize;
            let table = body.len().checked_sub(4)?.checked_sub(count.checked_mul(4)?)?;
            (crc32fast::hash(body) == u32::from_le_bytes(*crc)).then_some((count, table))
        };
        let (count, table) = parts().ok_or_else(|| damaged(first))?;
        Ok(Block { first, bytes, count, table })
    }

    /// How many entries it holds.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The entry at this place in the journal, if it is in this block.
    pub(crate) fn get(&self, seq: u64) -> Result<Option<Stored<'a>>, Error> {
        let Some(index) = seq.checked_sub(self.first).map(|index| index as usize) else {
            return Ok(None);
        };
        if index >= self.count {
            return Ok(None);
        }
        let beginning = |index: usize| {
            let at = self.table + 4 * index;
            let four = self.bytes.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(four) as usize)
        };
        let end = if index + 1 == self.count { Some(self.table) } else { beginning(index + 1) };
        let slice = beginning(index).zip(end).and_then(|(from, to)| self.bytes.get(from..to));
        Stored::parse(seq, slice.ok_or_else(|| damaged(seq))?).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_block_is_found() {
        let (mut bytes, mut beginnings) = (Vec::new(), Vec::new());
        for (seq, text) in [(7, "first"), (8, "second"), (9, "")] {
            beginnings.push(bytes.len() as u32);
            Envelope { seq, account_index: 3, previous: seq - 2, opened: 0 }.write(&mut bytes);
            bytes.extend_from_slice(text.as_bytes());
        }
        seal(&mut bytes, &beginnings);
        let block = Block::open(7, &bytes).expect("as sealed");
        let stored = block.get(8).expect("readable").expect("there");
        assert_eq!((stored.bytes, stored.envelope.previous), (&b"second"[..], 6));
        assert!(block.get(6).expect("readable").is_none());
        assert!(block.get(10).expect("readable").is_none());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Block::open(7, &flipped).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Block::open(7, &bytes[..length]).is_err(), "cut to {length}");
        }
    }
}
