//! The markup: the table and the sentence hold every number, and nothing comes in by a name.

use std::path::Path;

use jiff::civil::date;
use tollkeeper_engine::UsageGroup;
use tollkeeper_ledger::{OperationId, Timestamp};

use super::*;
use crate::reports::local_time::{days_after, start_of, zone};
use crate::reports::usage::series::{Others, Series, UsageSeries};

/// The most bytes of a chart.
const BYTES_MAX: usize = 40_000;

fn usd(amount: Micros) -> String {
    (words().usd)(amount)
}

fn html(data: &ChartData) -> String {
    let html: ChartHtml = chart("use", "Use by operation", data, words());
    html.to_string()
}

/// The use of days from 1 November 2025, an amount a day and operation.
fn use_of_days(zone_name: &str, days: usize, amount: &dyn Fn(usize, usize) -> i64) -> UsageSeries {
    let zone = zone(zone_name);
    let start = |day: usize| start_of(&zone, days_after(date(2025, 11, 1), day as u32));
    let names =
        ["virtual_try_on", "product_listing", "background_removal", "support_message", "smart_pricing", "a"];
    let amounts = |series: usize| (0..days).map(|day| Micros::new(amount(series, day))).collect();
    let key = |name: &str| UsageGroup { operation: OperationId::new(name).ok(), ..UsageGroup::default() };
    let series =
        names.iter().enumerate().map(|(index, name)| Series { key: key(name), amounts: amounts(index) });
    UsageSeries {
        periods: (0..days).map(|day| start(day)..start(day + 1)).collect(),
        every: Every::Day,
        series: series.collect(),
        others: Some(Others { names: 3, amounts: amounts(names.len()) }),
        zone,
    }
}

fn operation(key: &UsageGroup) -> String {
    key.operation.as_ref().map_or("none", OperationId::as_str).to_owned()
}

fn chart_data(usage: UsageSeries, now: Timestamp) -> ChartData {
    let whole: Vec<UsageGroup> = usage.series.iter().map(|series| series.key.clone()).collect();
    ChartData::of(usage, now, &whole, &operation, words())
}

/// The cells of the rows of the table's body, the first row first.
fn rows(html: &str) -> Vec<Vec<String>> {
    let body = html.split("data-chart-rows>").nth(1).and_then(|rest| rest.split("<tfoot>").next());
    let cells = |row: &str| {
        let cells = row.split("<th scope=\"row\">").nth(1).expect("a row has a label").split("<td>");
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    body.expect("there is a table").split("<tr").skip(1).map(cells).collect()
}

#[test]
fn every_number_is_in_the_table_and_the_sums_are_in_the_sentence() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let bars = 1 + random.below(100) as usize;
        let data = random_data(&mut random, bars);
        let html = html(&data);
        let rows = rows(&html);
        assert_eq!(rows.len(), bars, "seed {seed}");
        for (bar, row) in rows.iter().rev().enumerate() {
            let amounts = data.series.iter().map(|series| series.amounts[bar]);
            let total: Micros = amounts.clone().sum();
            let expected: Vec<String> = std::iter::once(total).chain(amounts).map(usd).collect();
            assert!(row[0].starts_with(&data.bars[bar].label), "seed {seed}: days are newest first");
            assert_eq!(row[1..], expected, "seed {seed}, bar {bar}");
        }
        let sums = data.series.iter().map(|series| series.amounts.iter().copied().sum::<Micros>());
        let total: Micros = sums.clone().sum();
        let foot = html.split("<tfoot>").nth(1).expect("there is a row of totals");
        assert!(foot.contains(&format!("Total<td>{}", usd(total))), "seed {seed}");
        sums.for_each(|sum| assert!(foot.contains(&format!("<td>{}", usd(sum))), "seed {seed}"));
        let says = html.split("-says\">").nth(1).and_then(|rest| rest.split('<').next());
        let says = says.expect("there is a text alternative");
        assert!(says.contains(&format!("{} was used", usd(total))), "seed {seed}: {says}");
        let largest =
            (0..bars).map(|bar| data.series.iter().map(|series| series.amounts[bar]).sum::<Micros>());
        let largest = usd(largest.max().expect("there is a bar"));
        assert!(says.contains(&format!("with {largest}")), "seed {seed}: {says}");
    }
}

#[test]
fn a_small_amount_is_never_shown_as_zero() {
    let data = data(Every::Day, &[("a", &[9_000_000_000, 1])]);
    let html = html(&data);
    assert_eq!(rows(&html)[0][1..], ["$0.00001", "$0.00001"]);
    assert!(html.contains("v-4\""), "it is seen");
}

#[test]
fn a_year_is_small() {
    let usage = use_of_days("Europe/Berlin", 366, &|series, day| (series * 31 + day * 7 + 1) as i64 * 12_340);
    let now = usage.periods[365].start;
    let data = chart_data(usage.clone(), now);
    assert_eq!((data.every, data.bars.len()), (Every::Week, 53), "long ranges are shown by week");
    let sum = |amounts: &[Micros]| amounts.iter().copied().sum::<Micros>();
    for (series, days) in data.series.iter().zip(&usage.series) {
        assert_eq!(sum(&series.amounts), sum(&days.amounts), "weeks have the sum of their days");
    }
    let html = html(&data);
    assert!(html.len() < BYTES_MAX, "{} bytes", html.len());
    assert!(html.contains("From 1\u{a0}November 2025 to 1\u{a0}November 2026, "), "the range has whole days");
    assert_eq!(rows(&html)[0][0], "26\u{a0}Oct\u{2009}\u{2013}\u{2009}1\u{a0}November 2026, so far");
    assert_eq!(
        rows(&html)[52][0],
        "1\u{a0}Nov\u{2009}\u{2013}\u{2009}2\u{a0}November 2025",
        "the first week is cut"
    );
    // As many bars without weeks: hours of half a month.
    let bars: Vec<i64> = (0..366).map(|bar| (bar * 7_919) % 100_000 + 1).collect();
    let rows = ["a", "b", "c", "d", "e", "f", "g"].map(|name| (name, bars.as_slice()));
    let dense = super::html::html(&super::data(Every::Hour, &rows));
    let drawing = dense.split("</svg>").next().expect("it is not empty");
    assert!(drawing.len() < BYTES_MAX, "{} bytes", drawing.len());
    assert!(drawing.contains("chart-dense") && !drawing.contains("<title>"), "no gaps, and no texts");
}

#[test]
fn labels_are_few_and_hours_of_many_days_are_labeled_by_day() {
    let labels = |every, bars: usize| {
        let amounts = vec![1; bars];
        let html = html(&data(every, &[("a", &amounts)]));
        let texts = html.split("<text ").skip(1).filter_map(|text| text.split(['>', '<']).nth(1));
        texts.map(str::to_owned).collect::<Vec<String>>()
    };
    assert_eq!(labels(Every::Hour, 168), ["d0", "d24", "d48", "d72", "d96", "d120", "d144"]);
    assert_eq!(labels(Every::Hour, 24), ["d2", "d5", "d8", "d11", "d14", "d17", "d20", "d23"]);
    assert_eq!(labels(Every::Day, 3), ["d0", "d1", "d2"]);
    for bars in 1..200 {
        assert!((1..=8).contains(&labels(Every::Day, bars).len()), "{bars} bars");
    }
}

#[test]
fn nothing_used_is_said() {
    let none = chart_data(
        UsageSeries { series: vec![], others: None, ..use_of_days("UTC", 30, &|_, _| 0) },
        Timestamp::from_millis(0),
    );
    let html = html(&none);
    assert!(html.contains("Nothing was used in this range."));
    assert!(!html.contains("<svg") && !html.contains("<table") && !html.contains("data-chart"), "{html}");
    let refunded = super::html::html(&data(Every::Day, &[("a", &[0, 0])]));
    assert!(refunded.contains("From day 0 to day 1, $0.00 was used"), "what was refunded in full was used");
    assert!(refunded.contains("d=\"\""), "and has no height");
    let no_bars = super::html::html(&data(Every::Day, &[]));
    assert!(no_bars.contains("Nothing was used in this range."));
}

#[test]
fn hostile_names_are_escaped() {
    let hostile = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onload='alert(1)",
        "</title></svg><script>",
        "javascript:alert(1)",
        "{0}{1}{2}",
        "url(#x)",
    ];
    let rows: Vec<(&str, &[i64])> = hostile.iter().map(|name| (*name, &[1_000, 2_000][..])).collect();
    let html = html(&data(Every::Day, &rows));
    assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("onload='"), "{html}");
    let titled = chart("use", hostile[1], &data(Every::Day, &rows), words()).to_string();
    assert!(!titled.contains("<img"), "{titled}");
    let spark = sparkline(&data(Every::Day, &rows), words()).to_string();
    assert!(!spark.contains("<script") && !spark.contains("<img"), "{spark}");
}

#[test]
fn the_policy_of_pages_forbids_nothing_of_it() {
    let html = html(&random_data(&mut Random::new(7), 30));
    for forbidden in [" style=", "<style", "<script", " on", "javascript:", "http:", "https:"] {
        assert!(!html.contains(forbidden), "{forbidden} in {html}");
    }
    let ids: Vec<&str> = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "ids are unique: {ids:?}");
    for reference in html.split("url(#").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(ids.contains(&reference), "{reference} is defined");
    }
}

#[test]
fn a_chart_looks_as_it_was() {
    let amounts = [[200_000, 340_000, 0, 120_000], [50_000, 0, -20_000, 61_500], [500, 500, 500, 1]];
    let names = ["virtual_try_on", "product_listing", "support & more"];
    let rows: Vec<(&str, &[i64])> = names.into_iter().zip(amounts.iter().map(|row| &row[..])).collect();
    let data = data(Every::Day, &rows);
    for (name, content) in [("bars", html(&data)), ("sparkline", sparkline(&data, words()).to_string())] {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/chart"));
        let file = folder.join(format!("{name}.html"));
        if std::env::var_os("TOLLKEEPER_WRITE_DOCS").is_some_and(|value| value == "1") {
            std::fs::write(&file, &content).expect("the folder is writable");
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        let hint = "differs; look at it, and write it with TOLLKEEPER_WRITE_DOCS=1";
        assert_eq!(content, kept, "{} {hint}", file.display());
    }
}
