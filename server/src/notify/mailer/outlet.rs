//! Sends the mails about an entry: one to each recipient, and what follows from the relay's answer.
//!
//! A mail is composed anew at each attempt, from the entry and from what is true now. Its id is
//! made from the hash of the entry and the recipient. So an attempt after a crash, by another
//! server too, has the same `Message-ID`, and a doubled sending is one mail.
//!
//! - A mail that the relay took over is noted in the journal of its workspace.
//! - An address that is refused for good is noted as at fault: it gets no mail any more.
//! - An address that a workspace names is asked to agree. A workspace can ask few addresses a day.
//! - Everything else is tried again for about a day, and given up three days after the entry.

use std::time::Instant;

use tollkeeper_engine::{
    DeliveryAttempt, DeliveryException, Error, FollowedEntry, Subscriber, SubscriberState, delivery_outcome,
};
use tollkeeper_ledger::Timestamp;

use super::facts::{self, Event};
use super::letters::{self, Addressee, Mail};
use super::state::Mailer;
use super::{context, ids};
use crate::app::App;
use crate::notify::mail::about::About;
use crate::notify::mail::context::WorkspaceFacts;
use crate::notify::mail::relay::Sent;
use crate::notify::outlet::{Attempted, Fate, Lag, Outlet};
use crate::notify::schedule::{self, Asked, Schedule};

/// How old the entry of a mail may be, in seconds.
const AGE_MAX_SECONDS: i64 = 3 * 86_400;

/// The code that is shown for a mail that the relay took over.
const ACCEPTED: u16 = 250;

/// The mailer while this server has its turn.
pub(in crate::notify) struct MailOutlet<'a> {
    pub app: &'a App,
    pub mailer: &'a Mailer,
}

impl Outlet for MailOutlet<'_> {
    const SCHEDULE: Schedule = schedule::MAILS;

    fn subscriber(&self) -> Subscriber {
        Subscriber::Mail
    }

    async fn send(
        &self,
        followed: &FollowedEntry,
        only: Option<&DeliveryException>,
    ) -> Result<Vec<Attempted>, Error> {
        let whole = ids::of_entry(&followed.record.hash);
        let id = only.map_or(&*whole, |only| &*only.message);
        let (now, kind) = (self.app.now(), followed.record.entry.body.kind().as_str());
        if now.seconds() - followed.record.entry.at.seconds() > AGE_MAX_SECONDS {
            let outcome = "what the mail is about is more than three days ago";
            return Ok(vec![attempted(followed, (id, kind), now, outcome, Fate::GivenUp)]);
        }
        // An exception of the whole entry stands for mails whose recipients could not be read.
        let is_wanted = |mail: &str| id == whole || id == mail;
        match self.send_wanted(followed, is_wanted).await {
            // The others go on, and so does this one once its workspace can be read again.
            Err(error) if error.is_of_one_command() => {
                let outcome = format!("the mail could not be written: {error}");
                Ok(vec![attempted(followed, (id, kind), now, &outcome, Fate::Again(Asked::default()))])
            }
            result => result,
        }
    }

    fn is_current(&self) -> bool {
        true
    }

    async fn goes_on(&self, state: &SubscriberState) -> Result<bool, Error> {
        self.mailer.note_waiting(state.waiting().count());
        Ok(true)
    }

    async fn end(&self) -> Result<(), Error> {
        Ok(())
    }

    fn note_lag(&self, lag: Option<Lag>) {
        self.mailer.note_lag(lag);
    }

    fn now(&self) -> Timestamp {
        self.app.now()
    }
}

impl MailOutlet<'_> {
    /// Sends the mails about an entry whose ids are wanted.
    async fn send_wanted(
        &self,
        followed: &FollowedEntry,
        is_wanted: impl Fn(&str) -> bool + Send,
    ) -> Result<Vec<Attempted>, Error> {
        let engine = self.app.engine();
        let Some(event) = facts::of(engine, followed).await? else { return Ok(Vec::new()) };
        let addressees = letters::addressees(engine, self.mailer, &event.audience).await?;
        let named = addressees.into_iter().map(|to| (ids::of_mail(&followed.record.hash, &to.name()), to));
        let wanted: Vec<(String, Addressee)> = named.filter(|(id, _)| is_wanted(id)).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let workspace = context::of_audience(self.app, &event.audience).await?;
        let mut attempts: Vec<Attempted> = Vec::with_capacity(wanted.len());
        for (id, to) in wanted {
            let attempt = match attempts.last().filter(|before| is_of_relay(before)) {
                // The same relay would fail for each of them, after a long wait.
                Some(before) => Attempted {
                    attempt: DeliveryAttempt { message: id.into(), ..before.attempt.clone() },
                    fate: before.fate,
                },
                None => self.send_one(followed, &event, workspace.as_ref(), (&id, &to)).await?,
            };
            attempts.push(attempt);
        }
        Ok(attempts)
    }

    async fn send_one(
        &self,
        followed: &FollowedEntry,
        event: &Event,
        workspace: Option<&WorkspaceFacts>,
        (id, to): (&str, &Addressee),
    ) -> Result<Attempted, Error> {
        let (at, begun) = (self.app.now(), Instant::now());
        let entry = &followed.record.entry;
        let kind = entry.body.kind().as_str();
        let asks = to.workspace().filter(|_| matches!(event.about, About::ConfirmAddress { .. }));
        if asks.is_some_and(|workspace| self.mailer.has_asked_enough(workspace, at)) {
            let outcome = "the workspace has asked too many addresses today";
            return Ok(attempted(followed, (id, kind), at, outcome, Fate::GivenUp));
        }
        let is_own = to.workspace() == Some(&followed.place.workspace);
        let mail = Mail {
            id,
            about: &event.about,
            thread: event.thread.as_deref(),
            date: entry.at,
            entry: if is_own { entry.n } else { 0 },
        };
        let sent = self.mailer.deliver(self.app, &mail, to, workspace).await?;
        if let Some(workspace) = asks.filter(|_| sent == Sent::Accepted) {
            self.mailer.note_asked(workspace, at);
        }
        let (status, fate) = match &sent {
            Sent::Accepted => (Some(ACCEPTED), Fate::Accepted),
            Sent::AddressRefused { code, .. } => (Some(*code), Fate::Refused),
            Sent::Refused { code, .. } => (Some(*code), Fate::Again(Asked::default())),
            Sent::Later { code, .. } => (*code, Fate::Again(Asked::default())),
        };
        let mut made = attempted(followed, (id, kind), at, &sent.to_string(), fate);
        made.attempt.status = status;
        made.attempt.millis = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
        Ok(made)
    }
}

/// True if there was no answer at all.
fn is_of_relay(attempted: &Attempted) -> bool {
    matches!(attempted.fate, Fate::Again(_)) && attempted.attempt.status.is_none()
}

fn attempted(
    followed: &FollowedEntry,
    (id, kind): (&str, &str),
    at: Timestamp,
    outcome: &str,
    fate: Fate,
) -> Attempted {
    let attempt = DeliveryAttempt {
        message: id.into(),
        kind: kind.into(),
        place: followed.place.clone(),
        at,
        millis: 0,
        status: None,
        accepted: fate == Fate::Accepted,
        outcome: delivery_outcome(outcome),
    };
    Attempted { attempt, fate }
}
