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

const LIST_EXAMPLE: &str = "Examples:
  tollkeeper workspace list --limit 10
  tollkeeper workspace list --name acme --suspended
  tollkeeper workspace list --unused-since 2026-01-01T00:00:00Z --debt false";

const COLUMNS: [&str; 6] = ["id", "name", "suspended", "debt_usd", "created_at", "last_used_at"];

const FIELDS: [&str; 6] = ["id", "name", "timezone", "suspended", "metadata", "created_at"];

/// Create, list, show and update workspaces
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Create a workspace; its balance is 0
    #[command(after_help = "Example:\n  tollkeeper workspace create acme --name 'Acme Fashion'")]
    Create(Create),
    /// List workspaces, newest first; all filters hold at once
    #[command(after_help = LIST_EXAMPLE)]
    List(List),
    /// Show one workspace
    #[command(after_help = "Example:\n  tollkeeper workspace show acme")]
    Show(WorkspaceArgs),
    /// Update the given fields; the others stay as they are
    #[command(after_help = "Example:\n  tollkeeper workspace update acme --suspend")]
    Update(Update),
}

/// The options of `tollkeeper workspace list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only workspaces with a name in which a word begins with this text
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Only suspended workspaces; with `false`, only the others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    suspended: Option<bool>,
    /// Only workspaces that owe credit; with `false`, only the others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    debt: Option<bool>,
    /// Only workspaces without a charge since this instant (RFC 3339)
    #[arg(long, value_name = "TIME")]
    unused_since: Option<String>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    target: Target,
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
        Command::List(list) => self::list(list),
        Command::Show(WorkspaceArgs { workspace, target }) => {
            let request = Request::get(path(&["v1", "workspaces", &workspace]));
            target.run(request, |json| lines(json, &FIELDS))
        }
        Command::Update(update) => self::update(update),
    }
}

fn list(args: List) -> Result<(), Failure> {
    let List { name, suspended, debt, unused_since, paging, target } = args;
    let flag = |flag: Option<bool>| flag.map(|flag| flag.to_string());
    let [limit, cursor] = paging.parameters();
    let query = query(&[
        ("name", name),
        ("suspended", flag(suspended)),
        ("debt", flag(debt)),
        ("unused_since", unused_since),
        limit,
        cursor,
    ]);
    target.list(Request::get(path(&["v1", "workspaces"]) + &query), &COLUMNS)
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
