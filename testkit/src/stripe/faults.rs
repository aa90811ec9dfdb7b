//! Faults that a test orders: for the next request that fits, or by a seeded schedule.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::random::Random;

/// What goes wrong with one request. "Saved" means: replayed for the same idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 500 without an effect, not saved: the same request may succeed later.
    ErrorBefore,
    /// 500 after the effect; the same key replays the true answer.
    ErrorAfter,
    /// 500 without an effect, saved.
    SavedError,
    /// 500 after the effect, saved: only a look-up finds the effect.
    SavedErrorAfter,
    /// The connection is cut before the effect.
    CutBefore,
    /// The connection is cut after the effect.
    CutAfter,
    /// No effect and no answer until [`super::StripeStandIn::release_hanging`]. The effect follows
    /// then, also if the client has given up. Its key is in use meanwhile.
    HangBefore,
    /// The effect at once, no answer until [`super::StripeStandIn::release_hanging`]. Its key is in
    /// use meanwhile.
    HangAfter,
    /// The effect at once, the answer after this time. Its key is in use meanwhile.
    Slow(Duration),
    /// 429 without an effect.
    RateLimited,
    /// 409 `idempotency_key_in_use` without an effect.
    KeyInUse,
    /// The effect, and 200 with a body that is not JSON.
    GarbledAfter,
}

impl Fault {
    /// True if an admitted request has no effect.
    pub(super) fn is_before(self) -> bool {
        matches!(self, Fault::ErrorBefore | Fault::SavedError | Fault::CutBefore)
    }
}

/// A seeded schedule of faults.
#[derive(Debug, Clone)]
pub(super) struct RandomFaults {
    random: Random,
    percent: u64,
    faults: Vec<Fault>,
}

/// The faults that are ordered.
#[derive(Debug, Default)]
pub(super) struct FaultPlan {
    next: VecDeque<(String, String, Fault)>,
    /// By the number of the request.
    numbered: BTreeMap<usize, Fault>,
    schedule: Option<RandomFaults>,
}

impl FaultPlan {
    pub(super) fn order(&mut self, method: &str, path_prefix: &str, fault: Fault) {
        self.next.push_back((method.to_owned(), path_prefix.to_owned(), fault));
    }

    pub(super) fn order_for(&mut self, number: usize, fault: Fault) {
        self.numbered.insert(number, fault);
    }

    pub(super) fn schedule(&mut self, seed: u64, percent: u64, faults: &[Fault]) {
        assert!(!faults.is_empty(), "a schedule has faults to choose from");
        self.schedule = Some(RandomFaults { random: Random::new(seed), percent, faults: faults.to_vec() });
    }

    pub(super) fn clear(&mut self) {
        *self = FaultPlan::default();
    }

    /// The faults ordered for a certain request that have not been played.
    pub(super) fn left(&self) -> usize {
        self.next.len() + self.numbered.len()
    }

    /// Takes the fault for a request, which has this number.
    pub(super) fn take(&mut self, number: usize, method: &str, path: &str) -> Option<Fault> {
        if let Some(fault) = self.numbered.remove(&number) {
            return Some(fault);
        }
        let fits = |(ordered, prefix, _): &(String, String, Fault)| {
            (ordered.is_empty() || ordered == method) && path.starts_with(prefix.as_str())
        };
        if let Some(place) = self.next.iter().position(fits) {
            return self.next.remove(place).map(|(_, _, fault)| fault);
        }
        let schedule = self.schedule.as_mut()?;
        if !schedule.random.percent(schedule.percent) {
            return None;
        }
        let place = usize::try_from(schedule.random.below(schedule.faults.len() as u64)).ok()?;
        schedule.faults.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, FaultPlan};

    #[test]
    fn an_ordered_fault_waits_for_its_request() {
        let mut plan = FaultPlan::default();
        plan.order("POST", "/v1/refunds", Fault::CutAfter);
        plan.order_for(3, Fault::CutBefore);
        assert_eq!(plan.take(0, "GET", "/v1/refunds"), None);
        assert_eq!(plan.take(1, "POST", "/v1/customers"), None);
        assert_eq!(plan.take(2, "POST", "/v1/refunds"), Some(Fault::CutAfter));
        assert_eq!(plan.take(3, "POST", "/v1/refunds"), Some(Fault::CutBefore));
        assert_eq!((plan.take(4, "POST", "/v1/refunds"), plan.left()), (None, 0));
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        let played = |seed| {
            let mut plan = FaultPlan::default();
            plan.schedule(seed, 30, &[Fault::ErrorBefore, Fault::CutAfter]);
            (0..200).map(|number| plan.take(number, "POST", "/v1/customers")).collect::<Vec<_>>()
        };
        assert_eq!(played(7), played(7));
        assert_ne!(played(7), played(8));
        let count = played(7).into_iter().flatten().count();
        assert!((30..90).contains(&count), "{count} of 200 at 30 percent");
    }
}
