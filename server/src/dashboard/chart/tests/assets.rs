//! The style sheet and the script that charts need: contrast of the colors, and the size.

use super::*;
use crate::theme::Color;

const STYLE: &str = include_str!("../../../../assets/chart.css");
const SCRIPT: &str = include_str!("../../../../assets/dashboard.js");

/// The background of cards, light and dark.
const CARDS: [&str; 2] = ["#ffffff", "#1b2029"];

/// The least contrast of graphics at AA (WCAG 1.4.11).
const CONTRAST_MIN: f64 = 3.0;

/// The colors of the series and of the others, as a block of the style sheet defines them.
fn palette(block: &str) -> Vec<&str> {
    let color = |index: usize| {
        let name = format!("--chart-{index}: ");
        let place = block.find(&name).expect("the block defines the color") + name.len();
        &block[place..place + 7]
    };
    (0..=SERIES_MAX).map(color).collect()
}

fn contrast(one: &str, other: &str) -> f64 {
    let [one, other] = [one, other].map(|text| Color::read(text).expect("it is a color"));
    one.contrast(other)
}

#[test]
fn every_color_stands_out_from_the_card() {
    let blocks: Vec<&str> = STYLE.split(":root {").skip(1).collect();
    assert_eq!(blocks.len(), 3, "light, dark and print");
    for (block, card) in blocks.iter().zip([CARDS[0], CARDS[1], CARDS[0]]) {
        let palette = palette(block);
        for (index, color) in palette.iter().enumerate() {
            let contrast = contrast(color, card);
            assert!(contrast >= CONTRAST_MIN, "{color} on {card} has {contrast:.2}");
            assert!(!palette[..index].contains(color), "{color} is used twice");
        }
    }
    assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 0.001, "the scale is the one of WCAG");
}

#[test]
fn the_script_is_small_and_loads_nothing() {
    assert!(SCRIPT.len() <= 6_000, "{} bytes", SCRIPT.len());
    for forbidden in ["http:", "https:", "import ", "eval(", "innerHTML", "style."] {
        assert!(!SCRIPT.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn the_script_knows_names_of_events() {
    let list = SCRIPT.split("const kinds = ").nth(1).and_then(|rest| rest.split(';').next());
    let list = list.expect("the script has a list").replace(['"', '+'], " ");
    let kinds: Vec<&str> = list.split_whitespace().collect();
    assert!(kinds.contains(&"balance") && kinds.len() > 5, "{kinds:?}");
    for kind in kinds.into_iter().filter(|kind| *kind != "balance") {
        assert!(tollkeeper_ledger::Kind::named(kind).is_some(), "{kind} is no kind of entry");
    }
}
