//! Work that a time brings to the payments of a workspace: what is to be done, and when.
//!
//! It is derived from the state alone: what was done changes the state and is due no more. So work
//! that comes late, twice, or from two servers does no harm. An engine stores the earliest time
//! ([`Payments::due_at`]) and finds by it the payments that need attention; the server asks what is
//! due ([`Payments::due_work`]) and does each piece by itself.
//!
//! A new kind of work is a variant of [`Work`] and one more iterator in `Payments::scheduled`.
//! Deadlines of charges are not here: they are part of the state of a charge.

use super::Payments;
use super::subscription::Subscription;
use super::top_up::{TopUp, TopUpStatus, TopUpWay};
use crate::{PaymentRefundId, Timestamp, TopUpId, bounds};

/// When a call is due: at once. The time at which it was begun says nothing, because a clock may
/// have been ahead then.
const AT_ONCE: Timestamp = Timestamp::ZERO;

/// After how long a provider is asked what became of a charge of the saved card: by then it has
/// said so by itself, unless its word was lost.
const UNHEARD_SECONDS: i64 = 3_600;

/// A piece of work that a time brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Give up a top-up that nobody paid.
    ExpireTopUp(TopUpId),
    /// Charge the saved card for an automatic top-up.
    CallTopUp(TopUpId),
    /// Give up a top-up that is paid on a page, and whose page nobody knows.
    GiveUpTopUp(TopUpId),
    /// Ask the provider what became of the charge of the saved card for an automatic top-up.
    LookAtTopUp(TopUpId),
    /// Send the money of a payment refund back.
    CallRefund(PaymentRefundId),
    /// Write what the time makes true of the subscription: a month, a period that begins, its end.
    TickSubscription,
    /// Tell the provider of the subscription what it does not know yet.
    PlaceSubscription,
    /// Ask the provider what became of the subscription.
    LookAtSubscription,
}

impl Payments {
    /// The earliest time at which work is due; `None` if no time will bring any.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        self.scheduled().map(|(at, _)| at).min()
    }

    /// The work that is due at `now`, the longest overdue first.
    #[must_use]
    pub fn due_work(&self, now: Timestamp) -> Vec<Work> {
        let mut due: Vec<(Timestamp, Work)> = self.scheduled().filter(|(at, _)| *at <= now).collect();
        due.sort_unstable();
        assert!(
            due.first().map(|(at, _)| *at) == self.due_at().filter(|at| *at <= now),
            "what is due first is due at the time that is stored"
        );
        assert!(due.is_sorted_by(|(_, one), (_, other)| one != other), "no work is due twice");
        due.into_iter().map(|(_, work)| work).collect()
    }

    /// All work that the state waits for, each piece with its time.
    fn scheduled(&self) -> impl Iterator<Item = (Timestamp, Work)> {
        let top_ups = self.top_ups.iter().filter_map(TopUp::scheduled);
        let to_send = self.back.refunds.iter().filter(|refund| refund.waits_for_its_call());
        let to_send = to_send.map(|refund| (AT_ONCE, Work::CallRefund(refund.id)));
        let subscription = self.subscription.iter().filter_map(|subscription| subscription.due_at());
        top_ups
            .chain(to_send)
            .chain(subscription.map(|at| (at, Work::TickSubscription)))
            .chain(self.collecting())
    }

    /// The work at the provider that collects the subscription.
    fn collecting(&self) -> impl Iterator<Item = (Timestamp, Work)> {
        let last = self.subscription.as_deref();
        let places = last.filter(|last| last.wants_placing());
        let places = places.map(|_| (AT_ONCE, Work::PlaceSubscription));
        let looks = last.and_then(Subscription::look_at).map(|at| (at, Work::LookAtSubscription));
        places.into_iter().chain(looks)
    }
}

impl TopUp {
    /// What a time brings to it while it waits.
    fn scheduled(&self) -> Option<(Timestamp, Work)> {
        if self.status != TopUpStatus::Pending {
            return None;
        }
        match (self.way, self.waits_for_its_call()) {
            (TopUpWay::Automatic, true) => Some((AT_ONCE, Work::CallTopUp(self.id))),
            (TopUpWay::Checkout, true) => {
                let given_up_at = self.call_began_at().plus_seconds(bounds::CALL_KEY_SECONDS);
                Some((given_up_at, Work::GiveUpTopUp(self.id)))
            }
            (TopUpWay::Automatic, false) => {
                let unheard_at = self.call_began_at().plus_seconds(UNHEARD_SECONDS);
                Some((unheard_at, Work::LookAtTopUp(self.id)))
            }
            _ => Some((self.expires_at()?, Work::ExpireTopUp(self.id))),
        }
    }
}
