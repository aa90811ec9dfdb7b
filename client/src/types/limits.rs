//! Limits: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

/// A spending limit and what was used of it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Limit {
    /// The most that may be spent in a period, in micro-units.
    pub amount: i64,
    /// `amount` in dollars, as an exact decimal text.
    pub amount_usd: String,
    /// The id of the member, worker, operation or API key; null for the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `day` or `month`, in the workspace's time zone.
    pub period: String,
    /// What may still be spent in the current period, in micro-units.
    pub remaining: i64,
    /// `remaining` in dollars, as an exact decimal text.
    pub remaining_usd: String,
    /// When the next period begins.
    pub resets_at: String,
    /// Whose spending: `workspace`, `member`, `worker`, `operation` or `api_key`.
    pub subject: String,
    /// What was charged in the current period less what was refunded in it, in micro-units. It is
    /// negative if more was refunded than charged.
    pub used: i64,
    /// `used` in dollars, as an exact decimal text.
    pub used_usd: String,
}

/// A spending limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LimitRequest {
    /// The most that may be spent in a period, in micro-units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// The amount in dollars, as a decimal text; give one of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_usd: Option<String>,
    /// The id of the member, worker, operation or API key; absent for the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `day` or `month`, in the workspace's time zone.
    pub period: String,
    /// Whose spending: `workspace`, `member`, `worker`, `operation` or `api_key`.
    pub subject: String,
}

impl LimitRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(subject: impl Into<String>, period: impl Into<String>) -> LimitRequest {
        LimitRequest { subject: subject.into(), period: period.into(), ..LimitRequest::default() }
    }
}

/// The limits of a workspace.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Limits {
    /// The limits, in the order in which they were set.
    pub limits: Vec<Limit>,
}

/// All limits of a workspace. They replace the current ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LimitsRequest {
    /// The limits, at most one per subject and period.
    pub limits: Vec<LimitRequest>,
}

impl LimitsRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(limits: Vec<LimitRequest>) -> LimitsRequest {
        LimitsRequest { limits }
    }
}
