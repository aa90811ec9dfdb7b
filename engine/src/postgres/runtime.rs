//! The threads of the engine: one for each lane and one for the readers. They are started and
//! stopped here.
//!
//! Each thread has a runtime of its own. The engine therefore needs no runtime of the caller, and
//! deciding a batch delays no request of the server.

use std::future::Future;
use std::hash::Hasher;
use std::sync::Arc;
use std::thread::JoinHandle;

use futures_util::future::{join_all, try_join_all};
use siphasher::sip::SipHasher13;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tollkeeper_ledger::{Submission, Timestamp, WorkspaceId};

use super::batch::lane::Lane;
use super::batch::queue::LaneQueue;
use super::database::blocking::single_thread_runtime;
use super::database::failure::Failure;
use super::database::session::DbSession;
use super::database::shards::Shards;
use super::query::follow;
use super::query::readers::Readers;
use super::shared::SharedState;
use crate::{CommandResult, Error, Ran, vital_thread};

/// The lanes of a server with their threads.
#[derive(Debug)]
pub(super) struct Lanes {
    queues: Vec<Arc<LaneQueue>>,
    threads: Vec<JoinHandle<()>>,
    /// The shards at the start. A lane has the workspaces of some shards, if there are any.
    shards: Shards,
}

impl Lanes {
    /// Starts `count` lanes. In the queue of each, `queue` commands of a workspace may wait.
    pub(super) fn start(
        shared: &Arc<SharedState>,
        count: usize,
        queue: usize,
        shards: Shards,
    ) -> Result<Lanes, Error> {
        assert!(count > 0, "the engine has a lane");
        let (queues, threads) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut lanes = Lanes { queues, threads, shards };
        for index in 0..count {
            let queue = Arc::new(LaneQueue::new(queue));
            let lane =
                Lane::new(Arc::clone(shared), shared.accounts_in_memory / count, lanes.shards.clone())?;
            let runtime = single_thread_runtime()?;
            let jobs = Arc::clone(&queue);
            let work = move || runtime.block_on(lane.work(jobs));
            lanes.threads.push(vital_thread::spawn(&format!("tollkeeper-lane-{index}"), work)?);
            lanes.queues.push(queue);
        }
        Ok(lanes)
    }

    /// The index of a workspace's lane: in one server always the same.
    fn index_of(&self, workspace: &WorkspaceId) -> usize {
        if self.shards.count() > 0 {
            return self.shards.of(workspace.as_str()) % self.queues.len();
        }
        let mut hasher = SipHasher13::new();
        hasher.write(workspace.as_str().as_bytes());
        (hasher.finish() % self.queues.len() as u64) as usize
    }

    /// Runs one command; waits for room in the queue.
    pub(super) async fn run(&self, submission: Submission, now: Timestamp) -> Result<CommandResult, Error> {
        self.queues[self.index_of(&submission.workspace)].run(submission, now).await
    }

    /// Runs one command, or fails at once with [`Error::is_overloaded`] if the queue is full.
    pub(super) async fn run_or_shed(
        &self,
        submission: Submission,
        now: Timestamp,
    ) -> Result<CommandResult, Error> {
        self.queues[self.index_of(&submission.workspace)].run_or_shed(submission, now).await
    }

    /// Runs commands in order. Commands of workspaces run in parallel on their lanes. A command of
    /// the platform may change prices, so it runs after everything before it and before everything
    /// after it.
    pub(super) async fn run_each(&self, batch: Vec<Submission>, now: Timestamp) -> Result<Vec<Ran>, Error> {
        let count = batch.len();
        let mut answers = Vec::with_capacity(count);
        let mut batch = batch.into_iter().peekable();
        while let Some(first) = batch.peek() {
            let is_platform = first.workspace.is_platform();
            let mut part = Vec::new();
            while let Some(next) = batch.next_if(|next| next.workspace.is_platform() == is_platform) {
                part.push(next);
            }
            answers.extend(self.run_in_parallel(part, now).await?);
        }
        assert_eq!(answers.len(), count, "every command has one answer");
        Ok(answers)
    }

    /// Distributes commands over the lanes and puts the answers back into the order of the
    /// commands.
    async fn run_in_parallel(&self, commands: Vec<Submission>, now: Timestamp) -> Result<Vec<Ran>, Error> {
        let lanes: Vec<usize> =
            commands.iter().map(|submission| self.index_of(&submission.workspace)).collect();
        let mut parts: Vec<Vec<Submission>> = self.queues.iter().map(|_| Vec::new()).collect();
        for (submission, lane) in commands.into_iter().zip(&lanes) {
            parts[*lane].push(submission);
        }
        let running = parts.into_iter().zip(&self.queues).map(|(part, lane)| async move {
            if part.is_empty() {
                return Ok(Vec::new());
            }
            lane.run_each(part, now).await
        });
        let answers = try_join_all(running).await?;
        let mut answers: Vec<_> = answers.into_iter().map(Vec::into_iter).collect();
        lanes.into_iter().map(|lane| answers[lane].next().ok_or_else(Error::engine_closed)).collect()
    }

    /// How many commands wait in all queues.
    pub(super) fn queued(&self) -> u64 {
        self.queues.iter().map(|queue| queue.queued() as u64).sum()
    }

    /// Ends all lanes after they have answered what is in their queues.
    pub(super) async fn close(&self) {
        self.queues.iter().for_each(|queue| queue.close());
        join_all(self.queues.iter().map(|queue| queue.ended())).await;
    }
}

impl Drop for Lanes {
    /// Ends the lanes after they have answered what is in their queues, and waits for their
    /// threads.
    fn drop(&mut self) {
        self.queues.iter().for_each(|queue| queue.close());
        for thread in self.threads.drain(..) {
            // The panic message of a thread was printed by the panic itself.
            let _ = thread.join();
        }
    }
}

/// The thread of the readers.
#[derive(Debug)]
pub(super) struct ReaderThread {
    handle: Handle,
    readers: Arc<Readers>,
    /// Dropping it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ReaderThread {
    /// Starts the thread.
    pub(super) fn start(readers: Readers) -> Result<ReaderThread, Error> {
        let runtime = single_thread_runtime()?;
        let (handle, readers) = (runtime.handle().clone(), Arc::new(readers));
        let (stop, stopped) = oneshot::channel::<()>();
        let refreshed = Arc::clone(&readers);
        let thread = vital_thread::spawn("tollkeeper-readers", move || {
            runtime.block_on(async {
                tokio::select! {
                    () = refreshed.refresh_periodically() => {}
                    () = refreshed.repair_when_asked() => {}
                    () = follow::wake_after_others(&refreshed) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(ReaderThread { handle, readers, stop: Some(stop), thread: Some(thread) })
    }

    /// Migrates the database and loads what the server needs before it serves. Returns the shards
    /// of the tables.
    pub(super) async fn begin(&self) -> Result<Shards, Error> {
        let readers = Arc::clone(&self.readers);
        let begun = self.handle.spawn(async move { readers.begin().await });
        begun.await.map_err(|_| Error::engine_closed())?.map_err(Failure::into_error)
    }

    /// Runs a query on the thread. The caller may await the result on any runtime.
    pub(super) async fn read<T, F>(
        &self,
        read: impl Fn(Arc<DbSession>) -> F + Send + Sync + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        // Boxed, because a runtime moves the future of a task several times, and this one is
        // several kilobytes long.
        let task = self.handle.spawn(Box::pin(async move { readers.read(read).await }));
        // If the caller goes away, the read ends at its next step.
        let _abandoned = AbortOnDrop(task.abort_handle());
        task.await.map_err(|ended| match ended.is_panic() {
            true => Error::bug("a query panicked"),
            false => Error::engine_closed(),
        })?
    }
}

impl ReaderThread {
    /// Runs work with a connection of its own on the thread. The caller may await the result on any
    /// runtime.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Error> {
        let task = self.handle.spawn(work);
        let _abandoned = AbortOnDrop(task.abort_handle());
        let ran = task.await.map_err(|ended| match ended.is_panic() {
            true => Error::bug("work on deliveries panicked"),
            false => Error::engine_closed(),
        })?;
        ran.map_err(Failure::into_error)
    }
}

/// Ends a task when it is dropped.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Drop for ReaderThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The panic message of a thread was printed by the panic itself.
            let _ = thread.join();
        }
    }
}
