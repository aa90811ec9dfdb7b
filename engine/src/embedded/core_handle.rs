//! How callers on any thread reach the core: the bounded queue in front of the writer thread, and
//! what is published after every commit.
//!
//! Commands, reads of memory and wake-ups go through one queue. A read sees everything that was
//! answered before it was sent; it may overtake commands that wait in the queue. Its answer is held
//! back until all that it saw is on disk. The price book and
//! the numbers for metrics do not pass the queue: the thread that committed publishes them after
//! every commit. What the thread does with the queue is in `threads::writer`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{Notify, mpsc, oneshot};
use tollkeeper_ledger::{Platform, Submission, Timestamp};

use super::core::Core;
use super::threads::checkpoint::Wake;
use crate::request_queue::{self, RequestQueue};
use crate::{CommandResult, EngineStats, Error, Ran};

/// A read on the writer thread. It returns what delivers its answer, to be called once everything
/// that it saw is on disk.
pub(super) type Read = Box<dyn FnOnce(&mut Core) -> DeliverRead + Send>;

/// Sends the answer of a read, or the error because of which what it saw is not on disk.
pub(super) type DeliverRead = Box<dyn FnOnce(&Result<(), Error>) + Send>;

/// What only this engine sends to its thread.
pub(super) enum CoreJob {
    Read(Read),
    /// The checkpointer or the committer has finished something.
    Wake,
}

/// A job of the writer thread.
pub(super) type Job = request_queue::Job<CoreJob>;

/// What the thread that committed publishes after every commit: always on disk.
#[derive(Debug, Default)]
pub(super) struct PublishedState {
    platform: RwLock<Arc<Platform>>,
    entries: AtomicU64,
    journal_bytes: AtomicU64,
    commits: AtomicU64,
    commands: AtomicU64,
    accounts: AtomicU64,
    pending: AtomicU64,
    entries_to_replay: AtomicU64,
    accounts_refused: AtomicU64,
    accounts_rebuilt: AtomicU64,
    state_files_made: AtomicU64,
    writable: AtomicBool,
    decided_ahead: AtomicU64,
    /// The sequence number of the last entry that a subscriber may follow.
    last_followed: AtomicU64,
    /// Woken when such an entry is on disk.
    committed: Notify,
    /// True once somebody waits for that.
    is_followed: AtomicBool,
}

/// What is to be published once it is on disk.
#[derive(Debug)]
pub(super) struct StateToPublish {
    stats: EngineStats,
    state_files_made: u64,
    last_followed: u64,
    /// `None` while memory is discarded; the last value stays published.
    platform: Option<Arc<Platform>>,
}

impl StateToPublish {
    /// Everything in memory. It must be on disk before it is published.
    pub(super) fn of(core: &Core) -> StateToPublish {
        StateToPublish {
            stats: core.stats(),
            state_files_made: core.state_files_made(),
            last_followed: core.last_followed(),
            platform: core.platform(),
        }
    }

    /// The same after the batch in flight, of `bytes` bytes, is on disk.
    pub(super) fn after_append(mut self, bytes: u64) -> StateToPublish {
        self.stats.journal_bytes += bytes;
        self.stats.commits += 1;
        self
    }
}

impl PublishedState {
    /// Publishes what is on disk.
    pub(super) fn publish(&self, to_publish: StateToPublish) {
        let StateToPublish { stats, state_files_made, last_followed, platform } = to_publish;
        self.state_files_made.store(state_files_made, Relaxed);
        self.journal_bytes.store(stats.journal_bytes, Relaxed);
        self.commits.store(stats.commits, Relaxed);
        self.commands.store(stats.commands, Relaxed);
        self.writable.store(stats.writable, Relaxed);
        self.accounts_refused.store(stats.accounts_refused, Relaxed);
        self.accounts_rebuilt.store(stats.accounts_rebuilt, Relaxed);
        self.decided_ahead.store(stats.entries_decided_ahead, Relaxed);
        let Some(new) = platform else { return };
        self.entries.store(stats.entries, Relaxed);
        let has_more = self.last_followed.swap(last_followed, Relaxed) != last_followed;
        self.accounts.store(stats.accounts_in_memory, Relaxed);
        self.pending.store(stats.pending_charges, Relaxed);
        self.entries_to_replay.store(stats.entries_to_replay, Relaxed);
        let mut platform = self.platform.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&platform, &new) {
            *platform = new;
        }
        drop(platform);
        if has_more && self.is_followed.load(Relaxed) {
            self.committed.notify_one();
        }
    }
}

/// The core, for callers on any thread.
#[derive(Clone, Debug)]
pub(super) struct CoreHandle {
    queue: RequestQueue<CoreJob>,
    published: Arc<PublishedState>,
}

impl CoreHandle {
    /// A handle with room for `length` jobs in its queue, and the queue's receiving side.
    pub(super) fn new(length: usize) -> (CoreHandle, mpsc::Receiver<Job>) {
        let (queue, receiver) = RequestQueue::new(length);
        (CoreHandle { queue, published: Arc::default() }, receiver)
    }

    /// Where the committing thread publishes.
    pub(super) fn published(&self) -> Arc<PublishedState> {
        Arc::clone(&self.published)
    }

    /// Wakes the writer thread. Does not keep the queue open.
    pub(super) fn wake(&self) -> Wake {
        let jobs = self.queue.downgrade();
        Arc::new(move || {
            if let Some(jobs) = jobs.upgrade() {
                // A full queue wakes the writer anyway.
                let _ = jobs.try_send(Job::Other(CoreJob::Wake));
            }
        })
    }

    /// See [`RequestQueue::run`].
    pub(super) async fn run(&self, submission: Submission, now: Timestamp) -> Result<CommandResult, Error> {
        self.queue.run(submission, now).await
    }

    /// See [`RequestQueue::run_or_shed`].
    pub(super) async fn run_or_shed(
        &self,
        submission: Submission,
        now: Timestamp,
    ) -> Result<CommandResult, Error> {
        self.queue.run_or_shed(submission, now).await
    }

    /// See [`RequestQueue::run_each`].
    pub(super) async fn run_each(&self, batch: Vec<Submission>, now: Timestamp) -> Result<Vec<Ran>, Error> {
        self.queue.run_each(batch, now).await
    }

    /// Runs a read on the writer thread.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Core) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        // The caller may have gone away; then the answer is not needed.
        let job = read_job(read, move |result| drop(reply.send(result)));
        self.queue.send(job).await?;
        answer.await.map_err(|_| Error::engine_closed())?
    }

    /// The same from a thread that may block.
    pub(super) fn blocking_read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Core) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        // As above.
        let job = read_job(read, move |result| drop(reply.send(result)));
        self.queue.blocking_send(job)?;
        answer.recv().map_err(|_| Error::engine_closed())?
    }

    /// See [`RequestQueue::close`].
    pub(super) async fn close(&self) -> Result<(), Error> {
        self.queue.close().await
    }

    /// See [`RequestQueue::close_without_waiting`].
    pub(super) fn close_without_waiting(&self) {
        self.queue.close_without_waiting();
    }

    /// The price book and the platform keys as last committed.
    pub(super) fn platform(&self) -> Arc<Platform> {
        Arc::clone(&self.published.platform.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until entries that a subscriber may follow are on disk; at once, if there were some
    /// since the last wait.
    pub(super) async fn committed(&self) {
        self.published.is_followed.store(true, Relaxed);
        self.published.committed.notified().await;
    }

    /// Reports an error that a reading thread met in the state file with this number, of
    /// [`CoreHandle::state_files_made`]; returns the one for its caller. If the file was replaced
    /// meanwhile, its damage is mended already.
    pub(super) fn report(&self, error: Error, state_file: u64) -> Error {
        let reported = self.blocking_read(move |core| {
            let is_mended = error.is_damaged_state() && state_file != core.state_files_made();
            Err::<(), Error>(if is_mended { state_file_replaced() } else { error })
        });
        reported.err().unwrap_or_else(Error::engine_closed)
    }

    /// How often the state file was replaced; a connection from before reads the old file.
    pub(super) fn state_files_made(&self) -> u64 {
        self.published.state_files_made.load(Relaxed)
    }

    /// The numbers for metrics, as last published.
    pub(super) fn stats(&self) -> EngineStats {
        let published = &*self.published;
        EngineStats {
            entries: published.entries.load(Relaxed),
            journal_bytes: published.journal_bytes.load(Relaxed),
            commits: published.commits.load(Relaxed),
            commands: published.commands.load(Relaxed),
            queued: self.queue.queued(),
            accounts_in_memory: published.accounts.load(Relaxed),
            pending_charges: published.pending.load(Relaxed),
            entries_to_replay: published.entries_to_replay.load(Relaxed),
            accounts_refused: published.accounts_refused.load(Relaxed),
            accounts_rebuilt: published.accounts_rebuilt.load(Relaxed),
            writable: published.writable.load(Relaxed),
            entries_decided_ahead: published.decided_ahead.load(Relaxed),
            clock_deviation_millis: 0,
        }
    }
}

/// A job that reads at once, and sends its answer when everything that it saw is on disk.
fn read_job<T: Send + 'static>(
    read: impl FnOnce(&mut Core) -> Result<T, Error> + Send + 'static,
    send: impl FnOnce(Result<T, Error>) + Send + 'static,
) -> Job {
    Job::Other(CoreJob::Read(Box::new(move |core| {
        let caught = catch_unwind(AssertUnwindSafe(|| read(core)));
        // The message was printed by the panic itself.
        let value = caught.unwrap_or_else(|panic| Err(Error::panicked(&*panic)));
        let value = value.map_err(|error| core.note_error(error));
        Box::new(move |on_disk| send(on_disk.clone().and(value)))
    })))
}

/// The error of a read during which the state file was replaced.
pub(super) fn state_file_replaced() -> Error {
    Error::unavailable("the state file was built again while it was read")
}

#[cfg(test)]
mod tests {
    use crate::Error;
    use crate::embedded::{Embedded, Options};

    #[test]
    fn a_read_that_panics_is_answered_with_an_error_and_the_next_is_served() {
        let scratch = tempfile::tempdir().expect("a directory");
        let engine = Embedded::open(scratch.path(), Options::default()).expect("a fresh directory opens");
        let panicked = engine.core.blocking_read::<()>(|_| panic!("an assertion failed"));
        assert!(panicked.expect_err("the read panicked").is_bug());
        let next = engine.core.blocking_read(|core| core.due(tollkeeper_ledger::Timestamp::ZERO, 1));
        assert_eq!(next.expect("the thread goes on"), []);
    }

    #[test]
    fn damage_is_mended_once_however_late_a_read_reports_it() {
        let scratch = tempfile::tempdir().expect("a directory");
        let engine = Embedded::open(scratch.path(), Options::default()).expect("a fresh directory opens");
        let report = |state_file| {
            let error = Error::damaged("a row of the state file").of_state();
            let returned = engine.core.report(error, state_file);
            assert!(returned.is_unavailable(), "{returned}");
            let mended = engine.core.blocking_read(|core| {
                core.maintain().and_then(|()| core.due(tollkeeper_ledger::Timestamp::ZERO, 1))?;
                Ok(core.state_files_made())
            });
            mended.expect("the thread goes on")
        };
        let first = engine.core.state_files_made();
        let second = report(first);
        assert_eq!(second, first + 1, "the damaged file was replaced");
        assert_eq!(report(first), second, "a read of the first file reports later");
        assert_eq!(report(second), second + 1, "the second file is damaged too");
    }
}
