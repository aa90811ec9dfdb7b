//! `tollkeeper top-up`: opens a top-up of a workspace, lists and shows them, confirms that one was
//! paid, sends its money back, and lists payments that fit nothing (P5).

use serde_json::{Value, json};

use crate::terminal::failure::Failure;
use crate::terminal::output::lines;
use crate::transport::request::{Request, object, path, query};
use crate::transport::target::{KeyArg, ListArgs, Paging, Target};

const EXAMPLE: &str = "Examples:
  tollkeeper top-up open acme --usd 25.00
  tollkeeper top-up list acme
  tollkeeper top-up confirm acme tu_01991234-5678-7abc-bfff-0123456789ab";

const CONFIRM_EXAMPLE: &str =
    "Confirm a top-up only after its money has arrived. The credit is granted once, and debt is repaid
from it first. To confirm it again changes nothing.

Example:
  tollkeeper top-up confirm acme tu_01991234-5678-7abc-bfff-0123456789ab";

const REFUND_EXAMPLE: &str =
    "The credit is taken at once: that of the given amount, or all that is unspent of this top-up.
With the provider `manual`, send the money yourself afterwards.

Example:
  tollkeeper top-up refund acme tu_01991234-5678-7abc-bfff-0123456789ab --usd 10.00 --reason asked";

const UNMATCHED_EXAMPLE: &str =
    "Such a payment granted no credit: it came in another currency or sum, or for nothing that is known.
Look it up at the payment provider, then send it back there, or grant its credit.

Example:
  tollkeeper top-up unmatched";

const FIELDS: [&str; 13] = [
    "id",
    "workspace",
    "status",
    "credits",
    "amount_usd",
    "payment.provider",
    "payment.instructions",
    "payment.checkout_url",
    "created_at",
    "paid_at",
    "grant",
    "failure",
    "receipt_url",
];

/// Open, list, show, confirm and refund top-ups: credit that is bought once
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Open a top-up, which waits for its payment
    #[command(after_help = "Example:\n  tollkeeper top-up open acme --usd 25.00")]
    Open(Open),
    /// List the top-ups of a workspace, newest first
    #[command(after_help = "Example:\n  tollkeeper top-up list acme")]
    List(ListArgs),
    /// Show one top-up
    #[command(after_help = "Example:\n  tollkeeper top-up show acme tu_01991234-5678-7abc-bfff-0123456789ab")]
    Show(One),
    /// Confirm that a top-up was paid, which grants its credit
    #[command(after_help = CONFIRM_EXAMPLE)]
    Confirm(One),
    /// Send money back to the payer of a top-up
    #[command(after_help = REFUND_EXAMPLE)]
    Refund(Refund),
    /// List the payments of all workspaces that fit nothing, newest first
    #[command(after_help = UNMATCHED_EXAMPLE)]
    Unmatched {
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        target: Target,
    },
}

/// The options of `tollkeeper top-up open`.
#[derive(Debug, clap::Args)]
pub struct Open {
    /// The id of the workspace that buys the credit
    workspace: String,
    /// What is to be paid, in dollars and whole cents, such as 25.00
    #[arg(long, value_name = "DOLLARS", allow_negative_numbers = true)]
    usd: String,
    /// Where the payer comes back from a page of the payment provider
    #[arg(long, value_name = "URL")]
    return_url: Option<String>,
    #[command(flatten)]
    idempotency: KeyArg,
    #[command(flatten)]
    target: Target,
}

/// The options of `tollkeeper top-up refund`.
#[derive(Debug, clap::Args)]
pub struct Refund {
    /// The id of the workspace
    workspace: String,
    /// The id of the top-up, such as tu_…
    top_up: String,
    /// What to send back, in dollars and whole cents, such as 10.00; all that is unspent if absent
    #[arg(long, value_name = "DOLLARS", allow_negative_numbers = true)]
    usd: Option<String>,
    /// The reason, shown to people
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    idempotency: KeyArg,
    #[command(flatten)]
    target: Target,
}

/// The options of a command about one top-up.
#[derive(Debug, clap::Args)]
pub struct One {
    /// The id of the workspace
    workspace: String,
    /// The id of the top-up, such as tu_…
    top_up: String,
    #[command(flatten)]
    target: Target,
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Open(open) => self::open(open),
        Command::List(list) => {
            list.show("top-ups", &["id", "status", "credits", "amount_usd", "created_at", "paid_at"])
        }
        Command::Show(One { workspace, top_up, target }) => {
            let path = path(&["v1", "workspaces", &workspace, "top-ups", &top_up]);
            target.run(Request::get(path), as_lines)
        }
        Command::Refund(refund) => self::refund(refund),
        Command::Unmatched { paging, target } => {
            let path = path(&["v1", "payments", "unmatched"]) + &query(&paging.parameters());
            let columns = ["created_at", "payment", "cents", "currency", "workspace", "reason"];
            target.list(Request::get(path), &columns)
        }
        Command::Confirm(One { workspace, top_up, target }) => {
            let path = path(&["v1", "workspaces", &workspace, "top-ups", &top_up, "confirm"]);
            target.run(Request::write("POST", path, json!({})), as_lines)
        }
    }
}

fn open(args: Open) -> Result<(), Failure> {
    let Open { workspace, usd, return_url, idempotency, target } = args;
    let body = object([("amount_usd", Some(usd.into())), ("return_url", return_url.map(Value::from))]);
    let request = Request::write("POST", path(&["v1", "workspaces", &workspace, "top-ups"]), body);
    target.run(request.with_key(idempotency.key)?, as_lines)
}

fn refund(args: Refund) -> Result<(), Failure> {
    let Refund { workspace, top_up, usd, reason, idempotency, target } = args;
    let body = object([("amount_usd", usd.map(Value::from)), ("reason", Some(reason.into()))]);
    let path = path(&["v1", "workspaces", &workspace, "top-ups", &top_up, "refund"]);
    let request = Request::write("POST", path, body).with_key(idempotency.key)?;
    target.run(request, |json| lines(json, &["id", "status", "amount_usd", "credits"]))
}

fn as_lines(json: &Value) -> String {
    lines(json, &FIELDS)
}
