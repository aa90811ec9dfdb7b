//! Rate limits: how many requests a key may make, and how many all keys of a workspace together, so
//! that one runaway client cannot use up the server.
//!
//! Requests are limited here; spending is limited by the ledger. A batch counts as many requests as
//! it has items. Each server counts for itself, in memory. A key may make requests at its limit per
//! second for any time, and ten seconds' worth of requests at once (the generic cell rate
//! algorithm, by the crate `governor`). Every response to a key with a limit has the header fields
//! of draft-ietf-httpapi-ratelimit-headers: those of its last version, and the three of earlier
//! versions that clients know.

use std::hash::Hash;
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

/// The requests of this many seconds may come at once.
const BURST_SECONDS: u32 = 10;

/// Idle keys are evicted if there are more keys than this, and twice as many as after the last
/// time.
const EVICT_ABOVE: usize = 16_384;

/// A clock that returns nanoseconds since any fixed start. It is monotonic and not the time of day:
/// if that is set back, keys must not be denied.
pub type MonotonicNanos = Arc<dyn Fn() -> u64 + Send + Sync>;

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, NanosClock, StateInformationMiddleware>;

/// The rate limit of all keys of one kind, or of all workspaces.
pub struct RateLimit<K: Clone + Eq + Hash> {
    /// What the headers call it.
    name: &'static str,
    limiter: Limiter<K>,
    clock: NanosClock,
    burst: u32,
    /// The number of keys after the last eviction.
    after_eviction: AtomicUsize,
}

impl<K: Clone + Eq + Hash> RateLimit<K> {
    /// A limit of `requests` a second; `None` if that is 0, which means no limit.
    pub fn per_second(name: &'static str, requests: u32, clock: MonotonicNanos) -> Option<RateLimit<K>> {
        let per_second = NonZeroU32::new(requests)?;
        let burst = per_second.saturating_mul(NonZeroU32::new(BURST_SECONDS)?);
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let clock = NanosClock(clock);
        let limiter = Limiter::new(quota, HashMapStateStore::default(), clock.clone());
        Some(RateLimit { name, limiter, clock, burst: burst.get(), after_eviction: AtomicUsize::new(0) })
    }

    /// Counts `requests` of a key: all of them, or none if there is no room for all. More than a
    /// burst count as a burst, because they could never be admitted.
    pub fn count(&self, key: &K, requests: u32) -> RateStatus {
        let requests = NonZeroU32::new(requests.min(self.burst)).unwrap_or(NonZeroU32::MIN);
        if self.limiter.len() > EVICT_ABOVE.max(2 * self.after_eviction.load(Relaxed)) {
            self.limiter.retain_recent();
            self.after_eviction.store(self.limiter.len(), Relaxed);
        }
        let per_request = Duration::from_secs(u64::from(BURST_SECONDS)) / self.burst;
        let (remaining, wait) = match self.limiter.check_key_n(key, requests) {
            Ok(Ok(state)) => (state.remaining_burst_capacity(), Duration::ZERO),
            Ok(Err(until)) => (0, until.wait_time_from(self.clock.now())),
            Err(_) => unreachable!("the requests are at most a burst"),
        };
        let reset = wait + per_request * (self.burst - remaining);
        RateStatus { name: self.name, burst: self.burst, remaining, reset, wait }
    }
}

/// The state of a key's rate limit after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateStatus {
    /// What is limited: `key` or `workspace`.
    name: &'static str,
    /// How many requests may come at once after a pause.
    burst: u32,
    /// How many requests may still come at once.
    remaining: u32,
    /// The time until `remaining` equals `burst` again.
    reset: Duration,
    /// The time until the next request is admitted; zero if this one is.
    wait: Duration,
}

impl RateStatus {
    /// Whether the request came too early and must be denied.
    pub fn is_exceeded(&self) -> bool {
        !self.wait.is_zero()
    }

    /// The stricter of two limits of one request: the one that denies it, else the one with less
    /// left.
    #[must_use]
    pub fn stricter(self, other: RateStatus) -> RateStatus {
        if (other.wait, self.remaining) > (self.wait, other.remaining) { other } else { self }
    }

    /// What is limited: `key` or `workspace`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The requests a second that the key may make.
    pub fn per_second(&self) -> u32 {
        self.burst / BURST_SECONDS
    }

    /// The requests that the key may make at once after a pause.
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// The whole seconds until the next request is admitted, rounded up.
    pub fn retry_after_seconds(&self) -> u64 {
        whole_seconds(self.wait)
    }

    /// Writes the state into the headers of a response.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        let RateStatus { name, burst, remaining, reset, wait } = self;
        let reset = whole_seconds(*reset);
        let mut put = |name: &'static str, value: String| {
            let value = HeaderValue::try_from(value).expect("digits and quotes are ASCII");
            headers.insert(HeaderName::from_static(name), value);
        };
        put("ratelimit-policy", format!("\"{name}\";q={burst};w={BURST_SECONDS}"));
        put("ratelimit", format!("\"{name}\";r={remaining};t={reset}"));
        put("ratelimit-limit", burst.to_string());
        put("ratelimit-remaining", remaining.to_string());
        put("ratelimit-reset", reset.to_string());
        if !wait.is_zero() {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(*wait)));
        }
    }
}

/// Rounded up, so that a client that waits this long does not come too early.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[derive(Clone)]
struct NanosClock(MonotonicNanos);

impl Clock for NanosClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        Instant((self.0)())
    }
}

/// A reading of [`MonotonicNanos`].
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
