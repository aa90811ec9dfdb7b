//! The style sheet and the script that charts need: contrast of the colors, and the size.

use super::*;

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

/// The relative luminance of a color, as WCAG defines it.
#[expect(clippy::float_arithmetic, reason = "contrast is a ratio of powers; no credit is counted")]
fn luminance(color: &str) -> f64 {
    let channel = |place: usize| {
        let value = u8::from_str_radix(&color[place..place + 2], 16).expect("it is a color");
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

#[expect(clippy::float_arithmetic, reason = "contrast is a ratio; no credit is counted")]
fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
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
