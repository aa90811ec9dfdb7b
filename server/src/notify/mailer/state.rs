//! The state of the sender of mails: the relay, counters, and what is remembered for a while.
//!
//! Nothing of it is needed after a restart: what is to be sent follows from the journal.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use tollkeeper_ledger::{Timestamp, WebhookEndpointId, WorkspaceId};

use crate::notify::mail::relay::{Relay, Sent};
use crate::notify::mail::settings::MailSettings;
use crate::notify::outlet::Lag;

/// How many mails are remembered that the relay took over. They are more than are under way at a
/// time, so that no mail is sent twice because its acceptance could not be noted.
const REMEMBERED: usize = 1_000;

/// The least time between two trials of a workspace, in seconds.
const TRIAL_PAUSE_SECONDS: i64 = 60;

/// How many addresses a workspace may have asked to agree in a day. Each is a mail to somebody who
/// may not want it.
const ASKED_MAX: usize = 60;

/// The time in which they are counted, in seconds.
const ASKED_SECONDS: i64 = 86_400;

/// The sender of mails of one server.
#[derive(Debug)]
pub struct Mailer {
    /// The settings.
    pub settings: MailSettings,
    relay: OnceLock<Relay>,
    sent: AtomicU64,
    failed: AtomicU64,
    waiting: AtomicU64,
    lag: Mutex<Lag>,
    /// The ids of the newest mails that the relay took over.
    accepted: Mutex<VecDeque<String>>,
    /// When a trial was last sent to each workspace that asked a moment ago.
    trials: Mutex<BTreeMap<WorkspaceId, Timestamp>>,
    /// When each workspace had addresses asked to agree within the last day.
    asked: Mutex<BTreeMap<WorkspaceId, Vec<Timestamp>>>,
    /// The mails about endpoints that accept nothing.
    pub(super) warnings: Mutex<BTreeMap<WebhookEndpointId, Warning>>,
}

/// A mail about an endpoint that accepts nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Warning {
    /// The fault that it is about.
    pub failing_since: Timestamp,
    /// After how many hours of it.
    pub hours: u32,
    /// When it is sent again; `None` once it was sent.
    pub again_at: Option<Timestamp>,
}

/// The numbers for metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct MailCounts {
    /// Mails that the relay took over since the start.
    pub sent: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
    /// Mails that wait to be sent again.
    pub waiting: u64,
    /// How far the mailer is behind.
    pub lag: Lag,
}

impl Mailer {
    /// The mailer of these settings; `None` if no relay is set.
    pub fn new(settings: &MailSettings) -> Option<Mailer> {
        settings.relay.as_ref()?;
        Some(Mailer {
            settings: settings.clone(),
            relay: OnceLock::new(),
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            lag: Mutex::default(),
            accepted: Mutex::default(),
            trials: Mutex::default(),
            asked: Mutex::default(),
            warnings: Mutex::default(),
        })
    }

    /// The relay.
    ///
    /// # Errors
    /// It cannot be used as it is set.
    pub fn relay(&self) -> std::io::Result<&Relay> {
        if let Some(relay) = self.relay.get() {
            return Ok(relay);
        }
        let made = Relay::new(&self.settings)?;
        Ok(self.relay.get_or_init(|| made))
    }

    /// The domain of the sender, with which the ids of mails end.
    pub(super) fn domain(&self) -> &str {
        self.settings.from.as_ref().map_or("localhost", |from| from.domain())
    }

    /// The numbers for metrics.
    pub fn counts(&self) -> MailCounts {
        MailCounts {
            sent: self.sent.load(Relaxed),
            failed: self.failed.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            lag: *self.lag.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    pub(super) fn note_lag(&self, lag: Option<Lag>) {
        *self.lag.lock().unwrap_or_else(PoisonError::into_inner) = lag.unwrap_or_default();
    }

    pub(super) fn note_waiting(&self, waiting: usize) {
        self.waiting.store(waiting as u64, Relaxed);
    }

    /// True if the relay took over the mail with this id, as far as that is remembered.
    pub(super) fn has_accepted(&self, id: &str) -> bool {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|known| known == id)
    }

    /// Counts an attempt, and remembers it if the relay took the mail over.
    pub(super) fn note_sent(&self, id: &str, sent: &Sent) {
        if *sent != Sent::Accepted {
            self.failed.fetch_add(1, Relaxed);
            return;
        }
        self.sent.fetch_add(1, Relaxed);
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.push_back(id.to_owned());
        let too_many = accepted.len().saturating_sub(REMEMBERED);
        accepted.drain(..too_many);
    }

    /// Counts an address that a workspace has asked to agree.
    pub(super) fn note_asked(&self, workspace: &WorkspaceId, now: Timestamp) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, times| times.last().is_some_and(|at| now < at.plus_seconds(ASKED_SECONDS)));
        let times = asked.entry(workspace.clone()).or_default();
        times.retain(|at| now < at.plus_seconds(ASKED_SECONDS));
        times.push(now);
    }

    /// True if a workspace may ask no more addresses now.
    pub(super) fn has_asked_enough(&self, workspace: &WorkspaceId, now: Timestamp) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let times = asked.get(workspace).into_iter().flatten();
        times.filter(|at| now < at.plus_seconds(ASKED_SECONDS)).count() >= ASKED_MAX
    }

    /// The seconds until a workspace may ask for a trial; `None` if it may now, which counts.
    pub(crate) fn trial_pause(&self, workspace: &WorkspaceId, now: Timestamp) -> Option<i64> {
        let mut last = self.trials.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, at| *at <= now && now < at.plus_seconds(TRIAL_PAUSE_SECONDS));
        if let Some(at) = last.get(workspace) {
            return Some((at.plus_seconds(TRIAL_PAUSE_SECONDS).millis() - now.millis() + 999) / 1_000);
        }
        last.insert(workspace.clone(), now);
        None
    }
}
