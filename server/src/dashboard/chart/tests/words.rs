//! The texts of the charts that are tested.

use jiff::civil::Date;
use tollkeeper_ledger::Micros;

use crate::dashboard::chart::{Alternative, ChartWords, Span};
use crate::reports::usage::series::Every;
use crate::wire::write::grouped_usd;

pub const ENGLISH: ChartWords = ChartWords {
    usd: |amount| match amount < Micros::ZERO {
        true => format!("−${}", grouped_usd(Micros::ZERO - amount)),
        false => format!("${}", grouped_usd(amount)),
    },
    axis_usd: |amount| (ENGLISH.usd)(amount).trim_end_matches(".00").to_owned(),
    label: |span| english(span, ["%-d", "%-d %B", "%-d %B %Y"]),
    short_label: |span| match span.every {
        Every::Hour if span.begin.hour() > 0 => span.begin.strftime("%H:%M").to_string(),
        Every::Month => span.begin.strftime("%b %Y").to_string(),
        _ => span.begin.strftime("%-d %b").to_string(),
    },
    so_far: |label| format!("{label}, so far"),
    bar: |label, amount, largest| match largest {
        Some(name) => format!("{label}: {amount}, mostly {name}"),
        None => format!("{label}: {amount}"),
    },
    alternative: |Alternative { every, first, last, total, highest: [label, amount], largest }| {
        let period = (ENGLISH.period)(*every).to_lowercase();
        let largest = largest.map(|[name, sum]| format!(", and the largest part was {name} with {sum}"));
        let largest = largest.unwrap_or_default();
        format!(
            "From {first} to {last}, {total} was used; the highest {period} was {label} with {amount}{largest}."
        )
    },
    empty: "Nothing was used in this range.",
    other: |names| format!("Other ({names})"),
    total: "Total",
    period: |every| match every {
        Every::Hour => "Hour",
        Every::Day => "Day",
        Every::Week => "Week",
        Every::Month => "Month",
    },
    open_table: "Show the numbers",
    caption: |title| format!("{title}, in US dollars"),
    role: "chart",
    hint: "Point at a bar or use the arrow keys to read it.",
};

/// A label in English; the patterns show a day, a day with its month, and both with the year.
fn english(span: &Span, [day, month, year]: [&str; 3]) -> String {
    let whole = if span.names_year { year } else { month };
    let date = |date: Date, pattern: &str| date.strftime(pattern).to_string();
    let begin = span.begin.date();
    match span.every {
        Every::Hour => format!("{}, {}", date(begin, whole), span.begin.strftime("%H:%M")),
        Every::Day => date(begin, whole),
        Every::Week if begin.month() == span.last.month() => {
            format!("{} to {}", date(begin, day), date(span.last, whole))
        }
        Every::Week => {
            let of_begin = if begin.year() == span.last.year() { month } else { whole };
            format!("{} to {}", date(begin, of_begin), date(span.last, whole))
        }
        Every::Month => date(begin, "%B %Y"),
    }
}
