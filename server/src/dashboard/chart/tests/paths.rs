//! The geometry: bars are as high as their amounts, and an amount that is not zero is seen.

use super::*;
use crate::dashboard::chart::bars::{PART_GAP, PART_MIN, Stack};
use crate::dashboard::chart::scale::HEIGHT;

/// The parts of a path: for each, the bar, where it begins at the bottom, and its height.
fn parts(path: &str) -> Vec<(i128, i128, i128)> {
    let spaced = path.replace(['M', 'm'], ";").replace('v', " v").replace('-', " -").replace("v -", "v");
    let (mut x, mut y) = (0, 0);
    let part = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [dx, dy, height] = words[..] else { panic!("{text} is no part of {path}") };
        let number = |text: &str| text.trim_start_matches('v').parse::<i128>().expect("it is a number");
        x += number(dx);
        let bottom = y + number(dy);
        y = bottom - number(height);
        (x, bottom, number(height))
    };
    spaced.split(';').skip(1).map(part).collect()
}

fn stack_of(data: &ChartData) -> Stack {
    let amounts: Vec<&[Micros]> = data.series.iter().map(|series| &series.amounts[..]).collect();
    Stack::of(&amounts, data.bars.len())
}

#[test]
fn bars_are_as_high_as_their_amounts() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let bars = 1 + random.below(130) as usize;
        let data = random_data(&mut random, bars);
        let stack = stack_of(&data);
        let values = stack.scale.values();
        let unit = i128::from((values[0] - values[values.len() - 1]).get());
        // The largest part of a bar gives what makes the others visible.
        let given = (PART_MIN + 1) * data.series.len() as i128 + PART_GAP;
        for (index, series) in data.series.iter().enumerate() {
            let mut drawn = parts(&stack.path(index)).into_iter();
            for (bar, amount) in series.amounts.iter().enumerate().filter(|(_, amount)| amount.get() != 0) {
                let (x, bottom, height) = drawn.next().expect("an amount that is not zero is drawn");
                let exact = HEIGHT * i128::from(amount.get().unsigned_abs()) / unit;
                assert_eq!(x, bar as i128, "seed {seed}: a part is in the place of its bar");
                assert!(height >= PART_MIN, "seed {seed}: {amount} is not seen");
                assert!((height - exact).abs() <= given, "seed {seed}: {amount} is {height}, not {exact}");
                assert!(bottom <= HEIGHT && bottom >= height, "seed {seed}: a part leaves the drawing");
            }
            assert_eq!(drawn.next(), None, "seed {seed}: nothing else is drawn");
        }
    }
}

#[test]
fn the_parts_of_a_bar_add_up_to_its_height() {
    for seed in 0..100 {
        let data = random_data(&mut Random::new(seed), 40);
        let stack = stack_of(&data);
        let zero = stack.scale.y(0);
        let drawn: Vec<_> = (0..data.series.len()).map(|series| parts(&stack.path(series))).collect();
        for bar in 0..40 {
            let above = data.series.iter().map(|series| i128::from(series.amounts[bar].get().max(0)));
            let total: i128 = above.sum();
            let tops = drawn.iter().flatten().filter(|(x, bottom, _)| *x == bar as i128 && *bottom <= zero);
            let top = tops.map(|(_, bottom, height)| bottom - height).min().unwrap_or(zero);
            let shown = zero - top;
            let exact = zero - stack.scale.y(total);
            let least = PART_MIN * data.series.len() as i128;
            assert!(shown == exact || exact < 4 * least && shown - exact <= least, "seed {seed}, bar {bar}");
        }
    }
}

#[test]
fn parts_are_stacked_from_zero_both_ways() {
    let data = data(Every::Day, &[("a", &[300, -100]), ("b", &[100, 0]), ("c", &[0, 50])]);
    let stack = stack_of(&data);
    // The axis is from 400 to -200: zero is at 667.
    assert_eq!(parts(&stack.path(0)), [(0, 667, 496), (1, 833, 166)], "a gap is below the next part");
    assert_eq!(parts(&stack.path(1)), [(0, 167, 167)]);
    assert_eq!(parts(&stack.path(2)), [(1, 667, 84)]);
}

#[test]
fn a_filter_recolors_nothing() {
    let whole = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let of = |shown: &[&str]| colors(&shown.iter().collect::<Vec<_>>(), &whole);
    assert_eq!(of(&["b", "a", "f"]), [1, 0, 5]);
    assert_eq!(of(&["b"]), [1], "alone");
    assert_eq!(of(&["f", "b"]), [5, 1], "in another order of totals");
    assert_eq!(of(&["g"]), [0]);
    assert_eq!(of(&["g", "a", "b"]), [2, 0, 1], "the earlier name keeps its color");
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut names = whole.to_vec();
        random.shuffle(&mut names);
        let shown = &names[..1 + random.below(SERIES_MAX as u64) as usize];
        let colors = of(shown);
        let early = shown.iter().zip(&colors).filter_map(|(name, color)| {
            let place = whole.iter().position(|other| other == name)?;
            (place < SERIES_MAX).then_some((place, *color))
        });
        for (place, color) in early {
            assert_eq!(place, color, "{shown:?}: one of the first six names has its color");
        }
        let distinct: std::collections::BTreeSet<_> = colors.iter().collect();
        assert_eq!(distinct.len(), shown.len(), "{shown:?}: no two names share a color");
        assert!(colors.iter().all(|color| *color < SERIES_MAX), "{shown:?}");
    }
}
