//! Usage: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

/// The average use of a workspace, and how long its credit lasts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct BurnRate {
    /// The available credit, in micro-units.
    pub available: i64,
    /// `available` in dollars, as an exact decimal text.
    pub available_usd: String,
    /// What the forecast is made from: `weekday`, the mean of each weekday over the last 28 days;
    /// `average`, while there are less than 14 days; `none` if there is no forecast.
    pub basis: String,
    /// What was charged less what was refunded on these days, divided by their number and rounded
    /// up, in micro-units. It is below zero if more was refunded.
    pub daily_average: i64,
    /// `daily_average` in dollars, as an exact decimal text.
    pub daily_average_usd: String,
    /// The complete days that the average counts; fewer than were asked for if the workspace is
    /// younger.
    pub days: i64,
    /// The day on which the available credit is used up; null if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depletes_on: Option<String>,
    /// Whether the credit lasts longer than to `next_grant_on`; null without such a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasts_until_next_grant: Option<bool>,
    /// Thirty times `daily_average`.
    pub monthly_average: i64,
    /// `monthly_average` in dollars, as an exact decimal text.
    pub monthly_average_usd: String,
    /// What is expected to be used in the next thirty days, of which the rest of today is the
    /// first; 0 if there is no forecast.
    pub next_30_days: i64,
    /// `next_30_days` in dollars, as an exact decimal text.
    pub next_30_days_usd: String,
    /// The day on which the subscription brings credit the next time; null if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_grant_on: Option<String>,
    /// Why `runway_days` is null: `no_recent_use`, `over_a_year` or `credit_grows`; else null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The parts of the average by the keys in `group_by`; absent without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<BurnRateRow>>,
    /// The days from today to the one on which the available credit is used up; 0 is today, null if
    /// there is no such day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runway_days: Option<u32>,
    /// The workspace's time zone, whose days are counted.
    pub timezone: String,
}

/// The part of a group in the average use. A key is present if rows are grouped by it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct BurnRateRow {
    /// The API key that opened the charges; null for those that a platform key opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// Its average use of a day, rounded up, so that all rows together may exceed the average of
    /// the workspace.
    pub daily_average: i64,
    /// `daily_average` in dollars, as an exact decimal text.
    pub daily_average_usd: String,
    /// The member; null for charges without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// What it used on the days of the average, less refunds, in micro-units.
    pub net: i64,
    /// `net` in dollars, as an exact decimal text.
    pub net_usd: String,
    /// The operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Its part of the use of all rows in percent, with two decimals; null if nothing was used on
    /// the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_percent: Option<String>,
    /// The worker; null for charges without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

/// A range of time.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Range {
    /// The first instant that is counted.
    pub from: String,
    /// The first instant after what is counted.
    pub to: String,
}

/// The use of a workspace in a range.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// The first instant that is counted.
    pub from: String,
    /// True if sums of days are being made in the background, so that the answer takes longer. The
    /// numbers are right all the same.
    pub rebuilding: bool,
    /// A row for each group that was used or refunded, in the order of time, operation, worker,
    /// member, API key.
    pub rows: Vec<UsageRow>,
    /// The IANA time zone of days and months.
    pub timezone: String,
    /// The first instant after what is counted.
    pub to: String,
    /// The sum of all rows.
    pub total: UsageRow,
}

/// The use of a group in both ranges, and what made the difference. A key is present if rows are
/// grouped by it. `change` is exactly `by_quantity` + `by_price` + `by_refunds`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct UsageChange {
    /// The sums of the later range.
    pub after: UsageRow,
    /// The API key that opened the charges; null for those that a platform key opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// The sums of the earlier range.
    pub before: UsageRow,
    /// The part that comes from the price: what remains of the difference of what was charged. The
    /// mean price of a group also changes with the operations in it.
    pub by_price: i64,
    /// `by_price` in dollars, as an exact decimal text.
    pub by_price_usd: String,
    /// The part that comes from the quantity: the difference of the quantities at the mean price of
    /// a unit before, rounded towards zero. Without use before it is all that was charged after.
    pub by_quantity: i64,
    /// `by_quantity` in dollars, as an exact decimal text.
    pub by_quantity_usd: String,
    /// The part that comes from refunds: what was refunded before less what was refunded after.
    pub by_refunds: i64,
    /// `by_refunds` in dollars, as an exact decimal text.
    pub by_refunds_usd: String,
    /// The net use after less the one before, in micro-units.
    pub change: i64,
    /// `change` in dollars, as an exact decimal text.
    pub change_usd: String,
    /// The member; null for charges without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The worker; null for charges without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

/// What changed in the use of a workspace between two ranges.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct UsageChanges {
    /// The later range that was counted.
    pub after: Range,
    /// The earlier range that was counted.
    pub before: Range,
    /// True if sums of days are being made in the background, so that the answer takes longer. The
    /// numbers are right all the same.
    pub rebuilding: bool,
    /// A row for each group that has use in one of the ranges. The largest change is first, whether
    /// up or down.
    pub rows: Vec<UsageChange>,
    /// The IANA time zone of days.
    pub timezone: String,
    /// The sum of all rows.
    pub total: UsageChange,
}

/// The sums of a group, or of all. A key is present if rows are grouped by it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct UsageRow {
    /// The API key that opened the charges; null for those that a platform key opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// What they deducted, in micro-units.
    pub charged: i64,
    /// `charged` in dollars, as an exact decimal text.
    pub charged_usd: String,
    /// The day in the time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// The beginning of the hour, with the offset of the time zone. An hour is a whole hour in UTC,
    /// divided where a day of the time zone begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour: Option<String>,
    /// The member; null for charges without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The meter of which the row counts the units; null for all else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meter: Option<String>,
    /// The month in the time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<String>,
    /// `charged` less `refunded`; below zero if more was refunded than charged.
    pub net: i64,
    /// `net` in dollars, as an exact decimal text.
    pub net_usd: String,
    /// The operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The number of units that they paid for; of operations with meters, those that were used.
    pub quantity: i64,
    /// What was refunded, also of earlier charges, in micro-units. A refund counts when it happens.
    pub refunded: i64,
    /// `refunded` in dollars, as an exact decimal text.
    pub refunded_usd: String,
    /// The number of charges that were opened.
    pub runs: i64,
    /// The worker; null for charges without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

/// The query of `GET /v1/workspaces/{workspace}/burn-rate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BurnRateQuery {
    /// The most complete days that the average counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_days: Option<i64>,
    /// The keys of the rows, separated by commas: `operation`, `worker`, `member`, `api_key`; for
    /// use also one of the times `hour`, `day` and `month`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
}

/// The query of `GET /v1/workspaces/{workspace}/usage`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UsageQuery {
    /// Only what happened at this time or later. The use of a workspace also takes a date, the
    /// beginning of its day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only what happened before this time. The use of a workspace also takes a date, the beginning
    /// of its day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The keys of the rows, separated by commas: `operation`, `worker`, `member`, `api_key`; for
    /// use also one of the times `hour`, `day` and `month`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// The IANA time zone of dates, days and months; the workspace's if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Only charges of this operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Only charges by this worker. The use of a workspace also takes an empty text: without a
    /// worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Only those of this member. The use of a workspace also takes an empty text: without a
    /// member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Only charges that this API key opened; an empty text: those that none opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// `true`: texts in comma-separated values are not guarded against spreadsheets, which would
    /// run some as formulas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<bool>,
}

/// The query of `GET /v1/workspaces/{workspace}/usage/changes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UsageChangesQuery {
    /// Only what happened at this time or later. The use of a workspace also takes a date, the
    /// beginning of its day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only what happened before this time. The use of a workspace also takes a date, the beginning
    /// of its day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The day with which the earlier range begins; it ends where the later one begins if it is
    /// absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_from: Option<String>,
    /// The keys of the rows, separated by commas: `operation`, `worker`, `member`, `api_key`; for
    /// use also one of the times `hour`, `day` and `month`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// The IANA time zone of dates, days and months; the workspace's if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Only charges of this operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Only charges by this worker. The use of a workspace also takes an empty text: without a
    /// worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Only those of this member. The use of a workspace also takes an empty text: without a
    /// member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Only charges that this API key opened; an empty text: those that none opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// `true`: texts in comma-separated values are not guarded against spreadsheets, which would
    /// run some as formulas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<bool>,
}
