//! What changed in the use of a workspace: two ranges of the same length, and for each group how
//! much of the difference comes from the quantity, from the price and from refunds.
//!
//! With the quantities q₀ and q₁ and the charged credit c₀ and c₁ of both ranges, the mean price of
//! a unit was c₀ ÷ q₀ before. The part of the quantity is (q₁ − q₀) · c₀ ÷ q₀, rounded towards
//! zero. The part of the price is what remains of c₁ − c₀, so that the parts add up exactly. A
//! refund changes no price: its part is what more or less was refunded. Both ranges are answered by
//! the one question about use (`usage`).

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use tollkeeper_engine::{GroupBy, USAGE_ROWS_MAX, UsageFilter, UsageGroup, UsageReport, UsageRequest};
use tollkeeper_ledger::{ApiKeyId, MemberId, Micros, OperationId, Timestamp, UsageSums, WorkerId, bounds};
use utoipa::ToSchema;

use super::local_time::{date_of, days_after, days_before, read_date, start_of, zone};
use super::usage::{SUMS, UsageQuery, UsageRowJson, UsageSource, too_many_rows};
use crate::http::csv::Csv;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::wire::write::{Text, Time, Usd};

/// The query parameters of a question about changes.
pub const PARAMETERS: &[&str] =
    &["from", "to", "before_from", "group_by", "timezone", "operation", "worker", "member", "api_key", "raw"];

/// About the size of a row in JSON.
const ROW_BYTES: usize = 720;

/// A question about what changed in the use of a workspace.
#[derive(Clone, Debug)]
pub struct ChangesQuery {
    /// The later range, the keys and the filters.
    usage: UsageQuery,
    /// The day with which the earlier range begins; it ends where the later one begins when `None`.
    before_from: Option<Date>,
}

impl ChangesQuery {
    /// The use of the last days by operation, today included, beside that of as many days before.
    #[must_use]
    pub fn by_operation(days: u32, filter: UsageFilter) -> ChangesQuery {
        let group_by = GroupBy { operation: true, ..GroupBy::default() };
        ChangesQuery { usage: UsageQuery::last_days(days, group_by, filter), before_from: None }
    }

    /// Reads the question from query parameters.
    ///
    /// # Errors
    /// A parameter is not valid.
    pub fn read(query: &Query) -> Result<ChangesQuery, Problem> {
        let usage = UsageQuery::read_with_steps(query, &[])?;
        let before_from = query.value("before_from", read_date, "must be a date such as 2026-10-23")?;
        Ok(ChangesQuery { usage, before_from })
    }

    /// The table that answers it.
    ///
    /// # Errors
    /// There is no such workspace, the question has no answer, or the engine cannot read.
    pub async fn run(self, source: &UsageSource<'_>, now: Timestamp) -> Result<ChangesTable, Problem> {
        let later = self.usage.request(source, now).await?;
        let after = source.report(later.clone()).await?;
        let (from, to) = earlier_range(&zone(&after.timezone), &after, self.before_from);
        let before = source.report(UsageRequest { from, to, ..later.clone() }).await?;
        let table = ChangesTable::of(later.group_by, before, after);
        if table.rows.len() > USAGE_ROWS_MAX { Err(too_many_rows()) } else { Ok(table) }
    }
}

/// The earlier range: as many days as the later one if that begins and ends with a day, else as
/// long. It ends where the later one begins, unless it begins with the day `begin`.
fn earlier_range(zone: &TimeZone, later: &UsageReport, begin: Option<Date>) -> (Timestamp, Timestamp) {
    let UsageReport { from, to, .. } = *later;
    let dates = [from, to].map(|at| date_of(zone, at));
    let is_of_days = start_of(zone, dates[0]) == from && start_of(zone, dates[1]) == to;
    let days = (dates[1] - dates[0]).get_days().unsigned_abs();
    let millis = to.millis() - from.millis();
    match begin {
        None if is_of_days => (start_of(zone, days_before(dates[0], days)), from),
        None => (Timestamp::from_millis(from.millis() - millis), from),
        Some(begin) => {
            let start = start_of(zone, begin);
            let end = Timestamp::from_millis(start.millis() + millis);
            (start, if is_of_days { start_of(zone, days_after(begin, days)) } else { end })
        }
    }
}

/// How much of a difference comes from what, in micro-units. They add up to the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    quantity: i64,
    price: i64,
    refunds: i64,
}

impl Parts {
    /// The parts of the difference between the sums of a group.
    fn of(before: &UsageSums, after: &UsageSums) -> Parts {
        let charged = [before, after].map(|sums| i128::from(sums.charged.get()));
        let quantity = [before, after].map(|sums| i128::from(sums.quantity));
        let of_quantity = match quantity[0] {
            // There was no price before, so all of it is new.
            0 => charged[1],
            before => (quantity[1] - before) * charged[0] / before,
        };
        Parts::with_quantity(of_quantity, before, after)
    }

    /// The parts of a difference of which this much comes from the quantity. A part that no
    /// workspace could ever use, of a price that fell by a factor of millions, is cut at the most
    /// that one can use, so that numbers of 64 bits hold all parts.
    fn with_quantity(of_quantity: i128, before: &UsageSums, after: &UsageSums) -> Parts {
        let most = i128::from(bounds::TOTAL_MAX_MICROS);
        let quantity = of_quantity.clamp(-most, most) as i64;
        let price = (after.charged - before.charged).get() - quantity;
        Parts { quantity, price, refunds: (before.refunded - after.refunded).get() }
    }

    fn change(self) -> i64 {
        self.quantity + self.price + self.refunds
    }
}

/// The use of a group in both ranges.
#[derive(Debug)]
struct Row {
    group: UsageGroup,
    before: UsageSums,
    after: UsageSums,
    parts: Parts,
}

/// What changed in the use of a workspace.
#[derive(Debug)]
pub struct ChangesTable {
    before: UsageReport,
    after: UsageReport,
    group_by: GroupBy,
    /// The largest change first, in whichever direction.
    rows: Vec<Row>,
    total: Row,
}

impl ChangesTable {
    fn of(group_by: GroupBy, mut before: UsageReport, mut after: UsageReport) -> ChangesTable {
        let mut groups: BTreeMap<UsageGroup, [UsageSums; 2]> = BTreeMap::new();
        for (place, report) in [&mut before, &mut after].into_iter().enumerate() {
            for (group, sums) in std::mem::take(&mut report.rows) {
                groups.entry(group).or_default()[place] = sums;
            }
        }
        let rows = groups.into_iter().map(|(group, [before, after])| {
            let parts = Parts::of(&before, &after);
            Row { group, before, after, parts }
        });
        let mut rows: Vec<Row> = rows.collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.parts.change().unsigned_abs()));
        let of_quantity = rows.iter().map(|row| i128::from(row.parts.quantity)).sum();
        let parts = Parts::with_quantity(of_quantity, &before.total, &after.total);
        let total = Row { group: UsageGroup::default(), before: before.total, after: after.total, parts };
        ChangesTable { before, after, group_by, rows, total }
    }

    /// The operations of which the use changed most, with the use before and after, the largest
    /// change first. Empty unless the question asked for operations.
    pub fn of_operations(&self) -> impl Iterator<Item = (&str, Micros, Micros)> {
        let net = |sums: &UsageSums| sums.charged - sums.refunded;
        let changed = self.rows.iter().filter(move |row| net(&row.before) != net(&row.after));
        changed.filter_map(move |row| {
            Some((row.group.operation.as_ref()?.as_str(), net(&row.before), net(&row.after)))
        })
    }

    /// About the size of its text.
    pub fn bytes(&self) -> usize {
        ROW_BYTES * (self.rows.len() + 2)
    }

    /// The table as JSON.
    pub fn json(&self) -> ChangesJson<'_> {
        let range = |report: &UsageReport| RangeJson { from: Time(report.from), to: Time(report.to) };
        ChangesJson {
            timezone: &self.after.timezone,
            before: range(&self.before),
            after: range(&self.after),
            rebuilding: self.before.rebuilding || self.after.rebuilding,
            rows: self.rows.iter().map(|row| ChangeJson::of(row, self.group_by)).collect(),
            total: ChangeJson::of(&self.total, GroupBy::default()),
        }
    }

    /// The rows as comma-separated values. `is_guarded`: whether texts are made safe for
    /// spreadsheets.
    pub fn csv(&self, is_guarded: bool) -> Csv {
        let GroupBy { operation, worker, member, api_key, .. } = self.group_by;
        let keys = [("operation", operation), ("worker", worker), ("member", member), ("api_key", api_key)];
        let keys = keys.into_iter().filter(|(_, is_key)| *is_key).map(|(name, _)| name.to_owned());
        let sums =
            ["before", "after"].into_iter().flat_map(|range| SUMS.map(|name| format!("{range}_{name}")));
        let parts = ["change", "by_quantity", "by_price", "by_refunds"];
        let parts = parts.into_iter().flat_map(|name| [name.to_owned(), format!("{name}_usd")]);
        let columns: Vec<String> = keys.chain(sums).chain(parts).collect();
        let mut csv = Csv::new(&columns.iter().map(String::as_str).collect::<Vec<_>>(), is_guarded);
        self.rows.iter().for_each(|row| ChangeJson::of(row, self.group_by).write(&mut csv));
        csv
    }
}

/// What changed in the use of a workspace between two ranges.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageChanges)]
pub struct ChangesJson<'a> {
    /// The IANA time zone of days.
    #[schema(example = "Europe/Berlin")]
    timezone: &'a str,
    /// The earlier range that was counted.
    before: RangeJson,
    /// The later range that was counted.
    after: RangeJson,
    /// True if sums of days are being made in the background, so that the answer takes longer. The
    /// numbers are right all the same.
    rebuilding: bool,
    /// A row for each group that has use in one of the ranges. The largest change is first, whether
    /// up or down.
    rows: Vec<ChangeJson<'a>>,
    /// The sum of all rows.
    total: ChangeJson<'a>,
}

/// A range of time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Range)]
pub struct RangeJson {
    /// The first instant that is counted.
    #[schema(value_type = String, format = DateTime)]
    from: Time,
    /// The first instant after what is counted.
    #[schema(value_type = String, format = DateTime)]
    to: Time,
}

/// The use of a group in both ranges, and what made the difference. A key is present if rows are
/// grouped by it. `change` is exactly `by_quantity` + `by_price` + `by_refunds`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageChange)]
pub struct ChangeJson<'a> {
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
    /// The sums of the earlier range.
    before: UsageRowJson<'a>,
    /// The sums of the later range.
    after: UsageRowJson<'a>,
    /// The net use after less the one before, in micro-units.
    change: i64,
    /// `change` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.20")]
    change_usd: Usd,
    /// The part that comes from the quantity: the difference of the quantities at the mean price of
    /// a unit before, rounded towards zero. Without use before it is all that was charged after.
    by_quantity: i64,
    /// `by_quantity` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.20")]
    by_quantity_usd: Usd,
    /// The part that comes from the price: what remains of the difference of what was charged. The
    /// mean price of a group also changes with the operations in it.
    by_price: i64,
    /// `by_price` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.00")]
    by_price_usd: Usd,
    /// The part that comes from refunds: what was refunded before less what was refunded after.
    by_refunds: i64,
    /// `by_refunds` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.00")]
    by_refunds_usd: Usd,
}

impl<'a> ChangeJson<'a> {
    fn of(row: &'a Row, by: GroupBy) -> ChangeJson<'a> {
        let Row { group, before, after, parts } = row;
        let UsageGroup { operation, worker, member, api_key, .. } = group;
        let Parts { quantity, price, refunds } = *parts;
        let change = parts.change();
        let usd = |micros| Usd(Micros::new(micros));
        ChangeJson {
            operation: operation.as_ref().map(OperationId::as_str),
            worker: by.worker.then(|| worker.as_ref().map(WorkerId::as_str)),
            member: by.member.then(|| member.as_ref().map(MemberId::as_str)),
            api_key: by.api_key.then_some(api_key.map(Text)),
            before: UsageRowJson::of(before),
            after: UsageRowJson::of(after),
            change,
            change_usd: usd(change),
            by_quantity: quantity,
            by_quantity_usd: usd(quantity),
            by_price: price,
            by_price_usd: usd(price),
            by_refunds: refunds,
            by_refunds_usd: usd(refunds),
        }
    }

    /// Writes the row, with the keys that are present and in their order.
    fn write(&self, csv: &mut Csv) {
        let ChangeJson { operation, worker, member, api_key, before, after, .. } = self;
        let names = [operation.map(Some), *worker, *member];
        names.into_iter().flatten().for_each(|name| csv.text(name.unwrap_or_default()));
        if let Some(key) = api_key {
            csv.text(&key.map_or_else(String::new, |Text(key)| key.to_string()));
        }
        before.write_sums(csv);
        after.write_sums(csv);
        let parts = [
            (self.change, self.change_usd),
            (self.by_quantity, self.by_quantity_usd),
            (self.by_price, self.by_price_usd),
            (self.by_refunds, self.by_refunds_usd),
        ];
        for (micros, usd) in parts {
            csv.value(micros);
            csv.value(usd);
        }
        csv.end_row();
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn sums([quantity, charged, refunded]: [i64; 3]) -> UsageSums {
        let [charged, refunded] = [charged, refunded].map(Micros::new);
        UsageSums { runs: 1, quantity, charged, refunded }
    }

    fn parts(before: [i64; 3], after: [i64; 3]) -> [i64; 3] {
        let Parts { quantity, price, refunds } = Parts::of(&sums(before), &sums(after));
        [quantity, price, refunds]
    }

    #[test]
    fn a_difference_is_of_quantity_price_and_refunds() {
        assert_eq!(parts([2, 1_000, 0], [3, 1_500, 0]), [500, 0, 0], "more of it");
        assert_eq!(parts([2, 1_000, 0], [2, 1_200, 0]), [0, 200, 0], "a dearer price");
        assert_eq!(parts([2, 1_000, 0], [3, 1_800, 0]), [500, 300, 0]);
        assert_eq!(parts([0, 0, 0], [3, 1_500, 0]), [1_500, 0, 0], "all of it is new");
        assert_eq!(parts([3, 1_500, 0], [0, 0, 0]), [-1_500, 0, 0], "none is left");
        assert_eq!(parts([3, 1_000, 0], [4, 1_000, 0]), [333, -333, 0], "the remainder is the price's");
        assert_eq!(parts([3, 1_000, 0], [2, 1_000, 0]), [-333, 333, 0]);
        assert_eq!(parts([2, 1_000, 300], [2, 1_000, 1_000]), [0, 0, -700], "a refund is no price");
        assert_eq!(parts([0, 0, 300], [0, 0, 0]), [0, 0, 300], "of an earlier charge");
    }

    #[test]
    fn the_largest_numbers_add_up() {
        let most = 1 << 61;
        for (before, after) in [([1, most, 0], [most, 1, most]), ([most, 1, most], [1, most, 0])] {
            let Parts { quantity, price, refunds } = Parts::of(&sums(before), &sums(after));
            assert_eq!(quantity + price, after[1] - before[1]);
            assert_eq!(refunds, before[2] - after[2]);
        }
    }

    fn range(zone_name: &str, from: Date, to: Date, begin: Option<Date>) -> [String; 2] {
        let zone = zone(zone_name);
        let later = UsageReport {
            timezone: zone_name.into(),
            from: start_of(&zone, from),
            to: start_of(&zone, to),
            rebuilding: false,
            rows: Vec::new(),
            total: UsageSums::default(),
        };
        let (from, to) = earlier_range(&zone, &later, begin);
        [from, to].map(|at| at.rfc3339())
    }

    #[test]
    fn the_earlier_range_has_as_many_days() {
        let (first, last) = (date(2026, 3, 8), date(2026, 3, 15));
        let of_clocks = range("America/New_York", first, last, None);
        assert_eq!(of_clocks, ["2026-03-01T05:00:00.000Z", "2026-03-08T05:00:00.000Z"]);
        let a_year_ago = range("America/New_York", first, last, Some(date(2025, 3, 8)));
        assert_eq!(a_year_ago, ["2025-03-08T05:00:00.000Z", "2025-03-15T04:00:00.000Z"]);
    }

    #[test]
    fn a_range_that_ends_within_a_day_is_compared_with_one_as_long() {
        let later = UsageReport {
            timezone: "UTC".into(),
            from: Timestamp::from_millis(86_400_000),
            to: Timestamp::from_millis(90_000_000),
            rebuilding: false,
            rows: Vec::new(),
            total: UsageSums::default(),
        };
        let of = |begin| earlier_range(&TimeZone::UTC, &later, begin);
        let at = Timestamp::from_millis;
        assert_eq!(of(None), (at(82_800_000), at(86_400_000)));
        assert_eq!(of(Some(date(1970, 1, 1))), (at(0), at(3_600_000)));
    }
}
