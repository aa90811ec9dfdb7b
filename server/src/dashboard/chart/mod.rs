//! The chart of use: stacked bars in SVG, a legend, a sentence that says the same, and a table with
//! every number. A sparkline is the same drawing without axes.
//!
//! A chart is a function from [`ChartData`] to HTML. It reads nothing and knows no language: texts
//! come in as [`ChartWords`]. The markup has no `style` attribute and no script, because the policy
//! of the pages forbids both: what depends on data is an attribute of SVG, and the rest is in
//! `server/assets/chart.css`.
//!
//! What it guarantees:
//!
//! - Every amount of the data is in the table, and its sums are in the sentence.
//! - An amount that is not zero is seen.
//! - A name keeps its color and texture under every filter.
//! - Texts of tenants are escaped.
//!
//! ```text
//! data      from the series of a report to bars with labels, names and colors
//! scale     round values of the axis
//! bars      stacked parts, one path per series
//! drawing   what the templates show
//! words     the texts, in one language
//! ```

mod bars;
mod data;
mod drawing;
mod scale;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use data::ChartData;
#[cfg(test)]
pub(crate) use data::{Bar, ChartSeries, colors};
pub(crate) use drawing::{ChartHtml, chart, sparkline};
pub(crate) use words::{Alternative, ChartWords, Span};

/// The most series of a chart, without the one of all others.
pub(crate) const SERIES_MAX: usize = 6;

/// The most days that have a bar each. Longer ranges are shown by week.
pub(crate) const DAYS_MAX: usize = 92;
