//! The one ticking job: asks the engine which deadlines have passed and sends each its command. A command decides again
//! by itself, so that a timer that fires late, twice, or beside an outcome does no harm.

use tollkeeper_engine::Error;
use tollkeeper_ledger::{Actor, ChargeCommand, ChargeId, Submission, WorkspaceId};

use crate::app::App;

/// The most charges timed out in one go: a batch like any other.
const BATCH: usize = 1_000;

/// The most batches of one tick, so that a tick ends whatever happens; the next one goes on.
const BATCHES_PER_TICK: usize = 1_000;

/// Looks at the timers for ever, once every tick.
pub async fn run(app: &App) {
    let mut ticks = tokio::time::interval(app.tick());
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
                // They stay due, and the next tick asks again.
                tracing::warn!(%error, "deadlines could not be looked at");
                return;
            }
        }
    }
}

async fn time_out_batch(app: &App) -> Result<usize, Error> {
    let now = app.now();
    let due = app.engine().due(now, BATCH).await?;
    if due.is_empty() {
        return Ok(0);
    }
    let batch: Vec<Submission> = due.into_iter().map(time_out).collect();
    let asked = batch.len();
    let answers = app.engine().run_batch(batch, now).await?;
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err()).count();
    if refused > 0 {
        tracing::error!(refused, "charges that are due could not be timed out");
    }
    Ok(asked - refused)
}

fn time_out((workspace, charge): (WorkspaceId, ChargeId)) -> Submission {
    Submission {
        workspace,
        key: None,
        actor: Actor::System,
        command: ChargeCommand::TimeOut.for_charge(charge),
    }
}
