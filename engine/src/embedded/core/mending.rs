//! What is done about damage: a damaged state file is built again, and a journal that has lost
//! acknowledged entries is refused.
//!
//! The state file is derived, so any damage of it is mended from the journal, at a start as well as
//! while the engine serves. The damaged file is renamed, not deleted. The journal is the truth, so
//! what it has lost is lost. To go on without it takes [`CoreOptions::accept_loss`]; what proves
//! the loss is kept.
//!
//! Not here: how damage is noticed (`storage::state_rows`, `storage::wal`).

use std::path::Path;

use tollkeeper_ledger::hex;

use super::state_machine::StateMachine;
use super::{Core, CoreOptions};
use crate::embedded::storage::journal::{self, Journal};
use crate::embedded::storage::missing_note;
use crate::embedded::storage::opened_files::OpenedFiles;
use crate::embedded::storage::sqlite::Access;
use crate::embedded::storage::{files, state_db, wal};
use crate::{Error, JournalHead};

/// How often the WAL of a running server is looked at, which may be writing the frame in question.
const WAL_ATTEMPTS: u32 = 3;

impl Core {
    /// Loads everything from disk. A damaged state file is renamed and built again.
    pub(super) fn load(&mut self) -> Result<StateMachine, Error> {
        self.check_files()?;
        self.set_damaged_state_aside()?;
        let opened = StateMachine::open(&self.directory, &self.options, &*self.start_checkpointer);
        let machine = match opened {
            Err(error) if error.is_damaged_state() => {
                self.set_state_aside(&error)?;
                StateMachine::open(&self.directory, &self.options, &*self.start_checkpointer)
            }
            other => other,
        };
        // What is lost later was not accepted.
        self.options.accept_loss = false;
        let machine = machine?;
        if self.options.vfs.is_none() {
            self.files = Some(OpenedFiles::of(&self.directory)?);
        }
        Ok(machine)
    }

    /// [`Error::is_unavailable`] if the files of the journal are no longer under their names: they
    /// were moved, removed or replaced. What is in memory stays right, and is used again when they
    /// are back. Where no journal is left, a note stops the next start.
    pub(in crate::embedded) fn check_files(&self) -> Result<(), Error> {
        let checked = self.files.as_ref().map_or(Ok(()), OpenedFiles::check);
        checked.inspect_err(|error| missing_note::leave(&self.directory, error))
    }

    /// The same while nothing is decided; notes the failure, and makes the lock file again if it
    /// was removed.
    pub(super) fn look_at_files(&mut self) {
        // What is decided is compared with the files when it is committed. To refuse more commands
        // before that would leave it in memory only.
        let has_decided = self.machine.as_ref().is_some_and(|machine| machine.uncommitted.has_decided());
        if self.is_failed() || has_decided {
            return;
        }
        if let Err(error) = self.check_files() {
            self.note_missing_files(&error);
        } else if let Some(lock) = &mut self.lock {
            lock.restore(&self.directory);
        }
    }

    /// Notes that the files are not under their names. Commands are refused until they are back.
    pub(super) fn note_missing_files(&mut self, error: &Error) {
        tracing::error!(%error, hint = error.hint(), "nothing is written any more");
        self.last_error = Some(error.clone());
    }

    /// Renames a state file that was found damaged. Nothing in memory may use it any more.
    pub(super) fn set_damaged_state_aside(&mut self) -> Result<(), Error> {
        let Some(damage) = self.state_damage.take() else { return Ok(()) };
        assert!(self.machine.is_none(), "the file is not in use");
        self.set_state_aside(&damage)
    }

    fn set_state_aside(&mut self, damage: &Error) -> Result<(), Error> {
        self.check_files()?;
        let aside = state_db::set_aside(&self.directory, "damaged")?;
        self.state_files_made += 1;
        tracing::error!(
            "{damage}; the file was renamed to {} and is built again from {}",
            aside.display(),
            self.directory.join(journal::FILE).display()
        );
        Ok(())
    }

    /// Takes an error that a read of the files met. Damage of the state file is mended after the
    /// batch; the caller may ask again.
    pub(in crate::embedded) fn note_error(&mut self, error: Error) -> Error {
        if self.is_read_only() || !error.is_damaged_state() {
            return error;
        }
        let message = format!("{error}; the file is built again from the journal");
        self.state_damage = Some(error);
        Error::unavailable(message)
    }

    /// Logs the end of the journal, which `tollkeeper audit --expect` can check later; nothing
    /// before the first entry.
    pub(in crate::embedded) fn log_head(&mut self, what: &str) {
        if let Ok(JournalHead { epoch, place, hash, .. }) = self.journal_head()
            && place > 0
        {
            tracing::info!("the journal was {what} at {place}:{} (epoch {epoch})", hex(&hash));
        }
    }

    /// How often the state file was replaced; a connection from before reads the old file.
    pub(in crate::embedded) fn state_files_made(&self) -> u64 {
        self.state_files_made
    }
}

/// Refuses to begin a ledger under the name of a directory that was moved or removed. What is left
/// in the directory says more than the note: [`refuse_loss`] goes by that.
pub(super) fn refuse_missing(directory: &Path) -> Result<(), Error> {
    if journal::holds_ledger(directory) || find_loss(directory)?.is_some() {
        return Ok(());
    }
    missing_note::refuse(directory)
}

/// Looks for lost entries before SQLite opens the journal for writing: SQLite would make a missing
/// journal anew, and would drop what follows a damaged frame of a WAL.
pub(super) fn refuse_loss(directory: &Path, options: &CoreOptions) -> Result<(), Error> {
    let Some(loss) = find_loss(directory)? else { return Ok(()) };
    if !options.accept_loss {
        return Err(loss);
    }
    let ending = state_db::unused_ending(directory, "before-loss");
    let wal = directory.join(format!("{}-wal", journal::FILE));
    if wal.exists() {
        let kept = directory.join(format!("{}-wal.{ending}", journal::FILE));
        let copied = std::fs::copy(&wal, &kept);
        copied.map_err(|error| Error::unusable(format!("{}: {error}", kept.display())))?;
    }
    if !journal::holds_ledger(directory) {
        state_db::set_aside(directory, &ending)?;
        let removed = files::ignore_missing(std::fs::remove_file(&wal));
        removed.map_err(|error| Error::unusable(format!("{}: {error}", wal.display())))?;
    }
    tracing::warn!("{loss}; this was accepted, and what proves it was kept with the ending {ending}");
    Ok(())
}

/// Compares the state file with the journal. A loss that is accepted sets the state file aside.
pub(super) fn refuse_lost_entries(
    directory: &Path,
    journal: &journal::Journal,
    options: &CoreOptions,
) -> Result<(), Error> {
    let compared = state_db::refuse_lost_journal(directory, options.vfs.as_deref(), journal);
    match compared {
        Err(loss) if options.accept_loss && loss.is_damaged() => {
            let ending = state_db::unused_ending(directory, "before-loss");
            let aside = state_db::set_aside(directory, &ending)?;
            tracing::warn!(
                "{loss}; this was accepted, and the state file was renamed to {}",
                aside.display()
            );
            Ok(())
        }
        other => other,
    }
}

/// Opens the journal of a directory for reading, for a copy that goes without the state file.
/// [`Error::is_damaged`] if it has lost entries: the copy would look whole.
pub(in crate::embedded) fn open_whole_journal(directory: &Path) -> Result<Journal, Error> {
    if let Some(loss) = find_loss(directory)? {
        return Err(loss);
    }
    journal::must_hold(directory)?;
    let journal = Journal::open(directory, None, Access::Read)?;
    state_db::refuse_lost_journal(directory, None, &journal)?;
    Ok(journal)
}

/// The error of a journal that is missing beside what derives from it, or whose WAL is damaged;
/// `None` if neither is seen.
pub(in crate::embedded) fn find_loss(directory: &Path) -> Result<Option<Error>, Error> {
    let wal = directory.join(format!("{}-wal", journal::FILE));
    if !journal::holds_ledger(directory) {
        let remains = [directory.join(state_db::FILE), wal];
        let of_it = remains.iter().find(|path| path.metadata().is_ok_and(|file| file.len() > 0));
        return Ok(of_it.map(|path| {
            state_db::lost_journal(directory, &format!("it is missing, but {} is there", path.display()))
        }));
    }
    let mut damaged = None;
    for _ in 0..WAL_ATTEMPTS {
        let looked = wal::damaged_frame(&wal);
        damaged = looked.map_err(|error| Error::unusable(format!("{}: {error}", wal.display())))?;
        if damaged.is_none() {
            break;
        }
    }
    Ok(damaged.map(|frame| {
        let what = format!(
            "frame {frame} of its WAL, {}, is damaged, and commits follow it: their entries would be lost",
            wal.display()
        );
        state_db::lost_journal(directory, &what)
    }))
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{Command, Timestamp};

    use super::*;
    use crate::embedded::test_commands::{submission, workspace};

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    #[test]
    fn what_was_decided_before_the_files_went_away_is_committed_or_discarded() {
        let scratch = tempfile::tempdir().expect("a directory");
        let mut core = Core::open(scratch.path(), CoreOptions::default()).expect("it opens");
        let create = |name: &str| {
            vec![submission(workspace(name), name, Command::CreateWorkspace(Default::default()))]
        };
        let [journal, away] = [journal::FILE, "away"].map(|name| scratch.path().join(name));
        let decided = core.decide_batch(create("first"), NOW).expect("a healthy disk");
        decided.into_iter().for_each(|result| drop(result.expect("it is new")));
        std::fs::rename(&journal, &away).expect("a file can be moved");
        // The timers look for due charges between two portions of a batch.
        core.due(NOW, 1).expect("memory can be read");
        core.decide_batch(create("second"), NOW).expect("the commit looks at the files");
        assert!(core.commit().expect_err("the journal has no name").is_unavailable());
        core.run_batch(create("third"), NOW).expect_err("nothing is decided any more");
        std::fs::rename(&away, &journal).expect("a file can be moved");
        core.run_batch(create("third"), NOW).expect("the journal is back");
        core.checkpoint_all().expect("a healthy disk");
        drop(core);
        let report = crate::embedded::audit(scratch.path()).expect("the directory can be read");
        assert!(report.disagreement.is_none(), "{report:?}");
        assert_eq!(report.entries, 3);
    }
}
