//! The texts of charts.

use jiff::tz::TimeZone;

use crate::dashboard::chart::{Alternative, ChartWords, Span};
use crate::language::{Format, Language};
use crate::reports::usage::series::Every;

/// How values are written. Charts pass dates and hours of their time zone, so no zone is needed.
const fn format(language: Language) -> Format {
    Format { language, zone: TimeZone::UTC }
}

pub(super) const ENGLISH: ChartWords = ChartWords {
    usd: |amount| format(Language::English).usd(amount),
    axis_usd: |amount| format(Language::English).usd(amount).trim_end_matches(".00").to_owned(),
    label: |span| label(span, Language::English),
    short_label: |span| short_label(span, Language::English),
    so_far: |label| format!("{label}, so far"),
    bar: |label, amount, largest| match largest {
        Some(name) => format!("{label}: {amount}, mostly {name}"),
        None => format!("{label}: {amount}"),
    },
    alternative: |Alternative { every, first, last, total, highest: [label, amount], largest }| {
        let period = match every {
            Every::Hour => "hour",
            Every::Day => "day",
            Every::Week => "week",
            Every::Month => "month",
        };
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
    hint: "Point at or tap a bar, or use the arrow keys.",
};

pub(super) const GERMAN: ChartWords = ChartWords {
    usd: |amount| format(Language::German).usd(amount),
    axis_usd: |amount| format(Language::German).usd(amount).replace(",00\u{a0}", "\u{a0}"),
    label: |span| label(span, Language::German),
    short_label: |span| short_label(span, Language::German),
    so_far: |label| format!("{label}, bis jetzt"),
    bar: |label, amount, largest| match largest {
        Some(name) => format!("{label}: {amount}, vor allem {name}"),
        None => format!("{label}: {amount}"),
    },
    alternative: |Alternative { every, first, last, total, highest: [label, amount], largest }| {
        let highest = match every {
            Every::Hour => "die höchste Stunde war",
            Every::Day => "der höchste Tag war",
            Every::Week => "die höchste Woche war",
            Every::Month => "der höchste Monat war",
        };
        let largest = largest.map(|[name, sum]| format!(", und der größte Teil war {name} mit {sum}"));
        let largest = largest.unwrap_or_default();
        format!("Von {first} bis {last} wurden {total} verbraucht; {highest} {label} mit {amount}{largest}.")
    },
    empty: "In diesem Zeitraum wurde nichts verbraucht.",
    other: |names| format!("Andere ({names})"),
    total: "Summe",
    period: |every| match every {
        Every::Hour => "Stunde",
        Every::Day => "Tag",
        Every::Week => "Woche",
        Every::Month => "Monat",
    },
    open_table: "Zahlen zeigen",
    caption: |title| format!("{title}, in US-Dollar"),
    role: "Diagramm",
    hint: "Zeigen oder tippen Sie auf einen Balken, oder nehmen Sie die Pfeiltasten.",
};

/// A period in a sentence or a table.
fn label(span: &Span, language: Language) -> String {
    let format = format(language);
    let date = |date| if span.names_year { format.date(date) } else { format.long_day(date) };
    let begin = span.begin.date();
    match span.every {
        Every::Hour => format!("{}, {:02}:{:02}", date(begin), span.begin.hour(), span.begin.minute()),
        Every::Day => date(begin),
        Every::Week if begin == span.last => date(begin),
        Every::Week => format!("{}\u{2009}\u{2013}\u{2009}{}", format.short_date(begin), date(span.last)),
        Every::Month => format.month_of(begin),
    }
}

/// A period below the axis.
fn short_label(span: &Span, language: Language) -> String {
    let begin = span.begin.date();
    match span.every {
        Every::Hour => format!("{:02}:{:02}", span.begin.hour(), span.begin.minute()),
        Every::Month => format!("{:02}/{}", begin.month(), begin.year()),
        Every::Day | Every::Week => format(language).short_date(begin),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use tollkeeper_ledger::Micros;

    use super::*;

    #[test]
    fn periods_are_named_in_each_language() {
        let span =
            |every, last| Span { every, begin: date(2026, 3, 5).at(14, 0, 0, 0), last, names_year: false };
        let day = span(Every::Day, date(2026, 3, 5));
        assert_eq!((ENGLISH.label)(&day), "5\u{a0}March");
        assert_eq!((GERMAN.label)(&day), "5.\u{a0}März");
        assert_eq!((GERMAN.label)(&Span { names_year: true, ..day }), "5.\u{a0}März 2026");
        assert_eq!((ENGLISH.short_label)(&day), "5\u{a0}Mar");
        let hour = span(Every::Hour, date(2026, 3, 5));
        assert_eq!((ENGLISH.label)(&hour), "5\u{a0}March, 14:00");
        assert_eq!((ENGLISH.short_label)(&hour), "14:00");
        let week = span(Every::Week, date(2026, 3, 8));
        assert_eq!((ENGLISH.label)(&week), "5\u{a0}Mar\u{2009}\u{2013}\u{2009}8\u{a0}March");
        let month = span(Every::Month, date(2026, 3, 31));
        assert_eq!(
            ((GERMAN.label)(&month), (GERMAN.short_label)(&month)),
            ("März 2026".into(), "03/2026".into())
        );
        assert_eq!((ENGLISH.axis_usd)(Micros::new(2_000_000)), "$20");
        assert_eq!((GERMAN.axis_usd)(Micros::new(2_000_000)), "20\u{a0}$");
        assert_eq!((GERMAN.axis_usd)(Micros::new(50_000)), "0,50\u{a0}$");
    }
}
