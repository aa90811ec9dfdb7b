//! The use of a range as a chart needs it: every period from the first to the last, also those
//! without use, and one row of amounts for each name.
//!
//! The amounts are the sums of the table, charged less refunded. Nothing is read or counted a
//! second time. Only the names with the largest totals keep a row of their own. The others share
//! one, so that memory is bounded by the periods and not by the names.
//!
//! How a chart looks is in `dashboard::chart`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use tollkeeper_engine::{TimeStep, UsageGroup, UsageReport};
use tollkeeper_ledger::{Micros, Timestamp, UsageSums};

use super::UsageTable;
use crate::reports::local_time::{date_of, days_after, start_of};

const HOUR_MILLIS: i64 = 3_600_000;

/// How long the periods of a series are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// A whole hour in UTC, divided where a day of the time zone begins.
    Hour,
    /// A day of the time zone.
    Day,
    /// A week of the time zone, from Monday. At the ends of a range it has fewer days.
    Week,
    /// A month of the time zone.
    Month,
}

/// The amounts of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The name, as the keys of a row without its time.
    pub key: UsageGroup,
    /// For each period, what was charged less what was refunded.
    pub amounts: Vec<Micros>,
}

/// The amounts of the names that have no series of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Others {
    /// How many names.
    pub names: usize,
    /// For each period, what was charged less what was refunded.
    pub amounts: Vec<Micros>,
}

/// The use of a range, period by period.
#[derive(Clone, Debug)]
pub struct UsageSeries {
    /// The time zone of the periods.
    pub zone: TimeZone,
    /// How long a period is.
    pub every: Every,
    /// The periods in order, without a gap. The first may begin before the range, and the last may
    /// end after it.
    pub periods: Vec<Range<Timestamp>>,
    /// The names with the largest totals, the largest first.
    pub series: Vec<Series>,
    /// The names beyond these.
    pub others: Option<Others>,
}

impl UsageTable {
    /// The sums of the rows by a part of their keys, the largest net first.
    pub fn totals_by(&self, part: impl Fn(&UsageGroup) -> UsageGroup) -> Vec<(UsageGroup, UsageSums)> {
        let mut totals: BTreeMap<UsageGroup, UsageSums> = BTreeMap::new();
        for (group, sums) in &self.report.rows {
            totals.entry(part(group)).or_default().add(*sums);
        }
        let mut totals: Vec<(UsageGroup, UsageSums)> = totals.into_iter().collect();
        // The sort is stable: names with the same total stay in the order of their keys.
        totals.sort_by_key(|(_, sums)| std::cmp::Reverse(net(*sums)));
        totals
    }

    /// The names of all rows with their sums, the one with the largest total first.
    pub fn by_name(&self) -> Vec<(UsageGroup, UsageSums)> {
        self.totals_by(without_time)
    }

    /// The names of all rows, the one with the largest total first.
    pub fn names(&self) -> Vec<UsageGroup> {
        self.by_name().into_iter().map(|(key, _)| key).collect()
    }

    /// The sums of all rows.
    pub fn total(&self) -> UsageSums {
        self.report.total
    }

    /// True if nothing was charged or refunded.
    pub fn is_empty(&self) -> bool {
        self.report.rows.is_empty()
    }

    /// The table as series, at most `most` of them and one of the others; `None` if the rows are
    /// not grouped by time.
    pub fn series(&self, most: usize) -> Option<UsageSeries> {
        let step = self.group_by.time?;
        let periods = periods(&self.report, &self.zone, step);
        let names = self.names();
        let own = names.len().min(most);
        let places: BTreeMap<&UsageGroup, usize> =
            names.iter().enumerate().map(|(place, key)| (key, place.min(own))).collect();
        let mut amounts = vec![vec![Micros::ZERO; periods.len()]; own + 1];
        for (group, sums) in &self.report.rows {
            let at = group.time.unwrap_or(self.report.from);
            let period = periods.partition_point(|period| period.start <= at).saturating_sub(1);
            amounts[places[&without_time(group)]][period] += net(*sums);
        }
        let of_others = amounts.pop().unwrap_or_default();
        let others = names.len() - own;
        let series = names.into_iter().zip(amounts).map(|(key, amounts)| Series { key, amounts });
        Some(UsageSeries {
            zone: self.zone.clone(),
            every: every(step),
            periods,
            series: series.collect(),
            others: (others > 0).then_some(Others { names: others, amounts: of_others }),
        })
    }
}

impl UsageSeries {
    /// The same use by weeks; unchanged if the periods are not days.
    #[must_use]
    pub fn by_week(self) -> UsageSeries {
        if self.every != Every::Day {
            return self;
        }
        let begins_week = |(place, period): (usize, &Range<Timestamp>)| {
            let weekday = date_of(&self.zone, period.start).weekday();
            (place == 0 || weekday == Weekday::Monday).then_some(place)
        };
        let starts: Vec<usize> = self.periods.iter().enumerate().filter_map(begins_week).collect();
        let ends = starts.iter().skip(1).copied().chain([self.periods.len()]);
        let weeks: Vec<Range<usize>> = starts.iter().copied().zip(ends).map(|(from, to)| from..to).collect();
        let added = |amounts: Vec<Micros>| {
            weeks.iter().map(|week| amounts[week.clone()].iter().copied().sum()).collect()
        };
        let periods = weeks.iter().map(|week| self.periods[week.start].start..self.periods[week.end - 1].end);
        UsageSeries {
            every: Every::Week,
            periods: periods.collect(),
            series: self
                .series
                .into_iter()
                .map(|Series { key, amounts }| Series { key, amounts: added(amounts) })
                .collect(),
            others: self.others.map(|Others { names, amounts }| Others { names, amounts: added(amounts) }),
            zone: self.zone,
        }
    }
}

/// What was charged less what was refunded.
pub fn net(sums: UsageSums) -> Micros {
    sums.charged - sums.refunded
}

fn without_time(group: &UsageGroup) -> UsageGroup {
    UsageGroup { time: None, ..group.clone() }
}

fn every(step: TimeStep) -> Every {
    match step {
        TimeStep::Hour => Every::Hour,
        TimeStep::Day => Every::Day,
        TimeStep::Month => Every::Month,
    }
}

/// The periods of a range. A row of the report begins one of them.
fn periods(report: &UsageReport, zone: &TimeZone, step: TimeStep) -> Vec<Range<Timestamp>> {
    let mut starts = BTreeSet::new();
    let last = date_of(zone, Timestamp::from_millis(report.to.millis() - 1));
    let mut date = date_of(zone, report.from);
    if step == TimeStep::Month {
        date = date.first_of_month();
    }
    let mut end;
    loop {
        let next = match step {
            TimeStep::Month => days_after(date.last_of_month(), 1),
            TimeStep::Hour | TimeStep::Day => days_after(date, 1),
        };
        let start = start_of(zone, date);
        end = start_of(zone, next);
        match step {
            TimeStep::Hour => hours(start.max(report.from)..end.min(report.to), &mut starts),
            TimeStep::Day | TimeStep::Month => _ = starts.insert(start),
        }
        if next > last || next <= date {
            break;
        }
        date = next;
    }
    if step == TimeStep::Hour {
        end = report.to;
    }
    // A day that a time zone left out begins with the next one, and has no period.
    starts.remove(&end);
    let ends: Vec<Timestamp> = starts.iter().skip(1).copied().chain([end]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| start..end).collect()
}

/// Adds the beginnings of the hours of a part of a day.
fn hours(part: Range<Timestamp>, starts: &mut BTreeSet<Timestamp>) {
    let mut at = part.start;
    while at < part.end {
        starts.insert(at);
        at = Timestamp::from_millis((at.millis().div_euclid(HOUR_MILLIS) + 1) * HOUR_MILLIS);
    }
}

#[cfg(test)]
mod tests {
    use tollkeeper_engine::GroupBy;
    use tollkeeper_ledger::{OperationId, WorkerId};
    use tollkeeper_testkit::random::Random;

    use super::*;
    use crate::reports::local_time::{read_date, zone};

    fn day(zone_name: &str, date: &str) -> Timestamp {
        start_of(&zone(zone_name), read_date(date).expect("it is a date"))
    }

    fn group(time: Timestamp, operation: &str, worker: &str) -> UsageGroup {
        UsageGroup {
            time: Some(time),
            operation: OperationId::new(operation).ok(),
            worker: WorkerId::new(worker).ok(),
            ..UsageGroup::default()
        }
    }

    fn sums(charged: i64, refunded: i64) -> UsageSums {
        let [charged, refunded] = [charged, refunded].map(Micros::new);
        UsageSums { runs: 1, quantity: 1, charged, refunded }
    }

    /// A table of rows, each with its date, its operation, what was charged and refunded.
    fn table(zone: &str, range: [&str; 2], step: TimeStep, rows: &[(&str, &str, i64, i64)]) -> UsageTable {
        let [from, to] = range.map(|date| day(zone, date));
        let rows = rows.iter().map(|(date, operation, charged, refunded)| {
            (group(day(zone, date), operation, ""), sums(*charged, *refunded))
        });
        let rows: Vec<_> = rows.collect();
        let mut total = UsageSums::default();
        rows.iter().for_each(|(_, sums)| total.add(*sums));
        let report = UsageReport { timezone: zone.into(), from, to, rebuilding: false, rows, total };
        UsageTable::new(report, GroupBy { operation: true, time: Some(step), ..GroupBy::default() })
    }

    fn amounts(series: &UsageSeries) -> Vec<(&str, Vec<i64>)> {
        let numbers = |amounts: &[Micros]| amounts.iter().map(|amount| amount.get()).collect();
        let own = series.series.iter().map(|Series { key, amounts }| {
            (key.operation.as_ref().map_or("", OperationId::as_str), numbers(amounts))
        });
        own.chain(series.others.iter().map(|others| ("others", numbers(&others.amounts)))).collect()
    }

    #[test]
    fn days_without_use_have_a_period() {
        let rows = [("2026-11-02", "a", 500, 0), ("2026-11-04", "a", 0, 200), ("2026-11-04", "b", 900, 0)];
        let table = table("Asia/Kathmandu", ["2026-11-01", "2026-11-06"], TimeStep::Day, &rows);
        let series = table.series(6).expect("it is grouped by time");
        assert_eq!(amounts(&series), [("b", vec![0, 0, 0, 900, 0]), ("a", vec![0, 500, 0, -200, 0])]);
        assert_eq!((series.every, series.others), (Every::Day, None));
        assert_eq!(series.periods[0].start, day("Asia/Kathmandu", "2026-11-01"));
        assert_eq!(series.periods[4].end, day("Asia/Kathmandu", "2026-11-06"));
    }

    #[test]
    fn names_beyond_the_most_share_a_row() {
        let rows = [
            ("2026-11-01", "a", 100, 0),
            ("2026-11-01", "b", 300, 0),
            ("2026-11-01", "c", 200, 0),
            ("2026-11-02", "d", 200, 0),
        ];
        let table = table("UTC", ["2026-11-01", "2026-11-03"], TimeStep::Day, &rows);
        let series = table.series(2).expect("it is grouped by time");
        let expected = [("b", vec![300, 0]), ("c", vec![200, 0]), ("others", vec![100, 200])];
        assert_eq!(amounts(&series), expected);
        assert_eq!(series.others.map(|others| others.names), Some(2));
        assert_eq!(table.names().len(), 4);
    }

    #[test]
    fn every_amount_of_the_table_is_in_one_series() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let dates = ["2026-10-30", "2026-10-31", "2026-11-01", "2026-11-02", "2026-11-07"];
            let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
            let mut rows = Vec::new();
            for date in dates {
                for name in names {
                    let charged = if random.percent(60) { random.below(900) as i64 } else { 0 };
                    rows.push((date, name, charged, random.below(300) as i64));
                }
            }
            let step = *random.pick(&[TimeStep::Hour, TimeStep::Day, TimeStep::Month]);
            let zone = *random.pick(&["UTC", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Apia"]);
            let most = random.below(8) as usize;
            let table = table(zone, ["2026-10-30", "2026-11-08"], step, &rows);
            let series = table.series(most).expect("it is grouped by time");
            for series in [series.clone(), series.by_week()] {
                let all = amounts(&series);
                let shown: i64 = all.iter().flat_map(|(_, amounts)| amounts).sum();
                assert_eq!(shown, net(table.report.total).get(), "seed {seed}");
                for (name, of_name) in all.iter().filter(|(name, _)| *name != "others") {
                    let rows = rows.iter().filter(|row| row.1 == *name);
                    let expected: i64 = rows.map(|(_, _, charged, refunded)| charged - refunded).sum();
                    assert_eq!(of_name.iter().sum::<i64>(), expected, "seed {seed}: {name}");
                }
                assert!(series.series.len() <= most, "seed {seed}");
            }
        }
    }

    #[test]
    fn periods_follow_the_clock_of_the_zone() {
        let count = |zone: &str, range: [&str; 2], step| {
            let series = table(zone, range, step, &[]).series(6).expect("it is grouped by time");
            let periods = &series.periods;
            assert!(periods.windows(2).all(|pair| pair[0].end == pair[1].start), "there is a gap");
            periods.len()
        };
        assert_eq!(count("America/New_York", ["2026-03-08", "2026-03-09"], TimeStep::Hour), 23);
        assert_eq!(count("America/New_York", ["2026-11-01", "2026-11-02"], TimeStep::Hour), 25);
        assert_eq!(count("Asia/Kathmandu", ["2026-11-01", "2026-11-02"], TimeStep::Hour), 25, "two parts");
        assert_eq!(
            count("Pacific/Apia", ["2011-12-29", "2012-01-01"], TimeStep::Day),
            2,
            "a day is left out"
        );
        assert_eq!(count("UTC", ["2025-11-30", "2026-12-01"], TimeStep::Day), 366);
        assert_eq!(count("UTC", ["2026-01-31", "2026-03-01"], TimeStep::Month), 2);
    }

    #[test]
    fn weeks_begin_on_monday_and_keep_every_amount() {
        // 1 November 2026 is a Sunday.
        let rows = [("2026-11-01", "a", 1, 0), ("2026-11-02", "a", 20, 0), ("2026-11-08", "a", 300, 0)];
        let table = table("UTC", ["2026-11-01", "2026-11-11"], TimeStep::Day, &rows);
        let weeks = table.series(6).expect("it is grouped by time").by_week();
        assert_eq!(amounts(&weeks), [("a", vec![1, 320, 0])]);
        assert_eq!((weeks.every, weeks.periods[2].end), (Every::Week, day("UTC", "2026-11-11")));
    }
}
