//! `tollkeeper mark-restored`: says in the journal of a store that it is a restored copy.
//!
//! `restore` does this for a data directory. This command is for what other tools have put back: a
//! database, a copied disk, an import of an export that was kept as a backup.

use serde_json::json;
use tollkeeper_engine::{JournalHead, embedded, postgres};
use tollkeeper_ledger::hex;
use tollkeeper_server::Store;

use crate::server_process::now;
use crate::terminal::failure::Failure;
use crate::terminal::output;
use crate::transport::store_args::StoreArgs;

const EXAMPLE: &str = "\
The ledger that was copied may have gone on. A new epoch tells those who keep numbers or hashes of
entries not to compare them with earlier ones. Run it once, after the restore and before the first
server. Stop the server of a data directory; servers of a database may run.

Examples:
  pg_restore --dbname tollkeeper /backups/2026-11-23.dump
  tollkeeper mark-restored --database-url postgres://db/tollkeeper";

/// Begin a new epoch, after other tools have restored a store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let store = args.store.store()?;
    let marked = match &store {
        Store::Directory(path) => embedded::mark_restored(path, now()),
        Store::Database(url) => postgres::mark_restored(url.expose(), now()),
    };
    let JournalHead { epoch, place, hash, .. } =
        marked.map_err(|why| Failure::of_engine(format!("{store} cannot be marked as restored"), &why))?;
    let head = format!("{place}:{}", hex(&hash));
    if args.json {
        return output::data(&format!("{}\n", json!({"epoch": epoch, "head": head})));
    }
    output::data(&format!("{store} is in epoch {epoch}, its journal ends at {head}\n"))
}
