//! The use of a workspace in a range: the question as its parameters ask it, and the table that
//! answers it, as JSON and as comma-separated values.
//!
//! The sums are those of the engine, which are those of the entries. The table names the range and
//! the time zone that were counted.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use tollkeeper_engine::{
    GroupBy, Named, Reads, TimeStep, USAGE_ROWS_MAX, UsageFilter, UsageGroup, UsageRefusal, UsageReport,
    UsageRequest,
};
use tollkeeper_ledger::{ApiKeyId, MemberId, MeterId, OperationId, Timestamp, UsageSums, WorkerId};
use utoipa::ToSchema;

use super::local_time::{LocalTime, date_of, days_before, read_date, start_of, zone};
use crate::http::call::existing;
use crate::http::csv::Csv;
use crate::http::problem::{Code, Problem};
use crate::http::query::Query;
use crate::wire::read::{ID_RULE, Timezone, Word};
use crate::wire::write::{Text, Time, Usd, read_time};

pub mod series;
mod source;

pub use source::UsageSource;

/// The query parameters of a question about use.
pub const PARAMETERS: &[&str] =
    &["from", "to", "group_by", "timezone", "operation", "worker", "member", "api_key", "raw"];

/// The days before the end of a range that has no beginning.
const DAYS_DEFAULT: u32 = 30;

/// About the size of a row in JSON.
const ROW_BYTES: usize = 320;

/// The beginning or end of a range, as it is given.
#[derive(Clone, Copy, Debug)]
enum Edge {
    At(Timestamp),
    /// The beginning of a day of the time zone.
    Day(Date),
}

impl Edge {
    fn instant(self, zone: &TimeZone) -> Timestamp {
        match self {
            Edge::At(at) => at,
            Edge::Day(date) => start_of(zone, date),
        }
    }
}

/// A question about the use of a workspace.
#[derive(Clone, Debug)]
pub struct UsageQuery {
    from: Option<Edge>,
    to: Option<Edge>,
    /// The days before the end of the range if it has no beginning.
    days: u32,
    /// The time zone of dates, days and months; the workspace's when `None`.
    timezone: Option<Box<str>>,
    group_by: GroupBy,
    filter: UsageFilter,
}

impl UsageQuery {
    /// Reads the question from query parameters.
    ///
    /// # Errors
    /// A parameter is not valid.
    pub fn read(query: &Query) -> Result<UsageQuery, Problem> {
        UsageQuery::read_with_steps(query, &TIME_STEPS)
    }

    /// Reads the question; `steps` are the periods that rows may be grouped by.
    ///
    /// # Errors
    /// A parameter is not valid.
    pub(super) fn read_with_steps(query: &Query, steps: &[(&str, TimeStep)]) -> Result<UsageQuery, Problem> {
        const EDGE_RULE: &str = "must be a time such as 2026-11-23T15:04:05Z or a date such as 2026-11-23";
        let edge = |text: &str| read_time(text).map(Edge::At).or_else(|| read_date(text).map(Edge::Day));
        let timezone = |text: &str| Timezone::read(text).ok().map(|Timezone(name)| name);
        Ok(UsageQuery {
            from: query.value("from", edge, EDGE_RULE)?,
            to: query.value("to", edge, EDGE_RULE)?,
            days: DAYS_DEFAULT,
            timezone: query.value("timezone", timezone, "must be a time zone such as Europe/Berlin")?,
            group_by: read_group_by(query, steps)?,
            filter: read_filter(query)?,
        })
    }

    /// The use of the last days and of today, up to now.
    #[must_use]
    pub fn last_days(days: u32, group_by: GroupBy, filter: UsageFilter) -> UsageQuery {
        UsageQuery { from: None, to: None, days, timezone: None, group_by, filter }
    }

    /// The table that answers it.
    ///
    /// # Errors
    /// There is no such workspace, the question has no answer, or the engine cannot read.
    pub async fn run(self, source: &UsageSource<'_>, now: Timestamp) -> Result<UsageTable, Problem> {
        let request = self.request(source, now).await?;
        let group_by = request.group_by;
        Ok(UsageTable::new(source.report(request).await?, group_by))
    }

    /// The question to the engine, with the range and the time zone that it has without parameters.
    ///
    /// # Errors
    /// There is no such workspace, or the engine cannot read.
    pub(super) async fn request(
        self,
        source: &UsageSource<'_>,
        now: Timestamp,
    ) -> Result<UsageRequest, Problem> {
        let UsageQuery { from, to, days, timezone, group_by, filter } = self;
        let UsageSource { engine, workspace, .. } = source;
        let profile = existing(workspace, engine.workspace(workspace).await?)?;
        let timezone = timezone.unwrap_or(profile.timezone);
        let zone = zone(&timezone);
        let to = to.map_or(Timestamp::from_millis(now.millis() + 1), |edge| edge.instant(&zone));
        let from = from.unwrap_or_else(|| Edge::Day(days_before(date_of(&zone, to), days)));
        let from = from.instant(&zone);
        Ok(UsageRequest { from, to, timezone: Some(timezone), group_by, filter })
    }
}

/// The problem for a question that has no answer.
fn refused(refusal: UsageRefusal) -> Problem {
    match refusal {
        UsageRefusal::UnknownTimezone => Problem::parameter("timezone", "is not known"),
        UsageRefusal::EmptyRange => Problem::parameter("to", "must be later than `from`"),
        UsageRefusal::RangeTooLong => Problem::parameter("from", "must be at most ten years before `to`"),
        UsageRefusal::TooManyRows => too_many_rows(),
        UsageRefusal::NotCounted { workspace } => Problem::new(
            Code::TimezoneNotCounted,
            format!(
                "Days of this time zone begin within an hour, and use was counted by whole hours, which are divided at \
                 the days of the workspace, whose time zone is {workspace}. Ask for at most 31 days, in that time \
                 zone, or in one whose days begin with an hour."
            ),
        )
        .with("timezone", &*workspace),
    }
}

/// The problem for an answer with more than [`USAGE_ROWS_MAX`] rows.
pub(super) fn too_many_rows() -> Problem {
    let detail = format!(
        "The answer would have more than {USAGE_ROWS_MAX} rows. Ask for a shorter range, for longer \
         periods, or for fewer keys in `group_by`."
    );
    Problem::new(Code::UsageTooLarge, detail).with("max_rows", USAGE_ROWS_MAX)
}

/// The periods in `group_by`, by name.
const TIME_STEPS: [(&str, TimeStep); 3] =
    [("hour", TimeStep::Hour), ("day", TimeStep::Day), ("month", TimeStep::Month)];

/// Reads the keys to group by; `steps` are the periods that may be among them.
///
/// # Errors
/// A key is unknown or given twice, or there are two periods.
pub fn read_group_by(query: &Query, steps: &[(&str, TimeStep)]) -> Result<GroupBy, Problem> {
    let mut group_by = GroupBy::default();
    // Credit is not divided by meter, so only reports of use by time have them.
    let has_meters = !steps.is_empty();
    let text = query.get("group_by").unwrap_or_default();
    for name in text.split(',').filter(|_| !text.is_empty()) {
        if let Some((_, step)) = steps.iter().find(|(step, _)| *step == name) {
            if group_by.time.replace(*step).is_some() {
                return Err(Problem::parameter("group_by", "may have one of hour, day and month"));
            }
            continue;
        }
        let key = match name {
            "operation" => &mut group_by.operation,
            "worker" => &mut group_by.worker,
            "member" => &mut group_by.member,
            "api_key" => &mut group_by.api_key,
            "meter" if has_meters => &mut group_by.meter,
            _ => {
                let names: Vec<&str> = steps.iter().map(|(step, _)| *step).collect();
                let meter = has_meters.then_some("meter");
                let names =
                    ["operation", "worker", "member", "api_key"].into_iter().chain(meter).chain(names);
                let names: Vec<&str> = names.collect();
                let rule = format!("must be some of {}, separated by commas", names.join(", "));
                return Err(Problem::parameter("group_by", &rule));
            }
        };
        if std::mem::replace(key, true) {
            return Err(Problem::parameter("group_by", "has a key twice"));
        }
    }
    Ok(group_by)
}

/// Reads the filters. An empty text asks for charges without such a name.
fn read_filter(query: &Query) -> Result<UsageFilter, Problem> {
    fn named<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Named<T>> {
        if text.is_empty() { Some(Named::Absent) } else { read(text).map(Named::Is) }
    }
    let operation = |text: &str| OperationId::new(text).ok().map(Named::Is);
    let worker = |text: &str| named(text, |text| WorkerId::new(text).ok());
    let member = |text: &str| named(text, |text| MemberId::new(text).ok());
    let api_key = |text: &str| named(text, |text| text.parse::<ApiKeyId>().ok());
    let or_empty = format!("{ID_RULE}, or empty");
    Ok(UsageFilter {
        operation: query.value("operation", operation, ID_RULE)?.unwrap_or_default(),
        worker: query.value("worker", worker, &or_empty)?.unwrap_or_default(),
        member: query.value("member", member, &or_empty)?.unwrap_or_default(),
        api_key: query
            .value("api_key", api_key, "must be the id of an API key, ak_…, or empty")?
            .unwrap_or_default(),
    })
}

/// The names of the sums of a row.
pub(super) const SUMS: [&str; 8] =
    ["runs", "quantity", "charged", "charged_usd", "refunded", "refunded_usd", "net", "net_usd"];

/// The use of a workspace in a range.
#[derive(Debug)]
pub struct UsageTable {
    report: UsageReport,
    zone: TimeZone,
    group_by: GroupBy,
}

impl UsageTable {
    /// The table of a report whose rows are grouped by these keys.
    pub fn new(report: UsageReport, group_by: GroupBy) -> UsageTable {
        let zone = zone(&report.timezone);
        UsageTable { report, zone, group_by }
    }

    /// About the size of its text.
    pub fn bytes(&self) -> usize {
        ROW_BYTES * (self.report.rows.len() + 2)
    }

    /// The table as JSON.
    pub fn json(&self) -> UsageJson<'_> {
        let UsageReport { timezone, from, to, rebuilding, rows, total } = &self.report;
        UsageJson {
            timezone,
            from: Time(*from),
            to: Time(*to),
            rebuilding: *rebuilding,
            rows: rows.iter().map(|(group, sums)| self.row(group, sums)).collect(),
            total: UsageRowJson::of(total),
        }
    }

    fn row<'a>(&'a self, group: &'a UsageGroup, sums: &UsageSums) -> UsageRowJson<'a> {
        let UsageGroup { time, operation, worker, member, api_key, meter } = group;
        let by = self.group_by;
        let local = |step| {
            let at = time.filter(|_| by.time == Some(step))?;
            Some(LocalTime { zone: &self.zone, at, step })
        };
        UsageRowJson {
            hour: local(TimeStep::Hour),
            day: local(TimeStep::Day),
            month: local(TimeStep::Month),
            operation: operation.as_ref().map(OperationId::as_str),
            worker: by.worker.then(|| worker.as_ref().map(WorkerId::as_str)),
            member: by.member.then(|| member.as_ref().map(MemberId::as_str)),
            api_key: by.api_key.then_some(api_key.map(Text)),
            meter: by.meter.then(|| meter.as_ref().map(MeterId::as_str)),
            ..UsageRowJson::of(sums)
        }
    }

    /// The rows as comma-separated values. `is_guarded`: whether texts are made safe for
    /// spreadsheets.
    pub fn csv(&self, is_guarded: bool) -> Csv {
        let GroupBy { operation, worker, member, api_key, meter, time } = self.group_by;
        let is_by = |step| time == Some(step);
        let keys = [
            ("hour", is_by(TimeStep::Hour)),
            ("day", is_by(TimeStep::Day)),
            ("month", is_by(TimeStep::Month)),
            ("operation", operation),
            ("worker", worker),
            ("member", member),
            ("api_key", api_key),
            ("meter", meter),
        ];
        let keys = keys.into_iter().filter_map(|(name, is_key)| is_key.then_some(name));
        let columns: Vec<&str> = keys.chain(SUMS).collect();
        let mut csv = Csv::new(&columns, is_guarded);
        for (group, sums) in &self.report.rows {
            self.row(group, sums).write(&mut csv);
        }
        csv
    }
}

/// The use of a workspace in a range.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub struct UsageJson<'a> {
    /// The IANA time zone of days and months.
    #[schema(example = "Europe/Berlin")]
    timezone: &'a str,
    /// The first instant that is counted.
    #[schema(value_type = String, format = DateTime)]
    from: Time,
    /// The first instant after what is counted.
    #[schema(value_type = String, format = DateTime)]
    to: Time,
    /// True if sums of days are being made in the background, so that the answer takes longer. The
    /// numbers are right all the same.
    rebuilding: bool,
    /// A row for each group that was used or refunded, in the order of time, operation, worker,
    /// member, API key.
    rows: Vec<UsageRowJson<'a>>,
    /// The sum of all rows.
    total: UsageRowJson<'a>,
}

/// The sums of a group, or of all. A key is present if rows are grouped by it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageRow)]
pub struct UsageRowJson<'a> {
    /// The beginning of the hour, with the offset of the time zone. An hour is a whole hour in UTC,
    /// divided where a day of the time zone begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2026-11-23T15:00:00+01:00")]
    hour: Option<LocalTime<'a>>,
    /// The day in the time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date, example = "2026-11-23")]
    day: Option<LocalTime<'a>>,
    /// The month in the time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2026-11")]
    month: Option<LocalTime<'a>>,
    /// The operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "virtual_try_on")]
    operation: Option<&'a str>,
    /// The worker; null for charges without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "w-7")]
    worker: Option<Option<&'a str>>,
    /// The member; null for charges without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "ada")]
    member: Option<Option<&'a str>>,
    /// The API key that opened the charges; null for those that a platform key opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "ak_01991234-5678-7abc-bfff-0123456789ab")]
    api_key: Option<Option<Text<ApiKeyId>>>,
    /// The meter of which the row counts the units; null for all else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "input")]
    meter: Option<Option<&'a str>>,
    /// The number of charges that were opened.
    runs: i64,
    /// The number of units that they paid for; of operations with meters, those that were used.
    quantity: i64,
    /// What they deducted, in micro-units.
    charged: i64,
    /// `charged` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.20")]
    charged_usd: Usd,
    /// What was refunded, also of earlier charges, in micro-units. A refund counts when it happens.
    refunded: i64,
    /// `refunded` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.00")]
    refunded_usd: Usd,
    /// `charged` less `refunded`; below zero if more was refunded than charged.
    net: i64,
    /// `net` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.20")]
    net_usd: Usd,
}

impl UsageRowJson<'_> {
    /// Sums without keys.
    pub(super) fn of(sums: &UsageSums) -> Self {
        let UsageSums { runs, quantity, charged, refunded } = *sums;
        let net = charged - refunded;
        UsageRowJson {
            hour: None,
            day: None,
            month: None,
            operation: None,
            worker: None,
            member: None,
            api_key: None,
            meter: None,
            runs,
            quantity,
            charged: charged.get(),
            charged_usd: Usd(charged),
            refunded: refunded.get(),
            refunded_usd: Usd(refunded),
            net: net.get(),
            net_usd: Usd(net),
        }
    }

    /// Writes the row, with the fields that are present and in their order.
    fn write(&self, csv: &mut Csv) {
        let UsageRowJson { hour, day, month, operation, worker, member, api_key, meter, .. } = self;
        [hour, day, month].into_iter().flatten().for_each(|time| csv.value(time));
        let names = [operation.map(Some), *worker, *member];
        names.into_iter().flatten().for_each(|name| csv.text(name.unwrap_or_default()));
        if let Some(key) = api_key {
            csv.text(&key.map_or_else(String::new, |Text(key)| key.to_string()));
        }
        if let Some(meter) = meter {
            csv.text(meter.unwrap_or_default());
        }
        self.write_sums(csv);
        csv.end_row();
    }

    /// Writes the sums, in the order of [`SUMS`].
    pub(super) fn write_sums(&self, csv: &mut Csv) {
        let UsageRowJson {
            runs, quantity, charged, charged_usd, refunded, refunded_usd, net, net_usd, ..
        } = self;
        [runs, quantity, charged].into_iter().for_each(|number| csv.value(number));
        csv.value(charged_usd);
        csv.value(refunded);
        csv.value(refunded_usd);
        csv.value(net);
        csv.value(net_usd);
    }
}
