//! Alerts: thresholds of the balance, who is warned, and mails that failed.

use super::{InWorkspace, OfPlatform};
use crate::http::call::Call;
use crate::http::routes;
use crate::types::{Alerts, AlertsRequest, Deliveries, MailEvents, MailEventsResult, MailTest, MutedTopics};

/// The thresholds and recipients of a workspace.
#[derive(Clone, Debug)]
pub struct AlertSettings(pub(crate) InWorkspace);

impl AlertSettings {
    /// Gets the thresholds and the recipients.
    pub fn get(&self) -> Call<Alerts> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE_ALERTS, &[])
    }

    /// Replaces the thresholds or the recipients.
    pub fn replace(&self, request: &AlertsRequest) -> Call<Alerts> {
        self.0.call(&routes::PUT_WORKSPACES_BY_WORKSPACE_ALERTS, &[]).body(request)
    }

    /// Mutes topics for a recipient.
    pub fn mute(&self, recipient: &str, request: &MutedTopics) -> Call<Alerts> {
        self.0
            .call(&routes::PUT_WORKSPACES_BY_WORKSPACE_ALERTS_RECIPIENTS_BY_RECIPIENT, &[recipient])
            .body(request)
    }

    /// Sends a test mail to everybody who gets the warnings now.
    pub fn test(&self) -> Call<MailTest> {
        self.0.call(&routes::POST_WORKSPACES_BY_WORKSPACE_ALERTS_TEST, &[])
    }
}

/// The mails of the server.
#[derive(Clone, Debug)]
pub struct Mails(pub(crate) OfPlatform);

impl Mails {
    /// Lists mails that failed.
    pub fn deliveries(&self) -> Call<Deliveries> {
        self.0.call(&routes::GET_MAIL_DELIVERIES, &[])
    }

    /// Reports bounces and complaints.
    pub fn report_events(&self, request: &MailEvents) -> Call<MailEventsResult> {
        self.0.call(&routes::POST_MAIL_EVENTS, &[]).body(request).repeatable(true)
    }
}
