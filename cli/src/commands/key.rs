//! `tollkeeper key`: the API keys of a workspace. A secret is printed once, by the command that makes it.

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::{cell, lines};
use crate::transport::request::{Request, object, path, query};
use crate::transport::target::{Paging, Target};

const EXAMPLE: &str = "Examples:
  tollkeeper key create acme --name storefront --scope charge
  tollkeeper key create acme --name 'reports of ada' --scope charge,read --member ada --json
  tollkeeper key list acme
  tollkeeper key revoke acme ak_01991234-5678-7abc-bfff-0123456789ab";

const CREATE_EXAMPLE: &str = "The secret is shown only now; only its hash is kept.

Examples:
  tollkeeper key create acme --name storefront --scope charge
  tollkeeper key create acme --name night --scope charge,read --worker w-7 \\
      --expires-at 2027-01-01T00:00:00Z
  export TOLLKEEPER_KEY=$(tollkeeper key create acme --name s --scope read --json | jq -r .secret)";

const FIELDS: [&str; 7] = ["id", "name", "scopes", "member", "worker", "expires_at", "created_at"];

/// Make, list and revoke the API keys of a workspace
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a key; its secret is shown only now
    #[command(after_help = CREATE_EXAMPLE)]
    Create(Create),
    /// The keys of a workspace without their secrets, newest first
    #[command(after_help = "Example:\n  tollkeeper key list acme")]
    List {
        /// Whose keys
        workspace: String,
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        target: Target,
    },
    /// End a key: from now on it opens nothing
    #[command(after_help = "Example:\n  tollkeeper key revoke acme ak_…")]
    Revoke {
        /// Whose key
        workspace: String,
        /// Which, by its id
        key: String,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// What it opens
    workspace: String,
    /// The display name
    #[arg(long)]
    name: String,
    /// What it may do: `charge` pays and reports outcomes, `read` sees, `manage` changes the workspace; several with commas
    #[arg(long, required = true, value_delimiter = ',', value_parser = ["charge", "read", "manage"])]
    scope: Vec<String>,
    /// Charges through it bear this member's name and no other
    #[arg(long)]
    member: Option<String>,
    /// Charges through it bear this worker's name and no other
    #[arg(long)]
    worker: Option<String>,
    /// From when on it opens nothing any more (RFC 3339, such as 2027-01-01T00:00:00Z)
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Create(create) => self::create(create),
        Action::List { workspace, paging, target } => {
            let path = path(&["v1", "workspaces", &workspace, "api-keys"]) + &query(&paging.parameters());
            let columns = ["id", "name", "scopes", "member", "worker", "expires_at", "last_used_at"];
            target.list(Request::get(path), &columns)
        }
        Action::Revoke { workspace, key, target } => {
            let path = path(&["v1", "workspaces", &workspace, "api-keys", &key]);
            target.end(path, &format!("{key} opens nothing any more"))
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
        format!("{}\nThe secret, shown only now; only its hash is kept:\n{secret}\n", lines(json, &FIELDS))
    })
}
