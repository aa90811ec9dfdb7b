//! Which events of Stripe were carried out, by a webhook or by a walk over the list of events, so
//! that a walk does not fetch the same objects again.
//!
//! It is in memory only: an event that is forgotten is carried out again, which changes nothing.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::objects::ObjectId;

/// The most events that are remembered. The oldest is forgotten first.
const REMEMBERED_MAX: usize = 50_000;

/// The events that were carried out.
#[derive(Debug, Default)]
pub struct Heard(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    events: HashSet<ObjectId>,
    oldest_first: VecDeque<ObjectId>,
}

impl Heard {
    /// True if the event was carried out, as far as is remembered.
    pub fn has(&self, event: &ObjectId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).events.contains(event)
    }

    /// Remembers that an event was carried out.
    pub fn note(&self, event: ObjectId) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !remembered.events.insert(event.clone()) {
            return;
        }
        remembered.oldest_first.push_back(event);
        if remembered.oldest_first.len() > REMEMBERED_MAX
            && let Some(oldest) = remembered.oldest_first.pop_front()
        {
            remembered.events.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Heard, ObjectId, REMEMBERED_MAX};

    #[test]
    fn the_newest_events_are_remembered() {
        let event = |number: usize| ObjectId::new(&format!("evt_{number}")).expect("it is an id");
        let heard = Heard::default();
        (0..=REMEMBERED_MAX).for_each(|number| heard.note(event(number)));
        heard.note(event(REMEMBERED_MAX));
        assert!(!heard.has(&event(0)), "the oldest is forgotten");
        assert!(heard.has(&event(1)) && heard.has(&event(REMEMBERED_MAX)));
        let remembered = heard.0.lock().expect("no test failed");
        assert_eq!(
            (remembered.events.len(), remembered.oldest_first.len()),
            (REMEMBERED_MAX, REMEMBERED_MAX)
        );
    }
}
