//! Blocks: the layout of entries in the journal file.
//!
//! A block is one row of the journal's table: up to [`BLOCK_ENTRIES`] consecutive entries. Rows are
//! the expensive part of an append and bytes the cheap one, so entries share a row. Each entry
//! follows an [`EntryHeader`] with what only this engine knows of it. An offset table after the
//! entries finds one of them without decoding the others.
//!
//! Guarantee: the checksum finds every flipped bit when the block is read, also in the number of
//! its first entry, which is the key of the row: no entry is taken for another one. Damaged bytes
//! are [`Error::is_damaged`], never a panic; the assertions here are about what this program is
//! about to write.
//!
//! ```text
//! block = entries, offset of each entry (u32), number of entries (u32), CRC-32 (u32) of the
//!         sequence number of the first entry (u64) and all before
//! entry = account index, distance to the workspace's previous entry, distance to the entry that
//!         opened the charge which this entry is about (varints, 0 for "none"), canonical bytes
//! ```

use tollkeeper_ledger::{Entry, Hash};

use crate::Error;
use crate::hash::digest;

/// The most entries in a block: to read one entry, its whole block is read and checked.
pub(crate) const BLOCK_ENTRIES: usize = 128;

/// A block takes no further entry once it holds this many bytes: a row of this size spans a few
/// pages.
pub(crate) const BLOCK_BYTES: usize = 16 * 1024;

/// What this engine knows of an entry besides its canonical bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryHeader {
    /// The sequence number of the entry in the journal of all workspaces: 1, 2, 3 …
    pub seq: u64,
    /// The number of the workspace in this data directory; 0 is the platform's own chain.
    pub account_index: u32,
    /// The sequence number of the workspace's previous entry; 0 if there is none.
    pub previous: u64,
    /// The sequence number of the entry that opened the charge which this entry is about. 0 if it
    /// is about no charge, or opens one itself.
    pub opening_seq: u64,
}

impl EntryHeader {
    /// The sequence number of the entry that opened the charge which this entry opens or is about.
    pub fn charge_opening_seq(&self) -> u64 {
        if self.opening_seq == 0 { self.seq } else { self.opening_seq }
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

impl EntryHeader {
    /// Appends the header; the entry's canonical bytes are to follow.
    ///
    /// # Panics
    /// When the header points forwards: it could not be read back.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        assert!(self.previous < self.seq, "the previous entry comes before the entry");
        assert!(self.opening_seq < self.seq, "a charge is opened before the entries about it");
        let distance = |earlier: u64| if earlier == 0 { 0 } else { self.seq - earlier };
        push_varint(bytes, u64::from(self.account_index));
        push_varint(bytes, distance(self.previous));
        push_varint(bytes, distance(self.opening_seq));
    }

    /// Reads the header of entry `seq` and leaves its canonical bytes; `None` if it is none.
    fn read(seq: u64, bytes: &mut &[u8]) -> Option<EntryHeader> {
        let account_index = u32::try_from(take_varint(bytes)?).ok()?;
        let mut earlier = || match take_varint(bytes)? {
            0 => Some(0),
            distance => seq.checked_sub(distance),
        };
        Some(EntryHeader { seq, account_index, previous: earlier()?, opening_seq: earlier()? })
    }
}

/// An entry as it is stored: its header and its canonical bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored<'a> {
    pub header: EntryHeader,
    pub bytes: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Splits the bytes of entry `seq` into its header and its canonical bytes.
    pub(crate) fn parse(seq: u64, mut bytes: &'a [u8]) -> Result<Stored<'a>, Error> {
        let header = EntryHeader::read(seq, &mut bytes).ok_or_else(|| damaged(seq))?;
        Ok(Stored { header, bytes })
    }

    /// Decodes the entry.
    pub(crate) fn entry(&self) -> Result<Entry, Error> {
        Entry::decode(self.bytes)
            .map_err(|error| Error::damaged(format!("journal entry {}: {error}", self.header.seq)))
    }

    /// The hash of the entry, which the workspace's next entry carries (i02).
    pub(crate) fn hash(&self) -> Hash {
        digest(self.bytes)
    }
}

fn damaged(seq: u64) -> Error {
    Error::damaged(format!("journal entry {seq} cannot be read: its block is damaged"))
}

/// The checksum of a block: over the sequence number of its first entry and all bytes before it.
fn checksum(first: u64, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&first.to_le_bytes());
    crc.update(body);
    crc.finalize()
}

/// Makes a block of the entries in `bytes`: appends the offset table, the number of entries and the
/// checksum. `first`: the sequence number of the first entry; `offsets`: where each entry begins in
/// `bytes`.
///
/// # Panics
/// When the offsets are not those of a readable block.
pub(crate) fn finish_block(first: u64, bytes: &mut Vec<u8>, offsets: &[u32]) {
    assert!(first > 0, "entries are numbered from 1");
    assert!((1..=BLOCK_ENTRIES).contains(&offsets.len()), "a block holds 1 to {BLOCK_ENTRIES} entries");
    assert!(offsets[0] == 0, "the first entry of a block begins with the block");
    assert!(
        (offsets[offsets.len() - 1] as usize) < bytes.len(),
        "the last entry of a block lies in the block"
    );
    for offset in offsets {
        bytes.extend_from_slice(&offset.to_le_bytes());
    }
    bytes.extend_from_slice(&(offsets.len() as u32).to_le_bytes());
    let crc = checksum(first, bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
}

/// A block whose checksum was found right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    /// The sequence number of the first entry.
    first: u64,
    bytes: &'a [u8],
    count: usize,
    /// Where the offset table begins.
    offset_table: usize,
}

impl<'a> Block<'a> {
    /// Checks the bytes of a block whose first entry is `first`.
    pub(crate) fn open(first: u64, bytes: &'a [u8]) -> Result<Block<'a>, Error> {
        let parts = || {
            let (body, crc) = bytes.split_last_chunk::<4>()?;
            let (_, count) = body.split_last_chunk::<4>()?;
            let count = u32::from_le_bytes(*count) as usize;
            let table = body.len().checked_sub(4)?.checked_sub(count.checked_mul(4)?)?;
            (checksum(first, body) == u32::from_le_bytes(*crc)).then_some((count, table))
        };
        let (count, offset_table) = parts().ok_or_else(|| damaged(first))?;
        Ok(Block { first, bytes, count, offset_table })
    }

    /// The number of entries in the block.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Entry `seq` of the journal, if it is in this block.
    pub(crate) fn get(&self, seq: u64) -> Result<Option<Stored<'a>>, Error> {
        let Some(index) = seq.checked_sub(self.first).map(|index| index as usize) else {
            return Ok(None);
        };
        if index >= self.count {
            return Ok(None);
        }
        let offset = |index: usize| {
            let at = self.offset_table + 4 * index;
            let four = self.bytes.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(four) as usize)
        };
        let end = if index + 1 == self.count { Some(self.offset_table) } else { offset(index + 1) };
        let slice = offset(index).zip(end).and_then(|(from, to)| self.bytes.get(from..to));
        Stored::parse(seq, slice.ok_or_else(|| damaged(seq))?).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_block_is_found() {
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        for (seq, text) in [(7, "first"), (8, "second"), (9, "third")] {
            offsets.push(bytes.len() as u32);
            EntryHeader { seq, account_index: 3, previous: seq - 2, opening_seq: 0 }.write(&mut bytes);
            bytes.extend_from_slice(text.as_bytes());
        }
        finish_block(7, &mut bytes, &offsets);
        let block = Block::open(7, &bytes).expect("it was just sealed");
        let stored = block.get(8).expect("the block is whole").expect("the block holds entry 8");
        assert_eq!((stored.bytes, stored.header.previous), (&b"second"[..], 6));
        assert!(block.get(6).expect("the block is whole").is_none());
        assert!(block.get(10).expect("the block is whole").is_none());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Block::open(7, &flipped).is_err(), "bit {bit}");
        }
        for bit in 0..63 {
            assert!(Block::open(7 ^ 1 << bit, &bytes).is_err(), "bit {bit} of the key of the row");
        }
        for length in 0..bytes.len() {
            assert!(Block::open(7, &bytes[..length]).is_err(), "cut to {length}");
        }
    }
}
