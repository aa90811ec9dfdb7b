//! What code must not contain: work that is left for later, and floating-point numbers where credit
//! is counted.

use super::{complain, sources};

#[test]
fn nothing_is_left_for_later() {
    // The underscore is removed below, so that this file does not contain the words.
    let words = ["TO_DO", "FIX_ME", "X_XX", "dbg_!(", "to_do!(", "unimpl_emented!(", "#[ig_nore"];
    let mut complaints = Vec::new();
    for (name, text) in sources(".rs") {
        for (number, line) in text.lines().enumerate() {
            for word in words.map(|word| word.replacen('_', "", 1)) {
                if line.contains(&word) {
                    complaints.push(format!("{name}:{} {word}", number + 1));
                }
            }
        }
    }
    complain(complaints);
}

#[test]
fn credit_is_counted_in_integers() {
    let floats = ["f32", "f64"];
    let mut complaints = Vec::new();
    for (name, text) in sources(".rs") {
        if !name.starts_with("ledger/") && !name.starts_with("engine/") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let mut words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            if words.any(|word| floats.contains(&word)) {
                complaints.push(format!("{name}:{} {}", number + 1, line.trim()));
            }
        }
    }
    complain(complaints);
}
