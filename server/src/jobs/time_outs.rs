//! Refunds pending charges whose deadline has passed.
//!
//! The engine says which deadlines have passed; each such charge gets a command. The ledger decides
//! every command by itself, so a timer that fires late, twice or together with an outcome does no
//! harm.

use std::time::Duration;

use tollkeeper_engine::Error;
use tollkeeper_ledger::{Actor, ChargeCommand, ChargeId, Submission, WorkspaceId};

use crate::app::App;

/// The most charges timed out in one batch, the size of any other batch.
const BATCH: usize = 1_000;

/// The most batches in one run, so that a run ends. The next run continues.
const BATCHES_PER_TICK: usize = 1_000;

/// Looks for passed deadlines every `interval`, without end.
pub async fn run(app: &App, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        tick(app).await;
    }
}

/// Refunds every pending charge whose deadline has passed.
pub async fn tick(app: &App) {
    for _ in 0..BATCHES_PER_TICK {
        match time_out_batch(app).await {
            Ok(timed_out) if timed_out == BATCH => {}
            Ok(_) => return,
            Err(error) => {
                // The charges stay due, and the next run tries again.
                tracing::warn!(%error, "could not time out due charges; the next run retries");
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
