//! A disk that remembers: crashes are shown by recording what SQLite writes and syncs, and starting again
//! from every prefix of it, torn and reordered where no sync forbids that.
//!
//! `Disk::new` registers a file layer under a name; databases opened with
//! `Connection::open_with_flags_and_vfs` and that name live in real files of one directory, and every change
//! is logged in one order for all files and threads. `Disk::crash_at` then gives what a machine could hold
//! after losing power behind any operation of the log, and `Disk::process_killed_at` what it holds if only
//! the process died. `Disk::fail` makes the disk itself misbehave.
//!
//! An acknowledgement is tested by noting `Disk::op_count` when it is given: a crash at that index or later
//! must keep what was acknowledged.
//!
//! The model and its limits:
//! - Creations and deletions are durable at once and in order. A real machine may lose them until the
//!   directory is synced, which SQLite sees to for its journals by itself.
//! - A failed sync makes nothing durable, and a later one that succeeds covers the same changes. Some systems
//!   forget the changes instead; this disk is not that cruel.
//! - One disk, one directory: a file elsewhere cannot be opened through it. Files the engine writes without
//!   SQLite are not seen.
//! - SQLite draws the salts of its write-ahead log from a generator of its own, so these few bytes and the
//!   checksums over them differ from run to run. The order, the places and the lengths of operations do not
//!   depend on them.
//!
//! Keeps: what a sync covered is in every image; equal logs, indices and seeds give equal images.
//! Not here: the engine's own recovery, which is what the images are opened for.

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

/// A recording file layer for the SQLite databases of one directory.
#[derive(Debug)]
pub struct Disk {
    name: String,
    recorder: Arc<Recorder>,
    /// Where the last image was made, so that the next one further on starts from there.
    replayer: Mutex<Replayer>,
    /// Unregisters the layer when the disk is dropped. Connections still open go on working.
    _registered: Registered,
}

impl Disk {
    /// Registers a file layer under `name`. Panics if the name is taken in this process.
    pub fn new(name: &str) -> Disk {
        let recorder = Arc::new(Recorder::default());
        let registered = Registered::new(name, &recorder);
        Disk { name: name.to_owned(), recorder, replayer: Mutex::default(), _registered: registered }
    }

    /// The name to open connections with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many operations there have been. What was acknowledged before this call rests on these and no
    /// others.
    pub fn op_count(&self) -> usize {
        self.recorder.lock().log.len()
    }

    /// The operations so far. The written bytes are shared, not copied.
    pub fn log(&self) -> Vec<Op> {
        self.recorder.lock().log.clone()
    }

    /// Lets the disk misbehave from now on, in place of any fault before.
    pub fn fail(&self, fault: Fault) {
        self.recorder.lock().set_fault(Some(fault));
    }

    /// Ends the fault.
    pub fn heal(&self) {
        self.recorder.lock().set_fault(None);
    }

    /// How many writes and syncs have been refused so far: whether a fault struck at all.
    pub fn refused(&self) -> u64 {
        self.recorder.lock().refused
    }

    /// What a machine may hold that lost power right after the first `op_index` operations, in one of the
    /// ways of `Survivors`, drawn at random.
    pub fn crash_at(&self, op_index: usize, random: &mut Random) -> CrashImage {
        let survivors = *random.pick(&Survivors::EACH);
        self.crash_with(op_index, survivors, random)
    }

    /// What a machine may hold that lost power right after the first `op_index` operations, in the given way.
    /// For rising indices the log is walked once; an index below the last one starts over.
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

    /// What the directory holds when the process is killed right after the first `op_index` operations and
    /// the machine runs on: every write, synced or not.
    pub fn process_killed_at(&self, op_index: usize) -> CrashImage {
        // Nothing is left to chance here, so the seed does not matter.
        self.crash_with(op_index, Survivors::All, &mut Random::new(0))
    }
}

#[cfg(test)]
mod tests;
