//! Entries that were recorded and are not on disk yet: the tail, and the batch in flight before it.
//!
//! A large batch takes the disk some milliseconds. The writer decides the next batch meanwhile, on
//! top of the one in flight. So nothing of the next batch is answered, and nothing that is derived
//! from entries is persisted, before the batch in flight is on disk.
//!
//! Invariant: entries are appended in their order, so at most one batch is in flight, and the tail
//! begins where it ends. An [`Appender`] with a connection of its own brings a batch to the disk,
//! on any thread.

use std::path::Path;
use std::sync::Arc;

use crate::Error;
use crate::embedded::storage::block::Envelope;
use crate::embedded::storage::journal::{Journal, Tail};
use crate::embedded::storage::sqlite::Access;

/// Consecutive entries that are being appended to the journal.
#[derive(Clone, Debug)]
pub struct InFlightBatch {
    /// The sequence number of the first entry.
    first: u64,
    tail: Arc<Tail>,
    /// True if the rest of the WAL is to be moved into the file afterwards.
    wal_rest: bool,
}

impl InFlightBatch {
    /// The number of bytes that are appended.
    pub(crate) fn bytes(&self) -> u64 {
        self.tail.bytes.len() as u64
    }

    /// True if [`Appender::finish_wal_checkpoint`] is to follow, after the callers were answered.
    #[must_use]
    pub fn finishes_wal_checkpoint(&self) -> bool {
        self.wal_rest
    }

    /// The stored bytes of entry `seq`, if it is in the batch.
    fn get(&self, seq: u64) -> Option<&[u8]> {
        self.tail.get(usize::try_from(seq.checked_sub(self.first)?).ok()?)
    }

    /// The memory of the batch, emptied, if no other copy of it is left.
    fn into_tail(self) -> Option<Tail> {
        let mut tail = Arc::into_inner(self.tail)?;
        tail.clear();
        Some(tail)
    }
}

/// Brings batches in flight to the disk.
#[derive(Debug)]
pub struct Appender {
    journal: Journal,
}

impl Appender {
    pub(crate) fn open(directory: &Path, vfs: Option<&str>) -> Result<Appender, Error> {
        Ok(Appender { journal: Journal::open(directory, vfs, Access::Write)? })
    }

    /// Appends a batch in one database transaction: when this returns, it is on disk.
    ///
    /// # Errors
    /// If the batch may not be on disk. In both cases the caller must pass the result to
    /// [`Core::append_finished`](crate::embedded::Core::append_finished) before the core decides
    /// more.
    pub fn append(&mut self, batch: &InFlightBatch) -> Result<(), Error> {
        self.journal.append(batch.first, &batch.tail)
    }

    /// Moves the last pages of the WAL into the file, so that the WAL starts again from its
    /// beginning.
    pub fn finish_wal_checkpoint(&mut self) {
        // Nothing is lost by a failure: the checkpointer meets the same one and reports it.
        let _ = self.journal.checkpoint();
    }
}

/// All entries that are not on disk.
#[derive(Debug)]
pub(crate) struct PendingEntries {
    in_flight: Option<InFlightBatch>,
    tail: Tail,
    /// The sequence number of the first entry of the tail, also while the tail is empty.
    tail_first: u64,
}

impl PendingEntries {
    /// Nothing is pending while the journal is replayed; [`PendingEntries::start_at`] ends that.
    pub(crate) fn during_replay() -> PendingEntries {
        PendingEntries { in_flight: None, tail: Tail::default(), tail_first: u64::MAX }
    }

    /// From now on entries are recorded, the next with number `next_seq`.
    pub(crate) fn start_at(&mut self, next_seq: u64) {
        assert!(self.tail.len() == 0 && self.in_flight.is_none(), "nothing is pending after a replay");
        self.tail_first = next_seq;
    }

    /// Begins the next entry with its envelope; its canonical bytes are to be appended to the given
    /// bytes.
    ///
    /// # Panics
    /// When the entry does not follow the one before: entries are numbered without gaps.
    pub(crate) fn begin_entry(&mut self, envelope: &Envelope) -> &mut Vec<u8> {
        assert_eq!(envelope.seq, self.next_seq(), "sequence numbers have no gaps");
        self.tail.offsets.push(self.tail.bytes.len());
        envelope.write(&mut self.tail.bytes);
        &mut self.tail.bytes
    }

    /// The sequence number of the next entry.
    pub(crate) fn next_seq(&self) -> u64 {
        self.tail_first + self.tail.len() as u64
    }

    /// True if a batch is in flight.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// True if entry `seq` is on disk, if it exists.
    pub(crate) fn is_on_disk(&self, seq: u64) -> bool {
        seq < self.in_flight.as_ref().map_or(self.tail_first, |batch| batch.first)
    }

    /// The stored bytes of entry `seq`, if it is pending.
    pub(crate) fn get(&self, seq: u64) -> Option<&[u8]> {
        match seq.checked_sub(self.tail_first) {
            Some(index) => self.tail.get(usize::try_from(index).ok()?),
            None => self.in_flight.as_ref()?.get(seq),
        }
    }

    /// Appends the tail to the journal; returns its number of bytes. When this returns, it is on
    /// disk.
    pub(crate) fn append_to(&mut self, journal: &mut Journal) -> Result<u64, Error> {
        assert!(
            self.in_flight.is_none(),
            "entries are appended in their order: the batch in flight comes first"
        );
        let bytes = self.tail.bytes.len() as u64;
        if bytes > 0 {
            journal.append(self.tail_first, &self.tail)?;
            self.tail_first = self.next_seq();
            self.tail.clear();
        }
        Ok(bytes)
    }

    /// Makes the tail the batch in flight; `None` if it is empty. `wal_rest` is asked only if there
    /// is a batch.
    pub(crate) fn begin_append(&mut self, wal_rest: impl FnOnce() -> bool) -> Option<InFlightBatch> {
        assert!(
            self.in_flight.is_none(),
            "entries are appended in their order: the batch in flight comes first"
        );
        if self.tail.len() == 0 {
            return None;
        }
        let (first, next) = (self.tail_first, self.next_seq());
        let tail = Arc::new(std::mem::take(&mut self.tail));
        let batch = InFlightBatch { first, tail, wal_rest: wal_rest() };
        self.tail_first = next;
        self.in_flight = Some(batch.clone());
        Some(batch)
    }

    /// The batch in flight is on disk; returns its number of bytes, 0 if none was in flight.
    pub(crate) fn append_finished(&mut self) -> u64 {
        let Some(batch) = self.in_flight.take() else { return 0 };
        let bytes = batch.bytes();
        assert_eq!(
            batch.first + batch.tail.len() as u64,
            self.tail_first,
            "the tail begins where the batch ends"
        );
        if self.tail.len() == 0
            && let Some(tail) = batch.into_tail()
        {
            self.tail = tail;
        }
        bytes
    }
}
