//! The options of `tollkeeper charge`.
//!
//! The API checks the values, so that a wrong one is refused with the same message here and there.

use serde_json::{Map, Value};

use crate::terminal::failure::{Exit, Failure};
use crate::transport::request::{json, path};
use crate::transport::target::{KeyArg, Paging, Target};

const EXAMPLE: &str = "Examples:
  tollkeeper charge create acme virtual_try_on
  tollkeeper charge create acme smart_pricing --quantity 37 --await-outcome
  tollkeeper charge create acme chat --quantity input=1200 --quantity output=800
  tollkeeper charge outcome acme ch_… failed --fault system
  tollkeeper charge list acme --status pending";

/// Charge for runs of operations, report outcomes, refund
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Charge for a run of an operation, before it runs
    #[command(
        after_help = "Example:\n  tollkeeper charge create acme smart_pricing --quantity 37 --key order-17"
    )]
    Create(Create),
    /// Show one charge, its draws and its refunds
    #[command(after_help = "Example:\n  tollkeeper charge show acme ch_…")]
    Show(Show),
    /// List the charges of a workspace, newest first
    #[command(
        after_help = "Example:\n  tollkeeper charge list acme --operation virtual_try_on --status settled"
    )]
    List(List),
    /// Report the outcome of the operation; a failure of the system refunds the charge
    #[command(
        after_help = "Examples:\n  tollkeeper charge outcome acme ch_… succeeded\n  tollkeeper charge outcome acme ch_… failed --fault system"
    )]
    Outcome(Outcome),
    /// Extend the deadline of a pending charge
    #[command(after_help = "Example:\n  tollkeeper charge heartbeat acme ch_… --extend-seconds 600")]
    Heartbeat(Heartbeat),
    /// Refund a charge, wholly or partly
    #[command(
        after_help = "Example:\n  tollkeeper charge refund acme ch_… --usd 0.10 --reason 'blurred picture'"
    )]
    Refund(Refund),
    /// Show what a charge would cost, without charging
    #[command(after_help = "Example:\n  tollkeeper charge quote acme smart_pricing --quantity 37")]
    Quote(Quote),
}

/// The ids that name a charge.
#[derive(Debug, clap::Args)]
pub struct ChargeId {
    /// The id of the workspace
    pub workspace: String,
    /// The id of the charge, such as ch_…
    pub charge: String,
}

impl ChargeId {
    /// The path of the charge, or of what `action` names below it.
    pub fn path(&self, action: Option<&str>) -> String {
        let mut segments = vec!["v1", "workspaces", &self.workspace, "charges", &self.charge];
        segments.extend(action);
        path(&segments)
    }
}

/// Units of an operation, or of one of its meters.
#[derive(Clone, Debug)]
pub struct Units {
    meter: Option<String>,
    units: i64,
}

/// Parses `N` or `METER=N`.
fn units(text: &str) -> Result<Units, String> {
    let (meter, units) = match text.rsplit_once('=') {
        Some((meter, units)) => (Some(meter.to_owned()), units),
        None => (None, text),
    };
    let units = units.parse().map_err(|_| format!("`{units}` is not a whole number"))?;
    Ok(Units { meter, units })
}

/// The fields `quantity` and `quantities` of a request.
///
/// # Errors
/// Both are given, or one of them twice.
pub fn quantity_fields(given: Vec<Units>) -> Result<[(&'static str, Option<Value>); 2], Failure> {
    let (meters, units): (Vec<Units>, Vec<Units>) = given.into_iter().partition(|one| one.meter.is_some());
    let (count, mut quantities) = (meters.len(), Map::new());
    for Units { meter, units } in meters {
        quantities.insert(meter.unwrap_or_default(), units.into());
    }
    if units.len() > 1 || quantities.len() < count || !(units.is_empty() || quantities.is_empty()) {
        return Err(Failure::new(Exit::Usage, "the quantity contradicts itself")
            .because("an operation has one number of units, or one for each of its meters")
            .hint("give `--quantity 3`, or `--quantity input=1200 --quantity output=800`"));
    }
    let quantities = (!quantities.is_empty()).then_some(Value::Object(quantities));
    Ok([("quantity", units.first().map(|one| one.units.into())), ("quantities", quantities)])
}

/// The options of `tollkeeper charge create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The id of the workspace that pays
    pub workspace: String,
    /// The id of the operation that will run
    pub operation: String,
    /// The number of units, or METER=N for each meter of the operation [default: 1]
    #[arg(long, value_name = "N", value_parser = units, allow_hyphen_values = true)]
    pub quantity: Vec<Units>,
    /// The AI worker that runs the operation
    #[arg(long)]
    pub worker: Option<String>,
    /// The id of the member for whom it runs
    #[arg(long)]
    pub member: Option<String>,
    /// Await an outcome: if none is reported by the deadline, the charge is refunded
    #[arg(long)]
    pub await_outcome: bool,
    /// Await an outcome that only the platform, or a key with the scope `settle`, may report
    #[arg(long)]
    pub outcome_by_platform: bool,
    /// Await an outcome for this long [default: the timeout of the operation, else 900]
    #[arg(long, value_name = "SECONDS")]
    pub timeout_seconds: Option<i64>,
    /// Your own name of the run
    #[arg(long, value_name = "TEXT")]
    pub reference: Option<String>,
    /// A JSON object of your own, stored as it is
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub metadata: Option<Value>,
    #[command(flatten)]
    pub idempotency: KeyArg,
    #[command(flatten)]
    pub target: Target,
}

/// The options of `tollkeeper charge show`.
#[derive(Debug, clap::Args)]
pub struct Show {
    #[command(flatten)]
    pub id: ChargeId,
    #[command(flatten)]
    pub target: Target,
}

/// The options of `tollkeeper charge list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// The id of the workspace
    pub workspace: String,
    /// Only charges of this operation
    #[arg(long)]
    pub operation: Option<String>,
    /// Only charges of this AI worker
    #[arg(long)]
    pub worker: Option<String>,
    /// Only charges for this member
    #[arg(long)]
    pub member: Option<String>,
    /// Only charges with this status: pending, settled or refunded
    #[arg(long)]
    pub status: Option<String>,
    /// Only charges with this reference
    #[arg(long, value_name = "TEXT")]
    pub reference: Option<String>,
    /// Only charges at or after this instant (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Only charges before this instant (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    #[command(flatten)]
    pub paging: Paging,
    #[command(flatten)]
    pub target: Target,
}

/// The options of `tollkeeper charge outcome`.
#[derive(Debug, clap::Args)]
pub struct Outcome {
    #[command(flatten)]
    pub id: ChargeId,
    /// The result of the operation
    #[arg(value_parser = ["succeeded", "failed"])]
    pub result: String,
    /// The number of units used, or METER=N for each meter: what they cost less is refunded
    #[arg(
        long,
        value_name = "N",
        value_parser = units,
        conflicts_with = "fault",
        allow_hyphen_values = true
    )]
    pub quantity: Vec<Units>,
    /// Who caused a failure: `system` refunds the charge, `user` keeps it
    #[arg(long, value_parser = ["system", "user"], required_if_eq("result", "failed"))]
    pub fault: Option<String>,
    /// What happened, shown to people
    #[arg(long, value_name = "TEXT", requires = "fault")]
    pub detail: Option<String>,
    #[command(flatten)]
    pub target: Target,
}

/// The options of `tollkeeper charge heartbeat`.
#[derive(Debug, clap::Args)]
pub struct Heartbeat {
    #[command(flatten)]
    pub id: ChargeId,
    /// The new deadline, in seconds from now
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub extend_seconds: i64,
    #[command(flatten)]
    pub target: Target,
}

/// The options of `tollkeeper charge refund`.
#[derive(Debug, clap::Args)]
pub struct Refund {
    #[command(flatten)]
    pub id: ChargeId,
    /// The amount in micro-units [default: all that is not yet refunded]
    #[arg(long, value_name = "MICRO-UNITS", allow_negative_numbers = true)]
    pub amount: Option<i64>,
    /// The amount in dollars, such as 0.10
    #[arg(long, value_name = "DOLLARS", conflicts_with = "amount", allow_negative_numbers = true)]
    pub usd: Option<String>,
    /// The reason, shown to people
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    #[command(flatten)]
    pub idempotency: KeyArg,
    #[command(flatten)]
    pub target: Target,
}

/// The options of `tollkeeper charge quote`.
#[derive(Debug, clap::Args)]
pub struct Quote {
    /// The id of the workspace that would pay
    pub workspace: String,
    /// The id of the operation that would run
    pub operation: String,
    /// The number of units, or METER=N for each meter of the operation [default: 1]
    #[arg(long, value_name = "N", value_parser = units, allow_hyphen_values = true)]
    pub quantity: Vec<Units>,
    #[command(flatten)]
    pub target: Target,
}
