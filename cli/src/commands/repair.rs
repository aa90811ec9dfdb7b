//! `tollkeeper repair`: rebuilds what is derived from the journal of one workspace in a database.
//!
//! A server rebuilds a damaged account when it meets one. A wrong row of usage or a missing
//! deadline is seen by an audit only; this command mends it. A data directory needs none: it is
//! derived anew as a whole.

use serde_json::json;
use tollkeeper_engine::postgres;
use tollkeeper_ledger::WorkspaceId;
use tollkeeper_server::Store;

use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output;
use crate::transport::store_args::StoreArgs;

const EXAMPLE: &str = "\
The account, the team, the grants, the usage, the deadlines and the search rows of the workspace are
written anew from its entries. Entries are never changed. Servers may run meanwhile.

Example:
  tollkeeper repair acme --database-url postgres://db/tollkeeper";

/// How a data directory is mended.
pub const MENDING: &str = "a server mends what it meets of a damaged state.db; to mend all of it, stop the server, \
                           delete state.db, state.db-wal and state.db-shm, and start it again";

/// Rebuild what a database derives from the journal of a workspace
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The workspace that an audit has named
    workspace: String,

    #[command(flatten)]
    store: StoreArgs,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { workspace, store, json } = args;
    let store = store.store()?;
    let Store::Database(url) = &store else {
        return Err(Failure::new(Exit::Usage, "this command is for a database").hint(MENDING));
    };
    let id = WorkspaceId::new(workspace.as_str())
        .map_err(|why| Failure::new(Exit::Usage, "the id of the workspace is malformed").because(why))?;
    postgres::repair(url.expose(), &id).map_err(|why| {
        let failure = Failure::of_engine(format!("{workspace} in {store} cannot be repaired"), &why);
        if why.is_damaged() { failure.with_exit(Exit::No) } else { failure }
    })?;
    if json {
        return output::data(&format!("{}\n", json!({"workspace": workspace, "repaired": true})));
    }
    output::data(&format!("everything that derives from the journal of {workspace} was written anew\n"))
}
