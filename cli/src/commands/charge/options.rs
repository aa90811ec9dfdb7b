//! The options of `tollkeeper charge`, as `--help` shows them. Values are checked by the API, in one place, so that
//! here and there the same is refused in the same words.

use serde_json::Value;

use crate::transport::request::json;
use crate::transport::target::{Paging, Target};

const EXAMPLE: &str = "Examples:
  tollkeeper charge create acme virtual_try_on
  tollkeeper charge create acme smart_pricing --quantity 37 --await-outcome
  tollkeeper charge outcome acme ch_… failed --fault system
  tollkeeper charge list acme --status pending";

/// Pay for a run of an operation, and say what became of it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Action {
    /// Deduct the price of a run before it runs
    #[command(
        after_help = "Example:\n  tollkeeper charge create acme smart_pricing --quantity 37 --key order-17"
    )]
    Create(Create),
    /// One charge, its draws and its refunds
    #[command(after_help = "Example:\n  tollkeeper charge show acme ch_…")]
    Show(Show),
    /// The charges of a workspace, newest first
    #[command(
        after_help = "Example:\n  tollkeeper charge list acme --operation virtual_try_on --status settled"
    )]
    List(List),
    /// Say what became of the operation; a system failure refunds
    #[command(
        after_help = "Examples:\n  tollkeeper charge outcome acme ch_… succeeded\n  tollkeeper charge outcome acme ch_… failed --fault system"
    )]
    Outcome(Outcome),
    /// Move the deadline of a pending charge to later
    #[command(after_help = "Example:\n  tollkeeper charge heartbeat acme ch_… --extend-seconds 600")]
    Heartbeat(Heartbeat),
    /// Give back a charge, wholly or partly
    #[command(
        after_help = "Example:\n  tollkeeper charge refund acme ch_… --usd 0.10 --reason 'blurred picture'"
    )]
    Refund(Refund),
    /// What a charge would cost; moves nothing
    #[command(after_help = "Example:\n  tollkeeper charge quote acme smart_pricing --quantity 37")]
    Quote(Quote),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Who pays
    pub workspace: String,
    /// What will run
    pub operation: String,
    /// How many units, 1 to 1,000,000 [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub quantity: Option<i64>,
    /// Which AI worker runs it
    #[arg(long)]
    pub worker: Option<String>,
    /// For which person
    #[arg(long)]
    pub member: Option<String>,
    /// Wait for an outcome: without one by the deadline it is refunded
    #[arg(long)]
    pub await_outcome: bool,
    /// For how long to wait
    #[arg(long, value_name = "SECONDS")]
    pub timeout_seconds: Option<i64>,
    /// Your own name for the run
    #[arg(long, value_name = "TEXT")]
    pub reference: Option<String>,
    /// A JSON object of your own
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub metadata: Option<Value>,
    /// Makes it safe to repeat [default: a random one, which is printed]
    #[arg(long)]
    pub key: Option<String>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Whose charge
    pub workspace: String,
    /// Which
    pub charge: String,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Whose charges
    pub workspace: String,
    /// Only of this operation
    #[arg(long)]
    pub operation: Option<String>,
    /// Only of this AI worker
    #[arg(long)]
    pub worker: Option<String>,
    /// Only for this person
    #[arg(long)]
    pub member: Option<String>,
    /// Only pending, settled or refunded ones
    #[arg(long)]
    pub status: Option<String>,
    /// Only with this reference
    #[arg(long, value_name = "TEXT")]
    pub reference: Option<String>,
    /// Only from this instant on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Only before this instant (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    #[command(flatten)]
    pub paging: Paging,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Outcome {
    /// Whose charge
    pub workspace: String,
    /// Which
    pub charge: String,
    /// What became of the operation
    #[arg(value_parser = ["succeeded", "failed"])]
    pub result: String,
    /// Units really used, if fewer than paid: the difference goes back
    #[arg(long, value_name = "N", conflicts_with = "fault", allow_negative_numbers = true)]
    pub quantity: Option<i64>,
    /// Whose fault a failure was: the system's is refunded, the user's is kept
    #[arg(long, value_parser = ["system", "user"], required_if_eq("result", "failed"))]
    pub fault: Option<String>,
    /// What happened, for people
    #[arg(long, value_name = "TEXT", requires = "fault")]
    pub detail: Option<String>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Heartbeat {
    /// Whose charge
    pub workspace: String,
    /// Which
    pub charge: String,
    /// How long from now the outcome may still take
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub extend_seconds: i64,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Refund {
    /// Whose charge
    pub workspace: String,
    /// Which
    pub charge: String,
    /// How much, in micro-units [default: all that is left]
    #[arg(long, value_name = "MICRO-UNITS", allow_negative_numbers = true)]
    pub amount: Option<i64>,
    /// How much, in dollars, such as 0.10
    #[arg(long, value_name = "DOLLARS", conflicts_with = "amount", allow_negative_numbers = true)]
    pub usd: Option<String>,
    /// Why, for people
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Makes it safe to repeat [default: a random one, which is printed]
    #[arg(long)]
    pub key: Option<String>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Quote {
    /// Who would pay
    pub workspace: String,
    /// What would run
    pub operation: String,
    /// How many units [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub quantity: Option<i64>,
    #[command(flatten)]
    pub target: Target,
}
