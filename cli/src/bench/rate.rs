//! The pace of callers: as fast as answers come, or so many charges a second whatever becomes of them (`--rate`). At a
//! pace, a call that begins late because the one before took long has waited since it should have begun: what is slow
//! must not hide behind callers that are kept from asking.

use std::time::{Duration, Instant};

/// When one of the callers is to begin its calls.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    next: Instant,
    /// `None`: at once.
    every: Option<Duration>,
}

impl Pace {
    /// The pace of one of `callers`, who ask `rate` times a second together, one after the other.
    pub fn of(rate: Option<u64>, caller: u64, callers: u64, begins: Instant) -> Pace {
        let Some(rate) = rate.filter(|rate| *rate > 0) else {
            return Pace { next: begins, every: None };
        };
        let one = Duration::from_nanos(1_000_000_000 / rate);
        let turn = |number: u64| one * u32::try_from(number).unwrap_or(u32::MAX);
        Pace { next: begins + turn(caller), every: Some(turn(callers)) }
    }

    /// Waits for the next turn; gives the instant from which the call is measured.
    pub async fn turn(&mut self) -> Instant {
        let Some(every) = self.every else { return Instant::now() };
        let due = self.next;
        self.next += every;
        let now = Instant::now();
        if now > due {
            return due;
        }
        // The timer's own lateness, up to a millisecond, is not the engine's.
        tokio::time::sleep(due - now).await;
        Instant::now()
    }
}
