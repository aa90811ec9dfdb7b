//! Follows the journal for every endpoint: serves each when something is committed, when a message
//! is due again, and every second.
//!
//! All endpoints are served beside each other, so a receiver that hangs delays no other. What is
//! sent and noted is in `subscriber`. When the server ends, what is under way is dropped; it comes
//! again under the same id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tollkeeper_engine::{BoxFuture, Error};
use tollkeeper_ledger::{Timestamp, WebhookEndpoint, WebhookEndpointId};

use super::subscriber::{NextAt, serve};
use crate::app::App;

/// How often every endpoint is served, because another server may have committed something.
const ROUND_INTERVAL: Duration = Duration::from_secs(1);

/// The pause of an endpoint that could not be served, in seconds.
const FAILURE_PAUSE_SECONDS: i64 = 5;

/// What is known of an endpoint between two times that it is served.
#[derive(Debug, Default)]
struct Slot {
    is_served: bool,
    /// True if something was committed since it was begun to be served.
    is_woken: bool,
    /// When a message is due again, or the endpoint is tried again.
    next_at: NextAt,
    /// True if the last time failed: then it waits for `next_at`.
    has_failed: bool,
}

impl Slot {
    fn is_due(&self, now: Timestamp) -> bool {
        let time_has_come = self.next_at.is_some_and(|at| at <= now);
        !self.is_served && (time_has_come || (self.is_woken && !self.has_failed))
    }
}

type Serving<'a> = BoxFuture<'a, (WebhookEndpointId, Result<NextAt, Error>)>;

/// Sends messages to webhook endpoints, without end.
pub(crate) async fn run(app: &App) {
    let mut slots: BTreeMap<WebhookEndpointId, Slot> = BTreeMap::new();
    let mut serving: FuturesUnordered<Serving<'_>> = FuturesUnordered::new();
    let mut last_round: Option<Instant> = None;
    let mut is_prepared = false;
    loop {
        if !is_prepared && !app.engine().platform().webhook_endpoints.is_empty() {
            is_prepared = prepare(app).await;
        }
        let is_round = last_round.is_none_or(|round| round.elapsed() >= ROUND_INTERVAL);
        if is_round {
            last_round = Some(Instant::now());
            slots.values_mut().for_each(|slot| slot.is_woken = true);
        }
        let had_some = !slots.is_empty();
        let endpoints = endpoints(app, &mut slots);
        let is_last = had_some && endpoints.is_empty();
        if is_prepared && (is_last || slots.values().any(|slot| slot.is_woken)) {
            distribute(app).await;
        }
        for endpoint in endpoints.into_iter().filter(|_| is_prepared) {
            let slot = slots.entry(endpoint.id).or_default();
            if slot.is_due(app.now()) {
                (slot.is_served, slot.is_woken, slot.next_at) = (true, false, None);
                serving.push(Box::pin(async move { (endpoint.id, serve(app, &endpoint).await) }));
            }
        }
        tokio::select! {
            () = app.engine().deliveries().committed() => slots.values_mut().for_each(|slot| slot.is_woken = true),
            () = app.webhooks.wake.notified() => slots.values_mut().for_each(|slot| slot.is_woken = true),
            () = tokio::time::sleep(app.poll_interval) => {}
            Some((id, result)) = serving.next() => note_served(app, slots.entry(id).or_default(), id, result),
        }
    }
}

/// The endpoints that are enabled. Forgets the others, unless they are being served.
fn endpoints(app: &App, slots: &mut BTreeMap<WebhookEndpointId, Slot>) -> Vec<Arc<WebhookEndpoint>> {
    let platform = app.engine().platform();
    let enabled = platform.webhook_endpoints.iter().filter(|endpoint| endpoint.enabled);
    let enabled: Vec<Arc<WebhookEndpoint>> = enabled.cloned().collect();
    slots.retain(|id, slot| {
        let stays = slot.is_served || enabled.iter().any(|endpoint| endpoint.id == *id);
        if !stays {
            app.webhooks.note_lag(*id, None);
        }
        stays
    });
    for endpoint in &enabled {
        slots.entry(endpoint.id).or_insert_with(|| Slot { is_woken: true, ..Slot::default() });
    }
    enabled
}

fn note_served(app: &App, slot: &mut Slot, id: WebhookEndpointId, result: Result<NextAt, Error>) {
    slot.is_served = false;
    slot.has_failed = result.is_err();
    slot.next_at = result.unwrap_or_else(|error| {
        tracing::warn!(endpoint = %id, %error, "a webhook endpoint could not be served; it is tried again");
        Some(app.now().plus_seconds(FAILURE_PAUSE_SECONDS))
    });
}

async fn prepare(app: &App) -> bool {
    let prepared = app.engine().deliveries().prepare().await;
    if let Err(error) = &prepared {
        tracing::warn!(%error, "deliveries to webhook endpoints are not ready; it is tried again");
        tokio::time::sleep(app.poll_interval).await;
    }
    prepared.is_ok()
}

async fn distribute(app: &App) {
    if let Err(error) = app.engine().deliveries().distribute().await {
        tracing::warn!(%error, "what webhook endpoints are sent could not be distributed; it is tried again");
    }
}
