//! The numbers of the stream's format, and what a stream holds.

/// The first bytes of every stream.
pub(super) const MAGIC: &[u8; 18] = b"tollkeeper ledger\n";

/// The version of the format; a reader refuses a newer one.
pub(super) const VERSION: u32 = 7;

/// The version of the first release. No program reads those of builds before it.
pub(super) const FIRST_VERSION: u32 = 3;

/// The kind of a record that holds an entry.
pub(super) const ENTRY: u8 = 1;

/// The kind of the last record.
pub(super) const END: u8 = 2;

/// The kind of a record that holds a text about a person.
pub(super) const TEXT: u8 = 3;

/// The length of a salt.
pub(super) const SALT_BYTES: usize = 32;

/// The most texts that one entry names.
pub(super) const TEXTS_MAX: usize = 2;

/// The length of the end record: its kind and two counts.
pub(super) const END_BYTES: usize = 1 + 8 + 8;

/// The longest record. The largest price book takes a hundredth of it; it bounds the memory that a
/// damaged length asks for.
pub(super) const RECORD_MAX_BYTES: usize = 16 << 20;

/// How much a stream holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of entries, those of the platform included.
    pub entries: u64,
    /// The number of journals: one a workspace, and the platform's.
    pub journals: u64,
}
