//! A flight: entries that were decided and are on their way to the disk while more is being decided.
//!
//! A large batch takes the disk some milliseconds; the writer decides the next one meanwhile, on top of what is under way.
//! So nothing of the next is answered, and nothing that is derived from entries is kept, before the flight has landed.
//! There is one flight at most: entries are appended in their order. An [`Appender`] flies it, with a connection of its own.

use std::path::Path;
use std::sync::Arc;

use crate::Error;
use crate::embedded::storage::journal::{Journal, Tail};
use crate::embedded::storage::sqlite::Access;

/// Entries on their way to the disk.
#[derive(Clone, Debug)]
pub struct InFlightBatch {
    /// The place of the first.
    from: u64,
    tail: Arc<Tail>,
    /// Whether the last pages of the WAL are to be moved into the file afterwards.
    wal_rest: bool,
}

impl InFlightBatch {
    pub(crate) fn new(from: u64, tail: Tail, wal_rest: bool) -> InFlightBatch {
        InFlightBatch { from, tail: Arc::new(tail), wal_rest }
    }

    /// How many bytes of entries it carries.
    pub(crate) fn bytes(&self) -> u64 {
        self.tail.bytes.len() as u64
    }

    /// Whether [`Appender::move_journal_rest`] is to follow, when everyone has been answered.
    #[must_use]
    pub fn finishes_wal_checkpoint(&self) -> bool {
        self.wal_rest
    }

    /// The bytes of the entry at a place, if it is aboard.
    pub(crate) fn get(&self, seq: u64) -> Option<&[u8]> {
        self.tail.get(usize::try_from(seq.checked_sub(self.from)?).ok()?)
    }

    /// Its memory again, emptied, if nobody else holds it any more.
    pub(crate) fn into_tail(self) -> Option<Tail> {
        let mut tail = Arc::into_inner(self.tail)?;
        tail.clear();
        Some(tail)
    }
}

/// Whoever brings flights to the disk.
#[derive(Debug)]
pub struct Appender {
    journal: Journal,
}

impl Appender {
    pub(crate) fn open(directory: &Path, vfs: Option<&str>) -> Result<Appender, Error> {
        Ok(Appender { journal: Journal::open(directory, vfs, Access::Write)? })
    }

    /// Appends a flight in one database transaction: when this returns, it is on disk.
    ///
    /// # Errors
    /// When it may not be on disk: the heart must be told ([`crate::embedded::Heart::landed`]) before it decides more.
    pub fn append(&mut self, in_flight: &InFlightBatch) -> Result<(), Error> {
        self.journal.append(in_flight.from, &in_flight.tail)
    }

    /// Moves the last pages of the WAL into the file, so that it starts again from its beginning.
    pub fn finish_wal_checkpoint(&mut self) {
        // Whoever keeps the WAL short meets the same failure and tells it; nothing is lost by it.
        let _ = self.journal.checkpoint();
    }
}
