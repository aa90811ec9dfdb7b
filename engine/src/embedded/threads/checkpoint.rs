//! The thread around the checkpointer: does its tasks in order, and continues a merge while no task
//! waits.
//!
//! When something is finished, it wakes the writer thread, which fetches it. What is written is in
//! `storage::checkpointer`.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use crate::embedded::storage::checkpoint_task::{Task, TaskResult};
use crate::embedded::storage::checkpointer::Checkpointer;
use crate::embedded::storage::checkpointer_handle::{CheckpointerHandle, StartCheckpointer};
use crate::{Error, vital_thread};

/// Wakes the writer thread; called from any thread when it has something to fetch.
pub(crate) type Wake = Arc<dyn Fn() + Send + Sync>;

/// Starts checkpointers on threads of their own.
pub(crate) struct StartOnThread(pub(crate) Wake);

impl fmt::Debug for StartOnThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StartOnThread").finish_non_exhaustive()
    }
}

impl StartCheckpointer for StartOnThread {
    fn start(&self, checkpointer: Checkpointer) -> Result<Box<dyn CheckpointerHandle>, Error> {
        Ok(Box::new(CheckpointThread::start(checkpointer, Arc::clone(&self.0))?))
    }
}

/// A checkpointer's thread; it ends, and is waited for, when this is dropped.
#[derive(Debug)]
struct CheckpointThread {
    /// Dropped to end the thread.
    tasks: Option<Sender<Task>>,
    done: Receiver<TaskResult>,
    thread: Option<JoinHandle<()>>,
}

impl CheckpointThread {
    fn start(checkpointer: Checkpointer, wake: Wake) -> Result<CheckpointThread, Error> {
        let (tasks, received) = channel();
        let (finished, done) = channel();
        let body = move || run(checkpointer, &received, &finished, &wake);
        let thread = vital_thread::spawn("tollkeeper-checkpoint", body)?;
        Ok(CheckpointThread { tasks: Some(tasks), done, thread: Some(thread) })
    }
}

impl CheckpointerHandle for CheckpointThread {
    fn submit(&mut self, task: Task) {
        if let Some(tasks) = &self.tasks {
            // If the thread has ended by a panic, `poll` and `wait` report it.
            let _ = tasks.send(task);
        }
    }

    fn poll(&mut self) -> Option<TaskResult> {
        match self.done.try_recv() {
            Ok(done) => Some(done),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(ended()),
        }
    }

    fn wait(&mut self) -> Option<TaskResult> {
        Some(self.done.recv().unwrap_or_else(|_| ended()))
    }
}

/// A thread that ended before this end was dropped has failed.
fn ended() -> TaskResult {
    TaskResult::Failed(Error::unavailable("the checkpoint thread has ended"))
}

impl Drop for CheckpointThread {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed by the thread; what it did not write is derived from the journal
            // again.
            let _ = thread.join();
        }
    }
}

fn run(mut checkpointer: Checkpointer, tasks: &Receiver<Task>, done: &Sender<TaskResult>, wake: &Wake) {
    loop {
        let task = if checkpointer.is_merging() {
            match tasks.try_recv() {
                Ok(task) => Some(task),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return,
            }
        } else {
            match tasks.recv() {
                Ok(task) => Some(task),
                Err(_) => return,
            }
        };
        let result = match task {
            Some(task) => checkpointer.perform(task),
            None => checkpointer.continue_merge(),
        };
        if let Some(result) = result {
            if done.send(result).is_err() {
                return;
            }
            wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_thread_that_ended_by_itself_has_failed() {
        let (tasks, _) = channel();
        let (finished, done) = channel();
        let mut thread = CheckpointThread { tasks: Some(tasks), done, thread: None };
        assert!(thread.poll().is_none(), "nothing is finished yet");
        drop(finished);
        thread.submit(Task::WalCheckpoint);
        assert!(matches!(thread.poll(), Some(TaskResult::Failed(error)) if error.is_unavailable()));
        assert!(matches!(thread.wait(), Some(TaskResult::Failed(_))));
    }
}
