//! What the disk was asked to do, in one order, and the faults it was told to have.
//!
//! One lock orders everything: a write is done and noted under it, so the log's order is the order in which
//! the files changed, whichever thread asked. A fault is decided under the same lock, so "the fifth write
//! from now" means one write and no other.
//! Keeps: an operation is in the log if and only if it changed a recorded file or made its changes durable.
//! Not here: SQLite's calling conventions (`vfs.rs`), what survives a power loss (`replay.rs`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

/// What a disk writes whole or not at all, in bytes.
pub const SECTOR_BYTES: usize = 512;

/// One operation that changed a file, or made its changes durable. A file goes by its name within its
/// directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A file that lay in the directory before this disk first saw it; its bytes count as durable.
    Found {
        /// The file's name.
        file: Arc<str>,
        /// All it held.
        bytes: Arc<[u8]>,
    },
    /// An empty file came to be.
    Create {
        /// The file's name.
        file: Arc<str>,
    },
    /// Bytes were written, not yet durable.
    Write {
        /// The file's name.
        file: Arc<str>,
        /// Where in the file, in bytes.
        offset: u64,
        /// What was written there.
        bytes: Arc<[u8]>,
    },
    /// The file was cut to a size, not yet durable.
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
    /// The file is gone.
    Delete {
        /// The file's name.
        file: Arc<str>,
    },
}

/// Something that goes wrong until `Disk::heal`. Counts start at the call of `Disk::fail`: zero means the
/// next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// After so many more writes there is no room: every write is refused with `SQLITE_FULL`.
    DiskFull {
        /// Writes that still succeed.
        after_writes: u64,
    },
    /// After so many more writes the device breaks: every write is refused with `SQLITE_IOERR_WRITE`.
    WriteError {
        /// Writes that still succeed.
        after_writes: u64,
    },
    /// After so many more syncs one sync is refused with `SQLITE_IOERR_FSYNC`; the next ones succeed again.
    SyncError {
        /// Syncs that still succeed.
        after_syncs: u64,
    },
}

/// What becomes of a write that is asked for.
pub(super) enum Verdict {
    Accept,
    /// Refused with this code, after so many of its bytes reached the file.
    Refuse {
        code: i32,
        kept_bytes: usize,
    },
}

/// Which incarnation of a name an open file belongs to. A file that was deleted and made again is another
/// file, and late writes through a handle on the old one must not be taken for writes to the new one.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub(super) file: Arc<str>,
    generation: u64,
}

/// How a file stood just before it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Absent,
    /// There, but never seen by this disk.
    Unseen,
    Known,
}

/// The path lies in another directory than the files before it, or has no name in one.
#[derive(Debug)]
pub(super) struct Misplaced;

/// The log with what is needed to go on writing it.
#[derive(Debug, Default)]
pub(super) struct Recording {
    pub(super) log: Vec<Op>,
    pub(super) refused: u64,
    directory: Option<PathBuf>,
    known: BTreeMap<Arc<str>, u64>,
    generations: u64,
    fault: Option<Fault>,
}

/// The recording behind its lock, shared by the disk and every file opened on it.
#[derive(Debug, Default)]
pub(super) struct Recorder(Mutex<Recording>);

impl Recorder {
    /// A poisoned lock is taken all the same: a panicking test thread must not turn every later call from
    /// SQLite, which cannot unwind, into an abort that hides the first panic.
    pub(super) fn lock(&self) -> MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording {
    pub(super) fn set_fault(&mut self, fault: Option<Fault>) {
        self.fault = fault;
    }

    /// How the file at `path` stands now, to be asked before it is opened.
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

    /// Notes that the file is open. `found` is what an unseen file held, empty for the others.
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

    /// Whether a write of so many bytes may happen. Counts towards the fault.
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
        // A device rarely stops at the edge of a request: half of a long write is there although it failed.
        let kept_bytes = length / 2 / SECTOR_BYTES * SECTOR_BYTES;
        Verdict::Refuse { code, kept_bytes }
    }

    /// Whether a sync may succeed. Counts towards the fault.
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
