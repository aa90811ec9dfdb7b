//! `tollkeeper alerts`: the low-balance thresholds of a workspace, and which of them are low. Who
//! gets the e-mails is in `alert_emails`.

use serde_json::{Value, json};
use tollkeeper_ledger::Micros;

use super::alert_emails;
use crate::terminal::failure::Failure;
use crate::terminal::output::{remark, table};
use crate::transport::request::{Request, object, path};
use crate::transport::target::{Target, WorkspaceArgs};

const EXAMPLE: &str = "Examples:
  tollkeeper alerts show acme
  tollkeeper alerts set acme 20.00 5.00 7d
  tollkeeper alerts clear acme";

const SET_EXAMPLE: &str =
    "The given thresholds replace all current ones. A threshold that stays keeps its last alert.

A THRESHOLD is DOLLARS or DAYS:
  DOLLARS   such as 20.00: an alert fires when the balance falls below it
  DAYS      such as 7d: an alert fires when the balance lasts for fewer days by the forecast

Examples:
  tollkeeper alerts set acme 20.00 5.00
  tollkeeper alerts set acme 20.00 7d 30d --cooldown-hours 12";

/// Show, replace and clear the low-balance thresholds of a workspace
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Show the thresholds, whether the balance is low, and when each last fired
    #[command(after_help = "Example:\n  tollkeeper alerts show acme")]
    Show(WorkspaceArgs),
    /// Replace all thresholds
    #[command(after_help = SET_EXAMPLE)]
    Set {
        /// The id of the workspace
        workspace: String,
        /// A threshold from now on, such as 20.00 or 7d; several with blanks
        #[arg(required = true, value_name = "THRESHOLD", value_parser = threshold)]
        thresholds: Vec<Value>,
        /// The hours after an alert in which its threshold does not fire again
        #[arg(long, value_name = "HOURS", default_value_t = 24)]
        cooldown_hours: u32,
        #[command(flatten)]
        target: Target,
    },
    /// Remove all thresholds
    #[command(after_help = "Example:\n  tollkeeper alerts clear acme")]
    Clear(WorkspaceArgs),
    /// Show and choose who gets e-mails
    #[command(subcommand)]
    Emails(alert_emails::Command),
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Show(args) => args.target.run(Request::get(alerts_path(&args.workspace)), as_table),
        Command::Set { workspace, thresholds, cooldown_hours, target } => {
            let body = json!({ "thresholds": thresholds, "cooldown_hours": cooldown_hours });
            target.run(Request::write("PUT", alerts_path(&workspace), body), as_table)
        }
        Command::Clear(args) => {
            let body = json!({ "thresholds": [] });
            args.target.run(Request::write("PUT", alerts_path(&args.workspace), body), as_table)
        }
        Command::Emails(command) => alert_emails::run(command),
    }
}

pub(super) fn alerts_path(workspace: &str) -> String {
    path(&["v1", "workspaces", workspace, "alerts"])
}

fn as_table(json: &Value) -> String {
    let rows = json["thresholds"].as_array().map_or(&[][..], Vec::as_slice);
    if rows.is_empty() {
        remark("no thresholds");
        return String::new();
    }
    remark(&format!("a threshold fires again after {} hours at the earliest", json["cooldown_hours"]));
    table(rows, &["amount", "runway_days", "state", "fired_at"])
}

/// Parses a threshold as given on the command line.
fn threshold(text: &str) -> Result<Value, &'static str> {
    if let Some(days) = text.strip_suffix('d') {
        let days = days.parse::<u16>().ok().filter(|days| (1..=365).contains(days));
        let days = days.ok_or("the DAYS must be 1d to 365d")?;
        return Ok(object([("runway_days", Some(days.into()))]));
    }
    match Micros::from_usd(text) {
        Ok(amount) if amount > Micros::ZERO => Ok(object([("amount_usd", Some(text.into()))])),
        _ => {
            Err("it must be DOLLARS such as 20.00, above zero with at most five decimals, or DAYS such as 7d")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_parsed_as_dollars_or_days() {
        assert_eq!(threshold("20.00"), Ok(json!({"amount_usd": "20.00"})));
        assert_eq!(threshold("0.00001"), Ok(json!({"amount_usd": "0.00001"})));
        assert_eq!(threshold("365d"), Ok(json!({"runway_days": 365})));
        for wrong in ["0d", "366d", "d", "-1d", "1.5d"] {
            assert!(threshold(wrong).is_err_and(|why| why.contains("365d")), "{wrong}");
        }
        for wrong in ["", "0", "-1", "1.000001", "7 days", "99999999999999"] {
            assert!(threshold(wrong).is_err_and(|why| why.contains("DOLLARS")), "{wrong}");
        }
    }
}
