//! Rights and identity of the files in a data directory.
//!
//! Rights: what is made here belongs to its owner alone, with any umask. Directories have mode
//! 0700 and files 0600. SQLite gives WAL and shared memory the mode of their database.
//!
//! Identity: device and inode tell a file from every other one, as long as it is open.

use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The rights of everybody but the owner.
pub(super) const OTHERS: u32 = 0o077;

/// Makes a directory with its parents, for this user alone. One that exists is left as it is.
pub(crate) fn create_directory(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes an empty file for this user alone. One that exists is not even opened: to close it again
/// would drop the locks that SQLite holds on it in this process.
pub(crate) fn create_file(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// The result, without the error of a file that is missing.
pub(crate) fn ignore_missing(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// What tells a file from every other one, as long as it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file that has this name now.
    pub(crate) fn at(path: &Path) -> std::io::Result<FileId> {
        path.metadata().map(|found| FileId { device: found.dev(), inode: found.ino() })
    }

    /// True if the file still has this name.
    pub(crate) fn is_at(self, path: &Path) -> bool {
        FileId::at(path).is_ok_and(|found| found == self)
    }
}
