//! Finds what lost webhook events would have said, by walking over Stripe's list of events.
//!
//! Three walks are made, each from the newest event to the oldest: every five minutes over what
//! happened since the last one, every hour over a day, and after a start over all 30 days that
//! Stripe lists, for a server that was away and for a backup that was restored. What a walk finds
//! is observed as after a webhook event, so nothing is done twice, and a second server that walks
//! too does no harm. Events that were heard of, and what the ledger knows, cost no call. Refunds
//! and disputes are observed once more although they were heard of: their webhook events may cross,
//! and the lists from which a loss is added up may lag. A walk is paced by its pages, and stops no
//! other work. How far it came is in memory only.
//!
//! The walk over the list replaces asking for each top-up, refund and dispute that is open.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tollkeeper_engine::Error;
use tollkeeper_ledger::Timestamp;

use super::polling::Polling;
use crate::app::App;
use crate::payments::stripe::error::StripeError;
use crate::payments::stripe::objects::{Event, ObjectId};
use crate::payments::stripe::observe::{self, Hint, NotObserved, Subject};
use crate::payments::stripe::provider::Stripe;

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

/// How long an event is left to its webhook, and to the lists that what it is about is missing
/// from.
const LEFT_SECONDS: i64 = 2 * MINUTE;

/// How far a walk goes back behind the beginning of the one before it, for events that Stripe
/// listed late and for clocks that differ.
const OVERLAP_SECONDS: i64 = 10 * MINUTE;

/// How long Stripe lists an event.
const LISTED_SECONDS: i64 = 30 * DAY;

/// The longest time from one walk to the next.
const LATEST_SECONDS: i64 = 60 * MINUTE;

/// When a page is asked for again that Stripe did not give.
const AGAIN_SECONDS: i64 = MINUTE;

/// After this time a payment without its top-up, and an invoice without its subscription, is shown
/// to an operator: it is not under way.
const UNDER_WAY_SECONDS: i64 = DAY;

/// The pause after a page, so that a long walk leaves Stripe to others.
const PAUSE: Duration = Duration::from_millis(200);

/// How many objects are observed at the same time.
const AT_ONCE: usize = 4;

/// The most events that are kept to be tried again. If there are more, all that Stripe lists is
/// walked over again.
const FAILED_MAX: usize = 1_000;

/// The job with how far it came.
#[derive(Debug)]
pub struct Reconciliation {
    /// The shortest first, so that a long walk delays no short one.
    rounds: [Round; 3],
    /// What could not be observed, which each short walk tries again.
    failed: BTreeMap<ObjectId, Event>,
}

/// A walk that is made again and again.
#[derive(Debug)]
struct Round {
    /// From the beginning of one walk to that of the next; `None` if one is enough.
    every_seconds: Option<i64>,
    /// How far it reaches back.
    reach_seconds: i64,
    next_at: Option<Timestamp>,
    /// When the last one began that came to its end.
    done_from: Option<Timestamp>,
    walk: Option<Walk>,
}

/// A walk that is under way.
#[derive(Debug)]
struct Walk {
    begun_at: Timestamp,
    since_seconds: i64,
    older_than: Option<ObjectId>,
    observed: Observed,
}

/// The objects of a walk, and whether they were observed: the older events of one say nothing more.
/// The second id is whose a removed card was, which only one event says.
type Observed = HashMap<(ObjectId, Option<ObjectId>), bool>;

impl Default for Reconciliation {
    fn default() -> Reconciliation {
        let round = |every_seconds, reach_seconds| Round {
            every_seconds,
            reach_seconds,
            next_at: Some(Timestamp::from_millis(0)),
            done_from: None,
            walk: None,
        };
        let rounds = [
            round(Some(5 * MINUTE), OVERLAP_SECONDS + 5 * MINUTE),
            round(Some(LATEST_SECONDS), DAY),
            round(None, LISTED_SECONDS),
        ];
        Reconciliation { rounds, failed: BTreeMap::new() }
    }
}

impl Polling for Reconciliation {
    const WHAT: &'static str = "what webhook events did not tell";

    /// Looks at one page of events.
    async fn do_batch(&mut self, app: &App) -> Result<bool, Error> {
        let Some(stripe) = &app.stripe else { return Ok(false) };
        let reading = app.read_clocks();
        if !app.clock_watch.lets_timers_run(reading) {
            return Ok(false);
        }
        let now = reading.now;
        let Some(place) = self.rounds.iter().position(|round| round.is_due(now)) else { return Ok(false) };
        if place == 0 && self.rounds[0].walk.is_none() {
            self.try_again(app, stripe, now).await;
        }
        let mut walk = self.rounds[place].go_on(now);
        match self.look_at_page(app, stripe, &mut walk, now).await {
            Ok(true) => {
                app.metrics.count_walk();
                self.rounds[place].end(&walk);
            }
            Ok(false) => {
                self.rounds[place].walk = Some(walk);
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                app.metrics.count_failed_walk();
                tracing::warn!(%error, "Stripe's list of events cannot be read now; it is read again");
                let round = &mut self.rounds[place];
                // Behind an event that is listed no more nothing is found.
                round.walk = (!matches!(error, StripeError::Refused { .. })).then_some(walk);
                round.next_at = Some(now.plus_seconds(AGAIN_SECONDS));
            }
        }
        Ok(true)
    }

    fn note_failing(&self, app: &App) {
        app.metrics.set_failing_events(self.failed.len());
    }
}

impl Round {
    fn is_due(&self, now: Timestamp) -> bool {
        // A later time than any was set while a clock was ahead.
        self.next_at.is_some_and(|at| at <= now || at > now.plus_seconds(LATEST_SECONDS))
    }

    /// The walk that is under way, or a new one.
    fn go_on(&mut self, now: Timestamp) -> Walk {
        let Round { reach_seconds, done_from, walk, .. } = self;
        walk.take().unwrap_or_else(|| {
            let since = done_from.unwrap_or(now).plus_seconds(-OVERLAP_SECONDS);
            let since = since.min(now.plus_seconds(-*reach_seconds));
            Walk { begun_at: now, since_seconds: since.seconds(), older_than: None, observed: HashMap::new() }
        })
    }

    fn end(&mut self, walk: &Walk) {
        self.done_from = Some(walk.begun_at);
        self.next_at = self.every_seconds.map(|seconds| walk.begun_at.plus_seconds(seconds));
    }
}

impl Reconciliation {
    /// Observes what a page of the list is about; returns true if it is the last one.
    async fn look_at_page(
        &mut self,
        app: &App,
        stripe: &Stripe,
        walk: &mut Walk,
        now: Timestamp,
    ) -> Result<bool, StripeError> {
        let page = stripe.client()?.events(walk.since_seconds, walk.older_than.as_ref()).await?;
        let oldest = page.data.last().map(|event| event.id.clone());
        let is_last = !page.has_more || oldest.is_none();
        walk.older_than = oldest;
        let is_left = |event: &Event| event.created > now.seconds() - LEFT_SECONDS;
        let events = page.data.into_iter().filter(|event| !is_left(event)).collect();
        self.observe(app, stripe, events, &mut walk.observed, now).await;
        Ok(is_last)
    }

    /// Observes again what could not be observed.
    async fn try_again(&mut self, app: &App, stripe: &Stripe, now: Timestamp) {
        self.failed.retain(|_, event| event.created > now.seconds() - LISTED_SECONDS);
        let events = self.failed.values().cloned().collect();
        self.observe(app, stripe, events, &mut HashMap::new(), now).await;
        // A webhook may have brought one meanwhile, or a later event of the same object.
        self.failed.retain(|id, _| !stripe.heard().has(id));
    }

    /// Observes what events are about, each object once.
    async fn observe(
        &mut self,
        app: &App,
        stripe: &Stripe,
        events: Vec<Event>,
        observed: &mut Observed,
        now: Timestamp,
    ) {
        let (mut wanted, mut older) = (Vec::new(), Vec::new());
        for event in events.into_iter().filter(|event| !stripe.heard().has(&event.id)) {
            let Some((subject, id)) = Subject::of_event(&event.kind).zip(event.data.object.id.clone()) else {
                continue;
            };
            let hint = Hint::of(&event.data);
            let object = (id.clone(), hint.customer_before.clone());
            if observed.contains_key(&object) {
                older.push((event.id, object));
            } else {
                observed.insert(object.clone(), false);
                wanted.push((event, object, subject, id, hint));
            }
        }
        let done = stream::iter(wanted).map(async |(event, object, subject, id, hint)| {
            let found = find(app, stripe, &event, (subject, &id, &hint), now).await;
            (event, object, found)
        });
        let mut done = std::pin::pin!(done.buffer_unordered(AT_ONCE));
        while let Some((event, object, found)) = done.next().await {
            observed.insert(object, found.is_ok());
            self.note(app, stripe, event, found, now);
        }
        for (event, object) in older {
            if observed.get(&object) == Some(&true) {
                stripe.heard().note(event);
            }
        }
    }

    /// Notes what became of an event.
    fn note(
        &mut self,
        app: &App,
        stripe: &Stripe,
        event: Event,
        found: Result<bool, NotObserved>,
        now: Timestamp,
    ) {
        match found {
            Ok(is_new) => {
                self.failed.remove(&event.id);
                if is_new {
                    app.metrics.count_reconciled();
                    let (kind, name) = (event.kind.as_str(), event.id.as_str());
                    tracing::warn!(
                        kind,
                        event = name,
                        "a webhook event of Stripe did not arrive; it was found"
                    );
                }
                stripe.heard().note(event.id);
            }
            Err(why) => {
                let is_new = !self.failed.contains_key(&event.id);
                if is_new && self.failed.len() >= FAILED_MAX {
                    self.rounds[2].next_at = Some(now.plus_seconds(LATEST_SECONDS));
                } else if is_new {
                    let (kind, name) = (event.kind.as_str(), event.id.as_str());
                    tracing::warn!(kind, event = name, %why, "an event of Stripe's list waits for a later walk");
                    self.failed.insert(event.id.clone(), event);
                }
            }
        }
    }
}

/// Observes the object of an event, unless the ledger knows what the event says. Returns true if
/// the ledger learned something by it.
async fn find(
    app: &App,
    stripe: &Stripe,
    event: &Event,
    (subject, id, hint): (Subject, &ObjectId, &Hint),
    now: Timestamp,
) -> Result<bool, NotObserved> {
    let found = async {
        if observe::is_known(app, subject, id, event).await? {
            return Ok(false);
        }
        observe::observe_noting(app, stripe, subject, id, hint).await.map(|(_, is_new)| is_new)
    };
    match found.await {
        Err(NotObserved::Missing) if event.created < now.seconds() - UNDER_WAY_SECONDS => {
            observe::report_missing(app, stripe, subject, id).await
        }
        found => found,
    }
}
