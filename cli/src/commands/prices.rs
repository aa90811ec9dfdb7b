//! `tollkeeper prices`: shows the price book, publishes a new version, lists the versions (P2).

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::terminal::failure::Failure;
use crate::terminal::input;
use crate::terminal::output::{lines, table};
use crate::transport::request::{Access, Request, path, query};
use crate::transport::target::{Paging, Target};

const EXAMPLE: &str = "Examples:
  tollkeeper prices show
  tollkeeper prices show --json > prices.json
  tollkeeper prices set prices.json
  tollkeeper prices simulate prices.json --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z
  tollkeeper prices versions";

const SIMULATE_EXAMPLE: &str =
    "The use of each workspace is priced anew: quantity times the price of the draft, less the part that
was refunded of what was charged. Nothing is published.

Example:
  tollkeeper prices simulate draft.json --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z";

const SET_EXAMPLE: &str = "The file is a JSON object. An operation that it does not list is retired:
  {\"operations\": [{\"id\": \"virtual_try_on\", \"unit_price\": 20000},
                  {\"id\": \"smart_pricing\", \"unit_price\": 1000, \"timeout_seconds\": 600},
                  {\"id\": \"chat\", \"meters\": [
                    {\"id\": \"input\", \"unit_price\": 15000, \"per\": 1000000},
                    {\"id\": \"output\", \"unit_price\": 60000, \"per\": 1000000}]}],
   \"effective_at\": \"2027-01-01T00:00:00Z\"}
Optional: per (the price is for that number of units, a power of ten), meters (up to 8, each with a
price, in place of one price), timeout_seconds (every charge of the operation awaits an outcome for
that long) and effective_at (default: now). The output of `prices show --json` can be edited and
used as the file.

Example:
  tollkeeper prices set prices.json";

/// Show the price book, publish a new version of it
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Show the prices in force
    #[command(after_help = "Example:\n  tollkeeper prices show")]
    Show {
        #[command(flatten)]
        target: Target,
    },
    /// Publish a new version from a file
    #[command(after_help = SET_EXAMPLE)]
    Set {
        /// The new prices, a JSON file; `-` reads stdin
        file: PathBuf,
        #[command(flatten)]
        target: Target,
    },
    /// Price past use by a draft, and compare it with what was charged
    #[command(after_help = SIMULATE_EXAMPLE)]
    Simulate {
        /// The draft, a JSON file as for `prices set`; `-` reads stdin
        file: PathBuf,
        /// The beginning of the first hour, such as 2026-11-01T00:00:00Z
        #[arg(long, value_name = "TIME")]
        from: String,
        /// The end of the last hour, at most 366 days later
        #[arg(long, value_name = "TIME")]
        to: String,
        #[command(flatten)]
        target: Target,
    },
    /// List all versions, newest first
    #[command(after_help = "Example:\n  tollkeeper prices versions")]
    Versions {
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        target: Target,
    },
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Show { target } => target.run(Request::get(path(&["v1", "price-book"])), as_text),
        Command::Set { file, target } => {
            let prices = input::json(&file, "prices", "tollkeeper prices set --help")?;
            let request = Request::write("PUT", path(&["v1", "price-book"]), without_answer_fields(prices));
            target.run(request.with_access(Access::Creates), as_text)
        }
        Command::Simulate { file, from, to, target } => {
            let mut draft =
                without_answer_fields(input::json(&file, "prices", "tollkeeper prices set --help")?);
            if let Some(draft) = draft.as_object_mut() {
                draft.remove("effective_at");
                draft.insert("from".to_owned(), from.into());
                draft.insert("to".to_owned(), to.into());
            }
            let request = Request::write("POST", path(&["v1", "price-book", "simulate"]), draft);
            let request = Request { is_long: true, ..request.with_access(Access::Reads) };
            target.run(request, simulation)
        }
        Command::Versions { paging, target } => {
            let path = path(&["v1", "price-book", "versions"]) + &query(&paging.parameters());
            target.run(Request::get(path), |json| {
                let rows = json["data"].as_array().map_or(&[][..], Vec::as_slice);
                rows.iter().map(as_text).collect::<Vec<_>>().join("\n")
            })
        }
    }
}

fn as_text(json: &Value) -> String {
    let operations = json["operations"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<Value> = operations.iter().flat_map(price_rows).collect();
    let has = |name: &str| rows.iter().any(|row| row.get(name).is_some());
    let columns = ["id", "meter", "unit_price", "per", "timeout_seconds"];
    let columns = columns.into_iter().filter(|name| !matches!(*name, "meter" | "per") || has(name));
    let head = lines(json, &["version", "effective_at"]);
    format!("{head}\n{}", table(&rows, &columns.collect::<Vec<_>>()))
}

/// The rows of an operation: one, or one for each of its meters.
fn price_rows(operation: &Value) -> Vec<Value> {
    let Some(meters) = operation["meters"].as_array() else { return vec![operation.clone()] };
    let row = |meter: &Value| {
        json!({
            "id": operation["id"],
            "meter": meter["id"],
            "unit_price": meter["unit_price"],
            "per": meter["per"],
            "timeout_seconds": operation["timeout_seconds"],
        })
    };
    meters.iter().map(row).collect()
}

/// A simulation for users: the total, then the operations, then the workspaces.
fn simulation(json: &Value) -> String {
    let rows = |name: &str| json[name].as_array().map_or(&[][..], Vec::as_slice);
    let sums = ["runs", "quantity", "net", "simulated", "change"];
    let columns = |first: &[&'static str]| [first, &sums].concat();
    format!(
        "{}\n{}\n{}\n{}",
        lines(json, &["from", "to", "used_workspaces"]),
        lines(&json["total"], &sums),
        table(rows("operations"), &columns(&["operation", "unit_price"])),
        table(rows("workspaces"), &columns(&["workspace"])),
    )
}

/// Removes the fields that only answers have, so that the output of `prices show --json` can be
/// used as input. A file without `version` was not such an output: it stays as it is, and the API
/// names its errors.
fn without_answer_fields(mut list: Value) -> Value {
    let Some(book) = list.as_object_mut().filter(|book| book.contains_key("version")) else {
        return list;
    };
    book.retain(|name, _| name == "operations");
    let operations = book.get_mut("operations").and_then(Value::as_array_mut);
    for operation in operations.into_iter().flatten().filter_map(Value::as_object_mut) {
        operation.retain(|name, value| !name.ends_with("_usd") && !value.is_null());
        let meters = operation.get_mut("meters").and_then(Value::as_array_mut);
        for meter in meters.into_iter().flatten().filter_map(Value::as_object_mut) {
            meter.retain(|name, _| !name.ends_with("_usd"));
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_show_can_be_used_as_input() {
        let shown = json!({
            "version": 1,
            "effective_at": "2026-01-01T00:00:00Z",
            "operations": [{"id": "a", "unit_price": 5, "unit_price_usd": "0.00005", "timeout_seconds": null}],
        });
        assert_eq!(without_answer_fields(shown), json!({"operations": [{"id": "a", "unit_price": 5}]}));
        let meter = json!({"id": "input", "unit_price": 5, "per": 10});
        let mut answered = meter.clone();
        answered["unit_price_usd"] = "0.00005".into();
        let shown = |meter: Value| json!({"version": 1, "operations": [{"id": "a", "unit_price": null, "meters": [meter]}]});
        let expected = json!({"operations": [{"id": "a", "meters": [meter]}]});
        assert_eq!(without_answer_fields(shown(answered)), expected);
        let written = json!({"operations": [{"id": "a", "price_usd": "1"}], "effective_at": "soon"});
        assert_eq!(without_answer_fields(written.clone()), written);
    }
}
