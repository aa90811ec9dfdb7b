//! Rate limits: how many requests a key may make, so that a loop gone wild does not take the service from the others.
//! Spending is not limited here but in the ledger.
//!
//! Each server counts for itself, in memory. A key may go on with so many requests a second, and make ten seconds' worth
//! at once (the generic cell rate algorithm, by `governor`). Every answer to a key with a limit tells where it stands, in
//! the fields of draft-ietf-httpapi-ratelimit-headers: those of its last version, and the three of earlier ones that
//! clients know too.

use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::http::problem::{Code, Problem};

/// So many seconds' worth of requests may come at once.
const BURST_SECONDS: u32 = 10;

/// When there are more keys than that, and twice as many as the last time, those that have been quiet are let go.
const TIDIED_ABOVE: usize = 16_384;

/// What a key is known by here.
pub type KeyName = u128;

/// Nanoseconds since some beginning. Not the time of day: a clock that is set back must not shut a key out.
pub type Ticks = Arc<dyn Fn() -> u64 + Send + Sync>;

type Limiter = RateLimiter<KeyName, HashMapStateStore<KeyName>, AppClock, StateInformationMiddleware>;

/// The limit of all keys of a kind.
pub struct Rate {
    limiter: Limiter,
    clock: AppClock,
    burst: u32,
    tidied: AtomicUsize,
}

impl Rate {
    /// So many requests a second; `None` when that is 0, which stands for no limit.
    pub fn per_second(requests: u32, ticks: Ticks) -> Option<Rate> {
        let per_second = NonZeroU32::new(requests)?;
        let burst = per_second.saturating_mul(NonZeroU32::new(BURST_SECONDS)?);
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let clock = AppClock(ticks);
        let limiter = Limiter::new(quota, HashMapStateStore::default(), clock.clone());
        Some(Rate { limiter, clock, burst: burst.get(), tidied: AtomicUsize::new(0) })
    }

    /// Counts a request of a key.
    pub fn count(&self, key: KeyName) -> RateStatus {
        if self.limiter.len() > TIDIED_ABOVE.max(2 * self.tidied.load(Relaxed)) {
            self.limiter.retain_recent();
            self.tidied.store(self.limiter.len(), Relaxed);
        }
        let per_request = Duration::from_secs(u64::from(BURST_SECONDS)) / self.burst;
        let (remaining, wait) = match self.limiter.check_key(&key) {
            Ok(state) => (state.remaining_burst_capacity(), Duration::ZERO),
            Err(until) => (0, until.wait_time_from(self.clock.now())),
        };
        // Until all of it is there again.
        let full = wait + per_request * (self.burst - remaining);
        RateStatus { burst: self.burst, remaining, reset: full, wait }
    }
}

/// Where a key stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateStatus {
    burst: u32,
    remaining: u32,
    reset: Duration,
    /// Zero when the request may pass.
    wait: Duration,
}

impl RateStatus {
    /// Refuses a request that came too soon.
    ///
    /// # Errors
    /// [`Code::RateLimited`].
    pub fn check(&self) -> Result<(), Problem> {
        if self.wait.is_zero() {
            return Ok(());
        }
        let detail = format!(
            "This key's rate limit is {} a second, with {} at once; go on in {} s.",
            self.burst / BURST_SECONDS,
            self.burst,
            whole_seconds(self.wait)
        );
        Err(Problem::new(Code::RateLimited, detail).with("retry_after_seconds", whole_seconds(self.wait)))
    }

    /// Tells it in the headers of an answer.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let RateStatus { burst, remaining, reset, wait } = self;
        let reset = whole_seconds(*reset);
        let mut put = |name: &'static str, value: String| {
            let value = HeaderValue::try_from(value).expect("digits and quotes are ASCII");
            headers.insert(HeaderName::from_static(name), value);
        };
        put("ratelimit-policy", format!("\"key\";q={burst};w={BURST_SECONDS}"));
        put("ratelimit", format!("\"key\";r={remaining};t={reset}"));
        put("ratelimit-limit", burst.to_string());
        put("ratelimit-remaining", remaining.to_string());
        put("ratelimit-reset", reset.to_string());
        if !wait.is_zero() {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(*wait)));
        }
    }
}

/// Rounded up: whoever waits so long does not come too soon.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[derive(Clone)]
struct AppClock(Ticks);

impl Clock for AppClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        Instant((self.0)())
    }
}

/// See [`Ticks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Instant(u64);

impl Add<Nanos> for Instant {
    type Output = Instant;

    fn add(self, nanos: Nanos) -> Instant {
        Instant(self.0.saturating_add(nanos.as_u64()))
    }
}

impl Reference for Instant {
    fn duration_since(&self, earlier: Instant) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Instant {
        Instant(self.0.checked_sub(duration.as_u64()).unwrap_or(self.0))
    }
}
