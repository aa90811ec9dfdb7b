//! Grants: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

use super::Available;

/// Credit that came in at once, and what remains of it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Grant {
    /// The amount that was granted, in micro-units.
    pub amount: i64,
    /// `amount` in dollars, as an exact decimal text.
    pub amount_usd: String,
    /// The balance after the request; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<Available>,
    /// When the credit was granted.
    pub created_at: String,
    /// The id of the grant.
    pub id: String,
    /// Why the credit was granted, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The amount that is not spent, in micro-units.
    pub remaining: i64,
    /// `remaining` in dollars, as an exact decimal text.
    pub remaining_usd: String,
    /// `promotional`, `adjustment`, `subscription` or `top_up`.
    pub source: String,
    /// When the platform voided the grant; null if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voided_at: Option<String>,
    /// The id of the workspace.
    pub workspace: String,
}

/// The credit to be granted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GrantRequest {
    /// The amount in micro-units, more than 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// The amount in dollars, as a decimal text; give one of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_usd: Option<String>,
    /// Why the credit is granted, for people, 1–255 characters. It stays in the journal for ever,
    /// so it is not for personal data.
    pub reason: String,
    /// Why the credit is granted: `promotional` or `adjustment`.
    pub source: String,
}

impl GrantRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(source: impl Into<String>, reason: impl Into<String>) -> GrantRequest {
        GrantRequest { source: source.into(), reason: reason.into(), ..GrantRequest::default() }
    }
}

/// The reason to void a grant. The body may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct VoidRequest {
    /// Why the grant is voided, for people, 1–255 characters. It is not for personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
