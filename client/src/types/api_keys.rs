//! API keys: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An API key of a workspace.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ApiKey {
    /// When the key was created.
    pub created_at: String,
    /// When the key expires; null for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The id by which entries and limits name the key. It is not secret.
    pub id: String,
    /// When the key was last used, recorded at most once an hour; null before the first use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// The id of the member that every charge with the key is made for; null if it is not tied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The display name.
    pub name: String,
    /// What the key may do: `charge`, `settle`, `read`, `manage`.
    pub scopes: Vec<String>,
    /// The secret to send as `Authorization: Bearer SECRET`. Only the response to its creation has
    /// it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The id of the worker that every charge with the key is made by; null if it is not tied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

impl fmt::Debug for ApiKey {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The key to be created.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ApiKeyRequest {
    /// When the key expires; never if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The id of a member. Every charge with the key is made for this member and no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The display name, 1–255 characters. It stays in the journal for ever, so it is not for
    /// personal data.
    pub name: String,
    /// What the key may do: `charge` makes charges and reports success and failures of the user,
    /// `settle` reports failures of the system, which refund pending charges, `read` reads,
    /// `manage` changes the workspace and its team.
    pub scopes: Vec<String>,
    /// The id of a worker. Every charge with the key is made by this worker and no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

impl ApiKeyRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(name: impl Into<String>, scopes: Vec<String>) -> ApiKeyRequest {
        ApiKeyRequest { name: name.into(), scopes, ..ApiKeyRequest::default() }
    }
}
