//! `tollkeeper clock`: confirms the clock of a server, so that held timers go on.

use serde_json::json;

use crate::terminal::failure::Failure;
use crate::terminal::output::lines;
use crate::transport::request::{Request, path};
use crate::transport::target::Target;

const EXAMPLE: &str =
    "A server on a data directory times no charge out after its clock has jumped by more than a day,
or after a start at a time far from the newest entry. Look at its clock first, then confirm it.

Example:
  tollkeeper clock confirm --server http://127.0.0.1:8080";

/// Confirm the clock of a server, so that held timers go on
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Let held timers go on
    #[command(after_help = EXAMPLE)]
    Confirm {
        #[command(flatten)]
        target: Target,
    },
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    let Command::Confirm { target } = command;
    let request = Request::write("POST", path(&["v1", "clock", "confirm"]), json!({}));
    target.run(request, |json| lines(json, &["now", "was_held"]))
}
