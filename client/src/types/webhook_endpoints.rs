//! Webhook endpoints: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A webhook endpoint.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct WebhookEndpoint {
    /// When it was created.
    pub created_at: String,
    /// Why the server has disabled it: `gone` after an answer 410, `failing` after five days
    /// without one success; null otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
    /// Whether messages are sent.
    pub enabled: bool,
    /// The id of the endpoint.
    pub id: String,
    /// The types of messages that are sent; null for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
    /// Until when the secret before the last rotation signs too; null if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_secret_signs_until: Option<String>,
    /// The secret with which receivers verify messages. It is there when the endpoint is created
    /// and when its secret is rotated, and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The address to which messages are sent.
    pub url: String,
    /// The workspace whose messages are sent; null for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}

impl fmt::Debug for WebhookEndpoint {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookEndpoint").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The fields to change.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WebhookEndpointChanges {
    /// False to send nothing, true to send again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Where an endpoint begins: `stopped` sends what it has missed, `now` leaves it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The new types of messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
    /// The new address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A new endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WebhookEndpointRequest {
    /// The types of messages to send; all if it is left out, also those of later versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
    /// The address to which messages are sent: https, without a user, on port 443 unless the server
    /// allows others.
    pub url: String,
    /// Only messages about this workspace are sent, if one is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}

impl WebhookEndpointRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(url: impl Into<String>) -> WebhookEndpointRequest {
        WebhookEndpointRequest { url: url.into(), ..WebhookEndpointRequest::default() }
    }
}
