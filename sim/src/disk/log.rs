//! The log of disk operations, and the faults that a test has ordered.
//!
//! One lock orders everything: a write is executed and logged under it. So the order of the log is
//! the order in which the files changed, for all threads. A fault is decided under the same lock,
//! so "the fifth write from now" is exactly one write.
//! Guarantee: an operation is in the log if and only if it changed a recorded file or made its
//! changes durable.
//! Not here: SQLite's calling conventions (`vfs.rs`), what survives a power failure (`replay.rs`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

/// The size of a sector, which a disk writes whole or not at all, in bytes.
pub const SECTOR_BYTES: usize = 512;

/// One operation that changed a file or made its changes durable. Files are named relative to their
/// directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A file that was in the directory before this disk first saw it; its bytes count as durable.
    Found {
        /// The file's name.
        file: Arc<str>,
        /// The whole content of the file.
        bytes: Arc<[u8]>,
    },
    /// An empty file was created.
    Create {
        /// The file's name.
        file: Arc<str>,
    },
    /// Bytes were written; they are not durable yet.
    Write {
        /// The file's name.
        file: Arc<str>,
        /// The position in the file, in bytes.
        offset: u64,
        /// The bytes that were written.
        bytes: Arc<[u8]>,
    },
    /// The file was truncated; this is not durable yet.
    Truncate {
        /// The file's name.
        file: Arc<str>,
        /// The new size, in bytes.
        size: u64,
    },
    /// All earlier changes of this file are durable from here on.
    Sync {
        /// The file's name.
        file: Arc<str>,
    },
    /// The file was deleted.
    Delete {
        /// The file's name.
        file: Arc<str>,
    },
}

/// A fault that lasts until `Disk::heal`. Its count starts at the call of `Disk::fail`; zero means
/// the next operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full: after `after_writes` more writes, each write fails with `SQLITE_FULL`.
    DiskFull {
        /// Writes that still succeed.
        after_writes: u64,
    },
    /// The device is broken: after `after_writes` more writes, each write fails with
    /// `SQLITE_IOERR_WRITE`.
    WriteError {
        /// Writes that still succeed.
        after_writes: u64,
    },
    /// After `after_syncs` more syncs, one sync fails with `SQLITE_IOERR_FSYNC`; the next ones
    /// succeed again.
    SyncError {
        /// Syncs that still succeed.
        after_syncs: u64,
    },
}

/// The decision about a write.
pub(super) enum Verdict {
    Accept,
    /// The write fails with this code, after `kept_bytes` of its bytes have reached the file.
    Refuse {
        code: i32,
        kept_bytes: usize,
    },
}

/// An open file with its generation. A file that was deleted and created again is another file, and
/// late writes through a handle of the old one must not count as writes to the new one.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub(super) file: Arc<str>,
    generation: u64,
}

/// The state of a file just before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Absent,
    /// The file exists, but this disk has never seen it.
    Unseen,
    Known,
}

/// The error of a path in another directory than the earlier files, or without a file name.
#[derive(Debug)]
pub(super) struct Misplaced;

/// The log, with the state that is needed to continue it.
#[derive(Debug, Default)]
pub(super) struct Recording {
    pub(super) log: Vec<Op>,
    pub(super) refused: u64,
    directory: Option<PathBuf>,
    known: BTreeMap<Arc<str>, u64>,
    generations: u64,
    fault: Option<Fault>,
}

/// The recording behind its lock, shared by the disk and each file opened on it.
#[derive(Debug, Default)]
pub(super) struct Recorder(Mutex<Recording>);

impl Recorder {
    /// Ignores a poisoned lock. SQLite's calls cannot unwind, so a panic here would become an abort
    /// that hides the first panic of the test.
    pub(super) fn lock(&self) -> MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording {
    pub(super) fn set_fault(&mut self, fault: Option<Fault>) {
        self.fault = fault;
    }

    /// The state of the file at `path`, to be read before it is opened.
    pub(super) fn before_opening(&mut self, path: &Path) -> Result<(Arc<str>, Before), Misplaced> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Misplaced);
        };
        let bound = self.directory.get_or_insert_with(|| directory.to_owned());
        if bound != directory {
            return Err(Misplaced);
        }
        let file: Arc<str> = name.to_str().ok_or(Misplaced)?.into();
        let before = match (path.exists(), self.known.contains_key(&file)) {
            (false, _) => Before::Absent,
            (true, false) => Before::Unseen,
            (true, true) => Before::Known,
        };
        Ok((file, before))
    }

    /// Logs that the file is open. `found` is the content of an unseen file, empty for other files.
    pub(super) fn opened(&mut self, file: Arc<str>, before: Before, found: Vec<u8>) -> Recorded {
        let arrival = match before {
            Before::Absent => Some(Op::Create { file: file.clone() }),
            Before::Unseen => Some(Op::Found { file: file.clone(), bytes: found.into() }),
            Before::Known => None,
        };
        if let Some(op) = arrival {
            self.generations += 1;
            self.known.insert(file.clone(), self.generations);
            self.log.push(op);
        }
        let generation = *self.known.get(&file).expect("an opened file was known or just became so");
        Recorded { file, generation }
    }

    /// Decides about a write of `length` bytes, and counts it towards the fault.
    pub(super) fn judge_write(&mut self, length: usize) -> Verdict {
        let (left, code) = match &mut self.fault {
            Some(Fault::DiskFull { after_writes }) => (after_writes, ffi::SQLITE_FULL),
            Some(Fault::WriteError { after_writes }) => (after_writes, ffi::SQLITE_IOERR_WRITE),
            Some(Fault::SyncError { .. }) | None => return Verdict::Accept,
        };
        if *left > 0 {
            *left -= 1;
            return Verdict::Accept;
        }
        self.refused += 1;
        // A real device can fail in the middle of a write, so half of a long write has reached the
        // file.
        let kept_bytes = length / 2 / SECTOR_BYTES * SECTOR_BYTES;
        Verdict::Refuse { code, kept_bytes }
    }

    /// Decides about a sync, and counts it towards the fault.
    pub(super) fn judge_sync(&mut self) -> Result<(), i32> {
        match &mut self.fault {
            Some(Fault::SyncError { after_syncs: 0 }) => {
                self.fault = None;
                self.refused += 1;
                Err(ffi::SQLITE_IOERR_FSYNC)
            }
            Some(Fault::SyncError { after_syncs }) => {
                *after_syncs -= 1;
                Ok(())
            }
            Some(Fault::DiskFull { .. } | Fault::WriteError { .. }) | None => Ok(()),
        }
    }

    pub(super) fn wrote(&mut self, to: &Recorded, offset: u64, bytes: &[u8]) {
        if self.is_current(to) {
            self.log.push(Op::Write { file: to.file.clone(), offset, bytes: bytes.into() });
        }
    }

    pub(super) fn truncated(&mut self, to: &Recorded, size: u64) {
        if self.is_current(to) {
            self.log.push(Op::Truncate { file: to.file.clone(), size });
        }
    }

    pub(super) fn synced(&mut self, to: &Recorded) {
        if self.is_current(to) {
            self.log.push(Op::Sync { file: to.file.clone() });
        }
    }

    pub(super) fn deleted(&mut self, path: &Path) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return;
        };
        if let Some((file, _)) = self.known.remove_entry(name) {
            self.log.push(Op::Delete { file });
        }
    }

    fn is_current(&self, to: &Recorded) -> bool {
        self.known.get(&to.file) == Some(&to.generation)
    }
}
