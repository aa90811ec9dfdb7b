//! Where the messages of a subscriber go. Webhook endpoints and e-mail differ in what they send
//! about an entry, in their schedule, and in what follows from an answer. The rest is alike and in
//! `subscriber`.

use std::future::Future;

use tollkeeper_engine::{
    DeliveryAttempt, DeliveryException, Error, FollowedEntry, Subscriber, SubscriberState,
};
use tollkeeper_ledger::Timestamp;

use super::schedule::{Asked, Schedule};

/// How far a subscriber is behind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lag {
    /// True if nothing new is sent to it.
    pub is_down: bool,
    /// The age of the oldest entry that it has not been sent, in seconds.
    pub seconds: u64,
}

/// What follows from an attempt to send a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was accepted.
    Accepted,
    /// It is sent again, at the earliest as the answer asks.
    Again(Asked),
    /// It is not sent again, and listed among what failed.
    GivenUp,
    /// The receiver works and will never take this message. It is not sent again.
    Refused,
    /// The receiver says that there is no subscriber any more.
    SubscriberGone,
}

/// An attempt to send a message. Its id is in the attempt.
#[derive(Clone, Debug)]
pub struct Attempted {
    /// What is kept of it, to be shown.
    pub attempt: DeliveryAttempt,
    /// What follows.
    pub fate: Fate,
}

impl Attempted {
    /// True if the receiver works.
    pub fn is_answered(&self) -> bool {
        matches!(self.fate, Fate::Accepted | Fate::Refused)
    }
}

/// Where the messages of one subscriber go.
pub(super) trait Outlet: Sync {
    /// When messages are sent again.
    const SCHEDULE: Schedule;

    /// The subscriber.
    fn subscriber(&self) -> Subscriber;

    /// Sends what there is to be sent about an entry; with `only`, the message with this id alone.
    /// Returns nothing if there is no such message any more.
    fn send(
        &self,
        followed: &FollowedEntry,
        only: Option<&DeliveryException>,
    ) -> impl Future<Output = Result<Vec<Attempted>, Error>> + Send;

    /// False if the subscriber has ended or begun again since its turn began.
    fn is_current(&self) -> bool;

    /// Ends a subscriber to which nothing more is to be sent by what is kept of it; returns false
    /// if it did.
    fn goes_on(&self, state: &SubscriberState) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Ends a subscriber whose receiver said that it is gone.
    fn end(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Notes how far the subscriber is behind; `None` if another server serves it.
    fn note_lag(&self, lag: Option<Lag>);

    /// The time of the server.
    fn now(&self) -> Timestamp;
}
