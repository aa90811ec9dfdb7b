//! The way to the heart: a bounded queue in front of the writer thread, and what that thread shows everyone. What the
//! thread does with the queue is in `writer`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;
use tollkeeper_ledger::{Platform, Submission, Timestamp};

use super::core::Heart;
use super::threads::checkpoint::Nudge;
use crate::reply::gone;
use crate::{CommandResult, EngineStats, Error};

/// A read of memory, with its answer's way back inside. It gives what is to be called once all that it saw is on disk.
pub(super) type Read = Box<dyn FnOnce(&mut Heart) -> Release + Send>;

/// Lets an answer go, or says why it cannot be given.
pub(super) type Release = Box<dyn FnOnce(&Result<(), Error>) + Send>;

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
    Nudge,
    Close(oneshot::Sender<Result<(), Error>>),
}

impl Job {
    /// How many commands it brings.
    pub(super) fn commands(&self) -> usize {
        match self {
            Job::One(..) => 1,
            Job::Batch(submissions, ..) => submissions.len(),
            Job::Read(_) | Job::Nudge | Job::Close(_) => 0,
        }
    }
}

/// Makes what the keeper's thread calls when something is done; none means that the keeper has no thread.
#[derive(Clone, Debug)]
pub(super) struct NudgeMaker(Option<mpsc::WeakSender<Job>>);

impl NudgeMaker {
    pub(super) fn none() -> NudgeMaker {
        NudgeMaker(None)
    }

    pub(super) fn make(&self) -> Option<Nudge> {
        let jobs = self.0.clone()?;
        Some(Box::new(move || {
            // A full queue wakes the writer without our help.
            if let Some(jobs) = jobs.upgrade() {
                let _ = jobs.try_send(Job::Nudge);
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
pub(super) struct Shown {
    figures: EngineStats,
    /// `None` while memory has to be read anew: the last platform that was shown stands.
    platform: Option<Arc<Platform>>,
}

impl Shown {
    /// Everything in memory, which must be on disk before it is shown.
    pub(super) fn of(heart: &Heart) -> Shown {
        let (journal_bytes, commits, commands) = (heart.journal_bytes, heart.commits, heart.commands);
        let writable = heart.lock.is_some() && heart.trouble.is_none();
        let figures = EngineStats { journal_bytes, commits, commands, writable, ..EngineStats::default() };
        let Some(mind) = &heart.mind else { return Shown { figures, platform: None } };
        let figures = EngineStats {
            entries: mind.last(),
            accounts_in_memory: mind.accounts.in_memory() as u64,
            pending_charges: mind.timers.len() as u64,
            tail_entries: mind.last() - mind.accounts_kept_to.min(mind.last()),
            ..figures
        };
        Shown { figures, platform: Some(Arc::clone(&mind.platform)) }
    }

    /// The same when a flight with so many bytes has landed.
    pub(super) fn landed(mut self, bytes: u64) -> Shown {
        self.figures.journal_bytes += bytes;
        self.figures.commits += 1;
        self
    }
}

impl Published {
    /// Shows everyone what is on disk.
    pub(super) fn publish(&self, shown: Shown) {
        let Shown { figures, platform } = shown;
        self.journal_bytes.store(figures.journal_bytes, Relaxed);
        self.commits.store(figures.commits, Relaxed);
        self.commands.store(figures.commands, Relaxed);
        self.writable.store(figures.writable, Relaxed);
        let Some(new) = platform else { return };
        self.entries.store(figures.entries, Relaxed);
        self.accounts.store(figures.accounts_in_memory, Relaxed);
        self.pending.store(figures.pending_charges, Relaxed);
        self.tail.store(figures.tail_entries, Relaxed);
        let mut platform = self.platform.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !Arc::ptr_eq(&platform, &new) {
            *platform = new;
        }
    }
}

/// The way to the heart.
#[derive(Clone, Debug)]
pub(super) struct ToHeart {
    jobs: mpsc::Sender<Job>,
    published: Arc<Published>,
}

impl ToHeart {
    /// A queue of this length, and its other end.
    pub(super) fn queue(length: usize) -> (ToHeart, mpsc::Receiver<Job>) {
        let (jobs, receiver) = mpsc::channel(length);
        (ToHeart { jobs, published: Arc::default() }, receiver)
    }

    /// What the writer thread shows everyone.
    pub(super) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published)
    }

    pub(super) fn nudge_maker(&self) -> NudgeMaker {
        NudgeMaker(Some(self.jobs.downgrade()))
    }

    /// Waits for room, then for the answer.
    pub(super) async fn run(&self, submission: Submission, now: Timestamp) -> Result<CommandResult, Error> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job::One(submission, now, answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
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
            TrySendError::Closed(_) => gone(),
        })?;
        answered.await.map_err(|_| gone())?
    }

    pub(super) async fn run_batch(
        &self,
        batch: Vec<Submission>,
        now: Timestamp,
    ) -> Result<Vec<CommandResult>, Error> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job::Batch(batch, now, answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Reads something of the heart's.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Heart) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Read(Box::new(move |heart| {
            let value = read(heart);
            Box::new(move |kept| {
                // Whoever asked may have gone; then nobody needs the answer.
                let _ = answer.send(kept.clone().and(value));
            })
        }));
        self.jobs.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// The same from a thread that may block.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Heart) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        let job = Job::Read(Box::new(move |heart| {
            let value = read(heart);
            Box::new(move |kept| {
                // Whoever asked may have gone; then nobody needs the answer.
                let _ = answer.send(kept.clone().and(value));
            })
        }));
        self.jobs.blocking_send(job).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }

    pub(super) async fn close(&self) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job::Close(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
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
