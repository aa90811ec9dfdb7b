//! `tollkeeper payment-method`: the saved card of a workspace, which pays for automatic top-ups.

use crate::terminal::failure::Failure;
use crate::terminal::output::lines;
use crate::transport::request::{Request, path};
use crate::transport::target::WorkspaceArgs;

const EXAMPLE: &str = "Examples:
  tollkeeper payment-method show acme
  tollkeeper payment-method remove acme";

/// Show and remove the saved card of a workspace
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Show the brand, the last four digits and the expiry of the saved card
    #[command(after_help = "Example:\n  tollkeeper payment-method show acme")]
    Show(WorkspaceArgs),
    /// Remove the saved card, and stop automatic top-ups
    #[command(after_help = "Example:\n  tollkeeper payment-method remove acme")]
    Remove(WorkspaceArgs),
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    let path = |workspace: &str| path(&["v1", "workspaces", workspace, "payment-method"]);
    match command {
        Command::Show(WorkspaceArgs { workspace, target }) => {
            target.run(Request::get(path(&workspace)), |json| lines(json, &["brand", "last4", "expires"]))
        }
        Command::Remove(WorkspaceArgs { workspace, target }) => {
            target.delete(path(&workspace), &format!("no card of {workspace} is saved"))
        }
    }
}
