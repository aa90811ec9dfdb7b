//! Closes days of usage that are long over, so that reports of them are fast.
//!
//! The engine knows which days these are. A step of it is short, and a pause follows, so that
//! charges go on meanwhile. Once nothing is left, the job looks again after an hour. Servers that
//! share a database do the same work at most twice.

use std::time::Duration;

use tollkeeper_engine::Error;
use tollkeeper_ledger::Timestamp;

use super::polling::Polling;
use crate::app::App;

/// The workspaces that one step looks at.
const WORKSPACES: usize = 500;

/// The pause after a step.
const PAUSE: Duration = Duration::from_millis(50);

/// When the job looks again after it found nothing.
const AGAIN_SECONDS: i64 = 60 * 60;

/// When the job goes on after a failure.
const AFTER_FAILURE_SECONDS: i64 = 60;

/// The job with the time of its next look.
#[derive(Debug)]
pub struct ClosingDays {
    next_at: Timestamp,
}

impl Default for ClosingDays {
    fn default() -> ClosingDays {
        ClosingDays { next_at: Timestamp::ZERO }
    }
}

impl Polling for ClosingDays {
    const WHAT: &'static str = "days of usage to close";

    /// Does one step.
    async fn do_batch(&mut self, app: &App) -> Result<bool, Error> {
        let reading = app.read_clocks();
        if !app.clock_watch.lets_timers_run(reading) || !self.is_due(reading.now) {
            return Ok(false);
        }
        self.next_at = reading.now.plus_seconds(AFTER_FAILURE_SECONDS);
        let closed = app.engine().close_days(reading.now, WORKSPACES).await?;
        if closed.has_more {
            self.next_at = reading.now;
            tokio::time::sleep(PAUSE).await;
        } else {
            self.next_at = reading.now.plus_seconds(AGAIN_SECONDS);
        }
        Ok(closed.has_more)
    }

    /// Nothing fails for good here: reports are right without closed days.
    fn note_failing(&self, _app: &App) {}
}

impl ClosingDays {
    /// True if it is time to look, also after the clock was set back.
    fn is_due(&self, now: Timestamp) -> bool {
        self.next_at <= now || self.next_at > now.plus_seconds(AGAIN_SECONDS)
    }
}
