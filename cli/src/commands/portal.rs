//! `tollkeeper portal`: creates links that sign a member in to the dashboard, and ends sessions.

use crate::terminal::failure::Failure;
use crate::terminal::output::{cell, remark};
use crate::transport::request::{Request, object, path, query};
use crate::transport::target::Target;

const EXAMPLE: &str = "Examples:
  tollkeeper portal link acme ada --return-url https://app.example.com/billing
  tollkeeper portal end acme --member ada";

const LINK_EXAMPLE: &str =
    "The link works once and for ten minutes. The session has the role that the member has at that time.
With --server the link leads to that server, else to TOLLKEEPER_PUBLIC_URL, else to
TOLLKEEPER_LISTEN.

Example:
  tollkeeper portal link acme ada --return-url https://app.example.com/billing";

/// Create sign-in links to the dashboard, end sessions
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Create a link that signs a member in, once
    #[command(after_help = LINK_EXAMPLE)]
    Link {
        /// The id of the workspace
        workspace: String,
        /// The id of the member who signs in
        member: String,
        /// The address that the dashboard links back to
        #[arg(long, value_name = "URL")]
        return_url: Option<String>,
        /// The language of the pages, such as de [default: that of the browser]
        #[arg(long, value_name = "TAG")]
        locale: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// End the sessions and links of one member or of all members
    #[command(after_help = "Example:\n  tollkeeper portal end acme --member ada")]
    End {
        /// The id of the workspace
        workspace: String,
        /// The id of the member [default: all members]
        #[arg(long)]
        member: Option<String>,
        #[command(flatten)]
        target: Target,
    },
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Link { workspace, member, return_url, locale, target } => {
            let address_is_guessed =
                !target.is_server() && std::env::var_os("TOLLKEEPER_PUBLIC_URL").is_none();
            let body = object([
                ("member", Some(member.into())),
                ("return_url", return_url.map(Into::into)),
                ("locale", locale.map(Into::into)),
            ]);
            target.run(Request::write("POST", sessions_path(&workspace), body), |json| {
                if address_is_guessed {
                    remark("the link uses the address of TOLLKEEPER_LISTEN; set TOLLKEEPER_PUBLIC_URL to the server's public address");
                }
                let [member, until, url] = ["member", "expires_at", "url"].map(|field| cell(json, field));
                format!("Signs in {member}, once and before {until}; send it to nobody else:\n{url}\n")
            })
        }
        Command::End { workspace, member, target } => {
            let who = member.as_ref().map_or_else(|| "every member".to_owned(), Clone::clone);
            let path = sessions_path(&workspace) + &query(&[("member", member)]);
            target.delete(path, &format!("{who} is signed out of {workspace}"))
        }
    }
}

fn sessions_path(workspace: &str) -> String {
    path(&["v1", "workspaces", workspace, "portal-sessions"])
}
