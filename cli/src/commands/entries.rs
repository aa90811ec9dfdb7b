//! `tollkeeper entries`: the journal of a workspace, which is its audit log.

use crate::terminal::failure::Failure;
use crate::transport::request::{Request, path, query};
use crate::transport::target::{Paging, Target};

const EXAMPLE: &str = "Example:
  tollkeeper entries acme --limit 10";

/// The journal of a workspace, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// Whose journal
    workspace: String,

    #[command(flatten)]
    paging: Paging,

    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let path = path(&["v1", "workspaces", &args.workspace, "entries"]) + &query(&args.paging.parameters());
    args.target.list(
        Request::get(path),
        &[
            "number",
            "created_at",
            "kind",
            "actor.kind",
            "actor.id",
            "member",
            "api_key",
            "amount",
            "balance.available",
        ],
    )
}
