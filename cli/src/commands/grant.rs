//! `tollkeeper grant`: brings credit in, lists the lots, takes back what is unspent of one.

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::lines;
use crate::transport::request::{Request, object, path, query};
use crate::transport::target::{Paging, Target};

const EXAMPLE: &str = "Examples:
  tollkeeper grant create acme --usd 10 --reason 'welcome'
  tollkeeper grant list acme
  tollkeeper grant void acme gr_01991234-5678-7abc-bfff-0123456789ab --reason 'given twice'";

const FIELDS: [&str; 8] =
    ["id", "workspace", "source", "amount", "remaining", "reason", "created_at", "balance.available"];

/// Bring credit in, list the grants, take back what is unspent
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Give a workspace credit; it never expires
    #[command(after_help = "Example:\n  tollkeeper grant create acme --usd 10 --reason 'welcome'")]
    Create(Create),
    /// The grants of a workspace, newest first
    #[command(after_help = "Example:\n  tollkeeper grant list acme")]
    List {
        /// Whose grants
        workspace: String,
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        target: Target,
    },
    /// Take back what is unspent of a grant
    #[command(after_help = "Example:\n  tollkeeper grant void acme gr_… --reason 'given twice'")]
    Void(Void),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Who gets it
    workspace: String,
    /// Where it comes from: promotional or adjustment
    #[arg(long, default_value = "promotional")]
    source: String,
    /// How much, in micro-units (100,000 are 1 USD)
    #[arg(long, value_name = "MICRO-UNITS", required_unless_present = "usd", allow_negative_numbers = true)]
    amount: Option<i64>,
    /// How much, in dollars, such as 12.50
    #[arg(long, value_name = "DOLLARS", conflicts_with = "amount", allow_negative_numbers = true)]
    usd: Option<String>,
    /// Why, for people
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Makes it safe to repeat [default: a random one, which is printed]
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct Void {
    /// Whose grant
    workspace: String,
    /// Which
    grant: String,
    /// Why, for people
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Makes it safe to repeat [default: a random one, which is printed]
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Create(create) => self::create(create),
        Action::List { workspace, paging, target } => {
            let path = path(&["v1", "workspaces", &workspace, "grants"]) + &query(&paging.parameters());
            target.list(Request::get(path), &["id", "source", "amount", "remaining", "reason", "created_at"])
        }
        Action::Void(void) => self::void(void),
    }
}

fn create(args: Create) -> Result<(), Failure> {
    let Create { workspace, source, amount, usd, reason, key, target } = args;
    let body = object([
        ("source", Some(source.into())),
        ("amount", amount.map(Value::from)),
        ("amount_usd", usd.map(Value::from)),
        ("reason", Some(reason.into())),
    ]);
    let request = Request::write("POST", path(&["v1", "workspaces", &workspace, "grants"]), body);
    target.run(request.under(key)?, |json| lines(json, &FIELDS))
}

fn void(args: Void) -> Result<(), Failure> {
    let Void { workspace, grant, reason, key, target } = args;
    let body = object([("reason", reason.map(Value::from))]);
    let path = path(&["v1", "workspaces", &workspace, "grants", &grant, "void"]);
    target.run(Request::write("POST", path, body).under(key)?, |json| lines(json, &FIELDS))
}
