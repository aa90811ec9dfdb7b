//! A temporary directory for each use, removed when it is dropped.
//!
//! The directory lies in `/dev/shm`, a file system in memory, where the system has one. Crash tests
//! replay recorded disk operations and need no real disk; a real disk would only slow down every
//! run.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// An empty directory.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Creates the directory. Panics if the system refuses, because no test can go on without it.
    #[must_use]
    pub fn new() -> Scratch {
        static USES: AtomicU64 = AtomicU64::new(0);
        let number = USES.fetch_add(1, Ordering::Relaxed);
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let path = parent.join(format!("tollkeeper-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory can be created");
        Scratch(path)
    }

    /// The path of the directory.
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
        // A directory that cannot be removed does not fail a test that passed.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::Scratch;

    #[test]
    fn a_directory_is_removed_with_its_files() {
        let (one, other) = (Scratch::new(), Scratch::default());
        assert_ne!(one.path(), other.path());
        std::fs::write(one.path().join("journal.db"), b"entries").expect("the directory is writable");
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && other.path().is_dir());
    }
}
