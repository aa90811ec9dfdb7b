//! `tollkeeper subscription`: shows, starts, changes and cancels the plan of a workspace, and
//! confirms its payments (P4).

use serde_json::{Value, json};

use crate::terminal::failure::Failure;
use crate::terminal::output::lines;
use crate::transport::request::{Access, Request, path};
use crate::transport::target::{KeyArg, Target, WorkspaceArgs};

const EXAMPLE: &str = "Examples:
  tollkeeper subscription preview acme starter
  tollkeeper subscription start acme starter
  tollkeeper subscription confirm acme";

const START_EXAMPLE: &str =
    "A new subscription waits for its first payment; a free plan begins at once. A dearer plan waits for
the payment of the rest of the period. Any other plan begins with the next period. The current plan
takes back what is planned: another plan, or the end.

Example:
  tollkeeper subscription start acme starter";

const CONFIRM_EXAMPLE: &str =
    "Confirm a payment only after its money has arrived. It pays the oldest period that has begun and
was not paid, or with --change the change that waits. The credit is granted once, and debt is
repaid from it first.

Examples:
  tollkeeper subscription confirm acme
  tollkeeper subscription confirm acme --change";

const FIELDS: [&str; 16] = [
    "id",
    "workspace",
    "plan",
    "status",
    "period.start",
    "period.end",
    "due_usd",
    "next_plan",
    "change.plan",
    "change.due_usd",
    "change.credits",
    "change.until",
    "cancels_at",
    "payment.provider",
    "payment.instructions",
    "checkout_url",
];

/// Show, start, change and cancel the plan of a workspace, and confirm its payments
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Show the subscription that runs, or the last one
    #[command(after_help = "Example:\n  tollkeeper subscription show acme")]
    Show(WorkspaceArgs),
    /// Start a plan, or change to it
    #[command(after_help = START_EXAMPLE)]
    Start(WithPlan),
    /// Show what a plan would cost and bring; moves nothing
    #[command(after_help = "Example:\n  tollkeeper subscription preview acme starter")]
    Preview(WithPlan),
    /// End the subscription with the period that is paid
    #[command(after_help = "Example:\n  tollkeeper subscription cancel acme")]
    Cancel(WorkspaceArgs),
    /// Confirm that a period or a change was paid, which grants its credit
    #[command(after_help = CONFIRM_EXAMPLE)]
    Confirm(Confirm),
}

/// The options of a command about a plan.
#[derive(Debug, clap::Args)]
pub struct WithPlan {
    /// The id of the workspace
    workspace: String,
    /// The id of the plan; tollkeeper plans show lists the plans
    plan: String,
    #[command(flatten)]
    target: Target,
}

/// The options of `tollkeeper subscription confirm`.
#[derive(Debug, clap::Args)]
pub struct Confirm {
    /// The id of the workspace
    workspace: String,
    /// Confirm the change that waits, not a period
    #[arg(long)]
    change: bool,
    #[command(flatten)]
    idempotency: KeyArg,
    #[command(flatten)]
    target: Target,
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Show(args) => args.target.run(Request::get(subscription(&args.workspace)), as_lines),
        Command::Start(WithPlan { workspace, plan, target }) => {
            let body = json!({ "plan": plan });
            target.run(Request::write("PUT", subscription(&workspace), body), as_lines)
        }
        Command::Preview(WithPlan { workspace, plan, target }) => {
            let path = path(&["v1", "workspaces", &workspace, "subscription", "preview"]);
            let shown =
                |json: &Value| lines(json, &["due_now_usd", "credits_now", "credits_per_month", "from"]);
            let request = Request::write("POST", path, json!({ "plan": plan }));
            target.run(request.with_access(Access::Reads), shown)
        }
        Command::Cancel(args) => args.target.run(Request::delete(subscription(&args.workspace)), as_lines),
        Command::Confirm(Confirm { workspace, change, idempotency, target }) => {
            let path = path(&["v1", "workspaces", &workspace, "subscription", "confirm"]);
            let request = Request::write("POST", path, json!({ "change": change }));
            target.run(request.with_key(idempotency.key)?, as_lines)
        }
    }
}

fn subscription(workspace: &str) -> String {
    path(&["v1", "workspaces", workspace, "subscription"])
}

fn as_lines(json: &Value) -> String {
    lines(json, &FIELDS)
}
