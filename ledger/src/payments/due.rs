//! Work that a time brings to the payments of a workspace: what is to be done, and when.
//!
//! It is derived from the state alone: what was done changes the state and is due no more. So work
//! that comes late, twice, or from two servers does no harm. An engine stores the earliest time
//! ([`Payments::due_at`]) and finds by it the payments that need attention; the server asks what is
//! due ([`Payments::due_work`]) and does each piece by itself.
//!
//! A new kind of work is a variant of [`Work`] and one more iterator in `Payments::scheduled`.
//! A look at what may change at the provider for weeks changes the state only if there is news.
//! It stays due, and the caller lets it rest for a day ([`Payments::is_looked_at_daily`]).
//! Deadlines of charges are not here: they are part of the state of a charge.

use super::Payments;
use super::payment_refund::{PaymentRefund, PaymentRefundStatus};
use super::subscription::Subscription;
use super::top_up::{TopUp, TopUpStatus, TopUpWay};
use crate::{PaymentRefundId, Timestamp, TopUpId, bounds};

/// When a call is due: at once. The time at which it was begun says nothing, because a clock may
/// have been ahead then.
const AT_ONCE: Timestamp = Timestamp::ZERO;

/// After how long a provider is asked what became of a charge of the saved card: by then it has
/// said so by itself, unless its word was lost.
const UNHEARD_SECONDS: i64 = 3_600;

/// After how long a provider is asked for the first time about what it took over and may change
/// for weeks: what it says by itself may be lost for ever.
pub(super) const FIRST_LOOK_SECONDS: i64 = 24 * 3_600;

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
    /// Ask the provider what became of a payment refund that it took over.
    LookAtRefund(PaymentRefundId),
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

    /// True if the provider may have no news for weeks when this work is done, so that it stays due
    /// without a fault. The caller does it once a day.
    #[must_use]
    pub fn is_looked_at_daily(&self, work: Work) -> bool {
        match work {
            Work::LookAtRefund(_) => true,
            Work::LookAtSubscription => {
                let last = self.subscription.as_deref();
                last.is_some_and(|last| last.is_past_due && last.ended_at.is_none())
            }
            Work::ExpireTopUp(_)
            | Work::CallTopUp(_)
            | Work::GiveUpTopUp(_)
            | Work::LookAtTopUp(_)
            | Work::CallRefund(_)
            | Work::TickSubscription
            | Work::PlaceSubscription => false,
        }
    }

    /// True if the work needs the payment provider, which may answer late or never.
    #[must_use]
    pub fn is_at_provider(&self, work: Work) -> bool {
        match work {
            // A page that was made there may have been paid.
            Work::ExpireTopUp(id) => {
                self.top_up(id).is_some_and(|top_up| top_up.at_provider.reference.is_some())
            }
            Work::CallTopUp(_)
            | Work::LookAtTopUp(_)
            | Work::CallRefund(_)
            | Work::LookAtRefund(_)
            | Work::PlaceSubscription
            | Work::LookAtSubscription => true,
            Work::GiveUpTopUp(_) | Work::TickSubscription => false,
        }
    }

    /// All work that the state waits for, each piece with its time.
    fn scheduled(&self) -> impl Iterator<Item = (Timestamp, Work)> {
        let top_ups = self.top_ups.iter().filter_map(TopUp::scheduled);
        let refunds = self.back.refunds.iter().filter_map(PaymentRefund::scheduled);
        let subscription = self.subscription.iter().filter_map(|subscription| subscription.due_at());
        top_ups
            .chain(refunds)
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

impl PaymentRefund {
    /// What a time brings to it while its money is on its way.
    fn scheduled(&self) -> Option<(Timestamp, Work)> {
        if self.waits_for_its_call() {
            return Some((AT_ONCE, Work::CallRefund(self.id)));
        }
        let is_there = self.placed.is_some() && TopUp::is_provider_payment(&self.payment);
        let look_at = self.call_began_at().plus_seconds(FIRST_LOOK_SECONDS);
        let waits = is_there && self.status == PaymentRefundStatus::Pending;
        waits.then_some((look_at, Work::LookAtRefund(self.id)))
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
