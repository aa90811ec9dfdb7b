//! Export and import: a whole ledger as one stream of bytes, from any engine to any engine.
//!
//! The stream holds the entries of all journals, byte for byte as they were written, and the texts
//! about persons that were not erased. Balances, grants, usage, pending charges, keys and ids
//! follow from them, and the importing engine derives them again. Hashes stay the same. A stream is
//! written and read from front to back in bounded memory.
//!
//! ```text
//! header    "tollkeeper ledger\n", then the version of the format (u32)
//! record    length of kind and content (u32), kind (one byte), content, checksum (u32)
//!   1 entry   length of the workspace id (one byte), workspace id, the entry's canonical bytes
//!   2 end     number of entries (u64) and of journals (u64) in the stream; nothing follows
//!   3 text    salt (32 bytes), a text that the next entry is the first to name by its digest
//! ```
//!
//! Integers are little-endian. A checksum is the CRC-32 of everything before it in the stream
//! except earlier checksums. So it finds a flipped bit, and also a record that is missing or in
//! another place. The entries of a workspace come in their order, and an entry of the platform
//! (`*`) before the entries that depend on it. Journals may follow one another or be mixed.
//!
//! [`StreamWriter`] writes a stream and [`StreamReader`] reads one. `Comparison` compares it with
//! what an engine already holds, so that an import can be repeated. How an engine takes an entry in
//! is in its own `import`.

pub(crate) mod compare;
mod format;
pub(crate) mod reader;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod writer;

pub(crate) use compare::Comparison;
pub use format::Counts;
pub use reader::{Position, StreamEntry, StreamReader};
pub use writer::StreamWriter;

/// The error of serving a directory or database whose import was begun and not finished.
pub(crate) fn unfinished() -> crate::Error {
    crate::Error::unusable("an import into it was begun and not finished: it holds a part of a ledger")
        .with_hint("repeat the import of the whole export; it continues where it ended")
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// What the stream held.
    pub stream: Counts,
    /// The number of its entries that were written now. The others were there already, and the
    /// same.
    pub written: u64,
}
