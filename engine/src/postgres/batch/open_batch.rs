//! A batch until it is answered: which of its commands are still to be run, and what became of the
//! others.

use tollkeeper_ledger::{Submission, Timestamp, WorkspaceId};

use super::write::UnknownCommit;
use crate::{CommandResult, Error, Ran};

/// What became of a command.
#[derive(Debug)]
pub(crate) enum Outcome {
    Ran(Ran),
    /// It was not run, because its account is locked or damaged. It can be run later.
    SetAside(Box<(Submission, Timestamp)>),
}

/// A batch, or a part of one, until it is answered.
#[derive(Debug)]
pub(crate) struct OpenBatch {
    /// The commands still to be run.
    pub commands: Vec<(Submission, Timestamp)>,
    /// For each of them, its place among the commands that the batch began with.
    places: Vec<usize>,
    /// For each command that the batch began with: what became of it, if it was removed.
    removed: Vec<Option<Outcome>>,
    /// Earlier attempts whose COMMIT result is unknown.
    pub unknown_commits: Vec<UnknownCommit>,
    /// True if an earlier part of the batch was committed.
    pub follows_commit: bool,
}

impl OpenBatch {
    pub(crate) fn new(commands: Vec<(Submission, Timestamp)>, follows_commit: bool) -> OpenBatch {
        let places = (0..commands.len()).collect();
        let removed = commands.iter().map(|_| None).collect();
        OpenBatch { commands, places, removed, unknown_commits: Vec::new(), follows_commit }
    }

    /// True if a command can be removed: the answers of an earlier attempt would no longer match
    /// the commands.
    pub(crate) fn can_shrink(&self) -> bool {
        self.unknown_commits.is_empty()
    }

    /// Removes the command at fault, so that the others can be run.
    pub(crate) fn remove(&mut self, command: usize, error: Error) {
        assert!(command < self.commands.len(), "the command at fault is one of the batch");
        self.commands.remove(command);
        let place = self.places.remove(command);
        assert!(self.removed[place].is_none(), "a command is removed once");
        self.removed[place] = Some(Outcome::Ran(Err(error)));
    }

    /// Sets aside all commands of some workspaces, sorted by id.
    pub(crate) fn set_aside(&mut self, workspaces: &[WorkspaceId]) {
        assert!(workspaces.is_sorted() && self.can_shrink(), "commands of an unknown attempt stay together");
        let commands = std::mem::take(&mut self.commands).into_iter().zip(std::mem::take(&mut self.places));
        for (command, place) in commands {
            if workspaces.binary_search(&command.0.workspace).is_ok() {
                self.removed[place] = Some(Outcome::SetAside(Box::new(command)));
            } else {
                self.commands.push(command);
                self.places.push(place);
            }
        }
    }

    /// Removes all commands of a workspace with one error.
    pub(crate) fn remove_all_of(&mut self, workspace: &WorkspaceId, error: &Error) {
        for command in (0..self.commands.len()).rev() {
            if self.commands[command].0.workspace == *workspace {
                self.remove(command, error.clone());
            }
        }
    }

    /// The commands of a batch that can be run in two parts instead: nothing of it was decided.
    pub(crate) fn into_commands(self) -> Result<Vec<(Submission, Timestamp)>, OpenBatch> {
        let is_whole = self.commands.len() > 1 && self.removed.len() == self.commands.len();
        if is_whole && self.can_shrink() { Ok(self.commands) } else { Err(self) }
    }

    /// One outcome for each command that the batch began with, from the answers to the commands
    /// that were run.
    pub(crate) fn into_outcomes(self, answers: Vec<CommandResult>) -> Vec<Outcome> {
        assert_eq!(answers.len(), self.commands.len(), "every command that was run has one answer");
        let mut answers = answers.into_iter();
        let outcomes = self.removed.into_iter().map(|removed| match removed {
            Some(outcome) => outcome,
            None => Outcome::Ran(answers.next().ok_or_else(Error::engine_closed)),
        });
        outcomes.collect()
    }

    /// The same for a batch that failed: the error answers each command that was not removed.
    pub(crate) fn into_errors(self, error: &Error) -> Vec<Outcome> {
        let outcomes = self.removed.into_iter();
        outcomes.map(|removed| removed.unwrap_or_else(|| Outcome::Ran(Err(error.clone())))).collect()
    }
}
