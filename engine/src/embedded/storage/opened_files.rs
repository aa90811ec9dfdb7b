//! The files of the journal that this process has open, compared with their names.
//!
//! The system keeps a file alive while it is open, also when its name is gone. So an engine whose
//! files were moved, removed or replaced would go on, and what it acknowledges would be in a file
//! that nobody finds. Before an acknowledgement, device and inode behind the names are compared
//! with those of the files that were opened. No other file gets the inode of an open one.
//!
//! Not noticed: a file whose content is overwritten in place.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::files::{FileId, OTHERS};
use super::journal;
use crate::Error;

/// Logs that other users of the machine can read the journal: its directory was made, or its rights
/// were given, by somebody else.
pub(crate) fn warn_of_wide_rights(directory: &Path) {
    let is_wide = |path: &Path| path.metadata().is_ok_and(|found| found.mode() & OTHERS != 0);
    let journal = directory.join(journal::FILE);
    if is_wide(directory) && is_wide(&journal) {
        tracing::warn!(
            "{} is open to other users of this machine; chmod 700 {} closes it",
            journal.display(),
            directory.display()
        );
    }
}

/// The files of the journal that are open: `journal.db` and its WAL. If their directory was moved,
/// they are not found under their names either.
#[derive(Clone, Debug)]
pub(crate) struct OpenedFiles {
    journal: (PathBuf, FileId),
    /// `None` after all connections were closed, which may have removed it.
    wal: Option<(PathBuf, FileId)>,
}

impl OpenedFiles {
    /// The files under these names. A connection must be open that has written or read.
    pub(crate) fn of(directory: &Path) -> Result<OpenedFiles, Error> {
        let opened = |name: String| {
            let path = directory.join(name);
            let id = FileId::at(&path);
            id.map(|id| (path.clone(), id)).map_err(|error| missing(&path, &error.to_string()))
        };
        let wal = opened(format!("{}-wal", journal::FILE))?;
        Ok(OpenedFiles { journal: opened(journal::FILE.to_owned())?, wal: Some(wal) })
    }

    /// [`Error::is_unavailable`] if a file is no longer under its name.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (path, id) = &self.journal;
        if !id.is_at(path) {
            return Err(missing(path, "it was moved, removed or replaced").with_hint(
                "put the directory back, and this server continues; or stop it, and start it on the right one",
            ));
        }
        match &self.wal {
            Some((path, id)) if !id.is_at(path) => Err(missing(path, "it was removed or replaced")
                .with_hint(
                    "stop this server, which moves what it holds into the journal; then start it again",
                )),
            _ => Ok(()),
        }
    }

    /// All connections are about to be closed. SQLite may then remove the WAL, if it is in place.
    pub(crate) fn close(&mut self) {
        if self.check().is_ok() {
            self.wal = None;
        }
    }
}

fn missing(path: &Path, why: &str) -> Error {
    Error::unavailable(format!("{} is not the file that this process has open: {why}", path.display()))
}
