//! Entries that were recorded and are not on disk yet: the batch in flight, and the next batch.
//!
//! A large batch takes the disk some milliseconds. The writer decides the next batch meanwhile, on
//! top of the one in flight. So nothing of the next batch is answered before the batch in flight is
//! on disk. What derives from an entry is persisted only after that entry is on disk.
//!
//! Invariant: entries are appended in their order, so at most one batch is in flight, and the next
//! batch begins where it ends. An [`Appender`] with a connection of its own brings a batch to the
//! disk, on any thread.

use std::path::Path;
use std::sync::Arc;

use super::recent::RecentEntries;
use crate::Error;
use crate::embedded::storage::block::EntryHeader;
use crate::embedded::storage::journal::{EncodedEntries, Journal};
use crate::embedded::storage::opened_files::OpenedFiles;
use crate::embedded::storage::sqlite::Access;
use crate::embedded::storage::texts::TextWrite;

/// Consecutive entries that are being appended to the journal.
#[derive(Clone, Debug)]
pub struct InFlightBatch {
    /// The sequence number of the first entry.
    first: u64,
    entries: Arc<EncodedEntries>,
    /// True if the rest of the WAL is to be moved into the file afterwards.
    wal_remainder: bool,
}

impl InFlightBatch {
    /// The number of bytes that are appended.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.bytes.len() as u64
    }

    /// True if [`Appender::finish_wal_checkpoint`] is to follow, after the callers were answered.
    #[must_use]
    pub fn finishes_wal_checkpoint(&self) -> bool {
        self.wal_remainder
    }

    /// The stored bytes of entry `seq`, if it is in the batch.
    fn get(&self, seq: u64) -> Option<&[u8]> {
        self.entries.get(usize::try_from(seq.checked_sub(self.first)?).ok()?)
    }

    fn texts(&self) -> &[TextWrite] {
        &self.entries.texts
    }

    /// The memory of the batch, emptied, if no other copy of it is left.
    fn into_memory(self) -> Option<EncodedEntries> {
        let mut entries = Arc::into_inner(self.entries)?;
        entries.clear();
        Some(entries)
    }
}

/// Brings batches in flight to the disk.
#[derive(Debug)]
pub struct Appender {
    journal: Journal,
    files: Option<OpenedFiles>,
}

impl Appender {
    pub(crate) fn open(
        directory: &Path,
        vfs: Option<&str>,
        files: Option<OpenedFiles>,
    ) -> Result<Appender, Error> {
        Ok(Appender { journal: Journal::open(directory, vfs, Access::Write)?, files })
    }

    /// Appends a batch in one database transaction: when this returns, it is on disk. The caller
    /// must pass the result to
    /// [`Core::append_finished`](crate::embedded::Core::append_finished) before it appends more.
    /// More may be decided meanwhile. After a failure, `append_finished` discards that too.
    ///
    /// # Errors
    /// If the batch is not known to be on disk.
    pub fn append(&mut self, batch: &InFlightBatch) -> Result<(), Error> {
        self.journal.append(batch.first, &batch.entries)
    }

    /// [`Error::is_unavailable`] if the files of the journal are no longer under their names. To be
    /// called before anything that was appended is acknowledged.
    pub(crate) fn check_files(&self) -> Result<(), Error> {
        self.files.as_ref().map_or(Ok(()), OpenedFiles::check)
    }

    /// Moves the last pages of the WAL into the file, so that the WAL starts again from its
    /// beginning.
    pub fn finish_wal_checkpoint(&mut self) {
        // Nothing is lost by a failure: the checkpointer meets the same one and reports it.
        let _ = self.journal.wal_checkpoint();
    }
}

/// All entries that are not on disk.
#[derive(Debug)]
pub(crate) struct UncommittedEntries {
    in_flight: Option<InFlightBatch>,
    next_batch: EncodedEntries,
    /// The sequence number of the first entry of the next batch, also while that is empty.
    next_batch_first: u64,
    /// The memory of a batch that was appended, empty. Fresh memory would have to grow, and to be
    /// cleared by the system, under each large batch.
    spare: EncodedEntries,
}

impl UncommittedEntries {
    /// Nothing is uncommitted while the journal is replayed; [`UncommittedEntries::start_at`] ends
    /// that.
    pub(crate) fn during_replay() -> UncommittedEntries {
        UncommittedEntries {
            in_flight: None,
            next_batch: EncodedEntries::default(),
            next_batch_first: u64::MAX,
            spare: EncodedEntries::default(),
        }
    }

    /// From now on entries are recorded, the next with number `next_seq`.
    pub(crate) fn start_at(&mut self, next_seq: u64) {
        assert!(
            self.next_batch.len() == 0 && self.in_flight.is_none(),
            "nothing is uncommitted after a replay"
        );
        self.next_batch_first = next_seq;
    }

    /// Begins the next entry with its header; its canonical bytes are to be appended to the given
    /// bytes.
    ///
    /// # Panics
    /// When the entry does not follow the one before: entries are numbered without gaps.
    pub(crate) fn begin_entry(&mut self, header: &EntryHeader) -> &mut Vec<u8> {
        assert_eq!(header.seq, self.next_seq(), "sequence numbers have no gaps");
        self.next_batch.offsets.push(self.next_batch.bytes.len());
        header.write(&mut self.next_batch.bytes);
        &mut self.next_batch.bytes
    }

    /// Adds what the last entry changes in the texts about persons.
    pub(crate) fn push_text(&mut self, write: TextWrite) {
        assert!(write.seq < self.next_seq(), "a text is written with the entry that names it");
        self.next_batch.texts.push(write);
    }

    /// What entries that are not on disk change in the texts about persons, oldest first.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &TextWrite> {
        let in_flight = self.in_flight.as_ref().map_or(&[][..], InFlightBatch::texts);
        in_flight.iter().chain(&self.next_batch.texts)
    }

    /// Removes the entries of the next batch from number `seq` on: their command is undone.
    pub(crate) fn truncate(&mut self, seq: u64) {
        assert!(seq >= self.next_batch_first, "an entry in flight is not undone");
        let EncodedEntries { bytes, offsets, texts } = &mut self.next_batch;
        texts.retain(|write| write.seq < seq);
        let kept = (seq - self.next_batch_first) as usize;
        assert!(kept <= offsets.len(), "entries before the undone ones have no gap");
        if let Some(at) = offsets.get(kept) {
            bytes.truncate(*at);
            offsets.truncate(kept);
        }
    }

    /// The sequence number of the next entry.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_batch_first + self.next_batch.len() as u64
    }

    /// True if a batch is in flight.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// True if entry `seq` is on disk, if it exists.
    pub(crate) fn is_on_disk(&self, seq: u64) -> bool {
        seq < self.in_flight.as_ref().map_or(self.next_batch_first, |batch| batch.first)
    }

    /// The stored bytes of entry `seq`, if it is uncommitted.
    pub(crate) fn get(&self, seq: u64) -> Option<&[u8]> {
        match seq.checked_sub(self.next_batch_first) {
            Some(index) => self.next_batch.get(usize::try_from(index).ok()?),
            None => self.in_flight.as_ref()?.get(seq),
        }
    }

    /// Appends the next batch to the journal, and adds it to the recent entries; returns its number
    /// of bytes. When this returns, it is on disk.
    pub(crate) fn append_to(
        &mut self,
        journal: &mut Journal,
        recent: &mut RecentEntries,
    ) -> Result<u64, Error> {
        assert!(
            self.in_flight.is_none(),
            "entries are appended in their order: the batch in flight comes first"
        );
        let bytes = self.next_batch.bytes.len() as u64;
        if bytes > 0 {
            journal.append(self.next_batch_first, &self.next_batch)?;
            recent.push(self.next_batch_first, &self.next_batch);
            self.next_batch_first = self.next_seq();
            self.next_batch.clear();
        }
        Ok(bytes)
    }

    /// True if there are entries that were decided and not given to an append.
    pub(crate) fn has_decided(&self) -> bool {
        self.next_batch.len() > 0
    }

    /// Makes the next batch the batch in flight; `None` if it is empty. `wal_remainder` is called
    /// only if there is a batch.
    pub(crate) fn begin_append(&mut self, wal_remainder: impl FnOnce() -> bool) -> Option<InFlightBatch> {
        assert!(
            self.in_flight.is_none(),
            "entries are appended in their order: the batch in flight comes first"
        );
        if !self.has_decided() {
            return None;
        }
        let (first, next) = (self.next_batch_first, self.next_seq());
        let entries = Arc::new(std::mem::replace(&mut self.next_batch, std::mem::take(&mut self.spare)));
        let batch = InFlightBatch { first, entries, wal_remainder: wal_remainder() };
        self.next_batch_first = next;
        self.in_flight = Some(batch.clone());
        Some(batch)
    }

    /// The batch in flight is on disk; returns its number of bytes, 0 if none was in flight.
    pub(crate) fn append_finished(&mut self) -> u64 {
        let Some(batch) = self.in_flight.take() else { return 0 };
        let bytes = batch.bytes();
        assert_eq!(
            batch.first + batch.entries.len() as u64,
            self.next_batch_first,
            "the next batch begins where the batch in flight ends"
        );
        self.spare = batch.into_memory().unwrap_or_default();
        bytes
    }
}
