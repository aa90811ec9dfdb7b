//! `tollkeeper backup` and `tollkeeper restore`: a consistent copy of a data directory, also while
//! a server runs on it, and its restore.
//!
//! A restore audits the backup first. Neither command overwrites anything. A PostgreSQL database
//! has tools of its own for both.

use std::path::PathBuf;

use serde_json::json;
use tollkeeper_engine::embedded;
use tollkeeper_server::Store;

use crate::server_process::now;
use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output::{self, grouped};
use crate::transport::store_args::{self, StoreArgs};

/// Copy a data directory consistently, also while a server runs on it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollkeeper backup --data ./tollkeeper-data --to /backups/2026-11-23")]
pub struct BackupArgs {
    #[command(flatten)]
    store: StoreArgs,

    /// The directory of the copy; it must be absent or empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Audit a backup and copy it to a new data directory
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 1: the backup fails its audit.\n\nExample:\n  tollkeeper restore --from /backups/2026-11-23 --to ./tollkeeper-data"
)]
pub struct RestoreArgs {
    /// The directory of the backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,

    /// The data directory to create; it must be absent or empty
    #[arg(long, value_name = "DIR", conflicts_with = "database_url")]
    to: Option<PathBuf>,

    /// Accepted only to explain what to use instead.
    #[arg(long, value_name = "URL", hide = true)]
    database_url: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `tollkeeper backup`.
pub fn backup(args: BackupArgs) -> Result<(), Failure> {
    let store = args.store.store()?;
    let Store::Directory(from) = &store else {
        return Err(not_for_databases(&store));
    };
    let entries = embedded::backup(from, &args.to)
        .map_err(|why| Failure::of_engine(format!("{} cannot be backed up", from.display()), &why))?;
    report("backed up", entries, &args.to, args.json)
}

/// Runs `tollkeeper restore`.
pub fn restore(args: RestoreArgs) -> Result<(), Failure> {
    if let Some(url) = args.database_url {
        return Err(not_for_databases(&store_args::database(url)?));
    }
    let to = args.to.ok_or_else(|| {
        Failure::new(Exit::Usage, "no directory to restore to is named")
            .hint("name a new data directory with --to")
    })?;
    let entries = embedded::restore(&args.from, &to, now()).map_err(|why| {
        let failure = Failure::of_engine(format!("{} cannot be restored", args.from.display()), &why);
        if why.is_damaged() { failure.with_exit(Exit::No) } else { failure }
    })?;
    report("restored", entries, &to, args.json)
}

/// The failure when the store is a database, which has its own tools for backups.
fn not_for_databases(store: &Store) -> Failure {
    Failure::new(Exit::Usage, format!("this command cannot copy {store}"))
        .because("a PostgreSQL database is backed up and restored with its own tools")
        .hint("use pg_dump and pg_restore for a copy, point-in-time recovery to lose no acknowledged entry, `tollkeeper mark-restored` after either, and `tollkeeper export` to move to a data directory")
}

fn report(done: &str, entries: u64, to: &std::path::Path, json: bool) -> Result<(), Failure> {
    if json {
        return output::data(&format!("{}\n", json!({"entries": entries, "to": to.to_string_lossy()})));
    }
    let entries = grouped(i64::try_from(entries).unwrap_or(i64::MAX));
    output::data(&format!("{done} {entries} entries to {}\n", to.display()))
}
