//! The deadline of a charge, which is moved while its answer arrives.
//!
//! A charge that passes its deadline is refunded. So a heartbeat that is not taken is repeated, and
//! an answer whose charge is gone does not go on unpaid.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{Exchange, REPORT_PAUSE, REPORT_PAUSE_MAX};
use crate::charging::ReportError;

/// The latest deadline that a charge can be moved to, from now.
const EXTEND_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The shortest and the longest time between two looks at the deadline.
const LOOK: Duration = Duration::from_millis(20);
const LOOK_MAX: Duration = Duration::from_secs(5);

/// The times by which something must happen, which are moved while others read them.
pub struct Deadlines {
    began: Instant,
    /// Milliseconds from `began`.
    silence: AtomicU64,
    charge: AtomicU64,
}

impl Deadlines {
    /// The upstream must send a part until `silence`, the outcome be reported until `charge`.
    pub fn new(silence: Instant, charge: Instant) -> Deadlines {
        let deadlines =
            Deadlines { began: Instant::now(), silence: AtomicU64::new(0), charge: AtomicU64::new(0) };
        deadlines.move_silence(silence);
        deadlines.store(&deadlines.charge, charge);
        deadlines
    }

    pub fn silence(&self) -> Instant {
        self.began + Duration::from_millis(self.silence.load(Ordering::Relaxed))
    }

    pub fn move_silence(&self, time: Instant) {
        self.store(&self.silence, time);
    }

    /// The deadline of the charge, as far as the gate knows.
    pub fn charge(&self) -> Instant {
        self.began + Duration::from_millis(self.charge.load(Ordering::Relaxed))
    }

    fn store(&self, of: &AtomicU64, time: Instant) {
        let millis = time.saturating_duration_since(self.began).as_millis();
        of.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Keeps the charge of an exchange open. It ends only when the charge is lost: refused, or past its
/// deadline.
pub async fn keep_open(exchange: &Exchange, deadlines: &Deadlines) {
    let Exchange { charge, charging, timeout, grace, .. } = exchange;
    let extension = (2 * (*timeout + *grace)).min(EXTEND_MAX);
    let seconds = u32::try_from(extension.as_secs()).unwrap_or(u32::MAX);
    let look = (*grace / 8).clamp(LOOK, LOOK_MAX);
    let mut pause = REPORT_PAUSE;
    loop {
        let deadline = deadlines.charge();
        if Instant::now() >= deadline {
            tracing::error!(charge = %charge.id, "the deadline of a charge passed, so its answer ends");
            return;
        }
        if deadline >= deadlines.silence() + *grace / 2 {
            sleep(look).await;
            continue;
        }
        let asked = Instant::now();
        match timeout_at(deadline, charging.extend(charge, seconds)).await {
            Ok(Ok(())) => {
                deadlines.store(&deadlines.charge, asked + extension);
                pause = REPORT_PAUSE;
                continue;
            }
            Ok(Err(ReportError::Refused(why))) => {
                tracing::error!(charge = %charge.id, %why, "a charge is not open, so its answer ends");
                return;
            }
            Ok(Err(ReportError::Later(why) | ReportError::Quantities(why))) => {
                tracing::warn!(charge = %charge.id, %why, "the deadline of a charge was not moved yet");
            }
            Err(_) => {}
        }
        sleep(pause).await;
        pause = (2 * pause).min(REPORT_PAUSE_MAX);
    }
}
