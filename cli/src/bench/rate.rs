//! When a caller starts its calls: as soon as the call before is answered, or at a fixed rate
//! (`--rate`).
//!
//! At a fixed rate, a call can start late because the one before was slow. Its latency is measured
//! from the time at which it was due, so that a slow engine cannot hide by delaying its callers
//! (coordinated omission).

use std::time::{Duration, Instant};

/// The start times of the calls of one caller.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// When the next call is due.
    next: Instant,
    /// The time between two calls; `None` if a call starts as soon as the one before is answered.
    interval: Option<Duration>,
}

impl Schedule {
    /// The schedule of caller number `caller` of `callers`, which together start `rate` calls per
    /// second from `start` on, in turns.
    pub fn new(rate: Option<u64>, caller: u64, callers: u64, start: Instant) -> Schedule {
        let Some(rate) = rate.filter(|rate| *rate > 0) else {
            return Schedule { next: start, interval: None };
        };
        let one = Duration::from_nanos(1_000_000_000 / rate);
        let times = |number: u64| one * u32::try_from(number).unwrap_or(u32::MAX);
        Schedule { next: start + times(caller), interval: Some(times(callers)) }
    }

    /// Waits until the next call is due; returns the time from which its latency is measured.
    pub async fn wait(&mut self) -> Instant {
        let Some(interval) = self.interval else { return Instant::now() };
        let due = self.next;
        self.next += interval;
        let now = Instant::now();
        if now > due {
            return due;
        }
        // The timer may wake up to a millisecond late, which is not part of the engine's latency.
        tokio::time::sleep(due - now).await;
        Instant::now()
    }
}
