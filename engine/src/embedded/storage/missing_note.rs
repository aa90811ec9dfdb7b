//! The note beside a data directory whose journal went away under a running server.
//!
//! The server notices, but the next start under the old name would find nothing there, and would
//! make an empty ledger. So the server leaves a file beside the directory, with the ending
//! `.missing`. A start that finds this note and no journal is refused. The note is not in the
//! directory, so that the directory can be moved back under its name. It is removed when a journal
//! is there again.
//!
//! Not noticed here: a start without a note, such as on a volume that is not mounted.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::journal::holds_ledger;
use crate::Error;

const ENDING: &str = ".missing";

/// The path of the note; `None` for a directory without a name, such as `/`.
fn path_of(directory: &Path) -> Option<PathBuf> {
    let directory = std::path::absolute(directory).ok()?;
    let mut name = directory.file_name()?.to_owned();
    name.push(ENDING);
    Some(directory.with_file_name(name))
}

/// Leaves the note, unless another ledger has the name of the directory. Where nothing can be
/// written beside the directory, there is no note.
pub(crate) fn leave(directory: &Path, why: &Error) {
    let Some(path) = path_of(directory).filter(|_| !holds_ledger(directory)) else { return };
    let Ok(mut file) = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) else {
        return;
    };
    // Without its text the note still stops the next start.
    let _ = writeln!(
        file,
        "{}: {why}\n\
         The ledger of this directory is somewhere else. Until it is back, no server starts here.\n\
         To give it up and to begin an empty ledger, remove this file.",
        jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default()
    );
    tracing::warn!("{} keeps a server from starting an empty ledger there", path.display());
}

/// Removes the note, because the journal is there.
pub(crate) fn remove(directory: &Path) {
    if let Some(path) = path_of(directory)
        && std::fs::remove_file(&path).is_ok()
    {
        tracing::info!("{} was removed: the journal is there", path.display());
    }
}

/// [`Error::is_unusable`] if there is a note. The directory holds no journal.
pub(crate) fn refuse(directory: &Path) -> Result<(), Error> {
    match path_of(directory).filter(|path| path.exists()) {
        None => Ok(()),
        Some(note) => Err(Error::unusable(format!(
            "the ledger of {} was moved or removed while a server used it; {} says when",
            directory.display(),
            note.display()
        ))
        .with_hint(format!(
            "put the directory back, or restore a backup to it; to make another ledger there, remove {}",
            note.display()
        ))),
    }
}
