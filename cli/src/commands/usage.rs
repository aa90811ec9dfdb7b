//! `tollkeeper usage`: what a workspace used, by operation, worker, member, API key and time.

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::{lines, remark, table};
use crate::transport::request::{path, query};
use crate::transport::target::Target;

const EXAMPLE: &str =
    "KEYS are some of operation, worker, member, api_key, and of times one of hour, day and month. A
refund counts when it happens. Use is counted by whole hours and by the days of the workspace, so a
range that begins or ends elsewhere is widened; the first lines say which one was counted.

Examples:
  tollkeeper usage acme --by day
  tollkeeper usage acme --by month,operation --from 2026-01-01
  tollkeeper usage acme --by worker --member ada --timezone Europe/Berlin
  tollkeeper usage acme --by day,operation --csv > acme.csv";

/// The names of the keys, in the order in which rows are.
const KEYS: [&str; 7] = ["hour", "day", "month", "operation", "worker", "member", "api_key"];

const SUMS: [&str; 5] = ["runs", "quantity", "charged", "refunded", "net"];

/// Show what a workspace used, by operation, worker, member, API key and time
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The id of the workspace
    workspace: String,

    /// The beginning: a time, or a date such as 2026-11-01 [default: 30 days before the end]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,

    /// The end, which is not included: a time, or a date, which ends with the day before [default:
    /// now]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,

    /// The keys of the rows, such as operation,day [default: one row of everything]
    #[arg(long, value_name = "KEYS")]
    by: Option<String>,

    /// The IANA time zone of dates, days and months [default: the workspace's]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,

    /// Only this operation
    #[arg(long, value_name = "ID")]
    operation: Option<String>,

    /// Only this worker; "" for charges without one
    #[arg(long, value_name = "ID")]
    worker: Option<String>,

    /// Only this member; "" for charges without one
    #[arg(long, value_name = "ID")]
    member: Option<String>,

    /// Only charges that this API key opened; "" for those that none opened
    #[arg(long, value_name = "ID")]
    api_key: Option<String>,

    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    csv: bool,

    /// With --csv: do not guard texts against spreadsheets, which run some as formulas
    #[arg(long, requires = "csv")]
    raw: bool,

    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { workspace, from, to, by, timezone, operation, worker, member, api_key, csv, raw, target } =
        args;
    let parameters = [
        ("from", from),
        ("to", to),
        ("group_by", by),
        ("timezone", timezone),
        ("operation", operation),
        ("worker", worker),
        ("member", member),
        ("api_key", api_key),
        ("raw", raw.then(|| "true".to_owned())),
    ];
    let path = path(&["v1", "workspaces", &workspace, "usage"]) + &query(&parameters);
    target.run_report(path, csv, as_text)
}

fn as_text(json: &Value) -> String {
    let head = lines(json, &["timezone", "from", "to"]);
    let rows = json["rows"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(first) = rows.first() else {
        remark("nothing was used");
        return head;
    };
    if json["rebuilding"] == true {
        remark("sums of days are being made; until then this command takes longer");
    }
    let mut columns: Vec<&str> = KEYS.into_iter().filter(|key| first.get(key).is_some()).collect();
    let mut shown = rows.to_vec();
    if let Some(key) = columns.first() {
        let mut total = json["total"].clone();
        total[*key] = "total".into();
        shown.push(total);
    }
    columns.extend(SUMS);
    format!("{head}\n{}", table(&shown, &columns))
}
