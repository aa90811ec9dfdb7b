//! What the end of a metered answer means for its charge, and the report of that.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use super::Exchange;
use super::metered::MeteredExchange;
use super::usage::{UsageReader, quantities};
use crate::charging::{Quantities, ReportError};
use crate::outcome::{Failure, Outcome};
use crate::settings::{INPUT, OUTPUT, OnMissing};

/// The bytes of a token of text, roughly. Only estimates use it.
const BYTES_OF_TOKEN: i64 = 4;

/// What a gate counted since it began.
#[derive(Debug, Default)]
pub struct Counts {
    overruns: AtomicU64,
    without_usage: AtomicU64,
}

impl Counts {
    /// The answers that used more than was held, and were settled at the hold.
    #[must_use]
    pub fn overruns(&self) -> u64 {
        self.overruns.load(Ordering::Relaxed)
    }

    /// The answers with a status of success and without usage.
    #[must_use]
    pub fn without_usage(&self) -> u64 {
        self.without_usage.load(Ordering::Relaxed)
    }
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Whole,
    /// The upstream broke off.
    Broken,
    /// The upstream was silent for the time-out.
    Silent,
    /// The client is gone.
    ClientGone,
}

/// What becomes of the charge.
#[derive(Debug, PartialEq, Eq)]
enum Settlement {
    Used(Quantities),
    /// All that was held.
    Whole,
    Refund(Failure),
}

impl MeteredExchange {
    /// Reports what the answer used.
    pub async fn settle(&self, end: End, reader: &UsageReader, given_up: Instant) {
        let Exchange { charge, charging, .. } = &self.exchange;
        let used = match self.settlement(end, reader) {
            Settlement::Used(used) => used,
            Settlement::Whole => return self.exchange.report_until(Outcome::Succeeded, given_up).await,
            Settlement::Refund(failure) => {
                return self.exchange.report_until(Outcome::SystemFailed(failure), given_up).await;
            }
        };
        let settled = self.exchange.repeat(&used, given_up, || charging.settle(charge, &used)).await;
        if let Err(ReportError::Quantities(why)) = settled {
            let overruns = self.counts.overruns.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::warn!(
                charge = %charge.id, ?used, held = ?self.held, %why, overruns,
                "Tollkeeper-Overrun: an answer used more than was held, and is settled at the hold"
            );
            self.exchange.report_until(Outcome::Succeeded, given_up).await;
        }
    }

    /// What the end of an answer means for the charge.
    fn settlement(&self, end: End, reader: &UsageReader) -> Settlement {
        match end {
            End::Broken if reader.bytes == 0 => return Settlement::Refund(Failure::Connection),
            End::Silent if reader.bytes == 0 => return Settlement::Refund(Failure::TimeOut),
            End::ClientGone if reader.bytes == 0 => return Settlement::Refund(Failure::Client),
            // A client cannot use a part of a JSON text, and did not cause its end.
            End::Broken if reader.is_json => return Settlement::Refund(Failure::Connection),
            End::Silent if reader.is_json => return Settlement::Refund(Failure::TimeOut),
            _ => {}
        }
        let has_usage = reader.seen().iter().any(Option::is_some);
        if reader.has_error && !reader.has_text && !has_usage {
            return Settlement::Refund(Failure::Answer);
        }
        let on_missing = match (self.metering.on_missing, end) {
            // A client may have caused what the gate cannot read.
            (OnMissing::Refund, _) if reader.is_unreadable => OnMissing::Hold,
            (OnMissing::Refund, End::ClientGone) => OnMissing::Estimate,
            (on_missing, _) => on_missing,
        };
        if !has_usage {
            let without_usage = self.counts.without_usage.fetch_add(1, Ordering::Relaxed) + 1;
            let charge = &self.exchange.charge.id;
            tracing::warn!(%charge, ?end, ?on_missing, without_usage, "an answer has no usage");
            match on_missing {
                OnMissing::Refund => return Settlement::Refund(Failure::NoUsage),
                OnMissing::Hold => return Settlement::Whole,
                OnMissing::Estimate => {}
            }
        }
        let meters = self.metering.meters.iter().zip(reader.seen());
        let units: Vec<i64> = meters
            .map(|(meter, seen)| match (*seen, on_missing) {
                // Usage comes last. What came before the end of a part is older than its output.
                (Some(units), _) if end != End::Whole && meter.id == OUTPUT && reader.is_usage_old => {
                    units.max(self.estimate(&meter.id, end, reader))
                }
                (Some(units), _) => units,
                (None, OnMissing::Estimate) => self.estimate(&meter.id, end, reader),
                (None, OnMissing::Hold) => self.held_of(&meter.id),
                (None, OnMissing::Refund) => 0,
            })
            .collect();
        let used = quantities(&self.metering, &units);
        let charge = &self.exchange.charge;
        match charge.is_free(&used) {
            // A report must cost something, if anything was deducted.
            true if charge.amount > 0 => Settlement::Refund(Failure::NothingUsed),
            true => Settlement::Whole,
            false => Settlement::Used(used),
        }
    }

    /// The units of a meter that the sizes of request and answer suggest, at most what was held. In
    /// a stream, most servers send an event for each token; some send more at once, which counts if
    /// the usage may have been avoided. A part of an answer then costs the input that is held.
    fn estimate(&self, meter: &str, end: End, reader: &UsageReader) -> i64 {
        let tokens = |bytes: i64| bytes / BYTES_OF_TOKEN + i64::from(bytes % BYTES_OF_TOKEN > 0);
        let units = match (meter, reader.events) {
            (INPUT, _) if end != End::Whole => self.held_of(meter),
            (INPUT, _) => tokens(self.body_bytes),
            (OUTPUT, Some(events)) if end != End::Whole || reader.is_unreadable => {
                events.max(tokens(reader.text_bytes))
            }
            (OUTPUT, Some(events)) => events,
            (OUTPUT, None) => tokens(reader.bytes),
            _ => 0,
        };
        units.min(self.held_of(meter))
    }

    fn held_of(&self, meter: &str) -> i64 {
        self.held.get(meter).copied().unwrap_or_default()
    }
}
