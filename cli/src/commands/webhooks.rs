//! `tollkeeper webhooks`: the webhook endpoints of the platform, and what became of their messages.

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::{cell, lines, table};
use crate::transport::request::{Request, object, path};
use crate::transport::target::Target;

const EXAMPLE: &str = "Examples:
  tollkeeper webhooks create https://example.com/hooks --kind balance.low,charge.settled
  tollkeeper webhooks list
  tollkeeper webhooks ping we_01991234-5678-7abc-bfff-0123456789ab
  tollkeeper webhooks update we_… --enabled true --from stopped";

const CREATE_EXAMPLE: &str = "The secret is printed once. docs/WEBHOOKS.md says how messages are verified.

Examples:
  tollkeeper webhooks create https://example.com/hooks
  tollkeeper webhooks create https://example.com/hooks --kind balance.low --workspace acme --json";

const FIELDS: [&str; 8] = [
    "id",
    "url",
    "kinds",
    "workspace",
    "enabled",
    "disabled_reason",
    "previous_secret_signs_until",
    "created_at",
];

/// Create, list and change webhook endpoints, and see what became of their messages
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// List the endpoints without their secrets, newest first
    #[command(after_help = "Example:\n  tollkeeper webhooks list")]
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Create an endpoint and print its secret, once
    #[command(after_help = CREATE_EXAMPLE)]
    Create(Create),
    /// Show an endpoint
    #[command(after_help = "Example:\n  tollkeeper webhooks show we_…")]
    Show(One),
    /// Change an endpoint
    #[command(after_help = "Examples:
  tollkeeper webhooks update we_… --url https://example.com/other
  tollkeeper webhooks update we_… --enabled true --from now")]
    Update(Update),
    /// Delete an endpoint: nothing more is sent to it
    #[command(after_help = "Example:\n  tollkeeper webhooks delete we_…")]
    Delete(One),
    /// Give an endpoint a new secret; both sign for 24 hours
    #[command(after_help = "Example:\n  tollkeeper webhooks rotate-secret we_…")]
    RotateSecret(One),
    /// Send a test message and print what became of it
    #[command(after_help = "Example:\n  tollkeeper webhooks ping we_…")]
    Ping(One),
    /// List the messages that were not accepted, and the newest attempts
    #[command(after_help = "Example:\n  tollkeeper webhooks deliveries we_…")]
    Deliveries(One),
    /// Send a message again that is listed among the deliveries
    #[command(after_help = "Example:\n  tollkeeper webhooks resend we_… msg_…")]
    Resend {
        /// The id of the endpoint, such as we_…
        endpoint: String,
        /// The id of the message, such as msg_…
        message: String,
        #[command(flatten)]
        target: Target,
    },
}

/// The options of a command about one endpoint.
#[derive(Debug, clap::Args)]
pub struct One {
    /// The id of the endpoint, such as we_…
    endpoint: String,
    #[command(flatten)]
    target: Target,
}

/// The options of `tollkeeper webhooks create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The address to which messages are sent
    url: String,
    /// The types of messages, several with commas [default: all]
    #[arg(long, value_delimiter = ',')]
    kind: Vec<String>,
    /// Send only messages about this workspace
    #[arg(long)]
    workspace: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// The options of `tollkeeper webhooks update`.
#[derive(Debug, clap::Args)]
pub struct Update {
    /// The id of the endpoint, such as we_…
    endpoint: String,
    /// The new address
    #[arg(long)]
    url: Option<String>,
    /// The new types of messages, several with commas
    #[arg(long, value_delimiter = ',')]
    kind: Vec<String>,
    /// Whether messages are sent
    #[arg(long)]
    enabled: Option<bool>,
    /// Where an endpoint that is enabled begins: with what it has missed, or now
    #[arg(long, value_parser = ["stopped", "now"])]
    from: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    let all = || path(&["v1", "webhook-endpoints"]);
    let of = |endpoint: &str| path(&["v1", "webhook-endpoints", endpoint]);
    let about = |endpoint: &str, what: &str| path(&["v1", "webhook-endpoints", endpoint, what]);
    let as_lines = |json: &Value| lines(json, &FIELDS);
    match command {
        Command::List { target } => target.run(Request::get(all()), |json| {
            let rows = json["data"].as_array().map_or(&[][..], Vec::as_slice);
            table(rows, &["id", "url", "kinds", "workspace", "enabled", "disabled_reason"])
        }),
        Command::Create(Create { url, kind, workspace, target }) => {
            let body = object([
                ("url", Some(url.into())),
                ("kinds", (!kind.is_empty()).then(|| kind.into())),
                ("workspace", workspace.map(Value::from)),
            ]);
            target.run(Request::write("POST", all(), body), with_secret)
        }
        Command::Show(One { endpoint, target }) => target.run(Request::get(of(&endpoint)), as_lines),
        Command::Update(Update { endpoint, url, kind, enabled, from, target }) => {
            let body = object([
                ("url", url.map(Value::from)),
                ("kinds", (!kind.is_empty()).then(|| kind.into())),
                ("enabled", enabled.map(Value::from)),
                ("from", from.map(Value::from)),
            ]);
            target.run(Request::write("PATCH", of(&endpoint), body), as_lines)
        }
        Command::Delete(One { endpoint, target }) => {
            target.delete(of(&endpoint), &format!("{endpoint} is deleted"))
        }
        Command::RotateSecret(One { endpoint, target }) => {
            let request = Request::write("POST", about(&endpoint, "rotate-secret"), object([]));
            target.run(request, with_secret)
        }
        Command::Ping(One { endpoint, target }) => {
            let request = Request::write("POST", about(&endpoint, "ping"), object([]));
            target.run(request, |json| {
                lines(json, &["message", "accepted", "http_status", "outcome", "took_ms"])
            })
        }
        Command::Deliveries(One { endpoint, target }) => {
            target.run(Request::get(about(&endpoint, "deliveries")), deliveries)
        }
        Command::Resend { endpoint, message, target } => {
            let parts = ["v1", "webhook-endpoints", &endpoint, "deliveries", &message, "resend"];
            let request = Request::write("POST", path(&parts), object([]));
            target.run(request, |json| lines(json, &["message", "status", "attempts", "next_at"]))
        }
    }
}

fn with_secret(json: &Value) -> String {
    let secret = cell(json, "secret");
    format!("{}\nThe secret, printed once:\n{secret}\n", lines(json, &FIELDS))
}

fn deliveries(json: &Value) -> String {
    let rows = |name: &str| json[name].as_array().map_or(&[][..], Vec::as_slice).to_vec();
    let exceptions =
        table(&rows("exceptions"), &["message", "entry", "status", "attempts", "next_at", "outcome"]);
    let attempts = table(&rows("attempts"), &["at", "type", "workspace", "entry", "http_status", "outcome"]);
    format!("{}\n{exceptions}\n{attempts}", lines(json, &["down", "failing_since"]))
}
