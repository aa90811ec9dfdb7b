//! A directory of its own for each use, gone when it is dropped.
//!
//! It lies in memory where the system has a place for that: what survives a crash is doubted by recording what the disk
//! was asked, so a real disk would only make every run wait.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// An empty directory.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one among the system's temporary files. Panics when it cannot: no simulation can go on without.
    #[must_use]
    pub fn new() -> Scratch {
        static USES: AtomicU64 = AtomicU64::new(0);
        let number = USES.fetch_add(1, Ordering::Relaxed);
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let path = parent.join(format!("tollkeeper-sim-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory can be made");
        Scratch(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A leftover directory is no reason to fail a run that passed.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
