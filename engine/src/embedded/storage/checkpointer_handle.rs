//! How the core reaches the checkpointer, wherever it runs.
//!
//! The core decides what is to be written and submits it as a [`Task`]; the checkpointer writes it
//! and answers with a [`TaskResult`]. Tasks begin in the order in which they were submitted. A
//! merge may end after later tasks.
//!
//! In a server the checkpointer has a thread of its own (`threads::checkpoint`). In a simulation it
//! runs in the caller's thread ([`Inline`]), so that the run is deterministic. Nothing here knows
//! an account or a thread.

use std::collections::VecDeque;
use std::fmt::Debug;

use super::checkpoint_task::{Task, TaskResult};
use super::checkpointer::Checkpointer;
use crate::Error;

/// A handle to a checkpointer, wherever it runs.
pub(crate) trait CheckpointerHandle: Debug + Send {
    /// Gives it a task.
    fn submit(&mut self, task: Task);

    /// What it has finished and not yet reported, the oldest first; `None` if there is nothing.
    fn poll(&mut self) -> Option<TaskResult>;

    /// The same, but waits for it. Called only while a task that has a result is under way.
    fn wait(&mut self) -> Option<TaskResult>;
}

/// Starts a checkpointer. The core needs it again after a failure, when it loads everything again.
pub(crate) trait StartCheckpointer: Debug + Send {
    fn start(&self, checkpointer: Checkpointer) -> Result<Box<dyn CheckpointerHandle>, Error>;
}

/// Starts checkpointers that run in the caller's thread.
#[derive(Debug)]
pub(crate) struct StartInline;

impl StartCheckpointer for StartInline {
    fn start(&self, checkpointer: Checkpointer) -> Result<Box<dyn CheckpointerHandle>, Error> {
        Ok(Box::new(Inline { checkpointer, done: VecDeque::new() }))
    }
}

/// A checkpointer in the caller's thread: a task is finished when it is submitted.
#[derive(Debug)]
struct Inline {
    checkpointer: Checkpointer,
    done: VecDeque<TaskResult>,
}

impl CheckpointerHandle for Inline {
    fn submit(&mut self, task: Task) {
        self.done.extend(self.checkpointer.perform(task));
        while self.checkpointer.is_merging() {
            self.done.extend(self.checkpointer.continue_merge());
        }
    }

    fn poll(&mut self) -> Option<TaskResult> {
        self.done.pop_front()
    }

    fn wait(&mut self) -> Option<TaskResult> {
        self.done.pop_front()
    }
}
