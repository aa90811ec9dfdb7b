//! A client who asks until answered: now this server, now that one, the same request under the same key.
//!
//! It stands for all callers of several servers on one ledger, and keeps the engines' own contract, so that whatever is
//! asked of one engine (the bank test) can be asked of several while they fail and come back. "Not now" is asked again
//! after a moment; anything else that is no answer ends the test, and so does a server that keeps silent.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tollkeeper_engine::{BoxFuture, CommandResult, Engine, EngineStats, Error, Query, QueryResult};
use tollkeeper_ledger::{ChargeId, Platform, Submission, Timestamp, WorkspaceId};

/// The longest that a server may keep silent, whatever has failed behind it.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The longest that a client asks again.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long it waits before it asks again.
const MOMENT: Duration = Duration::from_millis(20);

/// What was asked so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Commands that were answered.
    pub answered: u64,
    /// Times that a server said "not now", to a command or a reader.
    pub not_now: u64,
}

/// Several engines on one ledger, and the patience to ask until one answers.
pub struct RetryingClient {
    runtime: Runtime,
    engines: Mutex<Vec<Arc<dyn Engine>>>,
    turn: AtomicUsize,
    asked: Mutex<Asked>,
    answered: Condvar,
}

impl fmt::Debug for RetryingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryingClient").field("asked", &self.asked()).finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RetryingClient {
    /// Asks these in turn.
    #[must_use]
    pub fn new(engines: Vec<Arc<dyn Engine>>) -> RetryingClient {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        RetryingClient {
            runtime: runtime.expect("threads can be started"),
            engines: Mutex::new(engines),
            turn: AtomicUsize::new(0),
            asked: Mutex::default(),
            answered: Condvar::new(),
        }
    }

    /// Asks these from now on; whatever is under way elsewhere goes on until it is answered or told "not now".
    pub fn switch_to(&self, engines: Vec<Arc<dyn Engine>>) {
        *locked(&self.engines) = engines;
    }

    /// What was asked so far.
    #[must_use]
    pub fn asked(&self) -> Asked {
        *locked(&self.asked)
    }

    /// Waits until so many more commands were answered.
    pub fn wait_for_answers(&self, more: u64) {
        let mut asked = locked(&self.asked);
        let enough = asked.answered + more;
        while asked.answered < enough {
            let (woken, waited) =
                self.answered.wait_timeout(asked, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            assert!(!waited.timed_out(), "nothing is answered any more");
            asked = woken;
        }
    }

    fn next(&self) -> Arc<dyn Engine> {
        let engines = locked(&self.engines);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Arc::clone(&engines[turn % engines.len()])
    }

    /// Asks until answered.
    async fn ask<T, F>(&self, call: impl Fn(Arc<dyn Engine>) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let begun = Instant::now();
        loop {
            let call = call(self.next());
            let answer = async move {
                let answer = tokio::time::timeout(SILENCE_MAX, call).await.expect("a server answers in time");
                if answer.as_ref().is_err_and(not_now) {
                    tokio::time::sleep(MOMENT).await;
                }
                answer
            };
            match self.runtime.spawn(answer).await.expect("a server does not panic") {
                Err(error) if not_now(&error) => {
                    locked(&self.asked).not_now += 1;
                    assert!(begun.elapsed() < PATIENCE, "it is never answered: {error}");
                }
                answer => return answer,
            }
        }
    }

    /// Asks for something to be done, and counts it.
    async fn command<T, F>(&self, call: impl Fn(Arc<dyn Engine>) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let answer = self.ask(call).await;
        locked(&self.asked).answered += 1;
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

    fn run_batch(
        &self,
        batch: Vec<Submission>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<CommandResult>, Error>> {
        Box::pin(self.command(move |engine| {
            let batch = batch.clone();
            async move { engine.run_batch(batch, now).await }
        }))
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<QueryResult, Error>> {
        Box::pin(self.ask(move |engine| {
            let query = query.clone();
            async move { engine.query(query).await }
        }))
    }

    fn platform(&self) -> Arc<Platform> {
        self.next().platform()
    }

    fn due(&self, now: Timestamp, most: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>> {
        Box::pin(self.ask(move |engine| async move { engine.due(now, most).await }))
    }

    fn stats(&self) -> EngineStats {
        self.next().stats()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.ask(|engine| async move { engine.close().await }))
    }
}
