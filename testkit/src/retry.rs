//! Repeating a check until it passes or its time is over.
//!
//! A test waits for a state of another process, never for a fixed time: a fixed time is too short
//! on a slow machine and too long on every other.

use std::thread;
use std::time::{Duration, Instant};

/// The pause between two attempts.
const INTERVAL: Duration = Duration::from_millis(5);

/// Calls `attempt` until it returns a value. Panics with `what` if that takes longer than
/// `timeout`.
#[track_caller]
pub fn retry_for<T>(timeout: Duration, what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(begun.elapsed() < timeout, "{what}: not within {timeout:?}");
        thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::retry_for;
    use std::time::Duration;

    #[test]
    fn a_check_is_repeated_until_it_passes() {
        let mut attempts = 0;
        let passed = retry_for(Duration::from_secs(60), "the third attempt passes", || {
            attempts += 1;
            (attempts == 3).then_some(attempts)
        });
        assert_eq!(passed, 3);
    }

    #[test]
    #[should_panic(expected = "the standby follows: not within")]
    fn a_check_that_never_passes_fails_the_test() {
        retry_for(Duration::from_millis(1), "the standby follows", || None::<()>);
    }
}
