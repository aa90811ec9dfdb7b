//! `tollkeeper backup` and `tollkeeper restore`: a consistent copy of a data directory, made while it serves or not, and
//! its way back. A restore audits the copy first and never overwrites anything. A database has tools of its own for both.

use std::path::PathBuf;

use serde_json::json;
use tollkeeper_engine::embedded;
use tollkeeper_server::Store;

use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output::{self, grouped};
use crate::transport::store_args;
use crate::transport::store_args::Place;

/// Copy the data directory consistently, while it serves or not
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollkeeper backup --data ./tollkeeper-data --to /backups/2026-11-23")]
pub struct BackupArgs {
    #[command(flatten)]
    place: Place,

    /// A new directory for the copy
    #[arg(long, value_name = "DIR")]
    to: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Put a backup in place as a new data directory, after an audit of it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 1: the backup does not pass its audit.\n\nExample:\n  tollkeeper restore --from /backups/2026-11-23 --to ./tollkeeper-data"
)]
pub struct RestoreArgs {
    /// The backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,

    /// The data directory to make: absent or empty
    #[arg(long, value_name = "DIR", conflicts_with = "database_url")]
    to: Option<PathBuf>,

    /// Only to say what is to be used instead.
    #[arg(long, value_name = "URL", hide = true)]
    database_url: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `tollkeeper backup`.
pub fn backup(args: BackupArgs) -> Result<(), Failure> {
    let store = args.place.store()?;
    let Store::Directory(from) = &store else {
        return Err(elsewhere(&store));
    };
    let entries = embedded::backup(from, &args.to)
        .map_err(|why| Failure::of_engine(format!("{} cannot be backed up", from.display()), &why))?;
    report("backed up", entries, &args.to, args.json)
}

/// Runs `tollkeeper restore`.
pub fn restore(args: RestoreArgs) -> Result<(), Failure> {
    if let Some(url) = args.database_url {
        return Err(elsewhere(&store_args::database(url)?));
    }
    let to = args.to.ok_or_else(|| {
        Failure::new(Exit::Usage, "there is nowhere to restore to").hint("name a new directory with --to")
    })?;
    let entries = embedded::restore(&args.from, &to).map_err(|why| {
        let failure = Failure::of_engine(format!("{} cannot be restored", args.from.display()), &why);
        if why.is_damaged() { failure.ending(Exit::No) } else { failure }
    })?;
    report("restored", entries, &to, args.json)
}

/// A database is not copied by its users but by its own tools.
fn elsewhere(store: &Store) -> Failure {
    Failure::new(Exit::Usage, format!("{store} is not copied by this command"))
        .because("a database is backed up and restored by its own tools")
        .hint("pg_dump and pg_restore for a copy, point-in-time recovery for all that was acknowledged; `tollkeeper export` for another engine")
}

fn report(done: &str, entries: u64, to: &std::path::Path, json: bool) -> Result<(), Failure> {
    if json {
        return output::data(&format!("{}\n", json!({"entries": entries, "to": to.to_string_lossy()})));
    }
    let entries = grouped(i64::try_from(entries).unwrap_or(i64::MAX));
    output::data(&format!("{done} {entries} entries to {}\n", to.display()))
}
