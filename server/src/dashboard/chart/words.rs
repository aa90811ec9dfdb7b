//! The texts of a chart, as a language gives them. They are whole sentences: the chart joins no
//! words.

use jiff::civil::{Date, DateTime};
use tollkeeper_ledger::Micros;

use crate::reports::usage::series::Every;

/// The texts of a chart in one language.
#[derive(Debug)]
pub struct ChartWords {
    /// An amount in dollars, exact, such as `$3.20`.
    pub usd: fn(Micros) -> String,
    /// An amount beside the axis; whole dollars without decimals, such as `$20`.
    pub axis_usd: fn(Micros) -> String,
    /// A period in a sentence or a table, such as `12 November`.
    pub label: fn(&Span) -> String,
    /// A period below the axis, such as `12 Nov`.
    pub short_label: fn(&Span) -> String,
    /// A period that has not ended, from its label: `29 November, so far`.
    pub so_far: fn(&str) -> String,
    /// What a bar shows, from its label, its amount and its largest part:
    /// `12 November: $3.20, mostly virtual_try_on`. A bar of one series has no largest part.
    pub bar: fn(&str, &str, Option<&str>) -> String,
    /// The text alternative of a chart, one sentence.
    pub alternative: fn(&Alternative) -> String,
    /// What is said instead of a chart without use.
    pub empty: &'static str,
    /// The series of all names that have no series of their own, from their number: `Other (3)`.
    pub other: fn(usize) -> String,
    /// The total of a row or a column.
    pub total: &'static str,
    /// The heading of the column of periods: `Day`.
    pub period: fn(Every) -> &'static str,
    /// The button that opens the table.
    pub open_table: &'static str,
    /// The caption of the table, from the title of the chart.
    pub caption: fn(&str) -> String,
    /// What a screen reader calls the chart: `chart`.
    pub role: &'static str,
    /// How a bar is read with pointer or keyboard.
    pub hint: &'static str,
}

/// The time of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// How long it is.
    pub every: Every,
    /// When it begins, by the clocks of the time zone.
    pub begin: DateTime,
    /// Its last date.
    pub last: Date,
    /// Whether the chart shows more than one year, so that a label must name it.
    pub names_year: bool,
}

/// What the text alternative says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternative<'a> {
    /// How long a bar is.
    pub every: Every,
    /// The label of the first hour, day or month.
    pub first: &'a str,
    /// The label of the last hour, day or month.
    pub last: &'a str,
    /// The total.
    pub total: &'a str,
    /// The label and the amount of the highest bar.
    pub highest: [&'a str; 2],
    /// The name and the total of the largest series, if there is more than one.
    pub largest: Option<[&'a str; 2]>,
}
