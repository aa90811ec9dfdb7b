//! The polling job: it refunds pending charges whose deadline has passed.
//!
//! The engine says which deadlines have passed; each such charge gets a command. The ledger decides
//! every command by itself, so a command that comes late, twice or together with an outcome does no
//! harm.
//!
//! A charge that cannot be timed out stops no other. It is tried again after a pause that doubles
//! each time, while the others go on. If a whole batch fails, its commands are sent one by one. The
//! pauses are in memory only: after a restart every due charge is tried at once.

use std::collections::BTreeMap;
use std::time::Duration;

use tollkeeper_engine::{Error, Ran};
use tollkeeper_ledger::{Actor, ChargeCommand, ChargeId, Submission, Timestamp, WorkspaceId};

use crate::app::App;

/// The most charges timed out in one batch, the size of any other batch.
const BATCH: usize = 1_000;

/// The most batches in one poll, so that a poll ends. The next poll continues.
const BATCHES_PER_POLL: usize = 1_000;

/// The pause after the first failure of a charge, and the longest.
const FIRST_PAUSE_SECONDS: i64 = 1;
const LONGEST_PAUSE_SECONDS: i64 = 300;

/// The most charges whose failures are remembered. Beyond it a charge is tried at every poll.
const REMEMBERED_MAX: usize = 10_000;

/// After this many commands in a row for which the store was not available, the poll ends.
const UNAVAILABLE_MAX: usize = 3;

/// A charge by its workspace.
type Due = (WorkspaceId, ChargeId);

/// A charge that could not be timed out.
#[derive(Clone, Copy, Debug)]
struct Failing {
    pause_seconds: i64,
    /// The time from which it is tried again.
    again_at: Timestamp,
}

/// The polling job with what it remembers between polls.
#[derive(Debug, Default)]
pub struct TimeOuts {
    failing: BTreeMap<Due, Failing>,
}

impl TimeOuts {
    /// Polls for passed deadlines every `interval`, without end.
    pub async fn run(mut self, app: &App, interval: Duration) {
        let mut timer = tokio::time::interval(interval);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            self.poll(app).await;
        }
    }

    /// Refunds every pending charge whose deadline has passed, once.
    pub async fn poll(&mut self, app: &App) {
        app.clock_watch.note_deviation(app.engine().stats().clock_deviation_millis);
        for _ in 0..BATCHES_PER_POLL {
            match self.time_out_batch(app).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    // The charges stay due, and the next poll tries again.
                    tracing::warn!(%error, "could not time out due charges; the next poll retries");
                    break;
                }
            }
        }
        app.metrics.set_failing_time_outs(self.failing.len());
    }

    /// Times out at most [`BATCH`] charges; returns true if more may be due.
    async fn time_out_batch(&mut self, app: &App) -> Result<bool, Error> {
        let reading = app.read_clocks();
        if !app.clock_watch.lets_timers_run(reading) {
            return Ok(false);
        }
        let now = reading.now;
        let forgotten = |failing: &Failing| failing.again_at.plus_seconds(2 * LONGEST_PAUSE_SECONDS) < now;
        self.failing.retain(|_, failing| !forgotten(failing));
        let due = app.engine().due(now, BATCH + self.failing.len()).await?;
        let waits = |charge: &Due| self.failing.get(charge).is_some_and(|failing| failing.again_at > now);
        let batch: Vec<Due> = due.into_iter().filter(|charge| !waits(charge)).take(BATCH).collect();
        if batch.is_empty() {
            return Ok(false);
        }
        let submissions = batch.iter().map(time_out).collect();
        let is_full = batch.len() == BATCH;
        let mut timed_out = 0;
        match app.engine().run_each(submissions, now).await {
            Ok(results) => {
                for (charge, result) in batch.into_iter().zip(results) {
                    timed_out += usize::from(self.note(app, charge, result, now));
                }
            }
            Err(_) => timed_out = self.time_out_singly(app, batch, now).await?,
        }
        Ok(is_full && timed_out > 0)
    }

    /// Sends the commands of a batch that failed one by one, so that the one at fault is found;
    /// returns how many charges are no longer due.
    async fn time_out_singly(&mut self, app: &App, batch: Vec<Due>, now: Timestamp) -> Result<usize, Error> {
        let (mut timed_out, mut unavailable) = (0, 0);
        for charge in batch {
            let result = app.engine().run(time_out(&charge), now).await;
            let error = result.as_ref().err().filter(|error| !error.is_of_one_command()).cloned();
            timed_out += usize::from(self.note(app, charge, result, now));
            unavailable = if error.is_some() { unavailable + 1 } else { 0 };
            if let Some(error) = error.filter(|_| unavailable == UNAVAILABLE_MAX) {
                return Err(error);
            }
        }
        Ok(timed_out)
    }

    /// Notes what became of a charge; returns true if it is no longer due.
    fn note(&mut self, app: &App, charge: Due, result: Ran, now: Timestamp) -> bool {
        let why = match result {
            Ok(Ok(_)) => {
                self.failing.remove(&charge);
                return true;
            }
            Ok(Err(refusal)) => format!("the ledger refused it: {}", refusal.code()),
            Err(error) => error.to_string(),
        };
        app.metrics.count_failed_time_out();
        let pause_seconds = match self.failing.get(&charge) {
            Some(failing) => LONGEST_PAUSE_SECONDS.min(2 * failing.pause_seconds),
            None => {
                let (workspace, charge) = (&charge.0, charge.1);
                tracing::error!(%workspace, %charge, why, "a due charge cannot be timed out; it is tried again");
                FIRST_PAUSE_SECONDS
            }
        };
        if self.failing.len() < REMEMBERED_MAX || self.failing.contains_key(&charge) {
            let again_at = now.plus_seconds(pause_seconds);
            self.failing.insert(charge, Failing { pause_seconds, again_at });
        }
        false
    }
}

fn time_out((workspace, charge): &Due) -> Submission {
    Submission {
        workspace: workspace.clone(),
        key: None,
        actor: Actor::System,
        command: ChargeCommand::TimeOut.for_charge(*charge),
    }
}
