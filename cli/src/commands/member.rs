//! `tollkeeper member`: who belongs to a workspace, and who of them may change what it spends (P14, P15).

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::lines;
use crate::transport::request::{Request, object, path, query};
use crate::transport::target::{Paging, Target};

const EXAMPLE: &str = "Examples:
  tollkeeper member add acme ada --email ada@example.com --name 'Ada Lovelace' --role admin
  tollkeeper member list acme
  tollkeeper member change acme ada --role member";

const FIELDS: [&str; 5] = ["id", "email", "name", "role", "created_at"];

/// Add, list, show, change and remove the members of a workspace
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Bring a person into the workspace
    #[command(
        after_help = "Example:\n  tollkeeper member add acme ada --email ada@example.com --name 'Ada Lovelace' --role admin"
    )]
    Add(Add),
    /// The members of a workspace, newest first
    #[command(after_help = "Example:\n  tollkeeper member list acme")]
    List {
        /// Whose members
        workspace: String,
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        target: Target,
    },
    /// One member
    #[command(after_help = "Example:\n  tollkeeper member show acme ada")]
    Show {
        /// Of which workspace
        workspace: String,
        /// Who
        member: String,
        #[command(flatten)]
        target: Target,
    },
    /// Change what is given; the rest stays
    #[command(after_help = "Example:\n  tollkeeper member change acme ada --role admin")]
    Change(Change),
    /// Take a member out, with the keys and sessions that act in that name
    #[command(after_help = "Example:\n  tollkeeper member remove acme ada")]
    Remove {
        /// From which workspace
        workspace: String,
        /// Who
        member: String,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// To which workspace
    workspace: String,
    /// The name that charges and limits bear: 1 to 64 of A-Z a-z 0-9 . _ : @ -
    member: String,
    /// Where messages go
    #[arg(long)]
    email: String,
    /// The display name
    #[arg(long)]
    name: String,
    /// `admin` changes everything of the workspace, `member` sees the balance and the usage
    #[arg(long, default_value = "member", value_parser = ["admin", "member"])]
    role: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "tollkeeper member change [OPTIONS] <WORKSPACE> <MEMBER>")]
#[command(group(clap::ArgGroup::new("changed").required(true).multiple(true).args(["email", "name", "role"])))]
struct Change {
    /// Of which workspace
    workspace: String,
    /// Who
    member: String,
    /// Where messages go
    #[arg(long)]
    email: Option<String>,
    /// The display name
    #[arg(long)]
    name: Option<String>,
    /// `admin` changes everything of the workspace, `member` sees the balance and the usage
    #[arg(long, value_parser = ["admin", "member"])]
    role: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Add(add) => self::add(add),
        Action::List { workspace, paging, target } => {
            let path = path(&["v1", "workspaces", &workspace, "members"]) + &query(&paging.parameters());
            target.list(Request::get(path), &FIELDS)
        }
        Action::Show { workspace, member, target } => {
            target.run(Request::get(one(&workspace, &member)), |json| lines(json, &FIELDS))
        }
        Action::Change(change) => self::change(change),
        Action::Remove { workspace, member, target } => {
            target.end(one(&workspace, &member), &format!("{member} is no member of {workspace} any more"))
        }
    }
}

fn add(args: Add) -> Result<(), Failure> {
    let Add { workspace, member, email, name, role, target } = args;
    let body = object([
        ("id", Some(member.into())),
        ("email", Some(email.into())),
        ("name", Some(name.into())),
        ("role", Some(role.into())),
    ]);
    let request = Request::write("POST", path(&["v1", "workspaces", &workspace, "members"]), body);
    target.run(request, |json| lines(json, &FIELDS))
}

fn change(args: Change) -> Result<(), Failure> {
    let Change { workspace, member, email, name, role, target } = args;
    let body = object([
        ("email", email.map(Value::from)),
        ("name", name.map(Value::from)),
        ("role", role.map(Value::from)),
    ]);
    target.run(Request::write("PATCH", one(&workspace, &member), body), |json| lines(json, &FIELDS))
}

fn one(workspace: &str, member: &str) -> String {
    path(&["v1", "workspaces", workspace, "members", member])
}
