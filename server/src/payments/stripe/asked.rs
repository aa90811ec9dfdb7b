//! When Stripe was asked about which top-up, so that a client that polls does not ask it each time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tollkeeper_ledger::{Timestamp, TopUpId};

/// How long an answer counts, in seconds.
const COUNTS_SECONDS: i64 = 5;

/// The most answers that are kept.
const KEPT_MAX: usize = 10_000;

/// The last answers about top-ups: the address of the page, if it can be paid; or of the receipt.
#[derive(Debug, Default)]
pub struct Asked(Mutex<HashMap<TopUpId, (Timestamp, Option<String>)>>);

impl Asked {
    /// The answer of a moment ago; `None` if it is time to ask.
    pub fn recent(&self, top_up: TopUpId, now: Timestamp) -> Option<Option<String>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&top_up).filter(|(at, _)| counts(*at, now)).map(|(_, url)| url.clone())
    }

    /// Notes an answer.
    pub fn note(&self, top_up: TopUpId, now: Timestamp, url: Option<String>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, (at, _)| counts(*at, now));
        }
        if kept.len() < KEPT_MAX {
            kept.insert(top_up, (now, url));
        }
    }
}

fn counts(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now < at.plus_seconds(COUNTS_SECONDS)
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::Id;

    use super::{Asked, COUNTS_SECONDS, KEPT_MAX, Timestamp, TopUpId};

    #[test]
    fn an_answer_counts_for_a_moment_and_few_are_kept() {
        let asked = Asked::default();
        let one = TopUpId(Id::v7(0, 0, 1));
        let now = Timestamp::from_millis(1_000_000);
        assert_eq!(asked.recent(one, now), None);
        asked.note(one, now, Some("https://a".to_owned()));
        assert_eq!(asked.recent(one, now.plus_seconds(4)), Some(Some("https://a".to_owned())));
        assert_eq!(asked.recent(one, now.plus_seconds(COUNTS_SECONDS)), None);
        assert_eq!(asked.recent(one, now.plus_seconds(-1)), None, "the clock was set back");
        for number in 0..2 * KEPT_MAX as u64 {
            asked.note(TopUpId(Id::v7(1, 0, number)), now, None);
        }
        assert_eq!(asked.0.lock().expect("no test failed").len(), KEPT_MAX);
    }
}
