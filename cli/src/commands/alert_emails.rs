//! `tollkeeper alerts emails`: who gets the e-mails of a workspace.

use serde_json::{Value, json};

use super::alerts::alerts_path;
use crate::terminal::failure::Failure;
use crate::terminal::output::{remark, table};
use crate::transport::request::{Request, path};
use crate::transport::target::{Target, WorkspaceArgs};

const EXAMPLE: &str = "Examples:
  tollkeeper alerts emails show acme
  tollkeeper alerts emails set acme ada@example.com finance@example.com
  tollkeeper alerts emails clear acme";

const SET_EXAMPLE: &str = "The given addresses replace all current ones.
An address that a member has stands for the member. Any other address is first sent a request to
confirm it.

Example:
  tollkeeper alerts emails set acme ada@example.com finance@example.com";

const MUTE_EXAMPLE: &str = "The given topics replace all that were muted; none mutes nothing.
Topics: balance.low, balance.recovered, balance.refused, limit.reached, top_up, auto_top_up,
subscription, debt, webhook_endpoint, recipient

Examples:
  tollkeeper alerts emails mute acme member:ada balance.recovered limit.reached
  tollkeeper alerts emails mute acme member:ada";

/// Show and choose who gets e-mails about a workspace
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Show who gets e-mails, with the topics that each has muted
    #[command(after_help = "Example:\n  tollkeeper alerts emails show acme")]
    Show(WorkspaceArgs),
    /// Choose the addresses that get e-mails
    #[command(after_help = SET_EXAMPLE)]
    Set {
        /// The id of the workspace
        workspace: String,
        /// An address that gets e-mails from now on; several with blanks
        #[arg(required = true, value_name = "ADDRESS")]
        addresses: Vec<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Choose nobody: the admins of the workspace get the e-mails
    #[command(after_help = "Example:\n  tollkeeper alerts emails clear acme")]
    Clear(WorkspaceArgs),
    /// Choose of which topics a recipient gets no e-mails
    #[command(after_help = MUTE_EXAMPLE)]
    Mute {
        /// The id of the workspace
        workspace: String,
        /// The id of the recipient, as `show` prints it
        recipient: String,
        /// A topic of which the recipient gets no e-mails from now on; several with blanks
        #[arg(value_name = "TOPIC")]
        topics: Vec<String>,
        #[command(flatten)]
        target: Target,
    },
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Show(args) => args.target.run(Request::get(alerts_path(&args.workspace)), as_table),
        Command::Set { workspace, addresses, target } => {
            let body = json!({ "emails": addresses });
            target.run(Request::write("PUT", alerts_path(&workspace), body), as_table)
        }
        Command::Clear(args) => {
            let body = json!({ "emails": [] });
            args.target.run(Request::write("PUT", alerts_path(&args.workspace), body), as_table)
        }
        Command::Mute { workspace, recipient, topics, target } => {
            let path = path(&["v1", "workspaces", &workspace, "alerts", "recipients", &recipient]);
            target.run(Request::write("PUT", path, json!({ "muted": topics })), as_table)
        }
    }
}

fn as_table(json: &Value) -> String {
    let rows = json["emails"].as_array().map_or(&[][..], Vec::as_slice);
    if json["recipients"] == "admins" {
        remark("nobody was chosen, so the admins get the e-mails");
    }
    table(rows, &["id", "email", "chosen", "status", "muted"])
}
