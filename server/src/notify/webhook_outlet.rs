//! Sends messages to a webhook endpoint: one message an entry, and what follows from an answer.
//!
//! An endpoint that answers 410, or accepts nothing for days, is disabled.

use std::sync::Arc;
use std::time::Duration;

use tollkeeper_engine::{DeliveryException, Error, FollowedEntry, Subscriber, SubscriberState};
use tollkeeper_ledger::{Actor, Command, EndpointFault, Submission, Timestamp, WebhookEndpoint, WorkspaceId};

use super::message::about;
use super::outlet::{Attempted, Fate, Lag, Outlet};
use super::schedule::{self, Asked, Schedule};
use super::sender::Sent;
use crate::app::App;

/// An endpoint whose turn this server has.
pub(super) struct WebhookOutlet<'a> {
    pub app: &'a App,
    pub endpoint: &'a Arc<WebhookEndpoint>,
}

impl Outlet for WebhookOutlet<'_> {
    const SCHEDULE: Schedule = schedule::WEBHOOKS;

    fn subscriber(&self) -> Subscriber {
        Subscriber::Endpoint(Arc::clone(self.endpoint))
    }

    async fn send(
        &self,
        followed: &FollowedEntry,
        _only: Option<&DeliveryException>,
    ) -> Result<Vec<Attempted>, Error> {
        let Some(message) = about(self.endpoint.id, followed) else { return Ok(Vec::new()) };
        let now = self.app.now();
        // The address and the secret may have changed since the turn began.
        let platform = self.app.engine().platform();
        let current = platform.webhook_endpoint(self.endpoint.id).unwrap_or(self.endpoint);
        let sent = self.app.webhooks.send(current, &message.id, message.body.clone(), now).await;
        let sent = sent.unwrap_or_else(|error| {
            tracing::error!(%error, "a message to a webhook endpoint could not be signed");
            let (outcome, asked) = (error.to_string(), Asked::default());
            Sent { status: None, outcome, asked, took: Duration::ZERO }
        });
        let attempt = message.attempt(followed.place.clone(), now, &sent);
        let fate = match &sent {
            sent if sent.is_gone() => Fate::SubscriberGone,
            sent if sent.is_accepted() => Fate::Accepted,
            sent => Fate::Again(sent.asked),
        };
        Ok(vec![Attempted { attempt, fate }])
    }

    fn is_current(&self) -> bool {
        let platform = self.app.engine().platform();
        let current = platform.webhook_endpoint(self.endpoint.id);
        current.is_some_and(|known| known.enabled && known.beginning == self.endpoint.beginning)
    }

    async fn goes_on(&self, state: &SubscriberState) -> Result<bool, Error> {
        if !schedule::is_failing(state, self.app.now()) {
            if let Some(mailer) = &self.app.mailer
                && let Err(error) = mailer.warn_of_endpoint(self.app, self.endpoint, state).await
            {
                tracing::warn!(endpoint = %self.endpoint.id, %error, "a webhook endpoint fails, which could not be mailed");
            }
            return Ok(true);
        }
        self.disable(EndpointFault::Failing).await?;
        Ok(false)
    }

    async fn end(&self) -> Result<(), Error> {
        self.disable(EndpointFault::Gone).await
    }

    fn note_lag(&self, lag: Option<Lag>) {
        self.app.webhooks.note_lag(self.endpoint.id, lag);
    }

    fn now(&self) -> Timestamp {
        self.app.now()
    }
}

impl WebhookOutlet<'_> {
    async fn disable(&self, fault: EndpointFault) -> Result<(), Error> {
        let known = self.app.engine().platform();
        let Some(known) = known.webhook_endpoint(self.endpoint.id).filter(|known| known.enabled) else {
            return Ok(());
        };
        let disabled = WebhookEndpoint {
            version: known.version + 1,
            enabled: false,
            fault: Some(fault),
            ..(**known).clone()
        };
        let command = Command::SetWebhookEndpoint(Box::new(disabled));
        let workspace = WorkspaceId::platform();
        let submission = Submission { workspace, key: None, actor: Actor::System, command };
        match self.app.engine().run(submission, self.app.now()).await? {
            Ok(_) => {
                tracing::warn!(endpoint = %self.endpoint.id, why = fault.as_str(), "a webhook endpoint is disabled")
            }
            // Somebody changed it meanwhile; the next turn looks again.
            Err(refused) => tracing::warn!(why = refused.code(), "a webhook endpoint could not be disabled"),
        }
        Ok(())
    }
}
