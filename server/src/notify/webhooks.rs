//! What everything about webhooks shares: settings, secrets, the connections, and counters.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::sync::Notify;
use tollkeeper_ledger::{Platform, Timestamp, WebhookEndpoint, WebhookEndpointId};

use super::outlet::Lag;
use super::secret::{EndpointSecret, FILE, InstanceSecret};
use super::sender::{Envelope, Sender, Sent};
use super::settings::WebhookSettings;

/// The state of webhooks of one server.
#[derive(Debug)]
pub struct Webhooks {
    /// The settings.
    pub settings: WebhookSettings,
    /// The data directory, in which the secret of the instance may be.
    directory: Option<PathBuf>,
    secret: Mutex<Option<InstanceSecret>>,
    sender: OnceLock<Sender>,
    /// Wakes the dispatcher.
    pub wake: Notify,
    sent: AtomicU64,
    failed: AtomicU64,
    lags: Mutex<BTreeMap<WebhookEndpointId, Lag>>,
}

/// The numbers for metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct WebhookCounts {
    /// Messages that were accepted since the start.
    pub sent: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
    /// Endpoints to which nothing new is sent.
    pub down: u64,
    /// The greatest lag of an endpoint.
    pub lag_seconds: u64,
}

impl Webhooks {
    /// The state with these settings. `directory`: the data directory, if there is one.
    pub fn new(settings: WebhookSettings, directory: Option<PathBuf>) -> Webhooks {
        Webhooks {
            secret: Mutex::new(settings.secret_key.clone()),
            settings,
            directory,
            sender: OnceLock::new(),
            wake: Notify::new(),
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            lags: Mutex::default(),
        }
    }

    /// The secret of the instance; `None` if there is none yet.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn secret(&self) -> std::io::Result<Option<InstanceSecret>> {
        let mut secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner);
        if secret.is_none()
            && let Some(directory) = &self.directory
        {
            *secret = InstanceSecret::read(directory)?;
        }
        Ok(secret.clone())
    }

    /// The same, and makes it in a data directory; `None` if only the setting can name it.
    ///
    /// # Errors
    /// Its file cannot be read or written.
    pub fn secret_or_make(&self) -> std::io::Result<Option<InstanceSecret>> {
        if let Some(secret) = self.secret()? {
            return Ok(Some(secret));
        }
        let Some(directory) = &self.directory else { return Ok(None) };
        let made = InstanceSecret::make(directory)?;
        *self.secret.lock().unwrap_or_else(PoisonError::into_inner) = Some(made.clone());
        Ok(Some(made))
    }

    /// Checks that this server has the secret with which the endpoints of the ledger were made.
    ///
    /// # Errors
    /// It has none or another one.
    pub fn check_secret(&self, platform: &Platform) -> std::io::Result<()> {
        let Some(endpoint) = platform.webhook_endpoints.first() else { return Ok(()) };
        let found = self.secret()?.map(|secret| secret.digest());
        if found == Some(endpoint.secret_digest) {
            return Ok(());
        }
        let has = if found.is_some() { "another secret" } else { "no secret" };
        let file = match &self.directory {
            Some(directory) => format!(", or put back the file {}", directory.join(FILE).display()),
            None => String::new(),
        };
        Err(std::io::Error::other(format!(
            "the webhook endpoints of this ledger were made with a secret, and this server has {has}: \
             set `secret_key` to the one of the server that made them{file}"
        )))
    }

    /// Sends a message to an endpoint once, and counts it.
    ///
    /// # Errors
    /// The secret or the certificate authorities cannot be read.
    pub async fn send(
        &self,
        endpoint: &WebhookEndpoint,
        message: &str,
        body: String,
        now: Timestamp,
    ) -> std::io::Result<Sent> {
        let seconds = now.seconds();
        let missing = || std::io::Error::other("there is no secret of the instance");
        let instance = self.secret()?.ok_or_else(missing)?;
        let secrets = secrets(&instance, endpoint, now);
        let signatures: Vec<String> =
            secrets.iter().map(|secret| secret.sign(message, seconds, &body)).collect();
        let envelope =
            Envelope { message: message.to_owned(), seconds, signatures: signatures.join(" "), body };
        let sender = match self.sender.get() {
            Some(sender) => sender,
            None => {
                let made = Sender::new(&self.settings)?;
                self.sender.get_or_init(|| made)
            }
        };
        let sent = sender.send(&endpoint.url, &envelope).await;
        let counter = if sent.is_accepted() { &self.sent } else { &self.failed };
        counter.fetch_add(1, Relaxed);
        Ok(sent)
    }

    /// Notes how far an endpoint is behind; `None` for one that is not served.
    pub fn note_lag(&self, id: WebhookEndpointId, lag: Option<Lag>) {
        let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        match lag {
            Some(lag) => lags.insert(id, lag),
            None => lags.remove(&id),
        };
    }

    /// The numbers for metrics.
    pub fn counts(&self) -> WebhookCounts {
        let lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        WebhookCounts {
            sent: self.sent.load(Relaxed),
            failed: self.failed.load(Relaxed),
            down: lags.values().filter(|lag| lag.is_down).count() as u64,
            lag_seconds: lags.values().map(|lag| lag.seconds).max().unwrap_or(0),
        }
    }
}

/// The secrets that sign for an endpoint now, the newest first.
fn secrets(instance: &InstanceSecret, endpoint: &WebhookEndpoint, now: Timestamp) -> Vec<EndpointSecret> {
    let mut secrets = vec![instance.of_endpoint(endpoint.id, endpoint.generation)];
    let previous_signs = endpoint.previous_signs_until.is_some_and(|until| now < until);
    if let Some(previous) =
        endpoint.generation.checked_sub(1).filter(|previous| *previous > 0 && previous_signs)
    {
        secrets.push(instance.of_endpoint(endpoint.id, previous));
    }
    secrets
}
