//! Portal sessions: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

/// A link into the dashboard.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct PortalSession {
    /// When the link ends if it is not used.
    pub expires_at: String,
    /// The id of the member who will be signed in.
    pub member: String,
    /// The link. Anyone who has it can use it once, so send it to the member only.
    pub url: String,
}

/// The member who is to sign in.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PortalSessionRequest {
    /// The language of the pages as a tag such as `de` or `en-GB`; that of the browser unless the
    /// pages are written in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The id of the member. The role counts that the member has at each request.
    pub member: String,
    /// The page of your product that the dashboard leads back to. It stays in the journal for ever,
    /// so it is not for personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
}

impl PortalSessionRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(member: impl Into<String>) -> PortalSessionRequest {
        PortalSessionRequest { member: member.into(), ..PortalSessionRequest::default() }
    }
}

/// The query of `DELETE /v1/workspaces/{workspace}/portal-sessions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PortalSessionsQuery {
    /// Only those of this member. The use of a workspace also takes an empty text: without a
    /// member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}
