//! The thread around the keeper: takes tasks in order, goes on with a merge while none waits, and nudges whoever feeds
//! the heart when something is done. What is written is in `keeper`.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use crate::Error;
use crate::embedded::storage::checkpointer::{Checkpointer, Done, Task};

/// Called from the keeper's thread when something is done.
pub(crate) type Wake = Box<dyn Fn() + Send>;

/// The keeper's thread; ends, and is waited for, when this is dropped.
#[derive(Debug)]
pub(crate) struct CheckpointThread {
    tasks: Option<Sender<Task>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
}

impl CheckpointThread {
    /// Starts the thread.
    pub(crate) fn start(checkpointer: Checkpointer, wake: Wake) -> std::io::Result<CheckpointThread> {
        let (tasks, from_core) = channel();
        let (handle, done) = channel();
        let work = move || work(checkpointer, &from_core, &handle, &wake);
        let thread = std::thread::Builder::new().name("tollkeeper-keeper".into()).spawn(work)?;
        Ok(CheckpointThread { tasks: Some(tasks), done, thread: Some(thread) })
    }

    pub(crate) fn give(&self, task: Task) {
        if let Some(tasks) = &self.tasks {
            // The thread ends only when this end of the channel is dropped, or by a panic that `wait` reports.
            let _ = tasks.send(task);
        }
    }

    /// Something that is done, if there is. A thread that ended without being told has failed.
    pub(crate) fn poll(&self) -> Option<Done> {
        match self.done.try_recv() {
            Ok(done) => Some(done),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(ended()),
        }
    }

    /// Waits for something that is done.
    pub(crate) fn wait(&self) -> Done {
        self.done.recv().unwrap_or_else(|_| ended())
    }
}

fn ended() -> Done {
    Done::Failed(Error::unavailable("the keeper of derived state has ended"))
}

impl Drop for CheckpointThread {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there; what it left undone is read anew from the journal.
            let _ = thread.join();
        }
    }
}

fn work(mut checkpointer: Checkpointer, tasks: &Receiver<Task>, done: &Sender<Done>, wake: &Wake) {
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
            Some(task) => checkpointer.begin(task),
            None => checkpointer.step(),
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
    fn a_keeper_that_ended_by_itself_has_failed() {
        let (tasks, _) = channel();
        let (handle, done) = channel();
        let checkpointer = CheckpointThread { tasks: Some(tasks), done, thread: None };
        assert!(checkpointer.poll().is_none(), "nothing is done yet");
        drop(handle);
        checkpointer.give(Task::JournalCheckpoint);
        assert!(matches!(checkpointer.poll(), Some(Done::Failed(error)) if error.is_unavailable()));
        assert!(matches!(checkpointer.wait(), Done::Failed(_)));
    }
}
