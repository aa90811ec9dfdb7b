//! Serves one endpoint: sends what is due again, then what is new in the journal.
//!
//! New messages are sent up to eight at a time. The place in the journal moves over those that were
//! accepted and those that became exceptions, at least once a second. An endpoint with too many
//! exceptions is down: one of them is sent by the schedule, and nothing else, until it is accepted.
//! A message may come again after a crash, under the same id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use tollkeeper_engine::{
    DeliveryException, DeliveryNotes, DeliveryPortion, EXCEPTIONS_MAX, Error, FollowedEntry, JournalPlace,
    SubscriberState, delivery_outcome,
};
use tollkeeper_ledger::{Actor, Command, EndpointFault, Submission, Timestamp, WebhookEndpoint, WorkspaceId};

use super::envelope::Message;
use super::message::about;
use super::schedule;
use super::sender::Sent;
use super::webhooks::Lag;
use crate::app::App;

/// How many messages of an endpoint are sent at a time.
const AT_ONCE: usize = 8;

/// How many messages are read from the journal at a time.
const PORTION: usize = 256;

/// How often the place in the journal is saved while messages are sent.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// While more is committed than is sent, the server rests after each portion for this many times as
/// long as it took. It cannot catch up then, and charges need the processor. The journal is the
/// queue.
const RESTS_TIMES: u32 = 3;

/// When an endpoint that another server serves is looked at again.
const OTHER_TURN_SECONDS: i64 = 5;

/// When an endpoint is to be served again, also if nothing is committed until then.
pub(super) type NextAt = Option<Timestamp>;

/// Serves an endpoint until nothing is left to be sent now.
pub(super) async fn serve(app: &App, endpoint: &Arc<WebhookEndpoint>) -> Result<NextAt, Error> {
    let deliveries = app.engine().deliveries();
    let Some(state) = deliveries.take_turn(Arc::clone(endpoint), app.now()).await? else {
        app.webhooks.note_lag(endpoint.id, None);
        return Ok(Some(app.now().plus_seconds(OTHER_TURN_SECONDS)));
    };
    let serving = Serving { app, endpoint, has_noted: AtomicBool::new(false) };
    let served = serving.all(state).await;
    if serving.has_noted.load(Relaxed) {
        let notes = DeliveryNotes { ends_turn: true, ..DeliveryNotes::default() };
        // The turn ends by itself too.
        if let Err(error) = deliveries.note(Arc::clone(endpoint), notes, app.now()).await {
            tracing::warn!(endpoint = %endpoint.id, %error, "a turn of a webhook endpoint could not be ended");
        }
    }
    served
}

/// An endpoint whose turn this server has.
struct Serving<'a> {
    app: &'a App,
    endpoint: &'a Arc<WebhookEndpoint>,
    /// True once something was noted, so that the turn is written down.
    has_noted: AtomicBool,
}

impl Serving<'_> {
    async fn all(&self, state: SubscriberState) -> Result<NextAt, Error> {
        let Some(mut state) = self.send_again(state).await? else { return Ok(None) };
        let deliveries = self.app.engine().deliveries();
        let mut lag = 0;
        while self.is_current() && !self.disables(&state).await? {
            let portion = deliveries.portion(Arc::clone(self.endpoint), PORTION).await?;
            let oldest = portion.entries.first().map(|followed| followed.record.entry.at);
            lag = oldest.map_or(0, |at| (self.app.now().seconds() - at.seconds()).max(0).unsigned_abs());
            if state.is_down() || portion.end.is_empty() {
                break;
            }
            let (more, messages) = (portion.more, portion.entries.len() as u64);
            let (begun, entries) = (Instant::now(), self.app.engine().stats().entries);
            let Some(after) = self.send_new(portion, state).await? else { return Ok(None) };
            state = after;
            if more && self.app.engine().stats().entries - entries > messages {
                tokio::time::sleep(begun.elapsed() * RESTS_TIMES).await;
            }
            if !more {
                if !state.is_down() {
                    lag = 0;
                }
                break;
            }
        }
        let is_down = state.is_down();
        self.app.webhooks.note_lag(self.endpoint.id, Some(Lag { is_down, seconds: lag }));
        let next = match is_down {
            true => state.probe().and_then(|probe| probe.next_at),
            false => state.waiting().filter_map(|exception| exception.next_at).min(),
        };
        Ok(next)
    }

    /// Sends the messages of a portion, and notes what became of them; `None` if the endpoint is
    /// gone.
    async fn send_new(
        &self,
        portion: DeliveryPortion,
        mut state: SubscriberState,
    ) -> Result<Option<SubscriberState>, Error> {
        let DeliveryPortion { entries, end, more: _ } = portion;
        let mut saved = Instant::now();
        let mut notes = Gathered::default();
        let mut sending = stream::iter(entries)
            .map(|followed| async move {
                let sent = self.send(&followed).await;
                (followed, sent)
            })
            .buffered(AT_ONCE);
        while let Some((followed, sent)) = sending.next().await {
            if let Some((message, at, sent)) = sent? {
                let is_gone = notes.add(&message, &followed.place, at, &sent);
                if !sent.is_accepted() {
                    notes.fail(message, followed.place.clone(), at, &sent);
                }
                if is_gone {
                    self.note(&mut notes).await?;
                    self.disable(EndpointFault::Gone).await?;
                    return Ok(None);
                }
            }
            notes.reach(followed.place);
            if saved.elapsed() >= SAVE_INTERVAL {
                state = self.note(&mut notes).await?;
                saved = Instant::now();
            }
            if state.waiting().count() + notes.notes.exceptions.len() >= EXCEPTIONS_MAX {
                // What is under way may arrive; it comes again under the same id.
                return self.note(&mut notes).await.map(Some);
            }
        }
        end.into_iter().for_each(|place| notes.reach(place));
        self.note(&mut notes).await.map(Some)
    }

    /// Sends exceptions again whose time has come; of an endpoint that is down one. `None` if the
    /// endpoint is gone.
    async fn send_again(&self, mut state: SubscriberState) -> Result<Option<SubscriberState>, Error> {
        let now = self.app.now();
        let is_due = |exception: &&DeliveryException| exception.next_at.is_some_and(|at| at <= now);
        let mut due: Vec<DeliveryException> = state.waiting().filter(is_due).cloned().collect();
        let was_down = state.is_down();
        if was_down {
            // The others wait for this one, however late they are.
            due = state.probe().filter(is_due).cloned().into_iter().collect();
        }
        let mut sending = stream::iter(due)
            .map(|exception| async move {
                let found = self.app.engine().deliveries().entry_at(exception.place.clone()).await;
                let sent = match found {
                    Ok(Some(followed)) => {
                        self.send(&followed).await.map(|sent| sent.map(|sent| (followed, sent)))
                    }
                    // After a restore there is another entry, which has a message of its own.
                    Ok(None) => Ok(None),
                    Err(error) => Err(error),
                };
                (exception, sent)
            })
            .buffered(AT_ONCE);
        while let Some((exception, sent)) = sending.next().await {
            let mut notes = Gathered::default();
            match sent? {
                None => notes.notes.done.push(exception.message),
                Some((followed, (message, at, sent))) => {
                    if notes.add(&message, &followed.place, at, &sent) {
                        self.note(&mut notes).await?;
                        self.disable(EndpointFault::Gone).await?;
                        return Ok(None);
                    }
                    if sent.is_accepted() {
                        notes.notes.done.push(exception.message);
                        notes.notes.retry_all_at = was_down.then_some(at);
                    } else {
                        notes.fail_again(exception, &state, at, &sent);
                    }
                }
            }
            state = self.note(&mut notes).await?;
        }
        Ok(Some(state))
    }

    /// Sends the message about an entry; `None` if there is none any more.
    async fn send(&self, followed: &FollowedEntry) -> Result<Option<(Message, Timestamp, Sent)>, Error> {
        let Some(message) = about(self.endpoint.id, followed) else { return Ok(None) };
        let now = self.app.now();
        // The address and the secret may have changed since the turn began.
        let platform = self.app.engine().platform();
        let current = platform.webhook_endpoint(self.endpoint.id).unwrap_or(self.endpoint);
        let sent = self.app.webhooks.send(current, &message.id, message.body.clone(), now).await;
        let sent = sent.unwrap_or_else(|error| {
            tracing::error!(%error, "a message to a webhook endpoint could not be signed");
            Sent {
                status: None,
                outcome: error.to_string(),
                asked: schedule::Asked::default(),
                took: Duration::ZERO,
            }
        });
        Ok(Some((message, now, sent)))
    }

    async fn note(&self, gathered: &mut Gathered) -> Result<SubscriberState, Error> {
        let Gathered { mut notes, reached } = std::mem::take(gathered);
        notes.reached = reached.into_values().collect();
        self.has_noted.store(true, Relaxed);
        self.app.engine().deliveries().note(Arc::clone(self.endpoint), notes, self.app.now()).await
    }

    /// True unless the endpoint was disabled, removed or begun again since the turn began.
    fn is_current(&self) -> bool {
        let platform = self.app.engine().platform();
        let current = platform.webhook_endpoint(self.endpoint.id);
        current.is_some_and(|known| known.enabled && known.beginning == self.endpoint.beginning)
    }

    /// Disables an endpoint that has accepted nothing for days; returns true if it did.
    async fn disables(&self, state: &SubscriberState) -> Result<bool, Error> {
        if !schedule::is_failing(state, self.app.now()) {
            return Ok(false);
        }
        self.disable(EndpointFault::Failing).await?;
        Ok(true)
    }

    async fn disable(&self, fault: EndpointFault) -> Result<(), Error> {
        let known = self.app.engine().platform();
        let Some(known) = known.webhook_endpoint(self.endpoint.id).filter(|known| known.enabled) else {
            return Ok(());
        };
        let disabled = WebhookEndpoint {
            version: known.version + 1,
            enabled: false,
            fault: Some(fault),
            ..(**known).clone()
        };
        let command = Command::SetWebhookEndpoint(Box::new(disabled));
        let workspace = WorkspaceId::platform();
        let submission = Submission { workspace, key: None, actor: Actor::System, command };
        match self.app.engine().run(submission, self.app.now()).await? {
            Ok(_) => {
                tracing::warn!(endpoint = %self.endpoint.id, why = fault.as_str(), "a webhook endpoint is disabled")
            }
            // Somebody changed it meanwhile; the next turn looks again.
            Err(refused) => tracing::warn!(why = refused.code(), "a webhook endpoint could not be disabled"),
        }
        Ok(())
    }
}

/// What is to be noted next.
#[derive(Default)]
struct Gathered {
    notes: DeliveryNotes,
    reached: BTreeMap<WorkspaceId, JournalPlace>,
}

impl Gathered {
    /// Adds an attempt; returns true if the receiver says that there is no endpoint any more.
    fn add(&mut self, message: &Message, place: &JournalPlace, at: Timestamp, sent: &Sent) -> bool {
        self.notes.attempts.push(message.attempt(place.clone(), at, sent));
        sent.is_gone()
    }

    /// Moves the place in the journal.
    fn reach(&mut self, place: JournalPlace) {
        self.reached.insert(place.workspace.clone(), place);
    }

    /// Adds an exception for a message that was sent for the first time.
    fn fail(&mut self, message: Message, place: JournalPlace, at: Timestamp, sent: &Sent) {
        self.notes.exceptions.push(DeliveryException {
            message: message.id.into(),
            place,
            attempts: 1,
            first_at: at,
            next_at: schedule::next_at(1, at, sent.asked, chance()),
            outcome: delivery_outcome(&sent.outcome),
        });
    }

    /// Adds an exception that failed again. It is given up after the last pause, unless the
    /// endpoint has accepted nothing since: then the fault is not the message's.
    fn fail_again(
        &mut self,
        exception: DeliveryException,
        state: &SubscriberState,
        at: Timestamp,
        sent: &Sent,
    ) {
        let attempts = exception.attempts.saturating_add(1);
        let accepts_others = state.accepted_at.is_some_and(|accepted| accepted >= exception.first_at);
        let next_at = schedule::next_at(attempts, at, sent.asked, chance());
        let while_down = || schedule::next_while_down(attempts, at, sent.asked, chance());
        let next_at = next_at.or_else(|| (!accepts_others).then(while_down));
        let outcome = delivery_outcome(&sent.outcome);
        self.notes.exceptions.push(DeliveryException { attempts, next_at, outcome, ..exception });
    }
}

/// A number of 0 to 999 by which pauses vary.
fn chance() -> u16 {
    let mut bytes = [0; 2];
    // Without random numbers pauses do not vary.
    let _ = getrandom::fill(&mut bytes);
    u16::from_le_bytes(bytes) % 1_000
}
