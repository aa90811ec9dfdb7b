//! One process owns a data directory, by an operating-system lock on a file in it.
//!
//! The system releases the lock when the process ends, by a crash or not. The file holds the
//! process id of the owner, so that a second process can name it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::Error;

/// The lock on a data directory, held until this is dropped.
#[derive(Debug)]
pub(crate) struct DirectoryLock(File);

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that is being started has it open for a
        // moment. If unlocking fails, the last process that closes the file unlocks it.
        let _ = self.0.unlock();
    }
}

impl DirectoryLock {
    /// Takes the lock of a directory; [`Error::is_unusable`] with the owner's process id if it is
    /// held.
    pub(crate) fn take(directory: &Path) -> Result<DirectoryLock, Error> {
        let path = directory.join("lock");
        let unusable = |error: std::io::Error| {
            Error::unusable(format!("{}: {error}", path.display()))
                .with_hint("the directory must exist and be writable by this user")
        };
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Without the process id the message is still right.
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let who = if holder.is_empty() { "another process" } else { &format!("process {holder}") };
                return Err(Error::unusable(format!("{} is held by {who}", directory.display()))
                    .with_hint("stop it, or speak to it with --server"));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(unusable)?;
        Ok(DirectoryLock(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_lock_is_free_although_a_child_still_has_the_file() {
        let directory = std::env::temp_dir().join(format!("tollkeeper-lock-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a temporary directory");
        let lock = DirectoryLock::take(&directory).expect("the directory is new");
        let childs = lock.0.try_clone().expect("a second descriptor of the same file");
        assert!(DirectoryLock::take(&directory).expect_err("it is held").is_unusable());
        drop(lock);
        DirectoryLock::take(&directory).expect("it was released");
        drop(childs);
        std::fs::remove_dir_all(&directory).expect("the test made it");
    }
}
