//! What operators ask of a server: its health, metrics, clock and journal.

use super::OfPlatform;
use crate::http::call::Call;
use crate::http::routes;
use crate::types::{Clock, Health, JournalHead};

/// The server itself.
#[derive(Clone, Debug)]
pub struct Operations(pub(crate) OfPlatform);

impl Operations {
    /// Checks that the process runs.
    pub fn health(&self) -> Call<Health> {
        self.0.call(&routes::GET_HEALTHZ, &[])
    }

    /// Checks that requests can be taken.
    pub fn readiness(&self) -> Call<Health> {
        self.0.call(&routes::GET_READYZ, &[])
    }

    /// Reads the metrics, in the text format of Prometheus.
    pub fn metrics(&self) -> Call<String> {
        self.0.call(&routes::GET_METRICS, &[]).text("text/plain")
    }

    /// Confirms the clock, so that timers that are held go on.
    pub fn confirm_clock(&self) -> Call<Clock> {
        self.0.call(&routes::POST_CLOCK_CONFIRM, &[]).repeatable(true)
    }

    /// Reads the end of the journal: an anchor to keep outside.
    pub fn journal_head(&self) -> Call<JournalHead> {
        self.0.call(&routes::GET_JOURNAL_HEAD, &[])
    }
}
