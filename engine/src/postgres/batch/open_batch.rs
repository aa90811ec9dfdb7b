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

impl Outcome {
    /// The workspace of a command that was set aside.
    pub(crate) fn set_aside(&self) -> Option<&WorkspaceId> {
        match self {
            Outcome::SetAside(command) => Some(&command.0.workspace),
            Outcome::Ran(_) => None,
        }
    }
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

    /// The commands of a batch that can be run in two parts instead: none of them has an answer.
    /// Those that were set aside are among them, at their places.
    pub(crate) fn into_commands(self) -> Result<Vec<(Submission, Timestamp)>, OpenBatch> {
        let is_answered = |removed: &Option<Outcome>| matches!(removed, Some(Outcome::Ran(_)));
        if self.commands.len() < 2 || self.removed.iter().any(is_answered) || !self.can_shrink() {
            return Err(self);
        }
        let mut rest = self.commands.into_iter();
        let commands = self.removed.into_iter().map(|removed| match removed {
            Some(Outcome::SetAside(command)) => *command,
            _ => rest.next().expect("a command that was not removed is still to be run"),
        });
        Ok(commands.collect())
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

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{Actor, Command};

    use super::*;

    fn commands(workspaces: &[&str]) -> Vec<(Submission, Timestamp)> {
        let command = |(place, workspace): (i64, &&str)| {
            let workspace = WorkspaceId::new(workspace).expect("the id is valid");
            let command = Command::SetLimits(Vec::new());
            let submission = Submission { workspace, key: None, actor: Actor::System, command };
            (submission, Timestamp::from_millis(place))
        };
        (0..).zip(workspaces).map(command).collect()
    }

    #[test]
    fn a_part_that_is_halved_keeps_the_places_of_what_was_set_aside() {
        let mut batch = OpenBatch::new(commands(&["a", "locked", "b", "locked"]), false);
        batch.set_aside(&[WorkspaceId::new("locked").expect("the id is valid")]);
        assert_eq!(batch.commands.len(), 2);
        let again = batch.into_commands().expect("no command has an answer");
        let places: Vec<i64> = again.iter().map(|(_, now)| now.millis()).collect();
        assert_eq!(places, [0, 1, 2, 3]);
        let outcomes = OpenBatch::new(again, false).into_errors(&Error::unavailable("later"));
        assert!(outcomes.iter().all(|outcome| outcome.set_aside().is_none()));
    }

    #[test]
    fn a_batch_with_an_answer_is_not_halved() {
        let mut batch = OpenBatch::new(commands(&["a", "b", "c"]), false);
        batch.remove(0, Error::unavailable("it is at fault"));
        let batch = batch.into_commands().expect_err("one command has its answer");
        assert_eq!((batch.commands.len(), batch.into_errors(&Error::engine_closed()).len()), (2, 3));
    }
}
