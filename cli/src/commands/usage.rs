//! `tollkeeper usage`: what a workspace used, by operation, worker, member, API key and time, and
//! what changed in it.

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::{lines, remark, table};
use crate::transport::request::{path, query};
use crate::transport::target::Target;

const EXAMPLE: &str =
    "KEYS are some of operation, worker, member, api_key, meter, and of times one of hour, day and
month. A row of a meter has the units that were used of it, and no amounts. A refund counts when it
happens. Use is counted by whole hours and by the days of the workspace, so a range that begins or
ends elsewhere is widened; the first lines say which one was counted.

With --changes the range is compared with an earlier one of the same length. The change of each row
is the sum of three parts: by quantity, by price and by refunds. The largest change comes first.

Examples:
  tollkeeper usage acme --by day
  tollkeeper usage acme --by month,operation --from 2026-01-01
  tollkeeper usage acme --by worker --member ada --timezone Europe/Berlin
  tollkeeper usage acme --by day,operation --csv > acme.csv
  tollkeeper usage acme --changes --by operation --from 2026-11-16 --to 2026-11-23";

/// The names of the keys, in the order in which rows are.
const KEYS: [&str; 8] = ["hour", "day", "month", "operation", "worker", "member", "api_key", "meter"];

const PARTS: [&str; 6] = ["before.net", "after.net", "change", "by_quantity", "by_price", "by_refunds"];

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

    /// Show what changed since an earlier range of the same length; KEYS are no times then
    #[arg(long)]
    changes: bool,

    /// With --changes: the day with which the earlier range begins [default: it ends where the
    /// later one begins]
    #[arg(long, value_name = "DATE", requires = "changes")]
    before_from: Option<String>,

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
    let Args { workspace, from, to, by, timezone, operation, worker, member, api_key, .. } = args;
    let Args { changes, before_from, csv, raw, target, .. } = args;
    let parameters = [
        ("from", from),
        ("to", to),
        ("group_by", by),
        ("timezone", timezone),
        ("operation", operation),
        ("worker", worker),
        ("member", member),
        ("api_key", api_key),
        ("before_from", before_from),
        ("raw", raw.then(|| "true".to_owned())),
    ];
    let path = path(&["v1", "workspaces", &workspace, "usage"]);
    let path = if changes { path + "/changes" } else { path } + &query(&parameters);
    target.run_report(path, csv, move |json| match changes {
        true => as_text(json, &["timezone", "before.from", "before.to", "after.from", "after.to"], &PARTS),
        false => as_text(json, &["timezone", "from", "to"], &SUMS),
    })
}

/// Formats the report: the lines of `head`, and a table of the keys and these columns.
fn as_text(json: &Value, head: &[&str], sums: &[&'static str]) -> String {
    let head = lines(json, head);
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
    columns.extend(sums);
    format!("{head}\n{}", table(&shown, &columns))
}
