//! `tollkeeper payment-method`: the saved card of a workspace, which pays for automatic top-ups,
//! and the pages of the payment provider for it.

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::output::lines;
use crate::transport::request::{Request, object, path};
use crate::transport::target::{Target, WorkspaceArgs};

const EXAMPLE: &str = "Examples:
  tollkeeper payment-method link acme
  tollkeeper payment-method show acme
  tollkeeper payment-method remove acme";

const LINK_EXAMPLE: &str =
    "The payer saves a card on the page, which is Stripe's. The provider `manual` has no such page.

Example:
  tollkeeper payment-method link acme --return-url https://app.example.com/billing";

const PORTAL_EXAMPLE: &str =
    "On the page the payer changes cards and the billing address, and finds invoices. It is Stripe's;
the provider `manual` has no such page.

Example:
  tollkeeper payment-method portal acme --return-url https://app.example.com/billing";

/// Save, show and remove the card of a workspace
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Show the brand, the last four digits and the expiry of the saved card
    #[command(after_help = "Example:\n  tollkeeper payment-method show acme")]
    Show(WorkspaceArgs),
    /// Remove the saved card, and stop automatic top-ups
    #[command(after_help = "Example:\n  tollkeeper payment-method remove acme")]
    Remove(WorkspaceArgs),
    /// Make a link to the page on which a card is saved
    #[command(after_help = LINK_EXAMPLE)]
    Link(Page),
    /// Make a link to the payer's page for cards, invoices and the address
    #[command(after_help = PORTAL_EXAMPLE)]
    Portal(Page),
}

/// The options of a command that makes a link to a page of the payment provider.
#[derive(Debug, clap::Args)]
pub struct Page {
    /// The id of the workspace
    workspace: String,
    /// Where the payer comes back from the page
    #[arg(long, value_name = "URL")]
    return_url: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Show(WorkspaceArgs { workspace, target }) => {
            let request = Request::get(path_of(&workspace, "payment-method"));
            target.run(request, |json| lines(json, &["brand", "last4", "expires"]))
        }
        Command::Remove(WorkspaceArgs { workspace, target }) => {
            let done = format!("no card of {workspace} is saved");
            target.delete(path_of(&workspace, "payment-method"), &done)
        }
        Command::Link(page) => page.open("payment-method"),
        Command::Portal(page) => page.open("billing-portal"),
    }
}

impl Page {
    /// Makes the link; `what` is the last part of the path.
    fn open(self, what: &str) -> Result<(), Failure> {
        let body = object([("return_url", self.return_url.map(Value::from))]);
        let request = Request::write("POST", path_of(&self.workspace, what), body);
        self.target.run(request, |json| lines(json, &["url"]))
    }
}

fn path_of(workspace: &str, what: &str) -> String {
    path(&["v1", "workspaces", workspace, what])
}
