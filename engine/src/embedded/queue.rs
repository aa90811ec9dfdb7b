//! The way to the heart: a bounded queue in front of the writer thread, and what that thread shows everyone. What the
//! thread does with the queue is in `writer`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;
use tollkeeper_ledger::{Platform, Submission, Timestamp};

use super::core::Core;
use super::threads::checkpoint::Wake;
use crate::reply::engine_closed;
use crate::{CommandResult, EngineStats, Error};

/// A read of memory, with its answer's way back inside. It gives what is to be called once all that it saw is on disk.
pub(super) type Read = Box<dyn FnOnce(&mut Core) -> DeliverRead + Send>;

/// Lets an answer go, or says why it cannot be given.
pub(super) type DeliverRead = Box<dyn FnOnce(&Result<(), Error>) + Send>;

/// What can be asked of the writer thread.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every job is a single command, and a box for each is an allocation"
)]
pub(super) enum Job {
    One(Submission, Timestamp, oneshot::Sender<Result<CommandResult, Error>>),
    Batch(Vec<Submission>, Timestamp, oneshot::Sender<Result<Vec<CommandResult>, Error>>),
    Read(Read),
    /// The keeper has done something.
    Wake,
    Close(oneshot::Sender<Result<(), Error>>),
}

impl Job {
    /// How many commands it brings.
    pub(super) fn commands(&self) -> usize {
        match self {
            Job::One(..) => 1,
            Job::Batch(submissions, ..) => submissions.len(),
            Job::Read(_) | Job::Wake | Job::Close(_) => 0,
        }
    }
}

/// Makes what the keeper's thread calls when something is done; none means that the keeper has no thread.
#[derive(Clone, Debug)]
pub(super) struct WakeMaker(Option<mpsc::WeakSender<Job>>);

impl WakeMaker {
    pub(super) fn none() -> WakeMaker {
        WakeMaker(None)
    }

    pub(super) fn make(&self) -> Option<Wake> {
        let jobs = self.0.clone()?;
        Some(Box::new(move || {
            // A full queue wakes the writer without our help.
            if let Some(jobs) = jobs.upgrade() {
                let _ = jobs.try_send(Job::Wake);
            }
        }))
    }
}

/// What the writer thread publishes for everyone.
#[derive(Debug, Default)]
pub(super) struct Published {
    platform: RwLock<Arc<Platform>>,
    entries: AtomicU64,
    journal_bytes: AtomicU64,
    commits: AtomicU64,
    commands: AtomicU64,
    accounts: AtomicU64,
    pending: AtomicU64,
    tail: AtomicU64,
    writable: AtomicBool,
}

/// What the heart has to show at one moment.
#[derive(Debug)]
pub(super) struct CoreSnapshot {
    stats: EngineStats,
    /// `None` while memory has to be read anew: the last platform that was shown stands.
    platform: Option<Arc<Platform>>,
}

impl CoreSnapshot {
    /// Everything in memory, which must be on disk before it is shown.
    pub(super) fn of(core: &Core) -> CoreSnapshot {
        let (journal_bytes, commits, commands) = (core.journal_bytes, core.commits, core.commands);
        let writable = core.lock.is_some() && core.last_error.is_none();
        let stats = EngineStats { journal_bytes, commits, commands, writable, ..EngineStats::default() };
        let Some(machine) = &core.machine else { return CoreSnapshot { stats, platform: None } };
        let stats = EngineStats {
            entries: machine.last(),
            accounts_in_memory: machine.accounts.in_memory() as u64,
            pending_charges: machine.timers.len() as u64,
            tail_entries: machine.last() - machine.accounts_persisted_to.min(machine.last()),
            ..stats
        };
        CoreSnapshot { stats, platform: Some(Arc::clone(&machine.platform)) }
    }

    /// The same when a flight with so many bytes has landed.
    pub(super) fn append_finished(mut self, bytes: u64) -> CoreSnapshot {
        self.stats.journal_bytes += bytes;
        self.stats.commits += 1;
        self
    }
}

impl Published {
    /// Shows everyone what is on disk.
    pub(super) fn publish(&self, shown: CoreSnapshot) {
        let CoreSnapshot { stats, platform } = shown;
        self.journal_bytes.store(stats.journal_bytes, Relaxed);
        self.commits.store(stats.commits, Relaxed);
        self.commands.store(stats.commands, Relaxed);
        self.writable.store(stats.writable, Relaxed);
        let Some(new) = platform else { return };
        self.entries.store(stats.entries, Relaxed);
        self.accounts.store(stats.accounts_in_memory, Relaxed);
        self.pending.store(stats.pending_charges, Relaxed);
        self.tail.store(stats.tail_entries, Relaxed);
        let mut platform = self.platform.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !Arc::ptr_eq(&platform, &new) {
            *platform = new;
        }
    }
}

/// The way to the heart.
#[derive(Clone, Debug)]
pub(super) struct CoreHandle {
    jobs: mpsc::Sender<Job>,
    published: Arc<Published>,
}

impl CoreHandle {
    /// A queue of this length, and its other end.
    pub(super) fn queue(length: usize) -> (CoreHandle, mpsc::Receiver<Job>) {
        let (jobs, receiver) = mpsc::channel(length);
        (CoreHandle { jobs, published: Arc::default() }, receiver)
    }

    /// What the writer thread shows everyone.
    pub(super) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published)
    }

    pub(super) fn wake_maker(&self) -> WakeMaker {
        WakeMaker(Some(self.jobs.downgrade()))
    }

    /// Waits for room, then for the answer.
    pub(super) async fn run(&self, submission: Submission, now: Timestamp) -> Result<CommandResult, Error> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job::One(submission, now, answer)).await.map_err(|_| engine_closed())?;
        answered.await.map_err(|_| engine_closed())?
    }

    /// Waits for the answer, if there is room.
    pub(super) async fn run_or_shed(
        &self,
        submission: Submission,
        now: Timestamp,
    ) -> Result<CommandResult, Error> {
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(Job::One(submission, now, answer)).map_err(|error| match error {
            TrySendError::Full(_) => Error::overloaded(),
            TrySendError::Closed(_) => engine_closed(),
        })?;
        answered.await.map_err(|_| engine_closed())?
    }

    pub(super) async fn run_batch(
        &self,
        batch: Vec<Submission>,
        now: Timestamp,
    ) -> Result<Vec<CommandResult>, Error> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job::Batch(batch, now, answer)).await.map_err(|_| engine_closed())?;
        answered.await.map_err(|_| engine_closed())?
    }

    /// Reads something of the heart's.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Core) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Read(Box::new(move |core| {
            let value = read(core);
            Box::new(move |persisted| {
                // Whoever asked may have gone; then nobody needs the answer.
                let _ = answer.send(persisted.clone().and(value));
            })
        }));
        self.jobs.send(job).await.map_err(|_| engine_closed())?;
        answered.await.map_err(|_| engine_closed())?
    }

    /// The same from a thread that may block.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Core) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        let job = Job::Read(Box::new(move |core| {
            let value = read(core);
            Box::new(move |persisted| {
                // Whoever asked may have gone; then nobody needs the answer.
                let _ = answer.send(persisted.clone().and(value));
            })
        }));
        self.jobs.blocking_send(job).map_err(|_| engine_closed())?;
        answered.recv().map_err(|_| engine_closed())?
    }

    pub(super) async fn close(&self) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job::Close(answer)).await.map_err(|_| engine_closed())?;
        answered.await.map_err(|_| engine_closed())?
    }

    /// Tells the writer to end, from any thread, blocking or not.
    pub(super) fn close_without_waiting(&self) {
        let (answer, _) = oneshot::channel();
        let mut job = Job::Close(answer);
        while let Err(TrySendError::Full(again)) = self.jobs.try_send(job) {
            job = again;
            std::thread::yield_now();
        }
    }

    pub(super) fn platform(&self) -> Arc<Platform> {
        let platform = self.published.platform.read();
        Arc::clone(&platform.unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    pub(super) fn stats(&self) -> EngineStats {
        let published = &*self.published;
        EngineStats {
            entries: published.entries.load(Relaxed),
            journal_bytes: published.journal_bytes.load(Relaxed),
            commits: published.commits.load(Relaxed),
            commands: published.commands.load(Relaxed),
            queued: (self.jobs.max_capacity() - self.jobs.capacity()) as u64,
            accounts_in_memory: published.accounts.load(Relaxed),
            pending_charges: published.pending.load(Relaxed),
            tail_entries: published.tail.load(Relaxed),
            writable: published.writable.load(Relaxed),
        }
    }
}
