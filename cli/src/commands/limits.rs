//! `tollkeeper limits`: the spending limits of a workspace per day or month, with their use.

use serde_json::{Value, json};
use tollkeeper_ledger::Micros;

use crate::terminal::failure::Failure;
use crate::terminal::output::{remark, table};
use crate::transport::request::{Request, object, path};
use crate::transport::target::{Target, WorkspaceArgs};

const EXAMPLE: &str = "Examples:
  tollkeeper limits show acme
  tollkeeper limits set acme workspace/month=500.00 member:ada/day=2.50
  tollkeeper limits clear acme";

const SET_EXAMPLE: &str =
    "The given limits replace all current limits. A limit that stays keeps what is used of it.

A LIMIT is SUBJECT/PERIOD=DOLLARS:
  SUBJECT   workspace, member:ID, worker:ID, operation:ID or api_key:ID
  PERIOD    day or month, in the workspace's time zone
  DOLLARS   such as 25.00; the smallest is 0.00001, one micro-unit

Examples:
  tollkeeper limits set acme workspace/month=500.00 member:ada/month=25.00 member:ada/day=2.50
  tollkeeper limits set acme operation:virtual_try_on/day=100.00 api_key:ak_…/month=10.00";

/// Show, replace and clear the spending limits of a workspace
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Show the limits, what is used of each, and when each resets
    #[command(after_help = "Example:\n  tollkeeper limits show acme")]
    Show(WorkspaceArgs),
    /// Replace all limits
    #[command(after_help = SET_EXAMPLE)]
    Set {
        /// The id of the workspace
        workspace: String,
        /// A limit from now on, such as member:ada/month=25.00; several with blanks
        #[arg(required = true, value_name = "LIMIT", value_parser = limit)]
        limits: Vec<Value>,
        #[command(flatten)]
        target: Target,
    },
    /// Remove all limits
    #[command(after_help = "Example:\n  tollkeeper limits clear acme")]
    Clear(WorkspaceArgs),
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Show(args) => args.target.run(Request::get(limits_path(&args.workspace)), as_table),
        Command::Set { workspace, limits, target } => put(&workspace, &limits, target),
        Command::Clear(args) => put(&args.workspace, &[], args.target),
    }
}

fn put(workspace: &str, limits: &[Value], target: Target) -> Result<(), Failure> {
    target.run(Request::write("PUT", limits_path(workspace), json!({ "limits": limits })), as_table)
}

fn limits_path(workspace: &str) -> String {
    path(&["v1", "workspaces", workspace, "limits"])
}

fn as_table(json: &Value) -> String {
    let rows = json["limits"].as_array().map_or(&[][..], Vec::as_slice);
    if rows.is_empty() {
        remark("no limits");
        return String::new();
    }
    table(rows, &["subject", "id", "period", "amount", "used", "remaining", "resets_at"])
}

/// Parses a limit as given on the command line. The API checks that its subject exists.
fn limit(text: &str) -> Result<Value, &'static str> {
    const FORM: &str = "it must be SUBJECT/PERIOD=DOLLARS, such as member:ada/month=25.00";
    let (left, dollars) = text.split_once('=').ok_or(FORM)?;
    let (subject, period) = left.split_once('/').ok_or(FORM)?;
    let (subject, id) = subject.split_once(':').map_or((subject, None), |(kind, id)| (kind, Some(id)));
    match (subject, id) {
        ("workspace", None) | ("member" | "worker" | "operation" | "api_key", Some(_)) => {}
        _ => return Err("the SUBJECT must be workspace, member:ID, worker:ID, operation:ID or api_key:ID"),
    }
    if !matches!(period, "day" | "month") {
        return Err("the PERIOD must be day or month");
    }
    if Micros::from_usd(dollars).is_err() {
        return Err(
            "the DOLLARS must be a number such as 25.00, with at most five decimals, up to 90071992547.40991",
        );
    }
    Ok(object([
        ("subject", Some(subject.into())),
        ("id", id.map(Value::from)),
        ("period", Some(period.into())),
        ("amount_usd", Some(dollars.into())),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_parsed_with_any_id_of_its_subject() {
        let ada = json!({"subject": "member", "id": "eu:ada@x", "period": "day", "amount_usd": "2.50"});
        assert_eq!(limit("member:eu:ada@x/day=2.50"), Ok(ada));
        let all = json!({"subject": "workspace", "period": "month", "amount_usd": "500"});
        assert_eq!(limit("workspace/month=500"), Ok(all));
        for wrong in ["", "member:ada", "member:ada=5", "member:ada/day"] {
            assert!(limit(wrong).is_err_and(|why| why.contains("member:ada/month=25.00")), "{wrong}");
        }
        for (wrong, part) in [
            ("workspace:x/day=5", "SUBJECT"),
            ("member/day=5", "SUBJECT"),
            ("team:x/day=5", "SUBJECT"),
            ("workspace/week=5", "PERIOD"),
            ("workspace/day=5.000001", "DOLLARS"),
            ("workspace/day=-1", "DOLLARS"),
        ] {
            assert!(limit(wrong).is_err_and(|why| why.contains(part)), "{wrong}");
        }
    }
}
