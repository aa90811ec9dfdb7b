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
use super::top_up::TopUpStatus;
use crate::{Timestamp, TopUpId};

/// A piece of work that a time brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Give up a top-up that nobody paid.
    ExpireTopUp(TopUpId),
    /// Write what the time makes true of the subscription: a month, a period that begins, its end.
    TickSubscription,
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
        let waiting = self.top_ups.iter().filter(|top_up| top_up.status == TopUpStatus::Pending);
        let expiring =
            waiting.filter_map(|top_up| Some((top_up.expires_at()?, Work::ExpireTopUp(top_up.id))));
        let subscription = self.subscription.iter().filter_map(|subscription| subscription.due_at());
        expiring.chain(subscription.map(|at| (at, Work::TickSubscription)))
    }
}
