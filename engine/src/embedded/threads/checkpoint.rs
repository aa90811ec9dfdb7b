//! The thread around the keeper: takes tasks in order, goes on with a merge while none waits, and nudges whoever feeds
//! the heart when something is done. What is written is in `keeper`.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use crate::Error;
use crate::embedded::storage::checkpointer::{Done, Keeper, Task};

/// Called from the keeper's thread when something is done.
pub(crate) type Nudge = Box<dyn Fn() + Send>;

/// The keeper's thread; ends, and is waited for, when this is dropped.
#[derive(Debug)]
pub(crate) struct KeeperThread {
    tasks: Option<Sender<Task>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
}

impl KeeperThread {
    /// Starts the thread.
    pub(crate) fn start(keeper: Keeper, nudge: Nudge) -> std::io::Result<KeeperThread> {
        let (tasks, from_heart) = channel();
        let (to_heart, done) = channel();
        let work = move || work(keeper, &from_heart, &to_heart, &nudge);
        let thread = std::thread::Builder::new().name("tollkeeper-keeper".into()).spawn(work)?;
        Ok(KeeperThread { tasks: Some(tasks), done, thread: Some(thread) })
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

impl Drop for KeeperThread {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there; what it left undone is read anew from the journal.
            let _ = thread.join();
        }
    }
}

fn work(mut keeper: Keeper, tasks: &Receiver<Task>, done: &Sender<Done>, nudge: &Nudge) {
    loop {
        let task = if keeper.is_merging() {
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
            Some(task) => keeper.begin(task),
            None => keeper.step(),
        };
        if let Some(result) = result {
            if done.send(result).is_err() {
                return;
            }
            nudge();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keeper_that_ended_by_itself_has_failed() {
        let (tasks, _) = channel();
        let (to_heart, done) = channel();
        let keeper = KeeperThread { tasks: Some(tasks), done, thread: None };
        assert!(keeper.poll().is_none(), "nothing is done yet");
        drop(to_heart);
        keeper.give(Task::JournalCheckpoint);
        assert!(matches!(keeper.poll(), Some(Done::Failed(error)) if error.is_unavailable()));
        assert!(matches!(keeper.wait(), Done::Failed(_)));
    }
}
