//! Serves one subscriber: sends what is due again, then what is new in the journal.
//!
//! Entries are worked on up to eight at a time. The place in the journal moves over those whose
//! messages were accepted or became exceptions, at least once a second. A subscriber with too many
//! exceptions is down: one of them is sent by the schedule, and nothing else, until it is accepted.
//! A message may come again after a crash, under the same id. What is sent, and where, is the
//! outlet's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use tollkeeper_engine::{
    DeliveryException, DeliveryNotes, DeliveryPortion, EXCEPTIONS_MAX, Engine, Error, JournalPlace,
    SubscriberState,
};
use tollkeeper_ledger::{Timestamp, WorkspaceId};

use super::outlet::{Attempted, Fate, Lag, Outlet};
use super::schedule::Schedule;

/// About how many entries of a subscriber are worked on at a time.
const AT_ONCE: usize = 8;

/// How many entries are read from the journal at a time.
const PORTION: usize = 256;

/// How often the place in the journal is saved while messages are sent.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// While more is committed than is sent, the server rests after each portion for this many times as
/// long as it took. It cannot catch up then, and charges need the processor. The journal is the
/// queue.
const RESTS_TIMES: u32 = 3;

/// The most exceptions that wait, of a subscriber that goes on beside them.
const WAITING_MAX: usize = 1_000;

/// When a subscriber that another server serves is looked at again.
const OTHER_TURN_SECONDS: i64 = 5;

/// When a subscriber is to be served again, also if nothing is committed until then.
pub(super) type NextAt = Option<Timestamp>;

/// Serves a subscriber until nothing is left to be sent now.
pub(super) async fn serve<O: Outlet>(engine: &dyn Engine, outlet: &O) -> Result<NextAt, Error> {
    let (deliveries, subscriber) = (engine.deliveries(), outlet.subscriber());
    let Some(state) = deliveries.take_turn(subscriber.clone(), outlet.now()).await? else {
        outlet.note_lag(None);
        return Ok(Some(outlet.now().plus_seconds(OTHER_TURN_SECONDS)));
    };
    let serving = Serving { engine, outlet, has_noted: AtomicBool::new(false) };
    let served = serving.all(state).await;
    if serving.has_noted.load(Relaxed) {
        let notes = DeliveryNotes { ends_turn: true, ..DeliveryNotes::default() };
        let name = subscriber.name();
        // The turn ends by itself too.
        if let Err(error) = deliveries.note(subscriber, notes, outlet.now()).await {
            tracing::warn!(subscriber = name, %error, "a turn of a subscriber could not be ended");
        }
    }
    served
}

/// A subscriber whose turn this server has.
struct Serving<'a, O> {
    engine: &'a dyn Engine,
    outlet: &'a O,
    /// True once something was noted, so that the turn is written down.
    has_noted: AtomicBool,
}

impl<O: Outlet> Serving<'_, O> {
    async fn all(&self, state: SubscriberState) -> Result<NextAt, Error> {
        let Some(mut state) = self.send_again(state).await? else { return Ok(None) };
        let mut lag = 0;
        while self.outlet.is_current() && self.outlet.goes_on(&state).await? {
            let portion = self.engine.deliveries().portion(self.outlet.subscriber(), PORTION).await?;
            let oldest = portion.entries.first().map(|followed| followed.record.entry.at);
            lag = oldest.map_or(0, |at| (self.outlet.now().seconds() - at.seconds()).max(0).unsigned_abs());
            if O::SCHEDULE.is_down(&state) || portion.end.is_empty() {
                break;
            }
            let (more, messages) = (portion.more, portion.entries.len() as u64);
            let (begun, entries) = (Instant::now(), self.engine.stats().entries);
            let Some(after) = self.send_new(portion, state).await? else { return Ok(None) };
            state = after;
            if more && self.engine.stats().entries.saturating_sub(entries) > messages {
                tokio::time::sleep(begun.elapsed() * RESTS_TIMES).await;
            }
            if !more {
                if !O::SCHEDULE.is_down(&state) {
                    lag = 0;
                }
                break;
            }
        }
        let is_down = O::SCHEDULE.is_down(&state);
        self.outlet.note_lag(Some(Lag { is_down, seconds: lag }));
        let next = match is_down {
            true => state.probe().and_then(|probe| probe.next_at),
            false => state.waiting().filter_map(|exception| exception.next_at).min(),
        };
        Ok(next)
    }

    /// Sends the messages of a portion, and notes what became of them; `None` if the subscriber has
    /// ended.
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
                let attempted = self.outlet.send(&followed, None).await;
                (followed, attempted)
            })
            .buffered(AT_ONCE);
        while let Some((followed, attempted)) = sending.next().await {
            for attempted in attempted? {
                if notes.add(attempted, &O::SCHEDULE) {
                    self.note(&mut notes).await?;
                    self.outlet.end().await?;
                    return Ok(None);
                }
            }
            notes.reach(followed.place);
            if saved.elapsed() >= SAVE_INTERVAL {
                state = self.note(&mut notes).await?;
                saved = Instant::now();
            }
            if state.waiting().count() + notes.waiting() >= EXCEPTIONS_MAX {
                state = self.note(&mut notes).await?;
                if O::SCHEDULE.is_down(&state) {
                    // What is under way may arrive; it comes again under the same id.
                    return Ok(Some(state));
                }
                notes.give_up_excess(&state);
            }
        }
        end.into_iter().for_each(|place| notes.reach(place));
        self.note(&mut notes).await.map(Some)
    }

    /// Sends exceptions again whose time has come; of a subscriber that is down one. `None` if the
    /// subscriber has ended.
    async fn send_again(&self, mut state: SubscriberState) -> Result<Option<SubscriberState>, Error> {
        let now = self.outlet.now();
        let is_due = |exception: &&DeliveryException| exception.next_at.is_some_and(|at| at <= now);
        let mut due: Vec<DeliveryException> = state.waiting().filter(is_due).cloned().collect();
        let was_down = O::SCHEDULE.is_down(&state);
        if was_down {
            // The others wait for the probe, however late they are, unless somebody asked for them.
            let probe = state.probe().map(|probe| probe.message.clone());
            let is_probe = |exception: &DeliveryException| Some(&exception.message) == probe.as_ref();
            due.retain(|exception| exception.is_asked_for() || is_probe(exception));
        }
        let mut sending = stream::iter(due)
            .map(|exception| async move {
                let attempted = match self.engine.deliveries().entry_at(exception.place.clone()).await {
                    Ok(Some(followed)) => self.outlet.send(&followed, Some(&exception)).await,
                    // After a restore there is another entry, which has messages of its own.
                    Ok(None) => Ok(Vec::new()),
                    Err(error) => Err(error),
                };
                (exception, attempted)
            })
            .buffered(AT_ONCE);
        while let Some((exception, attempted)) = sending.next().await {
            let mut notes = Gathered::default();
            if notes.add_again(&exception, &state, attempted?, &O::SCHEDULE) {
                self.note(&mut notes).await?;
                self.outlet.end().await?;
                return Ok(None);
            }
            if !was_down {
                notes.notes.retry_all_at = None;
            }
            state = self.note(&mut notes).await?;
        }
        Ok(Some(state))
    }

    async fn note(&self, gathered: &mut Gathered) -> Result<SubscriberState, Error> {
        let Gathered { mut notes, reached } = std::mem::take(gathered);
        notes.reached = reached.into_values().collect();
        self.has_noted.store(true, Relaxed);
        self.engine.deliveries().note(self.outlet.subscriber(), notes, self.outlet.now()).await
    }
}

/// What is to be noted next.
#[derive(Default)]
struct Gathered {
    notes: DeliveryNotes,
    reached: BTreeMap<WorkspaceId, JournalPlace>,
}

impl Gathered {
    /// Moves the place in the journal.
    fn reach(&mut self, place: JournalPlace) {
        self.reached.insert(place.workspace.clone(), place);
    }

    /// How many exceptions are to be noted that are sent again.
    fn waiting(&self) -> usize {
        self.notes.exceptions.iter().filter(|exception| exception.next_at.is_some()).count()
    }

    /// Gives up the exceptions that were tried most often, so that a bounded number waits.
    fn give_up_excess(&mut self, state: &SubscriberState) {
        let mut waiting: Vec<&DeliveryException> = state.waiting().collect();
        waiting.sort_by_key(|exception| exception.attempts);
        let given_up = waiting.into_iter().skip(WAITING_MAX);
        let given_up = given_up.map(|exception| DeliveryException { next_at: None, ..exception.clone() });
        self.notes.exceptions.extend(given_up);
    }

    /// Adds the first attempt of a message; returns true if the subscriber has ended.
    fn add(&mut self, attempted: Attempted, schedule: &Schedule) -> bool {
        let Attempted { attempt, fate } = attempted;
        let next_at = match fate {
            Fate::Accepted | Fate::Refused | Fate::SubscriberGone => None,
            Fate::GivenUp => Some(None),
            Fate::Again(asked) => Some(schedule.next_at(1, attempt.at, asked, chance())),
        };
        let exception = next_at.map(|next_at| DeliveryException {
            message: attempt.message.clone(),
            place: attempt.place.clone(),
            attempts: 1,
            first_at: attempt.at,
            next_at,
            outcome: attempt.outcome.clone(),
        });
        let is_gone = fate == Fate::SubscriberGone;
        self.notes.exceptions.extend(exception);
        self.notes.attempts.push(attempt);
        is_gone
    }

    /// Adds the attempts of what an exception stood for; returns true if the subscriber has ended.
    ///
    /// A message that failed again is given up after the last pause, unless the subscriber has
    /// accepted nothing since: then the fault is not the message's.
    fn add_again(
        &mut self,
        exception: &DeliveryException,
        state: &SubscriberState,
        attempted: Vec<Attempted>,
        schedule: &Schedule,
    ) -> bool {
        let mut is_done = true;
        for attempted in attempted {
            let Attempted { attempt, fate } = &attempted;
            if attempted.is_answered() {
                self.notes.retry_all_at = Some(attempt.at);
            }
            let attempts = exception.attempts.saturating_add(1);
            let next_at = match fate {
                Fate::Again(asked) if attempt.message == exception.message => {
                    let accepts_others =
                        state.accepted_at.is_some_and(|accepted| accepted >= exception.first_at);
                    let next_at = schedule.next_at(attempts, attempt.at, *asked, chance());
                    let while_down = || schedule.next_while_down(attempts, attempt.at, *asked, chance());
                    next_at.or_else(|| (!accepts_others).then(while_down))
                }
                Fate::GivenUp if attempt.message == exception.message => None,
                _ => {
                    if self.add(attempted, schedule) {
                        return true;
                    }
                    continue;
                }
            };
            is_done = false;
            let outcome = attempt.outcome.clone();
            self.notes.exceptions.push(DeliveryException { attempts, next_at, outcome, ..exception.clone() });
            self.notes.attempts.push(attempted.attempt);
        }
        if is_done {
            self.notes.done.push(exception.message.clone());
        }
        false
    }
}

/// A number of 0 to 999 by which pauses vary.
fn chance() -> u16 {
    let mut bytes = [0; 2];
    // Without random numbers pauses do not vary.
    let _ = getrandom::fill(&mut bytes);
    u16::from_le_bytes(bytes) % 1_000
}
