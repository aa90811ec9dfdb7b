//! `tollkeeper entries`: the journal of a workspace, which is also its audit log.

use crate::terminal::failure::Failure;
use crate::transport::target::ListArgs;

const EXAMPLE: &str = "Example:
  tollkeeper entries acme --limit 10";

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

/// Show the journal of a workspace, newest entry first
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(flatten)]
    list: ListArgs,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    args.list.show("entries", &COLUMNS)
}
