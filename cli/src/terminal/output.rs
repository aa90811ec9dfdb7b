//! What a command prints: lines and tables for people, both units for every amount (P1), and the API's own JSON for
//! programs. Data goes to stdout, remarks to stderr. A reader that has had enough (`| head`) is no error.
//!
//! What is said when a command fails is in `failure`.

use std::io::{ErrorKind, Write};

use serde_json::Value;
use tollkeeper_ledger::Micros;

use super::failure::{Exit, Failure};

/// Fields that hold micro-units, wherever they stand: shown in both units.
const AMOUNTS: [&str; 16] = [
    "amount",
    "available",
    "charged",
    "clawed_back",
    "debt",
    "granted",
    "limit",
    "pending",
    "refundable",
    "refunded",
    "refunded_amount",
    "remaining",
    "required",
    "shortfall",
    "unit_price",
    "used",
];

/// Writes data to stdout at once and flushes it.
pub fn data(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(why) if why.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::NotNow, "the output cannot be written").because(why))
        }
        _ => Ok(()),
    }
}

/// Writes a line for people to stderr.
pub fn remark(text: &str) {
    // A closed stderr has no reader to miss it.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// An amount in both units: `20,000 (0.20 USD)`.
pub fn amount(micros: i64) -> String {
    format!("{} ({} USD)", grouped(micros), Micros::new(micros).usd())
}

/// Digits in groups of three.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The value at a path such as `balance.available`, as people read it; `-` where there is none.
pub fn cell(json: &Value, path: &str) -> String {
    let pointer = format!("/{}", path.replace('.', "/"));
    let field = path.rsplit('.').next().unwrap_or(path);
    match json.pointer(&pointer) {
        None | Some(Value::Null) => "-".into(),
        Some(Value::Number(number)) => match number.as_i64() {
            Some(micros) if AMOUNTS.contains(&field) => amount(micros),
            _ => number.to_string(),
        },
        Some(Value::String(text)) => plain(text),
        Some(Value::Array(texts)) if texts.iter().all(Value::is_string) => {
            plain(&texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
        }
        Some(other) => plain(&other.to_string()),
    }
}

/// A text of somebody else's choosing without what could steer a terminal.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// One line per field: the label, then the value, aligned.
pub fn lines(json: &Value, paths: &[&str]) -> String {
    let width = paths.iter().map(|path| path.len()).max().unwrap_or(0);
    let line = |path: &&str| format!("{path:width$}  {}\n", cell(json, path));
    paths.iter().map(line).collect()
}

/// A table with a head line; columns of numbers stand at the right.
pub fn table(rows: &[Value], paths: &[&str]) -> String {
    let head: Vec<String> = paths.iter().map(|path| path.to_uppercase().replace(['_', '.'], " ")).collect();
    let cells = rows.iter().map(|row| paths.iter().map(|path| cell(row, path)).collect());
    let cells: Vec<Vec<String>> = std::iter::once(head).chain(cells).collect();
    let widths: Vec<usize> = (0..paths.len())
        .map(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let right: Vec<bool> = paths
        .iter()
        .map(|path| rows.iter().any(|row| row.pointer(&pointer(path)).is_some_and(Value::is_number)))
        .collect();
    let mut text = String::new();
    for row in &cells {
        let padded = row.iter().zip(&widths).zip(&right).map(|((cell, width), right)| match right {
            true => format!("{cell:>width$}"),
            false => format!("{cell:width$}"),
        });
        text += padded.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_amount_is_shown_in_both_units() {
        assert_eq!(amount(20_000), "20,000 (0.20 USD)");
        assert_eq!(amount(1), "1 (0.00001 USD)");
        assert_eq!(amount(-1_234_567), "-1,234,567 (-12.34567 USD)");
        assert_eq!(grouped(100), "100");
        assert_eq!(grouped(1_000_000), "1,000,000");
    }

    #[test]
    fn lines_and_tables_are_aligned() {
        let charge = json!({"id": "ch_1", "amount": 500, "worker": null, "balance": {"available": 1_000}});
        let expected = "id                 ch_1\namount             500 (0.005 USD)\nworker             -\nbalance.available  1,000 (0.01 USD)\n";
        assert_eq!(lines(&charge, &["id", "amount", "worker", "balance.available"]), expected);
        let rows = [json!({"id": "a", "quantity": 7}), json!({"id": "long", "quantity": 12})];
        assert_eq!(table(&rows, &["id", "quantity"]), "ID    QUANTITY\na            7\nlong        12\n");
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }
}
