//! Charts as pages show them: every number is there, bars are as high as their amounts, colors
//! stay, and texts of tenants are escaped.

mod assets;
mod html;
mod paths;

use tollkeeper_testkit::random::Random;

use super::*;
use crate::language::Language;
use crate::reports::usage::series::Every;
use tollkeeper_ledger::Micros;

/// The texts that the charts are tested with.
fn words() -> &'static ChartWords {
    &Language::English.words().chart
}

/// Data with these amounts, a row a series.
fn data(every: Every, rows: &[(&str, &[i64])]) -> ChartData {
    let bars = rows.first().map_or(0, |(_, amounts)| amounts.len());
    let bar = |index| Bar {
        label: format!("day {index}"),
        short: format!("d{index}"),
        begins_day: index % 24 == 0,
        is_so_far: index + 1 == bars,
    };
    let series = rows.iter().enumerate().map(|(color, (name, amounts))| ChartSeries {
        name: (*name).to_owned(),
        color,
        amounts: amounts.iter().copied().map(Micros::new).collect(),
    });
    let [first, last] = [0, bars.saturating_sub(1)].map(|bar| format!("day {bar}"));
    ChartData { every, first, last, bars: (0..bars).map(bar).collect(), series: series.collect() }
}

/// Random data: up to seven series, many zeros, large and small amounts, refunds above the use.
fn random_data(random: &mut Random, bars: usize) -> ChartData {
    let names = ["a", "b", "c", "d", "e", "f", "others"];
    let count = 1 + random.below(names.len() as u64) as usize;
    let scale = *random.pick(&[1, 500, 20_000, 3_000_000_000]);
    let mut amount = || {
        let sign = if random.percent(5) { -1 } else { 1 };
        if random.percent(40) { 0 } else { sign * scale * (1 + random.below(1_000) as i64) }
    };
    let rows: Vec<Vec<i64>> = (0..count).map(|_| (0..bars).map(|_| amount()).collect()).collect();
    let rows: Vec<(&str, &[i64])> = names.into_iter().zip(rows.iter().map(Vec::as_slice)).collect();
    data(Every::Day, &rows)
}
