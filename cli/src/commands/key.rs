//! `tollkeeper key`: the API keys of a workspace. The secret of a key is printed once, by the
//! command that creates it.

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::{cell, lines};
use crate::transport::request::{Request, object, path};
use crate::transport::target::{ListArgs, Target};

const EXAMPLE: &str = "Examples:
  tollkeeper key create acme --name storefront --scope charge
  tollkeeper key create acme --name 'reports of ada' --scope charge,read --member ada --json
  tollkeeper key list acme
  tollkeeper key revoke acme ak_01991234-5678-7abc-bfff-0123456789ab";

const CREATE_EXAMPLE: &str = "The secret is printed once and cannot be read again: only its hash is stored.

Examples:
  tollkeeper key create acme --name storefront --scope charge
  tollkeeper key create acme --name night --scope charge,read --worker w-7 \\
      --expires-at 2027-01-01T00:00:00Z
  export TOLLKEEPER_KEY=$(tollkeeper key create acme --name s --scope read --json | jq -r .secret)";

const FIELDS: [&str; 7] = ["id", "name", "scopes", "member", "worker", "expires_at", "created_at"];

/// Create, list and revoke the API keys of a workspace
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Create a key and print its secret, once
    #[command(after_help = CREATE_EXAMPLE)]
    Create(Create),
    /// List the keys of a workspace without their secrets, newest first
    #[command(after_help = "Example:\n  tollkeeper key list acme")]
    List(ListArgs),
    /// Revoke a key: it is refused from now on
    #[command(after_help = "Example:\n  tollkeeper key revoke acme ak_…")]
    Revoke {
        /// The id of the workspace
        workspace: String,
        /// The id of the key, such as ak_…
        key: String,
        #[command(flatten)]
        target: Target,
    },
}

/// The options of `tollkeeper key create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The id of the workspace that the key gives access to
    workspace: String,
    /// The display name of the key
    #[arg(long)]
    name: String,
    /// What the key may do: `charge` opens charges and reports outcomes, `settle` reports failures
    /// of the system, which are refunded, `read` shows data, `manage` changes the workspace;
    /// several with commas
    #[arg(long, required = true, value_delimiter = ',', value_parser = ["charge", "settle", "read", "manage"])]
    scope: Vec<String>,
    /// Bind the key to this member: its charges carry this member and no other
    #[arg(long)]
    member: Option<String>,
    /// Bind the key to this AI worker: its charges carry this worker and no other
    #[arg(long)]
    worker: Option<String>,
    /// When the key expires (RFC 3339, such as 2027-01-01T00:00:00Z) [default: never]
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(create) => self::create(create),
        Command::List(list) => {
            list.show("api-keys", &["id", "name", "scopes", "member", "worker", "expires_at", "last_used_at"])
        }
        Command::Revoke { workspace, key, target } => {
            let path = path(&["v1", "workspaces", &workspace, "api-keys", &key]);
            target.delete(path, &format!("{key} is revoked"))
        }
    }
}

fn create(args: Create) -> Result<(), Failure> {
    let Create { workspace, name, scope, member, worker, expires_at, target } = args;
    let body = object([
        ("name", Some(name.into())),
        ("scopes", Some(scope.into())),
        ("member", member.map(Value::from)),
        ("worker", worker.map(Value::from)),
        ("expires_at", expires_at.map(Value::from)),
    ]);
    let request = Request::write("POST", path(&["v1", "workspaces", &workspace, "api-keys"]), body);
    target.run(request, |json| {
        let secret = cell(json, "secret");
        format!("{}\nThe secret, printed once; only its hash is stored:\n{secret}\n", lines(json, &FIELDS))
    })
}
