//! Prints data to stdout: aligned lines and tables for users, the unchanged JSON of the API for
//! programs. Remarks go to stderr.
//!
//! Every amount is shown in micro-units and in USD (P1). If the reader closes the pipe early
//! (`| head`), the command still succeeds. Messages of a failed command are in `failure`.

use std::io::{ErrorKind, Write};

use serde_json::Value;
use tollkeeper_ledger::Micros;

use super::failure::{Exit, Failure};

/// The names of JSON fields that hold micro-units; they are shown in both units.
const AMOUNTS: [&str; 28] = [
    "amount",
    "available",
    "by_price",
    "by_quantity",
    "by_refunds",
    "change",
    "charged",
    "clawed_back",
    "credits",
    "credits_now",
    "credits_per_month",
    "daily_average",
    "debt",
    "granted",
    "limit",
    "monthly_average",
    "net",
    "next_30_days",
    "pending",
    "refundable",
    "refunded",
    "refunded_amount",
    "remaining",
    "required",
    "shortfall",
    "simulated",
    "unit_price",
    "used",
];

/// Writes data to stdout and flushes it.
pub fn data(text: &str) -> Result<(), Failure> {
    data_if_read(text).map(|_| ())
}

/// The same; returns false if the reader has closed the pipe.
pub fn data_if_read(text: &str) -> Result<bool, Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(why) if why.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(why) => Err(Failure::new(Exit::Unavailable, "the output cannot be written").because(why)),
    }
}

/// Writes a line for the user to stderr.
pub fn remark(text: &str) {
    // If stderr is closed, the remark is lost and the command goes on.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Formats an amount in both units: `20,000 (0.20 USD)`.
pub fn amount(micros: i64) -> String {
    format!("{} ({} USD)", grouped(micros), Micros::new(micros).usd())
}

/// Formats an integer with commas between groups of three digits.
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

/// Formats the value at a path such as `balance.available` for users; `-` if it is absent or null.
pub fn cell(json: &Value, path: &str) -> String {
    let field = path.rsplit('.').next().unwrap_or(path);
    match json.pointer(&pointer(path)) {
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

/// Escapes control characters and marks of direction, so that a text chosen by someone else cannot
/// control the terminal.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{61c}' | '\u{feff}')
        {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Formats one line per field: the path as label, then the value, aligned.
pub fn lines(json: &Value, paths: &[&str]) -> String {
    let width = paths.iter().map(|path| path.len()).max().unwrap_or(0);
    let line = |path: &&str| format!("{path:width$}  {}\n", cell(json, path));
    paths.iter().map(line).collect()
}

/// Formats a table with a header line. Columns that hold numbers are aligned to the right.
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

/// The JSON pointer of a path such as `balance.available`.
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
    fn control_characters_of_a_name_are_escaped() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(plain("\u{202e}gnp.exe"), "\\u{202e}gnp.exe");
    }
}
