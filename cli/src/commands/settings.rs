//! `tollkeeper settings`: shows and changes the settings that decide money.

use serde_json::{Value, json};

use crate::terminal::failure::Failure;
use crate::terminal::output::lines;
use crate::transport::request::{Access, Request, path};
use crate::transport::target::Target;

const EXAMPLE: &str = "\
These settings are entries of the platform's journal and hold for every server. Settings of one
server, such as its address, are in its file and environment.

Examples:
  tollkeeper settings show
  tollkeeper settings set --refund-window-days 14";

/// Show and change the settings that decide money
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Show the settings in force
    #[command(after_help = "Example:\n  tollkeeper settings show")]
    Show {
        #[command(flatten)]
        target: Target,
    },
    /// Change the settings, for all servers
    #[command(after_help = "Example:\n  tollkeeper settings set --refund-window-days 14")]
    Set {
        /// Days in which a settled charge is still refunded by a late failure of the system, 0 to
        /// 3650
        #[arg(long, value_name = "DAYS")]
        refund_window_days: u32,
        #[command(flatten)]
        target: Target,
    },
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Show { target } => target.run(Request::get(path(&["v1", "settings"])), as_text),
        Command::Set { refund_window_days, target } => {
            let body = json!({"refund_window_days": refund_window_days});
            let request = Request::write("PUT", path(&["v1", "settings"]), body);
            target.run(request.with_access(Access::Creates), as_text)
        }
    }
}

fn as_text(json: &Value) -> String {
    lines(json, &["refund_window_days"])
}
