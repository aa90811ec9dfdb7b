//! `tollkeeper report`: what all workspaces bought, used and are owed in a month, for finance.

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::{lines, table};
use crate::transport::request::{path, query};
use crate::transport::target::Target;

const EXAMPLE: &str =
    "A month is one in UTC. A month that is over never changes. The command reads the whole journal:
with a hundred million entries that takes minutes. On a data directory it works while a server
runs.

Examples:
  tollkeeper report --month 2026-11
  tollkeeper report --month 2026-11 --csv > 2026-11.csv
  tollkeeper report --month 2026-11 --json | jq .revenue_total";

/// Show what all workspaces bought, used and are owed in a month
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The month in UTC, such as 2026-11 [default: the current one]
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<String>,

    /// Print comma-separated values, one number a row
    #[arg(long, conflicts_with = "json")]
    csv: bool,

    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { month, csv, target } = args;
    target.run_report(path(&["v1", "report"]) + &query(&[("month", month)]), csv, as_text)
}

fn as_text(json: &Value) -> String {
    let rows = |name: &str| json[name].as_array().map_or(&[][..], Vec::as_slice);
    let mut revenue = rows("revenue").to_vec();
    let mut total = json["revenue_total"].clone();
    total["source"] = "total".into();
    revenue.push(total);
    let section = |title: &str, rows: &[Value], columns: &[&str]| {
        if rows.is_empty() { String::new() } else { format!("\n{title}\n{}", table(rows, columns)) }
    };
    let names = ["source", "provider"];
    let money = [
        "opening_deferred_usd",
        "sold_usd",
        "tax_usd",
        "refunded_usd",
        "disputed_usd",
        "recognised_usd",
        "closing_deferred_usd",
        "closing_not_granted_usd",
    ];
    let credit = ["opening", "granted", "consumed", "consumed_free", "taken", "closing", "closing_pending"];
    let moved = ["account", "opening", "inward", "outward", "closing"];
    let debt = ["opening", "arisen", "repaid", "forgiven", "closing"];
    let unmatched = ["currency", "payments", "amount"];
    let aged = ["bought", "last_used", "grants", "remaining", "deferred_usd"];
    [
        lines(json, &["month", "is_final", "workspaces"]),
        section("Money", &revenue, &[&names[..], &money[..]].concat()),
        section("Credit in micro-units", rows("credit"), &[&names[..], &credit[..]].concat()),
        section("Trial balance in micro-units", rows("trial_balance"), &moved),
        section("Debt in micro-units", std::slice::from_ref(&json["debt"]), &debt),
        section("Money that fits nothing", rows("unmatched"), &unmatched),
        section("Unspent paid credit by age", rows("ageing"), &aged),
    ]
    .concat()
}
