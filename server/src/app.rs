//! The state behind every route: engine, clock, access, metrics, and a few settings.
//!
//! It is built in `startup`; here it is only read. There is one for all connections.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;
use tollkeeper_engine::Engine;
use tollkeeper_ledger::{Timestamp, WorkspaceId};

use crate::access::followers::Followers;
use crate::access::large::LargeBodies;
use crate::access::{Access, MonotonicNanos};
use crate::notify::mailer::state::Mailer;
use crate::notify::webhooks::Webhooks;
use crate::observe::clock_watch::{ClockWatch, Reading};
use crate::observe::message_counts::MessageCounts;
use crate::observe::metrics::Metrics;
use crate::observe::refusals::Refusals;
use crate::observe::traces::Traces;
use crate::payments::settings::PaymentSettings;
use crate::payments::stripe::provider::Stripe;
use crate::theme::Assets;

/// A function that returns the current time.
pub type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// The state behind every route.
pub struct App {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) clock: Clock,
    pub(crate) monotonic: MonotonicNanos,
    pub(crate) clock_watch: ClockWatch,
    pub(crate) access: Arc<Access>,
    pub(crate) metrics: Metrics,
    pub(crate) refusals: Refusals,
    /// Traces, if a collector takes them.
    pub(crate) traces: Option<Traces>,
    pub(crate) large_bodies: Arc<LargeBodies>,
    pub(crate) followers: Arc<Followers>,
    /// One simulation of prices runs at a time.
    pub(crate) simulations: Semaphore,
    /// The address of the server from outside, if the settings name it.
    pub(crate) public_url: Option<String>,
    /// The URL where credits are added, with `{workspace}` for the id of a workspace.
    pub(crate) add_credits_url: Option<String>,
    /// How top-ups are paid.
    pub(crate) payments: PaymentSettings,
    /// Stripe, if it takes the payments.
    pub(crate) stripe: Option<Stripe>,
    /// Webhook endpoints.
    pub(crate) webhooks: Webhooks,
    /// The sender of mails; `None` if no relay is set.
    pub(crate) mailer: Option<Arc<Mailer>>,
    /// The interval of the polling job.
    pub(crate) poll_interval: std::time::Duration,
    /// The style, script and pictures of pages.
    pub(crate) assets: Assets,
    /// The description of the API in OpenAPI, as JSON text, once somebody has asked for it.
    pub(crate) description: OnceLock<axum::body::Bytes>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

impl App {
    /// The engine, which runs commands and reads.
    #[must_use]
    pub fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// The current time. It is read once per request and once per batch of the polling job.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The time of day and the monotonic clock.
    pub(crate) fn read_clocks(&self) -> Reading {
        Reading { now: self.now(), monotonic_nanos: (self.monotonic)() }
    }

    /// The numbers of what the server sends by itself, for metrics.
    pub(crate) fn message_counts(&self) -> MessageCounts {
        let mails = self.mailer.as_ref().map(|mailer| mailer.counts());
        MessageCounts { webhooks: self.webhooks.counts(), mails: mails.unwrap_or_default() }
    }

    /// The URL where this workspace adds credits, if the settings name one.
    pub(crate) fn add_credits_url(&self, workspace: &WorkspaceId) -> Option<String> {
        self.add_credits_url.as_ref().map(|url| url.replace("{workspace}", workspace.as_str()))
    }
}
