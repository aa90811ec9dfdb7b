//! What was heard of calls that move money and whose outcome is not known: errors that may be saved
//! for their keys, and objects that are absent.
//!
//! It is in memory only, and each server has its own. After a restart a call is begun anew some
//! minutes later. What follows from it is in `after_error`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tollkeeper_ledger::{ProviderCall, Timestamp};

/// How long an object must be absent. A list may lack a new object for a moment.
const ABSENT_SECONDS: i64 = 120;

/// The most calls that are remembered. Beyond it all are forgotten, which costs time only.
const REMEMBERED_MAX: usize = 10_000;

/// What was heard of calls, by their generation.
#[derive(Debug, Default)]
pub struct Unanswered(Mutex<BTreeMap<(ProviderCall, u32), Heard>>);

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    had_error: bool,
    absent_since: Option<Timestamp>,
}

impl Unanswered {
    /// Notes an error that may be saved for the key; returns true if it is not the first one.
    pub fn note_error(&self, call: ProviderCall, generation: u32) -> bool {
        self.change((call, generation), |heard| std::mem::replace(&mut heard.had_error, true))
    }

    /// Notes that a look-up did not find what the call made; returns true if one some minutes
    /// before did not find it either.
    pub fn note_absent(&self, call: ProviderCall, generation: u32, now: Timestamp) -> bool {
        self.change((call, generation), |heard| {
            // A clock that was set back begins anew.
            let since = heard.absent_since.map_or(now, |since| since.min(now));
            heard.absent_since = Some(since);
            since.plus_seconds(ABSENT_SECONDS) <= now
        })
    }

    fn change<T>(&self, key: (ProviderCall, u32), change: impl FnOnce(&mut Heard) -> T) -> T {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() >= REMEMBERED_MAX && !heard.contains_key(&key) {
            heard.clear();
        }
        change(heard.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{Id, TopUpId};

    use super::{ABSENT_SECONDS, ProviderCall, REMEMBERED_MAX, Timestamp, Unanswered};

    fn call(number: u64) -> ProviderCall {
        ProviderCall::TopUp(TopUpId(Id::v7(0, 0, number)))
    }

    #[test]
    fn an_error_repeats_for_its_own_generation_only() {
        let unanswered = Unanswered::default();
        assert!(!unanswered.note_error(call(1), 0));
        assert!(unanswered.note_error(call(1), 0));
        assert!(!unanswered.note_error(call(1), 1), "another key");
        assert!(!unanswered.note_error(call(2), 0));
    }

    #[test]
    fn what_is_absent_twice_minutes_apart_left_nothing() {
        let unanswered = Unanswered::default();
        let now = Timestamp::from_millis(1_000_000_000);
        let absent = |at| unanswered.note_absent(call(1), 0, at);
        assert!(!absent(now) && !absent(now.plus_seconds(ABSENT_SECONDS - 1)));
        assert!(absent(now.plus_seconds(ABSENT_SECONDS)));
        assert!(!absent(now.plus_seconds(-60)), "the clock was set back");
        assert!(absent(now.plus_seconds(ABSENT_SECONDS - 60)));
    }

    #[test]
    fn few_calls_are_remembered() {
        let unanswered = Unanswered::default();
        for number in 0..=REMEMBERED_MAX as u64 {
            unanswered.note_error(call(number), 0);
        }
        assert_eq!(unanswered.0.lock().expect("no test failed").len(), 1);
        assert!(!unanswered.note_error(call(1), 0));
    }
}
