//! The sums of a question about use, or why there are none.

use tollkeeper_ledger::{ApiKeyId, MemberId, MeterId, OperationId, Timestamp, UsageSums, WorkerId};

/// The answer to a [`UsageRequest`](super::UsageRequest) about a workspace that exists.
pub type UsageAnswer = Result<UsageReport, UsageRefusal>;

/// The use of a workspace in a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageReport {
    /// The time zone of days and months.
    pub timezone: Box<str>,
    /// The first instant that is counted.
    pub from: Timestamp,
    /// The first instant after what is counted.
    pub to: Timestamp,
    /// True if rows by day are being made in the background, so that this answer took longer. The
    /// sums are the same.
    pub rebuilding: bool,
    /// A row for each group that has use, in the order of time, operation, worker, member, API
    /// key, meter; an absent name comes first.
    pub rows: Vec<(UsageGroup, UsageSums)>,
    /// The sum of all rows.
    pub total: UsageSums,
}

/// The keys of a row. A key that the rows are not grouped by is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageGroup {
    /// The beginning of the hour, day or month, which may be before the range.
    pub time: Option<Timestamp>,
    /// The operation.
    pub operation: Option<OperationId>,
    /// The worker; `None` for charges without one.
    pub worker: Option<WorkerId>,
    /// The member; `None` for charges without one.
    pub member: Option<MemberId>,
    /// The API key; `None` for charges that none opened.
    pub api_key: Option<ApiKeyId>,
    /// The meter of which the row counts the units; `None` for all else.
    pub meter: Option<MeterId>,
}

/// Why a question about use has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageRefusal {
    /// The time zone is not known.
    UnknownTimezone,
    /// The range ends before it begins, or is empty.
    EmptyRange,
    /// The range is longer than [`USAGE_DAYS_MAX`](super::USAGE_DAYS_MAX).
    RangeTooLong,
    /// The answer would have more rows than [`USAGE_ROWS_MAX`](super::USAGE_ROWS_MAX).
    TooManyRows,
    /// Days of the time zone begin within hours that were counted whole, and there are too many to
    /// read their entries.
    NotCounted {
        /// The workspace's time zone, at whose days hours are divided.
        workspace: Box<str>,
    },
}
