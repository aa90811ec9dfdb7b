//! What is asked of the use of a workspace: the range, the time zone, the keys to group by and the
//! filters.

use tollkeeper_ledger::{ApiKeyId, MemberId, OperationId, Timestamp, WorkerId};

/// The most rows of an answer, about 12 MB of JSON.
pub const USAGE_ROWS_MAX: usize = 50_000;

/// The longest range, ten years with their leap days and a day of each time zone at both ends.
pub const USAGE_DAYS_MAX: i64 = 3_655;

/// A question about the use of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRequest {
    /// The first instant. The range begins with the row that contains it.
    pub from: Timestamp,
    /// The first instant after the range. The range ends with the row that contains the one before.
    pub to: Timestamp,
    /// The time zone of days and months; the workspace's when `None`.
    pub timezone: Option<Box<str>>,
    /// What the rows are grouped by.
    pub group_by: GroupBy,
    /// What counts.
    pub filter: UsageFilter,
}

/// The keys that the rows of an answer are grouped by; without any, all is one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupBy {
    /// A row for each operation.
    pub operation: bool,
    /// A row for each worker, and one for charges without a worker.
    pub worker: bool,
    /// A row for each member, and one for charges without a member.
    pub member: bool,
    /// A row for each API key, and one for charges that none opened.
    pub api_key: bool,
    /// A row for the units of each meter, and one for all else.
    pub meter: bool,
    /// A row for each hour, day or month.
    pub time: Option<TimeStep>,
}

/// The length of a period that has a row of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeStep {
    /// A whole hour in UTC, divided where a day of the time zone begins.
    Hour,
    /// A day of the time zone.
    Day,
    /// A month of the time zone.
    Month,
}

/// Which use counts. All conditions hold at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// The operation.
    pub operation: Named<OperationId>,
    /// The worker.
    pub worker: Named<WorkerId>,
    /// The member.
    pub member: Named<MemberId>,
    /// The API key.
    pub api_key: Named<ApiKeyId>,
}

/// A condition on a name that a charge may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Named<T> {
    /// Any name, and none.
    #[default]
    Any,
    /// None.
    Absent,
    /// This one.
    Is(T),
}

impl<T> Named<T> {
    /// The condition as a value that must be equal, where `absent` stands for no name; `None` if
    /// every value fits.
    pub(crate) fn required<'a, V>(&'a self, absent: V, value: impl FnOnce(&'a T) -> V) -> Option<V> {
        match self {
            Named::Any => None,
            Named::Absent => Some(absent),
            Named::Is(name) => Some(value(name)),
        }
    }
}
