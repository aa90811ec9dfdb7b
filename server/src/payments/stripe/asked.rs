//! When Stripe was asked about which top-up or subscription, so that a client that polls does not
//! ask it each time.
//!
//! Who reads while an answer is on its way waits for that answer: readers at once make one call. A
//! reader who gives up and comes back makes none before its time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use tollkeeper_ledger::Timestamp;

/// How long an answer counts, in seconds, from the call on.
const COUNTS_SECONDS: i64 = 5;

/// The most answers that are kept.
const KEPT_MAX: usize = 10_000;

/// One call, and its answer as soon as it is there.
#[derive(Debug, Default)]
struct Answer {
    /// True if the call was begun. It may have been given up since.
    is_begun: AtomicBool,
    url: OnceCell<Option<String>>,
}

/// The last answers by id: the address of the page, if it can be paid; or of the receipt.
#[derive(Debug)]
pub struct Asked<Id>(Mutex<HashMap<Id, (Timestamp, Arc<Answer>)>>);

impl<Id> Default for Asked<Id> {
    fn default() -> Asked<Id> {
        Asked(Mutex::default())
    }
}

impl<Id: Copy + Eq + Hash> Asked<Id> {
    /// The answer of a moment ago, else that of this call. `None` also if the call of a moment ago
    /// was given up. A call that is large is better boxed: it is moved several times.
    pub async fn once(
        &self,
        id: Id,
        now: Timestamp,
        call: impl Future<Output = Option<String>>,
    ) -> Option<String> {
        let answer = self.answer(id, now);
        let begin = || async {
            // Otherwise who began it has given up.
            if answer.is_begun.swap(true, Ordering::Relaxed) { None } else { call.await }
        };
        answer.url.get_or_init(begin).await.clone()
    }

    /// Forgets an answer: what it says may have changed.
    pub fn forget(&self, id: Id) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// The answer that counts now, or a new one to be filled.
    fn answer(&self, id: Id, now: Timestamp) -> Arc<Answer> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = kept.get(&id).filter(|(at, _)| counts(*at, now)) {
            return Arc::clone(answer);
        }
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, (at, _)| counts(*at, now));
        }
        let answer = Arc::<Answer>::default();
        if kept.len() < KEPT_MAX {
            kept.insert(id, (now, Arc::clone(&answer)));
        }
        answer
    }
}

fn counts(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now < at.plus_seconds(COUNTS_SECONDS)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tollkeeper_ledger::{Id, TopUpId};

    use super::{Asked, COUNTS_SECONDS, KEPT_MAX, Timestamp};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn top_up(number: u64) -> TopUpId {
        TopUpId(Id::v7(0, 0, number))
    }

    #[tokio::test]
    async fn an_answer_counts_for_a_moment_and_few_are_kept() {
        let asked = Asked::default();
        let ask =
            async |now, answer: &str| asked.once(top_up(1), now, async { Some(answer.to_owned()) }).await;
        assert_eq!(ask(NOW, "a").await.as_deref(), Some("a"));
        assert_eq!(ask(NOW.plus_seconds(4), "b").await.as_deref(), Some("a"));
        asked.forget(top_up(1));
        assert_eq!(ask(NOW, "b").await.as_deref(), Some("b"));
        assert_eq!(ask(NOW.plus_seconds(COUNTS_SECONDS), "c").await.as_deref(), Some("c"));
        assert_eq!(ask(NOW, "d").await.as_deref(), Some("d"), "the clock was set back");
        for number in 2..2 * KEPT_MAX as u64 {
            let answer = asked.once(top_up(number), NOW, async { Some(number.to_string()) }).await;
            assert_eq!(answer, Some(number.to_string()), "what is not kept is asked for");
        }
        assert_eq!(asked.0.lock().expect("no test failed").len(), KEPT_MAX);
    }

    #[tokio::test]
    async fn who_comes_meanwhile_waits_for_the_answer_and_who_comes_back_asks_nothing() {
        let (asked, calls) = (Asked::default(), Cell::new(0));
        let call = async || {
            calls.set(calls.get() + 1);
            tokio::task::yield_now().await;
            Some("a".to_owned())
        };
        let answers = join_all((0..16).map(|_| asked.once(top_up(1), NOW, call()))).await;
        assert_eq!((answers, calls.get()), (vec![Some("a".to_owned()); 16], 1));
        assert_eq!(asked.once(top_up(2), NOW, pending()).now_or_never(), None, "it is given up");
        let again = asked.once(top_up(2), NOW.plus_seconds(1), call()).await;
        assert_eq!((again, calls.get()), (None, 1));
        let later = asked.once(top_up(2), NOW.plus_seconds(COUNTS_SECONDS), call()).await;
        assert_eq!((later.as_deref(), calls.get()), (Some("a"), 2));
    }
}
