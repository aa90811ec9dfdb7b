//! What concerns no single workspace: the price book, the plans, the settings that decide money,
//! the hashes of the platform keys, the epoch, payments that fit nothing, webhook endpoints, and
//! the sessions of operators.
//!
//! The platform has a journal of its own (that of
//! [`WorkspaceId::platform`](crate::WorkspaceId::platform)). This is the state that its entries add
//! up to.

use std::sync::Arc;

use super::message::Kinds;
use super::settings::PlatformSettings;
use crate::journal::disagreement::ensure;
use crate::{
    Entry, EntryBody, Hash, OperatorSessions, Plans, PriceBook, Timestamp, UnmatchedPayment, Violation,
    WebhookEndpoint, WebhookEndpointId, bounds,
};

/// The state of the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// All versions of the prices.
    pub price_book: PriceBook,
    /// All versions of the plans, after the samples.
    pub plans: Plans,
    /// The settings that decide money.
    pub settings: PlatformSettings,
    /// SHA-256 of each platform key, oldest first.
    pub key_hashes: Vec<Hash>,
    /// 1, and one more after each restore of a copy. Numbers of entries from two epochs must not be
    /// compared: the same number may be another entry.
    pub epoch: u64,
    /// The newest payments that fit nothing, oldest first. The journal has all of them.
    pub unmatched: Vec<NotedPayment>,
    /// The webhook endpoints, oldest first.
    pub webhook_endpoints: Vec<Arc<WebhookEndpoint>>,
    /// The kinds of entries that some endpoint is sent messages about, also while it is disabled.
    pub followed: Kinds,
    /// The sessions of operators in the console.
    pub operators: OperatorSessions,
}

/// A payment that fits nothing, and when it was noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedPayment {
    /// The time of its entry.
    pub at: Timestamp,
    /// The payment.
    pub payment: UnmatchedPayment,
}

impl Default for Platform {
    /// The platform before its first entry.
    fn default() -> Platform {
        Platform {
            price_book: PriceBook::default(),
            plans: Plans::default(),
            settings: PlatformSettings::default(),
            key_hashes: Vec::new(),
            epoch: 1,
            unmatched: Vec::new(),
            webhook_endpoints: Vec::new(),
            followed: Kinds::default(),
            operators: OperatorSessions::default(),
        }
    }
}

impl Platform {
    /// Applies an entry of the platform's journal. Kinds of other journals change nothing.
    ///
    /// # Errors
    /// [`Violation`] if a version of the prices or plans, or an epoch, does not follow from the
    /// ones before.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Violation> {
        match &entry.body {
            EntryBody::PricesSet(version) => self.price_book.add(version.clone())?,
            EntryBody::PlansSet(version) => self.plans.add(version.clone())?,
            EntryBody::PlatformKeySet { hash } => self.key_hashes.push(*hash),
            EntryBody::SettingsChanged(settings) => self.settings = *settings,
            EntryBody::LedgerRestored { epoch } => {
                ensure(Some(*epoch) == self.epoch.checked_add(1), "an epoch is not the one after the last")?;
                self.epoch = *epoch;
            }
            EntryBody::PaymentUnmatched(payment) => {
                let oldest = self.unmatched.len().saturating_sub(bounds::UNMATCHED_KEPT - 1);
                self.unmatched.drain(..oldest);
                self.unmatched.push(NotedPayment { at: entry.at, payment: (**payment).clone() });
                assert!(self.unmatched.len() <= bounds::UNMATCHED_KEPT, "the list must stay bounded");
            }
            EntryBody::WebhookEndpointSet(endpoint) => self.set_webhook_endpoint(endpoint),
            EntryBody::WebhookEndpointRemoved(id) => {
                self.webhook_endpoints.retain(|endpoint| endpoint.id != *id);
                self.count_followed();
            }
            EntryBody::OperatorSignedIn(session) => self.operators.begin(session),
            EntryBody::OperatorSignedOut(ended) => self.operators.end(*ended),
            _ => {}
        }
        Ok(())
    }

    fn set_webhook_endpoint(&mut self, endpoint: &WebhookEndpoint) {
        let endpoint = Arc::new(endpoint.clone());
        match self.webhook_endpoints.iter_mut().find(|known| known.id == endpoint.id) {
            Some(known) => *known = endpoint,
            None => self.webhook_endpoints.push(endpoint),
        }
        assert!(
            self.webhook_endpoints.len() <= bounds::WEBHOOK_ENDPOINTS_MAX,
            "the list of endpoints must stay bounded"
        );
        self.count_followed();
    }

    fn count_followed(&mut self) {
        let kinds = self.webhook_endpoints.iter().map(|endpoint| endpoint.types.kinds());
        self.followed = kinds.fold(Kinds::default(), Kinds::union);
    }

    /// The webhook endpoint with this id.
    #[must_use]
    pub fn webhook_endpoint(&self, id: WebhookEndpointId) -> Option<&Arc<WebhookEndpoint>> {
        self.webhook_endpoints.iter().find(|endpoint| endpoint.id == id)
    }
}
