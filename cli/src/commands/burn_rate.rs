//! `tollkeeper burn-rate`: the average use of a workspace, and how long its credit lasts.

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::{lines, table};
use crate::transport::request::{Request, path, query};
use crate::transport::target::Target;

const EXAMPLE: &str =
    "The average counts complete days of the workspace's time zone. The forecast takes each weekday's
mean of the last 28 days, or the average while there are less than 14.

Examples:
  tollkeeper burn-rate acme
  tollkeeper burn-rate acme --window-days 7 --by operation";

/// The names of the keys, in the order in which rows are.
const KEYS: [&str; 4] = ["operation", "worker", "member", "api_key"];

/// Show the average use of a workspace, and how long its credit lasts
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The id of the workspace
    workspace: String,

    /// The most complete days that the average counts, 1 to 90 [default: 30]
    #[arg(long, value_name = "N")]
    window_days: Option<u32>,

    /// Show who uses it: some of operation, worker, member, api_key, separated by commas
    #[arg(long, value_name = "KEYS")]
    by: Option<String>,

    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { workspace, window_days, by, target } = args;
    let parameters = [("window_days", window_days.map(|days| days.to_string())), ("group_by", by)];
    let path = path(&["v1", "workspaces", &workspace, "burn-rate"]) + &query(&parameters);
    target.run(Request::get(path), as_text)
}

fn as_text(json: &Value) -> String {
    let fields = [
        "available",
        "daily_average",
        "monthly_average",
        "next_30_days",
        "runway_days",
        "depletes_on",
        "next_grant_on",
        "lasts_until_next_grant",
        "basis",
        "reason",
        "days",
        "timezone",
    ];
    let head = lines(json, &fields);
    let rows = json["rows"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(first) = rows.first() else { return head };
    let mut columns: Vec<&str> = KEYS.into_iter().filter(|key| first.get(key).is_some()).collect();
    columns.extend(["net", "daily_average", "share_percent"]);
    format!("{head}\n{}", table(rows, &columns))
}
