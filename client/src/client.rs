//! The client: how it is set up, and the resources that it opens.

use std::sync::Arc;
use std::time::Duration;

use crate::api::alerts::{AlertSettings, Mails};
use crate::api::api_keys::ApiKeys;
use crate::api::auto_top_up::{AutoTopUps, PaymentMethods};
use crate::api::charges::{ChargeBatches, Charges};
use crate::api::grants::Grants;
use crate::api::journal::Journal;
use crate::api::limits::SpendingLimits;
use crate::api::members::Members;
use crate::api::operations::Operations;
use crate::api::plans::PlanCatalog;
use crate::api::portal_sessions::PortalSessions;
use crate::api::price_book::PriceBooks;
use crate::api::report::Reports;
use crate::api::settings::PlatformSettings;
use crate::api::subscriptions::Subscriptions;
use crate::api::top_ups::{TopUps, UnmatchedPayments};
use crate::api::usage::Usages;
use crate::api::webhook_endpoints::WebhookEndpoints;
use crate::api::workspaces::Workspaces;
use crate::api::{InWorkspace, OfPlatform};
use crate::error::Error;
use crate::http::Connection;
use crate::http::retry::Limits;
use crate::http::transport::Transport;

/// A client of one server. Its copies share connections, so one client serves a whole program.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Arc<Connection>,
}

/// The settings of a client.
#[derive(Clone)]
#[must_use = "a client is made by `build`"]
pub struct ClientBuilder {
    url: String,
    key: String,
    user_agent: String,
    limits: Limits,
}

impl std::fmt::Debug for ClientBuilder {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder").field("url", &self.url).finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// The deadline of one attempt: 30 seconds if it is not set.
    pub fn attempt_timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.limits.attempt_timeout = timeout;
        self
    }

    /// The deadline of a call, with all attempts and the pauses between them: 60 seconds if it is
    /// not set.
    pub fn total_timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.limits.total_timeout = timeout;
        self
    }

    /// How often a request is sent again: four times if it is not set.
    pub fn retries(mut self, retries: u32) -> ClientBuilder {
        self.limits.retries = retries;
        self
    }

    /// The longest `Retry-After` that is waited for: 30 seconds if it is not set.
    pub fn retry_after_max(mut self, longest: Duration) -> ClientBuilder {
        self.limits.retry_after_max = longest;
        self
    }

    /// The name of the program in the header `User-Agent`.
    pub fn user_agent(mut self, name: impl Into<String>) -> ClientBuilder {
        self.user_agent = name.into();
        self
    }

    /// Makes the client. It connects with the first call.
    ///
    /// # Errors
    /// The address, key or name is not valid, or the system trusts no certificate authority.
    pub fn build(self) -> Result<Client, Error> {
        let transport = Transport::new(&self.url, &self.key, &self.user_agent)?;
        Ok(Client { connection: Arc::new(Connection { transport, limits: self.limits }) })
    }
}

impl Client {
    /// A client of the server at `url`, such as `https://billing.example.com`, with a platform key
    /// or a key of a workspace.
    pub fn builder(url: impl Into<String>, key: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            url: url.into(),
            key: key.into(),
            user_agent: concat!("tollkeeper-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: Limits::default(),
        }
    }

    fn workspace(&self, workspace: &str) -> InWorkspace {
        InWorkspace { connection: Arc::clone(&self.connection), workspace: workspace.to_owned() }
    }

    fn platform(&self) -> OfPlatform {
        OfPlatform(Arc::clone(&self.connection))
    }
}

/// The resources of a workspace, which is named by its id.
impl Client {
    /// Charges and quotes.
    #[must_use]
    pub fn charges(&self, workspace: &str) -> Charges {
        Charges(self.workspace(workspace))
    }

    /// Credit that came in.
    #[must_use]
    pub fn grants(&self, workspace: &str) -> Grants {
        Grants(self.workspace(workspace))
    }

    /// Credit that is bought.
    #[must_use]
    pub fn top_ups(&self, workspace: &str) -> TopUps {
        TopUps(self.workspace(workspace))
    }

    /// The automatic top-up.
    #[must_use]
    pub fn auto_top_up(&self, workspace: &str) -> AutoTopUps {
        AutoTopUps(self.workspace(workspace))
    }

    /// The saved card, and pages of the payment provider.
    #[must_use]
    pub fn payment_method(&self, workspace: &str) -> PaymentMethods {
        PaymentMethods(self.workspace(workspace))
    }

    /// The subscription to a plan.
    #[must_use]
    pub fn subscription(&self, workspace: &str) -> Subscriptions {
        Subscriptions(self.workspace(workspace))
    }

    /// Use and burn rate.
    #[must_use]
    pub fn usage(&self, workspace: &str) -> Usages {
        Usages(self.workspace(workspace))
    }

    /// Spending limits.
    #[must_use]
    pub fn limits(&self, workspace: &str) -> SpendingLimits {
        SpendingLimits(self.workspace(workspace))
    }

    /// Thresholds and recipients of warnings.
    #[must_use]
    pub fn alerts(&self, workspace: &str) -> AlertSettings {
        AlertSettings(self.workspace(workspace))
    }

    /// The journal: every entry, also as a stream.
    #[must_use]
    pub fn journal(&self, workspace: &str) -> Journal {
        Journal(self.workspace(workspace))
    }

    /// The people of the workspace.
    #[must_use]
    pub fn members(&self, workspace: &str) -> Members {
        Members(self.workspace(workspace))
    }

    /// The keys of the workspace.
    #[must_use]
    pub fn api_keys(&self, workspace: &str) -> ApiKeys {
        ApiKeys(self.workspace(workspace))
    }

    /// Links that sign members in to the dashboard.
    #[must_use]
    pub fn portal_sessions(&self, workspace: &str) -> PortalSessions {
        PortalSessions(self.workspace(workspace))
    }
}

/// The resources of the platform.
impl Client {
    /// Workspaces and their balances.
    #[must_use]
    pub fn workspaces(&self) -> Workspaces {
        Workspaces(self.platform())
    }

    /// Charges of any workspaces in one request.
    #[must_use]
    pub fn charge_batches(&self) -> ChargeBatches {
        ChargeBatches(self.platform())
    }

    /// Operations and their prices.
    #[must_use]
    pub fn price_book(&self) -> PriceBooks {
        PriceBooks(self.platform())
    }

    /// What workspaces can subscribe to.
    #[must_use]
    pub fn plans(&self) -> PlanCatalog {
        PlanCatalog(self.platform())
    }

    /// Where messages are sent.
    #[must_use]
    pub fn webhook_endpoints(&self) -> WebhookEndpoints {
        WebhookEndpoints(self.platform())
    }

    /// Reports for finance.
    #[must_use]
    pub fn reports(&self) -> Reports {
        Reports(self.platform())
    }

    /// Payments that fit nothing.
    #[must_use]
    pub fn unmatched_payments(&self) -> UnmatchedPayments {
        UnmatchedPayments(self.platform())
    }

    /// Mails that failed, bounces and complaints.
    #[must_use]
    pub fn mails(&self) -> Mails {
        Mails(self.platform())
    }

    /// Settings that move credit.
    #[must_use]
    pub fn settings(&self) -> PlatformSettings {
        PlatformSettings(self.platform())
    }

    /// Health, metrics, clock and the end of the journal.
    #[must_use]
    pub fn operations(&self) -> Operations {
        Operations(self.platform())
    }
}
