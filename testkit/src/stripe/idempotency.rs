//! Idempotency keys: the same key and parameters replay the answer, for 24 hours of the clock.

use std::collections::HashMap;

use super::error::StripeError;

/// How long an answer is kept, in seconds.
const KEPT_SECONDS: i64 = 24 * 3600;

/// An answer as it was first given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Saved {
    pub status: u16,
    pub body: String,
}

#[derive(Debug)]
struct Entry {
    /// Method, path and parameters.
    request: String,
    /// `None` while the first request is under way.
    saved: Option<Saved>,
    at: i64,
}

/// What a key means for a request.
#[derive(Debug)]
pub(super) enum KeyState {
    /// Carry the request out.
    New,
    /// Give this answer.
    Replay(Saved),
    /// Refuse.
    Refused(StripeError),
}

/// The keys of one account.
#[derive(Debug, Default)]
pub(super) struct IdempotencyKeys(HashMap<String, Entry>);

impl IdempotencyKeys {
    /// Looks a key up and marks it as in use if it is new.
    pub(super) fn begin(&mut self, key: &str, request: &str, now: i64) -> KeyState {
        self.0.retain(|_, entry| entry.saved.is_none() || now - entry.at < KEPT_SECONDS);
        match self.0.get(key) {
            Some(entry) if entry.request != request => KeyState::Refused(StripeError::key_reused()),
            Some(Entry { saved: Some(saved), .. }) => KeyState::Replay(saved.clone()),
            Some(_) => KeyState::Refused(StripeError::key_in_use()),
            None => {
                let entry = Entry { request: request.to_owned(), saved: None, at: now };
                self.0.insert(key.to_owned(), entry);
                KeyState::New
            }
        }
    }

    /// Keeps the answer for the key.
    pub(super) fn save(&mut self, key: &str, saved: Saved) {
        let entry = self.0.get_mut(key).expect("an answer follows the beginning of its request");
        entry.saved = Some(saved);
    }

    /// Gives the key up: nothing began.
    pub(super) fn abandon(&mut self, key: &str) {
        self.0.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::{IdempotencyKeys, KEPT_SECONDS, KeyState, Saved};

    #[test]
    fn a_key_replays_for_a_day_and_belongs_to_one_request() {
        let mut keys = IdempotencyKeys::default();
        assert!(matches!(keys.begin("k", "a", 0), KeyState::New));
        let in_use = keys.begin("k", "a", 0);
        assert!(matches!(in_use, KeyState::Refused(error) if error.status == 409));
        let saved = Saved { status: 500, body: "{}".to_owned() };
        keys.save("k", saved.clone());
        assert!(matches!(keys.begin("k", "a", KEPT_SECONDS - 1), KeyState::Replay(again) if again == saved));
        let other = keys.begin("k", "b", KEPT_SECONDS - 1);
        assert!(matches!(other, KeyState::Refused(error) if error.status == 400));
        assert!(matches!(keys.begin("k", "a", KEPT_SECONDS), KeyState::New));
    }
}
