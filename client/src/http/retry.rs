//! When a request is sent again, and after how long.
//!
//! A request is repeated if the server says that this may help, or if the connection broke. One
//! that is not safe to repeat is sent again only if it cannot have been carried out. A refusal with
//! 402 is final: waiting adds no credit.

use std::time::Duration;

use crate::code::Code;
use crate::error::{Error, Problem};

/// How long a call may take, and how often it is repeated.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For one attempt, until the whole answer has arrived.
    pub attempt_timeout: Duration,
    /// For the whole call, with all attempts and the pauses between them.
    pub total_timeout: Duration,
    /// How often a request is sent again.
    pub retries: u32,
    /// The longest `Retry-After` that is waited for. If the server asks for more, the call fails.
    pub retry_after_max: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            attempt_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(60),
            retries: 4,
            retry_after_max: Duration::from_secs(30),
        }
    }
}

/// The pause before the first repetition; it doubles with each further one.
const PAUSE_MS: u64 = 100;
/// The longest pause that is not asked for by the server.
const PAUSE_MS_MAX: u64 = 5_000;

/// A random number below `bound`. Without random numbers it is half of the bound.
fn random_below(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes) % bound.max(1),
        Err(_) => bound / 2,
    }
}

/// Whether a problem says that nothing was done, so that any request can be sent again.
fn was_not_processed(problem: &Problem) -> bool {
    matches!(
        problem.code,
        Code::Overloaded | Code::RateLimited | Code::RequestTimeout | Code::TooManyFollowers
    )
}

/// Whether the request may be sent again after this error.
fn may_repeat(error: &Error, is_repeatable: bool) -> bool {
    match error {
        Error::Problem(problem) => {
            problem.retryable && problem.status != 402 && (is_repeatable || was_not_processed(problem))
        }
        Error::Connection { may_have_arrived, .. } => is_repeatable || !may_have_arrived,
        Error::TimedOut { .. } => is_repeatable,
        // A proxy that does not reach the server answers so.
        Error::UnexpectedAnswer { status, .. } => is_repeatable && matches!(status, 502..=504),
        Error::InvalidRequest(_) => false,
    }
}

/// The pause before a request is sent again for the `retry`-th time, counted from zero. `None` if
/// it is not sent again.
pub fn pause(error: &Error, retry: u32, is_repeatable: bool, limits: &Limits) -> Option<Duration> {
    if retry >= limits.retries || !may_repeat(error, is_repeatable) {
        return None;
    }
    let asked = match error {
        Error::Problem(problem) => problem.retry_after,
        Error::UnexpectedAnswer { retry_after, .. } => *retry_after,
        _ => None,
    };
    if let Some(asked) = asked {
        let jitter = Duration::from_millis(random_below(PAUSE_MS));
        return (asked <= limits.retry_after_max).then_some(asked + jitter);
    }
    let longest = PAUSE_MS.saturating_mul(1 << retry.min(16)).min(PAUSE_MS_MAX);
    Some(Duration::from_millis(longest / 2 + random_below(longest / 2)))
}

#[cfg(test)]
mod tests {
    use super::{Limits, pause};
    use crate::error::{Error, Problem};
    use serde_json::json;
    use std::time::Duration;

    fn problem(code: &str, status: u16, retryable: bool, seconds: Option<u64>) -> Error {
        let fields = json!({"code": code, "status": status, "retryable": retryable});
        let fields = fields.as_object().cloned().unwrap_or_default();
        let mut problem = Problem::of_fields(fields).expect("it has a code and a status");
        problem.retry_after = seconds.map(Duration::from_secs);
        Error::Problem(Box::new(problem))
    }

    #[test]
    fn what_is_repeated() {
        let broken = |may_have_arrived| Error::Connection { may_have_arrived, source: "cut".into() };
        let timed_out = || Error::TimedOut { after: Duration::from_secs(1) };
        for (error, with_key, without_key) in [
            (problem("insufficient_credits", 402, false, None), false, false),
            (problem("insufficient_credits", 402, true, None), false, false),
            (problem("overloaded", 503, true, None), true, true),
            (problem("store_unavailable", 503, true, None), true, false),
            (problem("internal_error", 500, true, None), true, false),
            (problem("charge_not_found", 404, false, None), false, false),
            (broken(true), true, false),
            (broken(false), true, true),
            (timed_out(), true, false),
            (Error::InvalidRequest("no".into()), false, false),
        ] {
            let limits = Limits::default();
            let found = [true, false].map(|repeatable| pause(&error, 0, repeatable, &limits).is_some());
            assert_eq!(found, [with_key, without_key], "{error}");
        }
    }

    #[test]
    fn pauses_grow_and_the_servers_wish_is_a_minimum() {
        let limits = Limits::default();
        let broken = Error::TimedOut { after: Duration::from_secs(1) };
        for (retry, least, most) in [(0, 50, 100), (1, 100, 200), (2, 200, 400), (3, 400, 800)] {
            let found = pause(&broken, retry, true, &limits).expect("it is repeated").as_millis();
            assert!((least..=most).contains(&found), "{retry}: {found}");
        }
        assert_eq!(pause(&broken, 4, true, &limits), None);
        let asked = pause(&problem("rate_limited", 429, true, Some(3)), 0, true, &limits);
        let asked = asked.expect("it is repeated");
        assert!(asked >= Duration::from_secs(3) && asked < Duration::from_millis(3_100), "{asked:?}");
        assert_eq!(pause(&problem("rate_limited", 429, true, Some(31)), 0, true, &limits), None);
    }
}
