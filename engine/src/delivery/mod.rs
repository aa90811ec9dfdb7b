//! What engines keep about messages to subscribers: how far each has come, and what failed.
//!
//! The journal is the list of what happened, and a subscriber follows it. Nothing is stored for a
//! message that was accepted: the subscriber's place moves behind its entry. A message that fails
//! becomes an *exception*, which is tried again by itself, so that the others go on. There are few
//! exceptions ([`EXCEPTIONS_MAX`]); a subscriber with that many is down, and its place stays.
//!
//! Guarantee: every entry that is committed after a subscriber has begun is handed out until it is
//! noted as sent or as an exception, also if a server ends between any two steps. It may be handed
//! out again. Two servers on one database serve a subscriber in turns.
//!
//! An engine knows neither the form of a message nor how it is sent. The schedule is the caller's.

mod codec;
pub(crate) mod nothing;
pub(crate) mod subscriber;

use tollkeeper_ledger::{Hash, Timestamp, WorkspaceId};

use self::subscriber::Subscriber;
use crate::contract::BoxFuture;
use crate::{EntryRecord, Error};

/// The most exceptions of a subscriber that wait: then it is down.
pub const EXCEPTIONS_MAX: usize = 100;

/// The most exceptions that were given up and are still shown.
const GIVEN_UP_KEPT: usize = 100;

/// The most attempts that are kept, to be shown.
pub const ATTEMPTS_KEPT: usize = 100;

/// The longest outcome of an attempt.
const OUTCOME_MAX_BYTES: usize = 200;

/// Where an entry is in what a subscriber follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalPlace {
    /// The workspace, or the platform.
    pub workspace: WorkspaceId,
    /// The number of the entry in its workspace.
    pub n: u64,
    /// In a directory the place in the journal of all workspaces; 0 in a database.
    pub seq: u64,
    /// The hash of the entry. After a restore, the same number can be of another entry.
    pub hash: Hash,
}

/// An entry of a followed type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowedEntry {
    /// Where it is.
    pub place: JournalPlace,
    /// The entry with its hash.
    pub record: EntryRecord,
}

/// The next entries of a subscriber.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryPortion {
    /// The entries about which there is a message, in the order in which they are to be sent.
    pub entries: Vec<FollowedEntry>,
    /// How far entries were looked at: once all of `entries` are noted, the subscriber is here.
    pub end: Vec<JournalPlace>,
    /// True if there may be more behind it.
    pub more: bool,
}

/// A message that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryException {
    /// The id of the message.
    pub message: Box<str>,
    /// The entry that the message is about; `None` for a message about no entry.
    pub place: JournalPlace,
    /// How often it was sent.
    pub attempts: u32,
    /// When it was sent first.
    pub first_at: Timestamp,
    /// When it is sent again; `None` if it was given up.
    pub next_at: Option<Timestamp>,
    /// What became of the last attempt, for people.
    pub outcome: Box<str>,
}

/// One attempt to send a message, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// The id of the message.
    pub message: Box<str>,
    /// The type of the message.
    pub kind: Box<str>,
    /// The entry that the message is about.
    pub place: JournalPlace,
    /// When it was sent.
    pub at: Timestamp,
    /// How long it took.
    pub millis: u32,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// True if the message was accepted.
    pub accepted: bool,
    /// What became of it, for people.
    pub outcome: Box<str>,
}

/// What is kept of a subscriber besides its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriberState {
    /// The messages that were not accepted, oldest first; those that were given up too.
    pub exceptions: Vec<DeliveryException>,
    /// The newest attempts, oldest first.
    pub attempts: Vec<DeliveryAttempt>,
    /// Since when nothing was accepted; `None` if the last attempt was.
    pub failing_since: Option<Timestamp>,
    /// The last time at which a message was accepted.
    pub accepted_at: Option<Timestamp>,
}

/// What was done for a subscriber.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryNotes {
    /// The places that the subscriber has reached, the last one of each workspace.
    pub reached: Vec<JournalPlace>,
    /// Exceptions that are new or have changed.
    pub exceptions: Vec<DeliveryException>,
    /// Messages that are no exceptions any more.
    pub done: Vec<Box<str>>,
    /// Attempts, oldest first.
    pub attempts: Vec<DeliveryAttempt>,
    /// Sends every exception that waits again at this time, and forgets since when nothing was
    /// accepted.
    pub retry_all_at: Option<Timestamp>,
    /// True to end the turn of this server.
    pub ends_turn: bool,
}

impl DeliveryException {
    /// The same, to be sent at once because somebody asked for it.
    #[must_use]
    pub fn asked_for(self) -> DeliveryException {
        DeliveryException { next_at: Some(self.first_at), ..self }
    }

    /// True if somebody asked for it: no pause ends when the message was first sent. It is then
    /// sent also while its subscriber is down.
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        self.next_at == Some(self.first_at)
    }
}

impl SubscriberState {
    /// The exceptions that wait to be sent again.
    pub fn waiting(&self) -> impl Iterator<Item = &DeliveryException> {
        self.exceptions.iter().filter(|exception| exception.next_at.is_some())
    }

    /// True if so much has failed that nothing new is sent.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.waiting().count() >= EXCEPTIONS_MAX
    }

    /// The exception that is tried while a subscriber is down: the one that was tried most often.
    #[must_use]
    pub fn probe(&self) -> Option<&DeliveryException> {
        let waiting: Vec<&DeliveryException> = self.waiting().collect();
        waiting.into_iter().rev().max_by_key(|exception| exception.attempts)
    }

    /// Adds what was done. Applying the same notes again changes nothing but the attempts.
    pub fn apply(&mut self, notes: &DeliveryNotes) {
        let DeliveryNotes { reached: _, exceptions, done, attempts, retry_all_at, ends_turn: _ } = notes;
        self.exceptions.retain(|known| !done.contains(&known.message));
        for exception in exceptions {
            match self.exceptions.iter_mut().find(|known| known.message == exception.message) {
                Some(known) => *known = exception.clone(),
                None => self.exceptions.push(exception.clone()),
            }
        }
        for attempt in attempts {
            if attempt.accepted {
                self.failing_since = None;
                self.accepted_at = self.accepted_at.max(Some(attempt.at));
            } else if self.failing_since.is_none() {
                self.failing_since = Some(attempt.at);
            }
        }
        if let Some(at) = retry_all_at {
            self.failing_since = None;
            for waiting in self.exceptions.iter_mut().filter(|exception| exception.next_at.is_some()) {
                waiting.next_at = Some(*at);
            }
        }
        self.attempts.extend(attempts.iter().cloned());
        let too_many = self.attempts.len().saturating_sub(ATTEMPTS_KEPT);
        self.attempts.drain(..too_many);
        let given_up = self.exceptions.iter().filter(|exception| exception.next_at.is_none()).count();
        let mut too_many = given_up.saturating_sub(GIVEN_UP_KEPT);
        self.exceptions.retain(|exception| {
            let is_dropped = exception.next_at.is_none() && too_many > 0;
            too_many -= usize::from(is_dropped);
            !is_dropped
        });
        assert!(self.attempts.len() <= ATTEMPTS_KEPT, "the attempts that are kept stay bounded");
    }
}

/// The outcome of an attempt, cut to the length that is stored.
#[must_use]
pub fn delivery_outcome(text: &str) -> Box<str> {
    let mut end = text.len().min(OUTCOME_MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}

/// The part of an engine that follows the journal for subscribers.
pub trait Deliveries: Send + Sync {
    /// Makes the store of deliveries ready. An endpoint that is set before it was ready begins at
    /// the end of the journal as it is now.
    fn prepare(&self) -> BoxFuture<'_, Result<(), Error>>;

    /// Gives each subscriber its share of what was committed, and removes what is kept of those
    /// that are no subscribers any more. Called before portions are asked for.
    fn distribute(&self) -> BoxFuture<'_, Result<(), Error>>;

    /// Takes or prolongs the turn of this server for a subscriber; `None` if another server has it.
    /// If there is nothing to do, no turn is taken.
    /// A turn ends by itself some time after it was last taken. [`Subscriber::Mail`] begins at the
    /// end of the journal when its turn is first taken.
    fn take_turn(
        &self,
        subscriber: Subscriber,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<SubscriberState>, Error>>;

    /// The next entries of a subscriber whose turn this server has: at most about `most`; none if
    /// it has not. The same ones are handed out again until they are noted.
    fn portion(&self, subscriber: Subscriber, most: usize) -> BoxFuture<'_, Result<DeliveryPortion, Error>>;

    /// Notes what was done for a subscriber; returns what is kept of it.
    fn note(
        &self,
        subscriber: Subscriber,
        notes: DeliveryNotes,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<SubscriberState, Error>>;

    /// What is kept of a subscriber.
    fn state(&self, subscriber: Subscriber) -> BoxFuture<'_, Result<SubscriberState, Error>>;

    /// The entry at a place; `None` if there is none, or after a restore another one.
    fn entry_at(&self, place: JournalPlace) -> BoxFuture<'_, Result<Option<FollowedEntry>, Error>>;

    /// Waits until this server commits an entry of a kind that somebody follows.
    fn committed(&self) -> BoxFuture<'_, ()>;
}

#[cfg(test)]
mod tests;
