//! `tollkeeper balance`: the balance of a workspace, now or at a past instant (P10).

use crate::terminal::failure::Failure;
use crate::terminal::output::lines;
use crate::transport::request::{Request, path, query};
use crate::transport::target::Target;

const EXAMPLE: &str = "Examples:
  tollkeeper balance acme
  tollkeeper balance acme --at 2026-11-01T00:00:00Z --json";

/// Show the balance of a workspace, now or at a past instant
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The id of the workspace
    workspace: String,

    /// The balance at this instant instead of now (RFC 3339, such as 2026-11-01T00:00:00Z)
    #[arg(long, value_name = "TIME")]
    at: Option<String>,

    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let path = path(&["v1", "workspaces", &args.workspace, "balance"]) + &query(&[("at", args.at)]);
    args.target
        .run(Request::get(path), |json| lines(json, &["workspace", "available", "pending", "debt", "as_of"]))
}
