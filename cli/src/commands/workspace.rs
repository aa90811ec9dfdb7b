//! `tollkeeper workspace`: creates, lists, shows and updates workspaces.

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::lines;
use crate::transport::request::{Access, Request, json, object, path, query};
use crate::transport::target::{Paging, Target, WorkspaceArgs};

const EXAMPLE: &str = "Examples:
  tollkeeper workspace create acme --name 'Acme Fashion' --timezone Europe/Berlin
  tollkeeper workspace list
  tollkeeper workspace update acme --suspend";

const FIELDS: [&str; 6] = ["id", "name", "timezone", "suspended", "metadata", "created_at"];

/// Create, list, show and update workspaces
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Create a workspace; its balance is 0
    #[command(after_help = "Example:\n  tollkeeper workspace create acme --name 'Acme Fashion'")]
    Create(Create),
    /// List all workspaces, newest first
    #[command(after_help = "Example:\n  tollkeeper workspace list --limit 10")]
    List {
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        target: Target,
    },
    /// Show one workspace
    #[command(after_help = "Example:\n  tollkeeper workspace show acme")]
    Show(WorkspaceArgs),
    /// Update the given fields; the others stay as they are
    #[command(after_help = "Example:\n  tollkeeper workspace update acme --suspend")]
    Update(Update),
}

/// The options of `tollkeeper workspace create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The id: 1 to 64 of A-Z a-z 0-9 . _ : @ - [default: generated]
    workspace: Option<String>,
    /// The display name
    #[arg(long)]
    name: String,
    /// The IANA time zone of its days and months [default: UTC]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// A JSON object of your own, stored as it is
    #[arg(long, value_name = "JSON", value_parser = json)]
    metadata: Option<Value>,
    #[command(flatten)]
    target: Target,
}

/// The options of `tollkeeper workspace update`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "tollkeeper workspace update [OPTIONS] <WORKSPACE>")]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true).args([
    "name", "timezone", "metadata", "suspend", "resume",
])))]
pub struct Update {
    /// The id of the workspace
    workspace: String,
    /// The display name
    #[arg(long)]
    name: Option<String>,
    /// The IANA time zone of its days and months
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// A JSON object of your own, stored as it is
    #[arg(long, value_name = "JSON", value_parser = json)]
    metadata: Option<Value>,
    /// Suspend the workspace: refuse its charges from now on
    #[arg(long, conflicts_with = "resume")]
    suspend: bool,
    /// End the suspension: accept its charges again
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    target: Target,
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(create) => self::create(create),
        Command::List { paging, target } => {
            let path = path(&["v1", "workspaces"]) + &query(&paging.parameters());
            target.list(Request::get(path), &["id", "name", "timezone", "suspended", "created_at"])
        }
        Command::Show(WorkspaceArgs { workspace, target }) => {
            let request = Request::get(path(&["v1", "workspaces", &workspace]));
            target.run(request, |json| lines(json, &FIELDS))
        }
        Command::Update(update) => self::update(update),
    }
}

fn create(args: Create) -> Result<(), Failure> {
    let Create { workspace, name, timezone, metadata, target } = args;
    let body = object([
        ("id", workspace.map(Value::from)),
        ("name", Some(name.into())),
        ("timezone", timezone.map(Value::from)),
        ("metadata", metadata),
    ]);
    let request = Request::write("POST", path(&["v1", "workspaces"]), body).with_access(Access::Creates);
    target.run(request, |json| lines(json, &FIELDS))
}

fn update(args: Update) -> Result<(), Failure> {
    let Update { workspace, name, timezone, metadata, suspend, resume, target } = args;
    let body = object([
        ("name", name.map(Value::from)),
        ("timezone", timezone.map(Value::from)),
        ("metadata", metadata),
        ("suspended", (suspend || resume).then_some(Value::Bool(suspend))),
    ]);
    let request = Request::write("PATCH", path(&["v1", "workspaces", &workspace]), body);
    target.run(request, |json| lines(json, &FIELDS))
}
