//! Errors of calls that move money, which Stripe may have saved for their keys.
//!
//! They are in memory only, and each server has its own: a server that forgets one sends the same
//! call once more. What follows from an error is in `after_error`.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tollkeeper_ledger::ProviderCall;

/// The most calls that are remembered. Beyond it all are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// The calls that had an error, by their generation.
#[derive(Debug, Default)]
pub struct Unanswered(Mutex<BTreeSet<(ProviderCall, u32)>>);

impl Unanswered {
    /// Notes an error that may be saved for the key; returns true if it is not the first one.
    pub fn note_error(&self, call: ProviderCall, generation: u32) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= REMEMBERED_MAX && !noted.contains(&(call, generation)) {
            noted.clear();
        }
        !noted.insert((call, generation))
    }
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{Id, TopUpId};

    use super::{ProviderCall, REMEMBERED_MAX, Unanswered};

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
    fn few_calls_are_remembered() {
        let unanswered = Unanswered::default();
        for number in 0..=REMEMBERED_MAX as u64 {
            unanswered.note_error(call(number), 0);
        }
        assert_eq!(unanswered.0.lock().expect("no test failed").len(), 1);
        assert!(!unanswered.note_error(call(1), 0));
    }
}
