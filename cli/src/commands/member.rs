//! `tollkeeper member`: the members of a workspace and their roles (P14, P15).

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::lines;
use crate::transport::request::{Request, object, path};
use crate::transport::target::{ListArgs, Target};

const EXAMPLE: &str = "Examples:
  tollkeeper member add acme ada --email ada@example.com --name 'Ada Lovelace' --role admin
  tollkeeper member list acme
  tollkeeper member change acme ada --role member";

const FIELDS: [&str; 5] = ["id", "email", "name", "role", "created_at"];

/// Add, list, show, change, remove and erase the members of a workspace
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Add a person to the workspace
    #[command(
        after_help = "Example:\n  tollkeeper member add acme ada --email ada@example.com --name 'Ada Lovelace' --role admin"
    )]
    Add(Add),
    /// List the members of a workspace, newest first
    #[command(after_help = "Example:\n  tollkeeper member list acme")]
    List(ListArgs),
    /// Show one member
    #[command(after_help = "Example:\n  tollkeeper member show acme ada")]
    Show(MemberArgs),
    /// Change the given fields; the others stay as they are
    #[command(after_help = "Example:\n  tollkeeper member change acme ada --role admin")]
    Change(Change),
    /// Remove a member, with the API keys and sessions that act for it
    #[command(after_help = "Example:\n  tollkeeper member remove acme ada")]
    Remove(MemberArgs),
    /// Erase all stored names and e-mail addresses of a member, also of one who was removed
    ///
    /// This cannot be undone. The journal and every audit stay whole: entries hold digests of these
    /// texts only, from which nothing can be recovered. The id of the member stays.
    #[command(after_help = "Example:\n  tollkeeper member erase acme ada")]
    Erase(MemberArgs),
}

/// The options of a command about one member, without others.
#[derive(Debug, clap::Args)]
pub struct MemberArgs {
    /// The id of the workspace
    workspace: String,
    /// The id of the member
    member: String,
    #[command(flatten)]
    target: Target,
}

/// The options of `tollkeeper member add`.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// The id of the workspace
    workspace: String,
    /// The id that charges and limits refer to: 1 to 64 of A-Z a-z 0-9 . _ : @ -
    member: String,
    /// The address for e-mails
    #[arg(long)]
    email: String,
    /// The display name
    #[arg(long)]
    name: String,
    /// `admin` may change everything in the workspace, `member` may see the balance and the usage
    #[arg(long, default_value = "member", value_parser = ["admin", "member"])]
    role: String,
    #[command(flatten)]
    target: Target,
}

/// The options of `tollkeeper member change`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "tollkeeper member change [OPTIONS] <WORKSPACE> <MEMBER>")]
#[command(group(clap::ArgGroup::new("changed").required(true).multiple(true).args(["email", "name", "role"])))]
pub struct Change {
    /// The id of the workspace
    workspace: String,
    /// The id of the member
    member: String,
    /// The address for e-mails
    #[arg(long)]
    email: Option<String>,
    /// The display name
    #[arg(long)]
    name: Option<String>,
    /// `admin` may change everything in the workspace, `member` may see the balance and the usage
    #[arg(long, value_parser = ["admin", "member"])]
    role: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Add(add) => self::add(add),
        Command::List(list) => list.show("members", &FIELDS),
        Command::Show(MemberArgs { workspace, member, target }) => {
            target.run(Request::get(member_path(&workspace, &member)), |json| lines(json, &FIELDS))
        }
        Command::Change(change) => self::change(change),
        Command::Remove(MemberArgs { workspace, member, target }) => {
            target.delete(member_path(&workspace, &member), &format!("{member} is removed from {workspace}"))
        }
        Command::Erase(MemberArgs { workspace, member, target }) => {
            let path = path(&["v1", "workspaces", &workspace, "members", &member, "personal-data"]);
            target.delete(
                path,
                &format!("the names and e-mail addresses of {member} in {workspace} are erased"),
            )
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
    target.run(Request::write("PATCH", member_path(&workspace, &member), body), |json| lines(json, &FIELDS))
}

fn member_path(workspace: &str, member: &str) -> String {
    path(&["v1", "workspaces", workspace, "members", member])
}
