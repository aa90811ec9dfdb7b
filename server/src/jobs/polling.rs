//! How a job polls: batch after batch until nothing is due, then again after an interval.
//!
//! What a batch does is in the file of each job. A batch that fails ends the poll. What is due
//! stays due, and the next poll tries again.

use std::time::Duration;

use tollkeeper_engine::Error;

use crate::app::App;

/// The most batches in one poll, so that a poll ends. The next poll continues.
const BATCHES_PER_POLL: usize = 1_000;

/// A job that looks for work that is due.
pub(crate) trait Polling: Sized {
    /// What it looks for, for the log.
    const WHAT: &'static str;

    /// Does a part of what is due; returns true if more may be due.
    ///
    /// # Errors
    /// The engine could not be asked.
    async fn do_batch(&mut self, app: &App) -> Result<bool, Error>;

    /// Notes in the metrics how much fails.
    fn note_failing(&self, app: &App);

    /// Polls every `interval`, without end.
    async fn run(mut self, app: &App, interval: Duration) {
        let mut timer = tokio::time::interval(interval);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            self.poll(app).await;
        }
    }

    /// Does all that is due, once.
    async fn poll(&mut self, app: &App) {
        for _ in 0..BATCHES_PER_POLL {
            match self.do_batch(app).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    let what = Self::WHAT;
                    tracing::warn!(what, %error, "could not do what is due; the next poll tries again");
                    break;
                }
            }
        }
        self.note_failing(app);
    }
}
