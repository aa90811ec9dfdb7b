//! One process owns a data directory, by operating-system locks on the directory itself and on a
//! file in it.
//!
//! The system releases the locks when the process ends, by a crash or not. The lock on the
//! directory holds although the file is removed, and although the directory is moved. The file
//! holds the process id of the owner, so that a second process can name it; its lock holds although
//! the files are moved into another directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::files::FileId;
use crate::Error;

/// The name of the file in the data directory.
const FILE: &str = "lock";

/// The lock on a data directory, held until this is dropped.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    directory: File,
    file: LockFile,
    /// True after the file could not be made again, which is logged once.
    is_missing: bool,
}

#[derive(Debug)]
struct LockFile {
    file: File,
    id: FileId,
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing the files is not enough: a child process that is being started has them open for
        // a moment. If unlocking fails, the last process that closes them unlocks them.
        let _ = self.file.file.unlock();
        let _ = self.directory.unlock();
    }
}

impl DirectoryLock {
    /// Takes the lock of a directory; [`Error::is_unusable`] with the owner's process id if it is
    /// held.
    pub(crate) fn take(directory: &Path) -> Result<DirectoryLock, Error> {
        let opened = File::open(directory).map_err(|error| unusable(directory, &error))?;
        match opened.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(directory)),
            Err(TryLockError::Error(error)) => return Err(unusable(directory, &error)),
        }
        let file = LockFile::make(directory)?;
        Ok(DirectoryLock { directory: opened, file, is_missing: false })
    }

    /// Makes the file again if it was removed or replaced. Nobody else owns the directory: its own
    /// lock is held.
    pub(crate) fn restore(&mut self, directory: &Path) {
        let path = directory.join(FILE);
        if self.file.id.is_at(&path) {
            return;
        }
        let made = LockFile::make(directory);
        let result = made.as_ref().map_or_else(|error| error.to_string(), |_| "it was made again".to_owned());
        if made.is_ok() || !self.is_missing {
            tracing::warn!(
                "{} was removed or replaced; the directory stays locked; {result}",
                path.display()
            );
        }
        self.is_missing = made.is_err();
        if let Ok(file) = made {
            self.file = file;
        }
    }
}

impl LockFile {
    fn make(directory: &Path) -> Result<LockFile, Error> {
        let path = directory.join(FILE);
        let failed = |error: std::io::Error| unusable(&path, &error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(directory)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(failed)?;
        let id = FileId::at(&path).map_err(failed)?;
        Ok(LockFile { file, id })
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> Error {
    Error::unusable(format!("{}: {error}", path.display()))
        .with_hint("the directory must exist and be writable by this user")
}

fn held(directory: &Path) -> Error {
    let mut holder = String::new();
    // Without the process id the message is still right.
    let opened = File::open(directory.join(FILE));
    let _ = opened.and_then(|mut file| file.read_to_string(&mut holder));
    let holder = holder.trim();
    let who = if holder.is_empty() { "another process" } else { &format!("process {holder}") };
    Error::unusable(format!("{} is held by {who}", directory.display()))
        .with_hint("stop it, or speak to it with --server")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_held(directory: &Path) -> bool {
        DirectoryLock::take(directory).is_err_and(|error| error.is_unusable())
    }

    #[test]
    fn a_released_lock_is_free_although_a_child_still_has_the_files() {
        let scratch = tempfile::tempdir().expect("a directory");
        let lock = DirectoryLock::take(scratch.path()).expect("the directory is new");
        let childs = lock.file.file.try_clone().expect("a second descriptor of the same file");
        let childs_directory = lock.directory.try_clone().expect("a second descriptor");
        assert!(is_held(scratch.path()));
        drop(lock);
        DirectoryLock::take(scratch.path()).expect("it was released");
        drop((childs, childs_directory));
    }

    #[test]
    fn a_directory_stays_locked_without_its_file_and_under_another_name() {
        let scratch = tempfile::tempdir().expect("a directory");
        let [here, there, other] = ["here", "there", "other"].map(|name| scratch.path().join(name));
        std::fs::create_dir(&here).expect("a temporary directory takes another");
        let mut lock = DirectoryLock::take(&here).expect("the directory is new");
        let file = here.join(FILE);
        for replace in [false, true] {
            std::fs::remove_file(&file).expect("the file is there");
            if replace {
                std::fs::write(&file, "1").expect("the directory takes a file");
            }
            assert!(is_held(&here));
            lock.restore(&here);
            let holder = std::fs::read_to_string(&file).expect("the file was made again");
            assert_eq!(holder.trim(), std::process::id().to_string());
        }
        std::fs::rename(&here, &there).expect("a directory can be moved");
        assert!(is_held(&there));
        std::fs::create_dir(&other).expect("a temporary directory takes another");
        std::fs::rename(there.join(FILE), other.join(FILE)).expect("a file can be moved");
        assert!(is_held(&other), "the files are in use, wherever they are");
    }
}
