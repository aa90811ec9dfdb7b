//! `tollkeeper portal`: links that sign a member in to the dashboard, and the end of sessions.

use crate::terminal::failure::Failure;
use crate::terminal::output::{cell, remark};
use crate::transport::request::{Request, object, path, query};
use crate::transport::target::Target;

const EXAMPLE: &str = "Examples:
  tollkeeper portal link acme ada --return-url https://app.example.com/billing
  tollkeeper portal end acme --member ada";

const LINK_EXAMPLE: &str =
    "The link signs in once and within ten minutes, with the role the member then has. With --server it
leads to that server; else to TOLLKEEPER_PUBLIC_URL, or to where TOLLKEEPER_LISTEN says.

Example:
  tollkeeper portal link acme ada --return-url https://app.example.com/billing";

/// Sign members in to the dashboard and out of it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a link that signs a member in, once
    #[command(after_help = LINK_EXAMPLE)]
    Link {
        /// Of which workspace
        workspace: String,
        /// Who signs in
        member: String,
        /// Where the dashboard leads back to
        #[arg(long, value_name = "URL")]
        return_url: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// End all sessions and links, of one member or of all
    #[command(after_help = "Example:\n  tollkeeper portal end acme --member ada")]
    End {
        /// Of which workspace
        workspace: String,
        /// Only those of this member
        #[arg(long)]
        member: Option<String>,
        #[command(flatten)]
        target: Target,
    },
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Link { workspace, member, return_url, target } => {
            let is_guess = !target.is_server() && std::env::var_os("TOLLKEEPER_PUBLIC_URL").is_none();
            let body = object([("member", Some(member.into())), ("return_url", return_url.map(Into::into))]);
            target.run(Request::write("POST", sessions(&workspace), body), |json| {
                if is_guess {
                    remark("the link goes by TOLLKEEPER_LISTEN; set TOLLKEEPER_PUBLIC_URL to where people reach the server");
                }
                let [member, until, url] = ["member", "expires_at", "url"].map(|field| cell(json, field));
                format!("Signs {member} in, once and until {until}; it is for nobody else:\n{url}\n")
            })
        }
        Action::End { workspace, member, target } => {
            let who = member.as_ref().map_or_else(|| "everybody".to_owned(), Clone::clone);
            let path = sessions(&workspace) + &query(&[("member", member)]);
            target.end(path, &format!("{who} is signed out of {workspace}"))
        }
    }
}

fn sessions(workspace: &str) -> String {
    path(&["v1", "workspaces", workspace, "portal-sessions"])
}
