//! Moving house: a whole ledger as one stream of bytes, from any engine to any engine.
//!
//! The stream holds the entries of all journals as they are, byte by byte, and nothing else: balances, grants, usage, what
//! is pending, keys and ids follow from them, so they come along by being derived again. Hashes stay what they were. It
//! is read and written from front to back in bounded memory.
//!
//! ```text
//! header    "tollkeeper ledger\n", then the version of the format (u32)
//! record    length of what follows up to the checksum (u32), one byte for its kind, what it holds, checksum (u32)
//!   1 entry   length of the workspace's name (one byte), the name, the entry's canonical bytes
//!   2 end     how many entries (u64) in how many journals (u64) came before; nothing follows
//! ```
//!
//! Numbers lie with their lowest byte first. A checksum is the CRC-32 of everything before it in the stream except
//! earlier checksums, so that not only a flipped bit is found but also a record that is missing or in another place. The
//! entries of a workspace come in their order, and an entry of the platform (`*`) before whatever needs it; journals may
//! lie one after the other or mixed.
//!
//! [`Outgoing`] writes a stream, [`Incoming`] reads one, and `overlap` compares it with what is there already, so that an
//! import can be repeated. What an engine does with an entry that is new to it is the engine's (`import`).

pub(crate) mod compare;
pub(crate) mod reader;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod writer;

pub(crate) use compare::Comparison;
pub use reader::{Line, Position, StreamReader};
pub use writer::StreamWriter;

/// What every stream begins with.
const MAGIC: &[u8; 18] = b"tollkeeper ledger\n";

/// The version of the format; a reader refuses a newer one. With the second come entries about teams.
const VERSION: u32 = 2;

/// The kinds of records.
const ENTRY: u8 = 1;
const END: u8 = 2;

/// The length of the end record: its kind and two counts.
const END_BYTES: usize = 1 + 8 + 8;

/// The longest record: the largest price book is a hundredth of it, and a damaged length asks for no more memory.
const RECORD_MAX_BYTES: usize = 16 << 20;

/// Why what an import has begun is not served.
pub(crate) fn unfinished() -> crate::Error {
    crate::Error::unusable("an import into it was begun and not finished: it holds a part of a ledger")
        .with_hint("repeat the import of the whole export; it goes on where it ended")
}

/// How much a stream holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries, those of the platform included.
    pub entries: u64,
    /// Journals: one a workspace, and the platform's.
    pub journals: u64,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// What the stream held.
    pub stream: Counts,
    /// How many of its entries were written now; the others were there already, and the same.
    pub written: u64,
}
