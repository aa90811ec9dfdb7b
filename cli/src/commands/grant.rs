//! `tollkeeper grant`: grants credit to a workspace, lists the grants, and voids what is unspent of
//! one.

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::lines;
use crate::transport::request::{Request, object, path};
use crate::transport::target::{KeyArg, ListArgs, Target};

const EXAMPLE: &str = "Examples:
  tollkeeper grant create acme --usd 10 --reason 'welcome'
  tollkeeper grant list acme
  tollkeeper grant void acme gr_01991234-5678-7abc-bfff-0123456789ab --reason 'granted twice'";

const FIELDS: [&str; 8] =
    ["id", "workspace", "source", "amount", "remaining", "reason", "created_at", "balance.available"];

/// Grant credit, list the grants, void a grant
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Grant credit to a workspace; it never expires
    #[command(after_help = "Example:\n  tollkeeper grant create acme --usd 10 --reason 'welcome'")]
    Create(Create),
    /// List the grants of a workspace, newest first
    #[command(after_help = "Example:\n  tollkeeper grant list acme")]
    List(ListArgs),
    /// Void a grant: take back what is unspent of it
    #[command(after_help = "Example:\n  tollkeeper grant void acme gr_… --reason 'granted twice'")]
    Void(Void),
}

/// The options of `tollkeeper grant create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The id of the workspace that gets the credit
    workspace: String,
    /// The source of the credit: promotional or adjustment
    #[arg(long, default_value = "promotional")]
    source: String,
    /// The amount in micro-units (100,000 are 1 USD)
    #[arg(long, value_name = "MICRO-UNITS", required_unless_present = "usd", allow_negative_numbers = true)]
    amount: Option<i64>,
    /// The amount in dollars, such as 12.50
    #[arg(long, value_name = "DOLLARS", conflicts_with = "amount", allow_negative_numbers = true)]
    usd: Option<String>,
    /// The reason, shown to people
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    idempotency: KeyArg,
    #[command(flatten)]
    target: Target,
}

/// The options of `tollkeeper grant void`.
#[derive(Debug, clap::Args)]
pub struct Void {
    /// The id of the workspace
    workspace: String,
    /// The id of the grant, such as gr_…
    grant: String,
    /// The reason, shown to people
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    idempotency: KeyArg,
    #[command(flatten)]
    target: Target,
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(create) => self::create(create),
        Command::List(list) => {
            list.show("grants", &["id", "source", "amount", "remaining", "reason", "created_at"])
        }
        Command::Void(void) => self::void(void),
    }
}

fn create(args: Create) -> Result<(), Failure> {
    let Create { workspace, source, amount, usd, reason, idempotency, target } = args;
    let body = object([
        ("source", Some(source.into())),
        ("amount", amount.map(Value::from)),
        ("amount_usd", usd.map(Value::from)),
        ("reason", Some(reason.into())),
    ]);
    let request = Request::write("POST", path(&["v1", "workspaces", &workspace, "grants"]), body);
    target.run(request.with_key(idempotency.key)?, |json| lines(json, &FIELDS))
}

fn void(args: Void) -> Result<(), Failure> {
    let Void { workspace, grant, reason, idempotency, target } = args;
    let body = object([("reason", reason.map(Value::from))]);
    let path = path(&["v1", "workspaces", &workspace, "grants", &grant, "void"]);
    target.run(Request::write("POST", path, body).with_key(idempotency.key)?, |json| lines(json, &FIELDS))
}
