//! The polling job: it refunds pending charges whose deadline has passed.
//!
//! The engine says which deadlines have passed; each such charge gets a command. The ledger decides
//! every command by itself, so a command that comes late, twice or together with an outcome does no
//! harm.

use std::time::Duration;

use tollkeeper_engine::Error;
use tollkeeper_ledger::{Actor, ChargeCommand, ChargeId, Submission, WorkspaceId};

use crate::app::App;

/// The most charges timed out in one batch, the size of any other batch.
const BATCH: usize = 1_000;

/// The most batches in one poll, so that a poll ends. The next poll continues.
const BATCHES_PER_POLL: usize = 1_000;

/// Polls for passed deadlines every `interval`, without end.
pub async fn run(app: &App, interval: Duration) {
    let mut timer = tokio::time::interval(interval);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        poll(app).await;
    }
}

/// Refunds every pending charge whose deadline has passed, once.
pub async fn poll(app: &App) {
    for _ in 0..BATCHES_PER_POLL {
        match time_out_batch(app).await {
            Ok(timed_out) if timed_out == BATCH => {}
            Ok(_) => return,
            Err(error) => {
                // The charges stay due, and the next poll tries again.
                tracing::warn!(%error, "could not time out due charges; the next poll retries");
                return;
            }
        }
    }
}

/// Times out at most [`BATCH`] charges; returns how many.
async fn time_out_batch(app: &App) -> Result<usize, Error> {
    let now = app.now();
    let due = app.engine().due(now, BATCH).await?;
    if due.is_empty() {
        return Ok(0);
    }
    let batch: Vec<Submission> = due.into_iter().map(time_out).collect();
    let submitted = batch.len();
    let answers = app.engine().run_batch(batch, now).await?;
    let refused = answers.iter().filter(|answer| answer.is_err()).count();
    if refused > 0 {
        tracing::error!(refused, "the ledger refused to time out charges that are due");
    }
    Ok(submitted - refused)
}

fn time_out((workspace, charge): (WorkspaceId, ChargeId)) -> Submission {
    Submission {
        workspace,
        key: None,
        actor: Actor::System,
        command: ChargeCommand::TimeOut.for_charge(charge),
    }
}
