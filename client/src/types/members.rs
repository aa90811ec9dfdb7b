//! Members: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

/// A member of a workspace.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Member {
    /// When the member was added.
    pub created_at: String,
    /// The e-mail address that messages are sent to; null if it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The id by which charges and limits name the member.
    pub id: String,
    /// The display name; null if it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `admin` or `member`.
    pub role: String,
}

/// The fields to be changed; absent fields keep their values.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MemberChanges {
    /// The new e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The new display name, 1–255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new role, `admin` or `member`. It counts from the next request on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// The person to be added.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MemberRequest {
    /// The e-mail address that messages are sent to.
    pub email: String,
    /// The id by which charges and limits name the member; your product chooses it. It is never
    /// erased.
    pub id: String,
    /// The display name, 1–255 characters.
    pub name: String,
    /// `admin` may change the workspace in the dashboard; `member` may look at the balance and
    /// usage.
    pub role: String,
}

impl MemberRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        email: impl Into<String>,
        name: impl Into<String>,
        role: impl Into<String>,
    ) -> MemberRequest {
        MemberRequest { id: id.into(), email: email.into(), name: name.into(), role: role.into() }
    }
}
