//! The polling job: it refunds pending charges whose deadline has passed.
//!
//! The engine says which deadlines have passed; each such charge gets a command. The ledger decides
//! every command by itself, so a command that comes late, twice or together with an outcome does no
//! harm.
//!
//! A charge that cannot be timed out stops no other ([`BackOff`]). If a whole batch fails, its
//! commands are sent one by one.

use tollkeeper_engine::{Error, Ran};
use tollkeeper_ledger::{Actor, ChargeCommand, ChargeId, Submission, Timestamp, WorkspaceId};

use super::back_off::BackOff;
use super::polling::Polling;
use super::refused;
use crate::app::App;

/// The most charges timed out in one batch, the size of any other batch.
const BATCH: usize = 1_000;

/// After this many commands in a row for which the store was not available, the poll ends.
const UNAVAILABLE_MAX: usize = 3;

/// A charge by its workspace.
type Due = (WorkspaceId, ChargeId);

/// The polling job with what it remembers between polls.
#[derive(Debug, Default)]
pub struct TimeOuts {
    failing: BackOff<Due>,
}

impl Polling for TimeOuts {
    const WHAT: &'static str = "time-outs of charges";

    /// Times out at most [`BATCH`] charges.
    async fn do_batch(&mut self, app: &App) -> Result<bool, Error> {
        app.clock_watch.note_deviation(app.engine().stats().clock_deviation_millis);
        let reading = app.read_clocks();
        if !app.clock_watch.lets_timers_run(reading) {
            return Ok(false);
        }
        let now = reading.now;
        self.failing.forget(now);
        let due = app.engine().due(now, BATCH + self.failing.len()).await?;
        let ready = due.into_iter().filter(|charge| !self.failing.waits(charge, now));
        let batch: Vec<Due> = ready.take(BATCH).collect();
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

    fn note_failing(&self, app: &App) {
        app.metrics.set_failing_time_outs(self.failing.len());
    }
}

impl TimeOuts {
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
                self.failing.note_done(&charge);
                return true;
            }
            Ok(Err(refusal)) => refused(&refusal),
            Err(error) => error.to_string(),
        };
        app.metrics.count_failed_time_out();
        let (workspace, id) = charge.clone();
        if self.failing.note_failure(charge, now) {
            tracing::error!(%workspace, charge = %id, why, "a due charge cannot be timed out; it is tried again");
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
