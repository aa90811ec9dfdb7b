//! `tollkeeper workspace`: opens, lists, shows and changes workspaces.

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::lines;
use crate::transport::request::{Access, Request, json, object, path, query};
use crate::transport::target::{Paging, Target};

const EXAMPLE: &str = "Examples:
  tollkeeper workspace create acme --name 'Acme Fashion' --timezone Europe/Berlin
  tollkeeper workspace list
  tollkeeper workspace update acme --suspend";

const FIELDS: [&str; 6] = ["id", "name", "timezone", "suspended", "metadata", "created_at"];

/// Open, list, show and change workspaces
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Open a workspace with an empty credit pool
    #[command(after_help = "Example:\n  tollkeeper workspace create acme --name 'Acme Fashion'")]
    Create(Create),
    /// All workspaces, newest first
    #[command(after_help = "Example:\n  tollkeeper workspace list --limit 10")]
    List {
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        target: Target,
    },
    /// One workspace
    #[command(after_help = "Example:\n  tollkeeper workspace show acme")]
    Show {
        /// Its id
        workspace: String,
        #[command(flatten)]
        target: Target,
    },
    /// Change what is given; the rest stays
    #[command(after_help = "Example:\n  tollkeeper workspace update acme --suspend")]
    Update(Update),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Its id: 1 to 64 of A-Z a-z 0-9 . _ : @ - [default: made by the server]
    workspace: Option<String>,
    /// Its name for people
    #[arg(long)]
    name: String,
    /// The IANA time zone that its days and months follow [default: UTC]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// A JSON object of your own
    #[arg(long, value_name = "JSON", value_parser = json)]
    metadata: Option<Value>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "tollkeeper workspace update [OPTIONS] <WORKSPACE>")]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true).args([
    "name", "timezone", "metadata", "suspend", "resume",
])))]
struct Update {
    /// Its id
    workspace: String,
    /// Its name for people
    #[arg(long)]
    name: Option<String>,
    /// The IANA time zone that its days and months follow
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// A JSON object of your own
    #[arg(long, value_name = "JSON", value_parser = json)]
    metadata: Option<Value>,
    /// Refuse charges from now on
    #[arg(long, conflicts_with = "resume")]
    suspend: bool,
    /// Take charges again
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Create(create) => self::create(create),
        Action::List { paging, target } => {
            let path = path(&["v1", "workspaces"]) + &query(&paging.parameters());
            target.list(Request::get(path), &["id", "name", "timezone", "suspended", "created_at"])
        }
        Action::Show { workspace, target } => {
            let request = Request::get(path(&["v1", "workspaces", &workspace]));
            target.run(request, |json| lines(json, &FIELDS))
        }
        Action::Update(update) => self::update(update),
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
    let request = Request::write("POST", path(&["v1", "workspaces"]), body).that(Access::Begins);
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
