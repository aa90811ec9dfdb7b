//! `tollkeeper entries`: the journal of a workspace, which is also its audit log, once or for as
//! long as entries come.

use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output;
use crate::transport::request::{Request, path, query};
use crate::transport::target::{Paging, Target};

const EXAMPLE: &str = "Examples:
  tollkeeper entries acme --limit 10
  tollkeeper entries acme --after 1-42
  tollkeeper entries acme --follow --kinds charge.opened,balance.low";

const COLUMNS: [&str; 9] = [
    "number",
    "created_at",
    "kind",
    "actor.kind",
    "actor.id",
    "member",
    "api_key",
    "amount",
    "balance.available",
];

/// How long a server waits for the next entry, in seconds.
const WAIT_SECONDS: u32 = 30;

/// How often a store in this process is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Show the journal of a workspace, newest entry first
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The id of the workspace
    workspace: String,

    /// Show the entries behind this position, oldest first: a number, or an epoch and a number such
    /// as 1-42; 0 begins with the first entry
    #[arg(long, value_name = "POSITION", conflicts_with = "cursor")]
    after: Option<String>,

    /// Show only entries of these kinds, separated by commas; with --after or --follow
    #[arg(long, value_name = "KINDS")]
    kinds: Option<String>,

    /// Show entries as they are committed, until the command is interrupted; with --json, one entry
    /// on each line
    #[arg(long, conflicts_with = "cursor")]
    follow: bool,

    #[command(flatten)]
    paging: Paging,

    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    if args.follow {
        return follow(args);
    }
    let Args { workspace, after, kinds, follow: _, paging, target } = args;
    let [limit, cursor] = paging.parameters();
    let parameters = [limit, cursor, ("after", after), ("kinds", kinds)];
    let request = Request::get(entries(&workspace) + &query(&parameters));
    target.run(request, |json| {
        if let Some(cursor) = json["next_cursor"].as_str() {
            output::remark(&format!("more rows follow: --cursor {cursor}"));
        }
        if let Some(after) = json["after"].as_str() {
            output::remark(&format!("to go on from here: --after {after}"));
        }
        let rows = rows(json);
        if rows.is_empty() {
            output::remark("no rows");
            return String::new();
        }
        output::table(rows, &COLUMNS)
    })
}

/// Shows what is behind a position, or what comes from now on, until the command is interrupted or
/// nobody reads its output.
fn follow(Args { workspace, after, kinds, follow: _, paging, target }: Args) -> Result<(), Failure> {
    let [limit, _] = paging.parameters();
    let mut after = match after {
        Some(after) => after,
        None => newest(&workspace, &target)?,
    };
    let wait = target.is_server().then(|| WAIT_SECONDS.to_string());
    let mut has_head = false;
    loop {
        let parameters =
            [limit.clone(), ("after", Some(after.clone())), ("kinds", kinds.clone()), ("wait", wait.clone())];
        let asked = target.ask(Request::get(entries(&workspace) + &query(&parameters)));
        let answer =
            asked.inspect_err(|_| output::remark(&format!("to go on from here: --after {after}")))?;
        let rows = rows(&answer);
        if !rows.is_empty() && !show(rows, target.is_json(), &mut has_head)? {
            return Ok(());
        }
        let next = answer["after"].as_str().map_or_else(|| after.clone(), str::to_owned);
        if next == after && wait.is_none() {
            thread::sleep(LOOK_INTERVAL);
        }
        after = next;
    }
}

/// Prints rows; returns false if nobody reads them any more.
fn show(rows: &[Value], is_json: bool, has_head: &mut bool) -> Result<bool, Failure> {
    let text: String = match is_json {
        true => rows.iter().map(|row| format!("{row}\n")).collect(),
        false => {
            let table = output::table(rows, &COLUMNS);
            let skipped = usize::from(std::mem::replace(has_head, true));
            table.lines().skip(skipped).flat_map(|line| [line, "\n"]).collect()
        }
    };
    output::data_if_read(&text)
}

/// The number of the newest entry.
fn newest(workspace: &str, target: &Target) -> Result<String, Failure> {
    let last = target.ask(Request::get(entries(workspace) + &query(&[("limit", Some("1".to_owned()))])))?;
    Ok(last["data"][0]["number"].to_string())
}

fn entries(workspace: &str) -> String {
    path(&["v1", "workspaces", workspace, "entries"])
}

fn rows(json: &Value) -> &[Value] {
    json["data"].as_array().map_or(&[][..], Vec::as_slice)
}
