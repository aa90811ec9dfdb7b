//! The geometry of a chart: stacked bars as one path per series.
//!
//! The drawing is as wide as there are bars, and [`HEIGHT`] units high. The page stretches it. A
//! bar is a vertical line whose width is a share of one unit, which needs fewer bytes than a
//! rectangle. Amounts above zero are stacked upwards and those below zero downwards, in the order
//! of the series.
//!
//! A bar is as high as its amount, to the unit. A part of it that is not zero is at least
//! [`PART_MIN`] high, so that it is seen. The largest part of the bar gives what that takes. A gap
//! of [`PART_GAP`] is below the next part.

use std::fmt::Write;

use tollkeeper_ledger::Micros;

use super::scale::{HEIGHT, Scale};

/// The least height of a part that is not zero: about a pixel.
pub const PART_MIN: i128 = 4;

/// The gap between two parts of a bar.
pub const PART_GAP: i128 = 4;

/// The least height of a part that gives the gap.
const GAP_FROM: i128 = 16;

/// The parts of all bars, and their axis.
#[derive(Debug)]
pub struct Stack {
    /// The axis.
    pub scale: Scale,
    /// For each bar, the part of each series; `None` if it is zero.
    bars: Vec<Vec<Option<Part>>>,
}

/// A part of a bar, in units from the top of the chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    top: i128,
    bottom: i128,
    /// Whether it ends its bar at the top.
    is_last: bool,
}

impl Stack {
    /// Stacks series, which have an amount for each of `count` bars.
    pub fn of(series: &[&[Micros]], count: usize) -> Stack {
        let sides: Vec<[Vec<i128>; 2]> = (0..count).map(|bar| sides(series, bar)).collect();
        let highest = sides.iter().map(|[above, _]| above.iter().sum()).max().unwrap_or(0);
        let lowest = sides.iter().map(|[_, below]| -below.iter().sum::<i128>()).min().unwrap_or(0);
        let scale = Scale::of(lowest, highest);
        let bars = sides.iter().map(|[above, below]| bar_parts(&scale, above, below)).collect();
        Stack { scale, bars }
    }

    /// The path of a series.
    pub fn path(&self, series: usize) -> String {
        let mut path = String::new();
        let mut at: Option<(usize, i128)> = None;
        let parts = self.bars.iter().enumerate().filter_map(|(bar, parts)| Some((bar, parts[series]?)));
        for (bar, Part { top, bottom, is_last }) in parts {
            let has_gap = !is_last && bottom - top >= GAP_FROM;
            let top = if has_gap { top + PART_GAP } else { top };
            let written = match at {
                None => write!(path, "M{bar} {bottom}v-{}", bottom - top),
                Some((last, y)) => {
                    let (x, y) = (bar - last, bottom - y);
                    let space = if y < 0 { "" } else { " " };
                    write!(path, "m{x}{space}{y}v-{}", bottom - top)
                }
            };
            written.expect("a String takes every text");
            at = Some((bar, top));
        }
        path
    }
}

/// The parts of a bar, from its amounts above zero and below zero.
fn bar_parts(scale: &Scale, above: &[i128], below: &[i128]) -> Vec<Option<Part>> {
    let mut parts = vec![None; above.len()];
    let zero = scale.y(0);
    let total: i128 = above.iter().sum();
    let heights = part_heights(above, zero - scale.y(total), total, zero);
    let last = heights.iter().rposition(|height| *height > 0);
    let mut bottom = zero;
    for (series, height) in heights.into_iter().enumerate().filter(|(_, height)| *height > 0) {
        let top = bottom - height;
        parts[series] = Some(Part { top, bottom, is_last: last == Some(series) });
        bottom = top;
    }
    let total: i128 = below.iter().sum();
    let heights = part_heights(below, scale.y(-total) - zero, total, HEIGHT - zero);
    let mut top = zero;
    for (series, height) in heights.into_iter().enumerate().filter(|(_, height)| *height > 0) {
        let bottom = top + height;
        parts[series] = Some(Part { top, bottom, is_last: top == zero });
        top = bottom;
    }
    parts
}

/// The amounts of a bar above zero and below zero, both without a sign.
fn sides(series: &[&[Micros]], bar: usize) -> [Vec<i128>; 2] {
    let amounts = series.iter().map(|amounts| i128::from(amounts[bar].get()));
    let amounts: Vec<i128> = amounts.collect();
    [
        amounts.iter().map(|amount| (*amount).max(0)).collect(),
        amounts.iter().map(|amount| (-amount).max(0)).collect(),
    ]
}

/// Divides the height of a bar, whose amounts have this total, among its parts. `room` is the most
/// that they may have together.
fn part_heights(amounts: &[i128], height: i128, total: i128, room: i128) -> Vec<i128> {
    if total == 0 {
        return vec![0; amounts.len()];
    }
    let rounded = |amount: i128| (2 * height * amount + total) / (2 * total);
    let least = |amount: i128| if amount > 0 { PART_MIN } else { 0 };
    let mut heights: Vec<i128> = amounts.iter().map(|amount| rounded(*amount).max(least(*amount))).collect();
    let largest = (0..amounts.len()).max_by_key(|part| amounts[*part]).unwrap_or_default();
    let surplus = heights.iter().sum::<i128>() - height;
    heights[largest] = (heights[largest] - surplus).max(PART_MIN);
    assert!(heights.iter().sum::<i128>() <= room, "a bar stays within its axis");
    heights
}
