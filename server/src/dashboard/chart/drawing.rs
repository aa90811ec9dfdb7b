//! What the templates show: the texts and the geometry of a chart, ready to be written.

use std::fmt;
use std::fmt::Write;

use askama::Template;
use askama::filters::HtmlSafe;
use tollkeeper_ledger::Micros;

use super::DAYS_MAX;
use super::bars::Stack;
use super::data::{ChartData, OTHERS_COLOR};
use super::words::{Alternative, ChartWords};
use crate::reports::usage::series::Every;

/// The most bars with gaps between them.
const GAPS_MAX: usize = 120;

/// About the number of labels below the axis of a wide page. A narrow one shows every second.
const LABELS: usize = 8;

/// The most hours that are labeled as hours.
const HOURS_MAX: usize = 48;

/// Places across the drawing are written in hundredths of a percent.
const ACROSS: usize = 10_000;

/// The middle of a bar from which on its label ends with the drawing.
const END_FROM: usize = 9_500;

/// The HTML of a chart, which a template shows as it is.
#[derive(Clone, Debug)]
pub(crate) struct ChartHtml(String);

impl fmt::Display for ChartHtml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for ChartHtml {}

/// Everything that the template of a chart shows.
#[derive(Template)]
#[template(path = "dashboard/chart.html")]
struct Chart<'a> {
    id: &'a str,
    title: &'a str,
    words: &'a ChartWords,
    /// The sentence that says what the drawing shows.
    alternative: String,
    /// The values beside the axis, from the top.
    values: Vec<String>,
    /// The path of the lines at these values.
    lines: String,
    /// Where zero is.
    zero: i128,
    labels: Vec<Label<'a>>,
    /// Whether bars have no gap between them.
    is_dense: bool,
    /// Whether each bar has a text that a pointer shows.
    has_texts: bool,
    bars: Vec<BarView>,
    /// The bar that has not ended: its index and its label.
    so_far: Option<(usize, &'a str)>,
    series: Vec<SeriesView<'a>>,
    /// The heading of the column of periods, and the caption of the table.
    period: &'a str,
    caption: String,
    total: String,
    /// The sentence of a bar with `{0}` for its label, `{1}` for its amount and `{2}` for its
    /// largest series; then the one of a bar without a largest series.
    sentences: [String; 2],
}

/// A label below the axis.
struct Label<'a> {
    text: &'a str,
    /// Its place, as a percentage of the width.
    x: String,
    /// Whether it ends there, so that it does not leave the drawing.
    is_end: bool,
    /// Whether a narrow page leaves it out.
    is_wide: bool,
}

/// A bar: a text for the pointer, and a row of the table.
struct BarView {
    label: String,
    text: String,
    total: String,
    /// The index of its largest series.
    largest: Option<usize>,
    amounts: Vec<String>,
}

/// A series: a path, an item of the legend, and a column of the table.
struct SeriesView<'a> {
    name: &'a str,
    color: usize,
    path: String,
    total: String,
}

/// Everything that the template of a sparkline shows.
#[derive(Template)]
#[template(path = "dashboard/chart_sparkline.html")]
struct Sparkline {
    alternative: String,
    width: usize,
    path: String,
}

/// The chart of some data with its legend, its text alternative and its table. `id` begins the ids
/// of its elements; it is unique in the page.
pub(crate) fn chart(id: &str, title: &str, data: &ChartData, words: &ChartWords) -> ChartHtml {
    let ChartData { every, bars, series, .. } = data;
    let amounts: Vec<&[Micros]> = series.iter().map(|series| &series.amounts[..]).collect();
    let stack = Stack::of(&amounts, bars.len());
    let so_far = bars.iter().position(|bar| bar.is_so_far);
    let views = series.iter().enumerate().map(|(index, series)| SeriesView {
        name: &series.name,
        color: series.color,
        path: stack.path(index),
        total: (words.usd)(series.amounts.iter().copied().sum()),
    });
    let values = stack.scale.values();
    let chart = Chart {
        id,
        title,
        words,
        alternative: alternative(data, words),
        lines: lines(&stack, &values, bars.len()),
        values: values.into_iter().map(words.axis_usd).collect(),
        zero: stack.scale.y(0),
        labels: labels(data),
        is_dense: bars.len() > GAPS_MAX,
        has_texts: bars.len() <= DAYS_MAX,
        bars: bar_views(data, words),
        so_far: so_far.map(|bar| (bar, bars[bar].label.as_str())),
        series: views.collect(),
        period: (words.period)(*every),
        caption: (words.caption)(title),
        total: (words.usd)(amounts.iter().flat_map(|amounts| amounts.iter().copied()).sum()),
        sentences: [(words.bar)("{0}", "{1}", Some("{2}")), (words.bar)("{0}", "{1}", None)],
    };
    rendered(&chart)
}

/// The totals of the bars as a small drawing without axes. The text alternative is the one of the
/// chart.
pub(crate) fn sparkline(data: &ChartData, words: &ChartWords) -> ChartHtml {
    let totals = totals(data);
    let stack = Stack::of(&[&totals], totals.len());
    rendered(&Sparkline {
        alternative: alternative(data, words),
        width: totals.len().max(1),
        path: stack.path(0),
    })
}

fn rendered(template: &impl Template) -> ChartHtml {
    ChartHtml(template.render().expect("the templates are written to a String"))
}

/// The total of each bar.
fn totals(data: &ChartData) -> Vec<Micros> {
    let total = |bar: usize| data.series.iter().map(|series| series.amounts[bar]).sum();
    (0..data.bars.len()).map(total).collect()
}

/// The sentence that says what the drawing shows.
fn alternative(data: &ChartData, words: &ChartWords) -> String {
    let totals = totals(data);
    let highest = (0..totals.len()).rev().max_by_key(|bar| totals[*bar]);
    let Some(highest) = highest.filter(|_| !data.series.is_empty()) else {
        return words.empty.to_owned();
    };
    let sums = data.series.iter().filter(|series| series.color != OTHERS_COLOR);
    let sums = sums.map(|series| (&series.name, series.amounts.iter().copied().sum::<Micros>()));
    let largest = sums.rev().max_by_key(|(_, sum)| *sum).filter(|_| data.series.len() > 1);
    let largest = largest.map(|(name, sum)| (name, (words.usd)(sum)));
    let highest_amount = (words.usd)(totals.into_iter().max().unwrap_or_default());
    let total: Micros = data.series.iter().flat_map(|series| series.amounts.iter().copied()).sum();
    (words.alternative)(&Alternative {
        every: data.every,
        first: &data.first,
        last: &data.last,
        total: &(words.usd)(total),
        highest: [&data.bars[highest].label, &highest_amount],
        largest: largest.as_ref().map(|(name, sum)| [name.as_str(), sum.as_str()]),
    })
}

/// The path of the lines at the values of the axis.
fn lines(stack: &Stack, values: &[Micros], bars: usize) -> String {
    let mut path = String::new();
    for value in values {
        let y = stack.scale.y(i128::from(value.get()));
        write!(path, "M0 {y}h{bars}").expect("a String takes every text");
    }
    path
}

/// The labels below the axis, evenly spread, so that the last bar has one. Where hours are of more
/// than two days, the beginnings of days have labels.
fn labels(data: &ChartData) -> Vec<Label<'_>> {
    let count = data.bars.len();
    let is_of_days = data.every == Every::Hour && count > HOURS_MAX;
    let labeled = (0..count).filter(|bar| !is_of_days || data.bars[*bar].begins_day);
    let labeled: Vec<usize> = labeled.collect();
    let step = labeled.len().div_ceil(LABELS).max(1);
    let mut labels: Vec<Label<'_>> = Vec::new();
    for (place, bar) in labeled.into_iter().rev().step_by(step).enumerate() {
        let middle = ACROSS * (2 * bar + 1) / (2 * count);
        let is_end = middle > END_FROM;
        let x = if is_end { ACROSS } else { middle };
        labels.push(Label {
            text: &data.bars[bar].short,
            x: format!("{}.{:02}%", x / 100, x % 100),
            is_end,
            is_wide: place % 2 == 1,
        });
    }
    labels.reverse();
    labels
}

fn bar_views(data: &ChartData, words: &ChartWords) -> Vec<BarView> {
    let view = |(index, total): (usize, Micros)| {
        let bar = &data.bars[index];
        let label = if bar.is_so_far { (words.so_far)(&bar.label) } else { bar.label.clone() };
        let amounts: Vec<Micros> = data.series.iter().map(|series| series.amounts[index]).collect();
        let largest = (0..amounts.len()).rev().max_by_key(|series| amounts[*series]);
        let largest = largest.filter(|_| amounts.len() > 1 && total > Micros::ZERO);
        let total = (words.usd)(total);
        let name = largest.map(|series| data.series[series].name.as_str());
        BarView {
            text: (words.bar)(&label, &total, name),
            label,
            total,
            largest,
            amounts: amounts.into_iter().map(words.usd).collect(),
        }
    };
    totals(data).into_iter().enumerate().map(view).collect()
}
