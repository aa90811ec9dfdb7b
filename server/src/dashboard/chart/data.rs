//! From the series of a report to what a chart shows: bars with labels, series with names and
//! colors.

use std::ops::Range;

use jiff::tz::TimeZone;
use tollkeeper_engine::UsageGroup;
use tollkeeper_ledger::{Micros, Timestamp};

use super::words::{ChartWords, Span};
use super::{DAYS_MAX, SERIES_MAX};
use crate::reports::local_time::{date_of, time_of};
use crate::reports::usage::series::{Every, Others, Series, UsageSeries};

/// The color of the series of all others.
pub const OTHERS_COLOR: usize = SERIES_MAX;

/// What a chart shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChartData {
    /// How long a bar is.
    pub every: Every,
    /// The label of the beginning of the range: its first hour, day or month.
    pub first: String,
    /// The label of the end of the range: its last hour, day or month.
    pub last: String,
    /// The bars, the oldest first.
    pub bars: Vec<Bar>,
    /// The series, the largest first.
    pub series: Vec<ChartSeries>,
}

/// A bar, without its amounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    /// Its label in sentences and in the table.
    pub label: String,
    /// Its label below the axis.
    pub short: String,
    /// Whether the bar before is of another day.
    pub begins_day: bool,
    /// Whether it has not ended.
    pub is_so_far: bool,
}

/// A series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChartSeries {
    /// The name.
    pub name: String,
    /// The index of the color, below [`SERIES_MAX`]; [`OTHERS_COLOR`] for the series of all others.
    pub color: usize,
    /// An amount for each bar.
    pub amounts: Vec<Micros>,
}

impl ChartData {
    /// What a chart shows of the use of a range. Days become weeks if there are more than
    /// [`DAYS_MAX`]. `whole` are the names of the use without a filter, in an order that does not
    /// change from page to page; colors follow from it. `name` is how a name is shown.
    pub(crate) fn of(
        usage: UsageSeries,
        now: Timestamp,
        whole: &[UsageGroup],
        name: &dyn Fn(&UsageGroup) -> String,
        words: &ChartWords,
    ) -> ChartData {
        let is_long = usage.every == Every::Day && usage.periods.len() > DAYS_MAX;
        let UsageSeries { zone, every, periods, series, others } =
            if is_long { usage.by_week() } else { usage };
        let years = periods.iter().map(|period| last_date(&zone, period.end).year());
        let names_year = years.clone().min() != years.max();
        let span = |period: &Range<Timestamp>| {
            let begin = time_of(&zone, period.start);
            Span { every, begin, last: last_date(&zone, period.end), names_year }
        };
        let bars = periods.iter().enumerate().map(|(index, period)| {
            let span_here = span(period);
            let [label, short] = [words.label, words.short_label].map(|label| label(&span_here));
            let before = index.checked_sub(1).map(|before| span(&periods[before]).begin.date());
            let begins_day = before.is_some_and(|before| before != span_here.begin.date());
            Bar { label, short, begins_day, is_so_far: period.contains(&now) }
        });
        // A week is no end of a range: its first or last day is.
        let edge = |span: Span| match every {
            Every::Week => (words.label)(&Span { every: Every::Day, ..span }),
            _ => (words.label)(&span),
        };
        let first = periods.first().map(|period| edge(span(period)));
        let last = periods.last().map(|period| {
            let span = span(period);
            let begin = if every == Every::Week { span.last.at(0, 0, 0, 0) } else { span.begin };
            edge(Span { begin, ..span })
        });
        let keys: Vec<&UsageGroup> = series.iter().map(|Series { key, .. }| key).collect();
        let colors = colors(&keys, whole);
        let own = series.iter().zip(colors).map(|(Series { key, amounts }, color)| ChartSeries {
            name: name(key),
            color,
            amounts: amounts.clone(),
        });
        let others = others.map(|Others { names, amounts }| ChartSeries {
            name: (words.other)(names),
            color: OTHERS_COLOR,
            amounts,
        });
        ChartData {
            every,
            first: first.unwrap_or_default(),
            last: last.unwrap_or_default(),
            bars: bars.collect(),
            series: own.chain(others).collect(),
        }
    }
}

fn last_date(zone: &TimeZone, end: Timestamp) -> jiff::civil::Date {
    date_of(zone, Timestamp::from_millis(end.millis() - 1))
}

/// A color for each name that is shown. The one that a name has follows from its place in `whole`.
/// If two names would have the same color, the earlier one has it, and the other one takes the next
/// that is free.
///
/// # Panics
/// If more than [`SERIES_MAX`] names are shown.
pub(crate) fn colors<T: PartialEq>(shown: &[&T], whole: &[T]) -> Vec<usize> {
    assert!(shown.len() <= SERIES_MAX, "each series has a color of its own");
    let place = |name: &T| whole.iter().position(|other| other == name).unwrap_or(whole.len());
    let mut places: Vec<(usize, usize)> =
        shown.iter().enumerate().map(|(index, name)| (place(name), index)).collect();
    places.sort_unstable();
    let mut colors = vec![OTHERS_COLOR; shown.len()];
    for (place, index) in places {
        let wanted = (0..SERIES_MAX).map(|step| (place + step) % SERIES_MAX);
        let free = wanted.into_iter().find(|color| !colors.contains(color));
        colors[index] = free.unwrap_or(OTHERS_COLOR);
    }
    colors
}
