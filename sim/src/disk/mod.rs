//! A recording disk: every write and sync of SQLite is logged, and the log yields crash images.
//!
//! [`Disk::new`] registers a SQLite file layer (VFS) under a name. Databases opened with
//! `Connection::open_with_flags_and_vfs` and that name are real files in one directory. Every
//! change is logged, in one order for all files and threads. [`Disk::crash_at`] returns what the
//! machine may hold after a power failure after any operation of the log: torn and reordered
//! writes, where no sync forbids them. [`Disk::process_killed_at`] returns what it holds if only
//! the process died. [`Disk::fail`] makes writes or syncs fail.
//!
//! A test notes [`Disk::op_count`] at each acknowledgement. A crash image at that index or later
//! must contain what was acknowledged.
//!
//! The limits of the simulation:
//! - Creations and deletions of files are durable at once and in order. A real machine may lose
//!   them until the directory is synced; SQLite syncs it for its journals.
//! - A failed sync makes nothing durable, and a later successful sync covers the same changes. Some
//!   systems drop the changes after a failed sync; this disk does not.
//! - One disk serves one directory. It refuses files elsewhere, and does not see files that the
//!   engine writes without SQLite.
//! - SQLite draws the salts of its WAL from a generator of its own. So these bytes and the
//!   checksums over them differ from run to run, but the order, offsets and lengths of operations
//!   do not.
//!
//! Guarantee: each image contains all synced changes; equal logs, indices and seeds give equal
//! images.
//! Not here: the recovery of the engine, which opens the images.

mod file;
mod image;
mod log;
mod replay;
mod vfs;

use std::sync::{Arc, Mutex, PoisonError};

pub use self::image::CrashImage;
pub use self::log::{Fault, Op, SECTOR_BYTES};
pub use self::replay::{Replayer, Survivors};

use self::log::Recorder;
use self::vfs::Registered;
use crate::random::Random;

/// A recording VFS for the SQLite databases of one directory.
#[derive(Debug)]
pub struct Disk {
    name: String,
    recorder: Arc<Recorder>,
    /// Its position is that of the last image, so that a later image continues from there.
    replayer: Mutex<Replayer>,
    /// Unregisters the VFS when the disk is dropped. Open connections continue to work.
    _registered: Registered,
}

impl Disk {
    /// Registers a VFS under `name`. Panics if the name is taken in this process.
    pub fn new(name: &str) -> Disk {
        let recorder = Arc::new(Recorder::default());
        let registered = Registered::new(name, &recorder);
        Disk { name: name.to_owned(), recorder, replayer: Mutex::default(), _registered: registered }
    }

    /// The name of the VFS.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of operations so far. A change acknowledged before this call depends on no later
    /// one.
    pub fn op_count(&self) -> usize {
        self.recorder.lock().log.len()
    }

    /// The operations so far. The written bytes are shared, not copied.
    pub fn log(&self) -> Vec<Op> {
        self.recorder.lock().log.clone()
    }

    /// Orders a fault from now on. It replaces the previous fault.
    pub fn fail(&self, fault: Fault) {
        self.recorder.lock().set_fault(Some(fault));
    }

    /// Ends the fault.
    pub fn heal(&self) {
        self.recorder.lock().set_fault(None);
    }

    /// The number of writes and syncs refused so far.
    pub fn refused(&self) -> u64 {
        self.recorder.lock().refused
    }

    /// What the machine may hold after a power failure right after the first `op_index`
    /// operations, with a kind of [`Survivors`] drawn at random.
    pub fn crash_at(&self, op_index: usize, random: &mut Random) -> CrashImage {
        let survivors = *random.pick(&Survivors::EACH);
        self.crash_with(op_index, survivors, random)
    }

    /// What the machine may hold after a power failure right after the first `op_index`
    /// operations, with the given survivors.
    ///
    /// For ascending indices the log is walked once; a lower index starts from the beginning.
    pub fn crash_with(&self, op_index: usize, survivors: Survivors, random: &mut Random) -> CrashImage {
        let mut replayer = self.replayer.lock().unwrap_or_else(PoisonError::into_inner);
        if op_index < replayer.position() {
            *replayer = Replayer::new();
        }
        let recording = self.recorder.lock();
        let from = replayer.position();
        replayer.advance(&recording.log[from..op_index]);
        drop(recording);
        replayer.crash(survivors, random)
    }

    /// What the directory holds if the process is killed right after the first `op_index`
    /// operations and the machine keeps running: every write, synced or not.
    pub fn process_killed_at(&self, op_index: usize) -> CrashImage {
        // Nothing is drawn at random for `All`, so the seed does not matter.
        self.crash_with(op_index, Survivors::All, &mut Random::new(0))
    }
}

#[cfg(test)]
mod tests;
