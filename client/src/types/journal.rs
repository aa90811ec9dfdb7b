//! Journal: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

use super::Object;

/// Who did something.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Actor {
    /// The id of the API key, member or operator; null for the platform and the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `platform`, `system`, `api_key`, `member`, or `operator` for a person of the platform who
    /// acted in the console.
    pub kind: String,
    /// Why an operator acted, for people; absent for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The balance of the workspace after an entry.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct BalanceAfter {
    /// The credit that can be spent, in micro-units.
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
}

/// An entry of the journal.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// Who did it.
    pub actor: Actor,
    /// The amount that moved, in micro-units; null if nothing moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// `amount` in dollars, as an exact decimal text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_usd: Option<String>,
    /// The API key that the entry is about, or with which the charge was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// The balance after the entry.
    pub balance: BalanceAfter,
    /// The id of the charge that the entry is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    /// When it happened.
    pub created_at: String,
    /// The time by which it was decided. It is there only if it is earlier than `created_at`: an
    /// earlier entry was made while a clock was ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<String>,
    /// What was set, with the fields of the request. It is null if there is nothing more to say,
    /// and for members and API keys if the caller's key does not have the scope `manage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Object>,
    /// The account that the amount left: `funding`, `available`, `pending`, `consumed` or
    /// `clawed_back`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The id of the grant that the entry is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// The SHA-256 of this entry in hexadecimal; the next entry has it as `previous_hash`.
    pub hash: String,
    /// The idempotency key of the request; null if the request needed none or the server made one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What happened, such as `charge.opened`.
    pub kind: String,
    /// The member that the entry is about, or for whom the charge was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The number in the workspace: 1, 2, 3 … without gaps.
    pub number: i64,
    /// The operation of the charge, if the entry records it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The SHA-256 of the entry before; zeros for the first.
    pub previous_hash: String,
    /// Why it happened, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The account that the amount entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The end of the journal.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct JournalHead {
    /// The number of entries.
    pub entries: i64,
    /// 1, and one more after each restore of a backup.
    pub epoch: i64,
    /// The SHA-256 there, in hex digits.
    pub hash: String,
    /// The place of the last entry; 0 if there is none.
    pub place: i64,
}

/// The query of `GET /v1/workspaces/{workspace}/entries`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EntriesQuery {
    /// Only entries behind this position, oldest first: the number of an entry, or its epoch and
    /// number. 0 begins with the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Only entries of these kinds, separated by commas. In the list, it is taken with `after`
    /// only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<String>,
    /// The seconds to wait for an entry if there is none; taken with `after` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<i64>,
}

/// The query of `GET /v1/workspaces/{workspace}/stream`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StreamQuery {
    /// Only entries behind this position, oldest first: the number of an entry, or its epoch and
    /// number. 0 begins with the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Only entries of these kinds, separated by commas. In the list, it is taken with `after`
    /// only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<String>,
}
