//! Workspaces: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

use super::Object;

/// The balance of a workspace at one time.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Balance {
    /// The time of the balance.
    pub as_of: String,
    /// The credit that can be spent, in micro-units; never negative.
    pub available: i64,
    /// `available` in dollars, as an exact decimal text.
    pub available_usd: String,
    /// The credit owed after a lost payment, in micro-units.
    pub debt: i64,
    /// `debt` in dollars, as an exact decimal text.
    pub debt_usd: String,
    /// The credit deducted by charges that await an outcome, in micro-units.
    pub pending: i64,
    /// `pending` in dollars, as an exact decimal text.
    pub pending_usd: String,
    /// The id of the workspace.
    pub workspace: String,
}

/// A workspace.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Workspace {
    /// When the workspace was created.
    pub created_at: String,
    /// The credit owed after a lost payment, in micro-units; only present in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debt: Option<i64>,
    /// `debt` in dollars, as an exact decimal text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debt_usd: Option<String>,
    /// The id in every path.
    pub id: String,
    /// When the workspace was last charged, null if it never was; only present in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// The platform's JSON object; null if none was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object>,
    /// The display name.
    pub name: String,
    /// Whether charges are refused, because the platform suspended the workspace.
    pub suspended: bool,
    /// The IANA time zone in which the days and months of limits begin.
    pub timezone: String,
}

/// The fields to be changed; absent fields keep their values.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WorkspaceChanges {
    /// The new metadata; it replaces the whole object. Null removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Option<Object>>,
    /// The new display name, 1–255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether charges are refused. Only the platform may set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<bool>,
    /// The new IANA time zone. All limits are counted again by its days and months.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// The workspace to be created.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WorkspaceRequest {
    /// The id in every path: 1–64 of `A-Z a-z 0-9 . _ : @ -`. If it is absent, the server makes
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A JSON object that the platform chooses, at most 4,096 bytes. It stays in the journal for
    /// ever, so it is not for personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object>,
    /// The display name, 1–255 characters. It stays in the journal for ever, so it is not for
    /// personal data.
    pub name: String,
    /// The IANA time zone in which the days and months of limits begin. UTC if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

impl WorkspaceRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(name: impl Into<String>) -> WorkspaceRequest {
        WorkspaceRequest { name: name.into(), ..WorkspaceRequest::default() }
    }
}

/// The query of `GET /v1/workspaces`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WorkspacesQuery {
    /// Only workspaces with a name in which a word begins with this text, in upper or lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `true`: only suspended workspaces; `false`: only the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<bool>,
    /// `true`: only workspaces that owe credit; `false`: only the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debt: Option<bool>,
    /// Only workspaces without a charge at this time or later; one that was never charged counts
    /// from its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unused_since: Option<String>,
}

/// The query of `GET /v1/workspaces/{workspace}/balance`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BalanceQuery {
    /// A past time. If it is absent or in the future, the current balance is returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}
