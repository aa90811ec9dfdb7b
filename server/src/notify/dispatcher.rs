//! Follows the journal for every subscriber: serves each when something is committed, when a
//! message is due again, and every second.
//!
//! All subscribers are served beside each other, so a receiver that hangs delays no other. What is
//! sent and noted is in `subscriber`. When the server ends, what is under way is dropped; it comes
//! again under the same id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tollkeeper_engine::{BoxFuture, Error};
use tollkeeper_ledger::{Timestamp, WebhookEndpoint};

use super::mailer::outlet::MailOutlet;
use super::mailer::state::Mailer;
use super::subscriber::{NextAt, serve};
use super::webhook_outlet::WebhookOutlet;
use crate::app::App;

/// How often every subscriber is served, because another server may have committed something.
const ROUND_INTERVAL: Duration = Duration::from_secs(1);

/// After entries were distributed, the dispatcher rests for this many times as long as it took, at
/// most a second. So a busy database distributes many at a time.
const RESTS_TIMES: u32 = 20;

/// The pause of a subscriber that could not be served, in seconds.
const FAILURE_PAUSE_SECONDS: i64 = 5;

/// What is known of a subscriber between two times that it is served.
#[derive(Debug)]
struct Slot {
    of: Served,
    is_served: bool,
    /// True if something was committed since it was begun to be served.
    is_woken: bool,
    /// When a message is due again, or the subscriber is tried again.
    next_at: NextAt,
    /// True if the last time failed: then it waits for `next_at`.
    has_failed: bool,
}

impl Slot {
    fn new(of: Served) -> Slot {
        Slot { of, is_served: false, is_woken: true, next_at: None, has_failed: false }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        !self.is_served && (self.is_time(now) || (self.is_woken && !self.has_failed))
    }

    /// True if the time has come at which it is served without news.
    fn is_time(&self, now: Timestamp) -> bool {
        self.next_at.is_some_and(|at| at <= now)
    }
}

/// A subscriber that this server serves.
#[derive(Clone, Debug)]
enum Served {
    Endpoint(Arc<WebhookEndpoint>),
    Mail(Arc<Mailer>),
}

impl Served {
    /// The name by which its slot is found. It stays when the subscriber begins again.
    fn name(&self) -> String {
        match self {
            Served::Endpoint(endpoint) => endpoint.id.to_string(),
            Served::Mail(_) => "mail".to_owned(),
        }
    }

    async fn serve(&self, app: &App) -> Result<NextAt, Error> {
        let engine = app.engine();
        match self {
            Served::Endpoint(endpoint) => serve(engine, &WebhookOutlet { app, endpoint }).await,
            Served::Mail(mailer) => serve(engine, &MailOutlet { app, mailer }).await,
        }
    }

    /// Forgets how far it is behind.
    fn forget_lag(&self, app: &App) {
        match self {
            Served::Endpoint(endpoint) => app.webhooks.note_lag(endpoint.id, None),
            Served::Mail(_) => {}
        }
    }
}

type Slots = BTreeMap<String, Slot>;

type Serving<'a> = BoxFuture<'a, (String, Result<NextAt, Error>)>;

/// Sends messages to subscribers, without end.
pub(crate) async fn run(app: &App) {
    let mut slots = Slots::new();
    let mut serving: FuturesUnordered<Serving<'_>> = FuturesUnordered::new();
    let mut last_round: Option<Instant> = None;
    let mut rests_until = Instant::now();
    let mut is_prepared = false;
    loop {
        let is_round = last_round.is_none_or(|round| round.elapsed() >= ROUND_INTERVAL);
        if is_round {
            last_round = Some(Instant::now());
            wake(&mut slots);
        }
        update(app, &mut slots);
        if !is_prepared && !slots.is_empty() {
            is_prepared = prepare(app).await;
        }
        let is_resting = Instant::now() < rests_until;
        let is_woken = slots.values().any(|slot| slot.is_woken);
        if !is_resting && (is_round || is_woken) {
            let begun = Instant::now();
            // Also without subscribers: what was left for them is removed.
            distribute(app).await;
            rests_until = Instant::now() + (begun.elapsed() * RESTS_TIMES).min(ROUND_INTERVAL);
        }
        let now = app.now();
        let is_due = |slot: &Slot| slot.is_due(now) && (!is_resting || slot.is_time(now));
        for (name, slot) in slots.iter_mut().filter(|(_, slot)| is_prepared && is_due(slot)) {
            (slot.is_served, slot.is_woken, slot.next_at) = (true, false, None);
            let (name, of) = (name.clone(), slot.of.clone());
            serving.push(Box::pin(async move { (name, of.serve(app).await) }));
        }
        tokio::select! {
            () = app.engine().deliveries().committed() => wake(&mut slots),
            () = app.webhooks.wake.notified() => wake(&mut slots),
            () = tokio::time::sleep(app.poll_interval) => {}
            () = tokio::time::sleep_until(rests_until.into()), if is_resting && is_woken => {}
            Some((name, result)) = serving.next() => note_served(app, &mut slots, &name, result),
        }
    }
}

fn wake(slots: &mut Slots) {
    slots.values_mut().for_each(|slot| slot.is_woken = true);
}

/// Makes slots for the subscribers that there are now. Forgets the others, unless they are being
/// served.
fn update(app: &App, slots: &mut Slots) {
    let platform = app.engine().platform();
    let enabled = platform.webhook_endpoints.iter().filter(|endpoint| endpoint.enabled);
    let mail = app.mailer.iter().cloned().map(Served::Mail);
    let current = enabled.cloned().map(Served::Endpoint).chain(mail);
    let mut current: BTreeMap<String, Served> = current.map(|served| (served.name(), served)).collect();
    slots.retain(|name, slot| {
        if let Some(served) = current.remove(name) {
            slot.of = served;
            return true;
        }
        if !slot.is_served {
            slot.of.forget_lag(app);
        }
        slot.is_served
    });
    slots.extend(current.into_iter().map(|(name, served)| (name, Slot::new(served))));
}

fn note_served(app: &App, slots: &mut Slots, name: &str, result: Result<NextAt, Error>) {
    let Some(slot) = slots.get_mut(name) else { return };
    slot.is_served = false;
    slot.has_failed = result.is_err();
    slot.next_at = result.unwrap_or_else(|error| {
        tracing::warn!(subscriber = name, %error, "a subscriber could not be served; it is tried again");
        Some(app.now().plus_seconds(FAILURE_PAUSE_SECONDS))
    });
}

async fn prepare(app: &App) -> bool {
    let prepared = app.engine().deliveries().prepare().await;
    if let Err(error) = &prepared {
        tracing::warn!(%error, "deliveries to subscribers are not ready; it is tried again");
        tokio::time::sleep(app.poll_interval).await;
    }
    prepared.is_ok()
}

async fn distribute(app: &App) {
    if let Err(error) = app.engine().deliveries().distribute().await {
        tracing::warn!(%error, "what subscribers are sent could not be distributed; it is tried again");
    }
}
