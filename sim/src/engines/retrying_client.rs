//! A client of several engines on one ledger, which retries on the next engine until one answers.
//!
//! It implements [`Engine`], so that a test for one engine (the bank test) also runs against
//! several engines that fail and come back. It retries after "unavailable" and "overloaded". Any
//! other error ends the test, and so does an engine that does not answer in time.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tollkeeper_engine::{
    BoxFuture, CommandResult, DuePlace, Engine, EngineStats, Error, Query, QueryResult, Ran, Watch,
};
use tollkeeper_ledger::{ChargeId, Platform, Submission, Timestamp, WorkspaceId};

/// How long an engine may take to answer, even if its database has failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request is retried.
const RETRY_TIMEOUT: Duration = Duration::from_secs(90);
/// The pause before a retry.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// What the client has counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryCounts {
    /// Commands that got an answer.
    pub answered: u64,
    /// Attempts that failed with "unavailable" or "overloaded", of commands and reads.
    pub not_now: u64,
}

/// Several engines on one ledger behind the interface of one.
pub struct RetryingClient {
    runtime: Runtime,
    engines: Mutex<Vec<Arc<dyn Engine>>>,
    turn: AtomicUsize,
    counts: Mutex<RetryCounts>,
    answered: Condvar,
}

impl fmt::Debug for RetryingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryingClient").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RetryingClient {
    /// A client that sends each attempt to the next of these engines.
    #[must_use]
    pub fn new(engines: Vec<Arc<dyn Engine>>) -> RetryingClient {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        RetryingClient {
            runtime: runtime.expect("the system can start threads"),
            engines: Mutex::new(engines),
            turn: AtomicUsize::new(0),
            counts: Mutex::default(),
            answered: Condvar::new(),
        }
    }

    /// Uses these engines from now on. Attempts under way on others continue until they end.
    pub fn switch_to(&self, engines: Vec<Arc<dyn Engine>>) {
        *locked(&self.engines) = engines;
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> RetryCounts {
        *locked(&self.counts)
    }

    /// Waits until `more` more commands got an answer.
    pub fn wait_for_answers(&self, more: u64) {
        let mut counts = locked(&self.counts);
        let enough = counts.answered + more;
        while counts.answered < enough {
            let (woken, waited) =
                self.answered.wait_timeout(counts, RETRY_TIMEOUT).unwrap_or_else(PoisonError::into_inner);
            assert!(!waited.timed_out(), "the engines answer commands");
            counts = woken;
        }
    }

    fn next(&self) -> Arc<dyn Engine> {
        let engines = locked(&self.engines);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Arc::clone(&engines[turn % engines.len()])
    }

    /// Repeats a call until an engine answers it.
    async fn retry<T, F>(&self, call: impl Fn(Arc<dyn Engine>) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let begun = Instant::now();
        loop {
            let call = call(self.next());
            let answer = async move {
                let answer =
                    tokio::time::timeout(ANSWER_TIMEOUT, call).await.expect("an engine answers in time");
                if answer.as_ref().is_err_and(not_now) {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                answer
            };
            match self.runtime.spawn(answer).await.expect("an engine does not panic") {
                Err(error) if not_now(&error) => {
                    locked(&self.counts).not_now += 1;
                    assert!(begun.elapsed() < RETRY_TIMEOUT, "no engine answers: {error}");
                }
                answer => return answer,
            }
        }
    }

    /// Repeats a command until an engine answers it, and counts the answer.
    async fn command<T, F>(&self, call: impl Fn(Arc<dyn Engine>) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let answer = self.retry(call).await;
        locked(&self.counts).answered += 1;
        self.answered.notify_all();
        answer
    }
}

fn not_now(error: &Error) -> bool {
    error.is_unavailable() || error.is_overloaded()
}

impl Engine for RetryingClient {
    fn run(&self, submission: Submission, now: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>> {
        Box::pin(self.command(move |engine| {
            let submission = submission.clone();
            async move { engine.run(submission, now).await }
        }))
    }

    fn run_or_shed(
        &self,
        submission: Submission,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<CommandResult, Error>> {
        Box::pin(self.command(move |engine| {
            let submission = submission.clone();
            async move { engine.run_or_shed(submission, now).await }
        }))
    }

    fn run_each(&self, batch: Vec<Submission>, now: Timestamp) -> BoxFuture<'_, Result<Vec<Ran>, Error>> {
        Box::pin(self.command(move |engine| {
            let batch = batch.clone();
            // An error of one command is retried with all of them, under the same keys.
            async move { Ok(engine.run_batch(batch, now).await?.into_iter().map(Ok).collect()) }
        }))
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<QueryResult, Error>> {
        Box::pin(self.retry(move |engine| {
            let query = query.clone();
            async move { engine.query(query).await }
        }))
    }

    fn watch(&self, workspace: &WorkspaceId) -> Watch {
        self.next().watch(workspace)
    }

    fn platform(&self) -> Arc<Platform> {
        self.next().platform()
    }

    fn due(&self, now: Timestamp, most: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>> {
        Box::pin(self.retry(move |engine| async move { engine.due(now, most).await }))
    }

    fn due_payments(
        &self,
        now: Timestamp,
        after: Option<DuePlace>,
        most: usize,
    ) -> BoxFuture<'_, Result<Vec<DuePlace>, Error>> {
        Box::pin(self.retry(move |engine| {
            let after = after.clone();
            async move { engine.due_payments(now, after, most).await }
        }))
    }

    fn claim_payments(
        &self,
        now: Timestamp,
        workspaces: Vec<WorkspaceId>,
    ) -> BoxFuture<'_, Result<Vec<WorkspaceId>, Error>> {
        Box::pin(self.retry(move |engine| {
            let workspaces = workspaces.clone();
            async move { engine.claim_payments(now, workspaces).await }
        }))
    }

    fn stats(&self) -> EngineStats {
        self.next().stats()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.retry(|engine| async move { engine.close().await }))
    }
}
