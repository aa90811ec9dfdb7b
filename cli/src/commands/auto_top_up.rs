//! `tollkeeper auto-top-up`: below which balance the saved card of a workspace buys credit, how
//! much, and at most how much in a month (P5).

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::lines;
use crate::transport::request::{Request, object, path};
use crate::transport::target::{Target, WorkspaceArgs};

const EXAMPLE: &str = "Examples:
  tollkeeper auto-top-up show acme
  tollkeeper auto-top-up set acme --below 5.00 --usd 25.00 --cap 100.00
  tollkeeper auto-top-up stop acme";

const SET_EXAMPLE: &str =
    "A top-up buys at least the threshold, so that one purchase closes the gap. The workspace must
have a saved card. Top-ups that were stopped go on; a pause after a declined payment stays.

Example:
  tollkeeper auto-top-up set acme --below 5.00 --usd 25.00 --cap 100.00";

const FIELDS: [&str; 7] = [
    "threshold",
    "amount_usd",
    "monthly_cap_usd",
    "bought_this_month_usd",
    "state",
    "paused_until",
    "stopped_reason",
];

/// Show, set and stop automatic top-ups, which a saved card pays
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Show the rule, whether it is active, and what it bought this month
    #[command(after_help = "Example:\n  tollkeeper auto-top-up show acme")]
    Show(WorkspaceArgs),
    /// Set when credit is bought with the saved card, and how much
    #[command(after_help = SET_EXAMPLE)]
    Set(Set),
    /// Stop automatic top-ups
    #[command(after_help = "Example:\n  tollkeeper auto-top-up stop acme")]
    Stop(WorkspaceArgs),
}

/// The options of `tollkeeper auto-top-up set`.
#[derive(Debug, clap::Args)]
pub struct Set {
    /// The id of the workspace
    workspace: String,
    /// Credit is bought when less than this is available, in dollars, such as 5.00
    #[arg(long, value_name = "USD", allow_negative_numbers = true)]
    below: String,
    /// What is bought at once, in dollars and whole cents, such as 25.00
    #[arg(long, value_name = "USD", allow_negative_numbers = true)]
    usd: String,
    /// The most that is bought in a month of the workspace's time zone, such as 100.00
    #[arg(long, value_name = "USD", allow_negative_numbers = true)]
    cap: String,
    #[command(flatten)]
    target: Target,
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Show(args) => args.target.run(Request::get(rule_path(&args.workspace)), as_lines),
        Command::Set(Set { workspace, below, usd, cap, target }) => {
            let body = object([
                ("threshold_usd", Some(below.into())),
                ("amount_usd", Some(usd.into())),
                ("monthly_cap_usd", Some(cap.into())),
            ]);
            target.run(Request::write("PUT", rule_path(&workspace), body), as_lines)
        }
        Command::Stop(WorkspaceArgs { workspace, target }) => {
            target.delete(rule_path(&workspace), &format!("automatic top-ups of {workspace} are stopped"))
        }
    }
}

fn rule_path(workspace: &str) -> String {
    path(&["v1", "workspaces", workspace, "auto-top-up"])
}

fn as_lines(json: &Value) -> String {
    lines(json, &FIELDS)
}
