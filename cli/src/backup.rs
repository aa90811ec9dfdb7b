//! `tollkeeper backup` and `tollkeeper restore`: a consistent copy of a data directory, made while it serves or not, and
//! its way back. A restore audits the copy first and never overwrites anything.

use std::path::PathBuf;

use serde_json::json;
use tollkeeper_engine::embedded;

use crate::failure::{Exit, Failure};
use crate::output::{self, grouped};
use crate::target::data_directory;

/// Copy the data directory consistently, while it serves or not
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollkeeper backup --data ./tollkeeper-data --to /backups/2026-11-23")]
pub struct BackupArgs {
    /// The data directory [default: TOLLKEEPER_DATA, else ./tollkeeper-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

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
    #[arg(long, value_name = "DIR")]
    to: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `tollkeeper backup`.
pub fn backup(args: BackupArgs) -> Result<(), Failure> {
    let from = data_directory(args.data);
    let entries = embedded::backup(&from, &args.to)
        .map_err(|why| Failure::of_engine(format!("{} cannot be backed up", from.display()), &why))?;
    report("backed up", entries, &args.to, args.json)
}

/// Runs `tollkeeper restore`.
pub fn restore(args: RestoreArgs) -> Result<(), Failure> {
    let entries = embedded::restore(&args.from, &args.to).map_err(|why| {
        let failure = Failure::of_engine(format!("{} cannot be restored", args.from.display()), &why);
        if why.is_damaged() { failure.ending(Exit::No) } else { failure }
    })?;
    report("restored", entries, &args.to, args.json)
}

fn report(done: &str, entries: u64, to: &std::path::Path, json: bool) -> Result<(), Failure> {
    if json {
        return output::data(&format!("{}\n", json!({"entries": entries, "to": to.to_string_lossy()})));
    }
    let entries = grouped(i64::try_from(entries).unwrap_or(i64::MAX));
    output::data(&format!("{done} {entries} entries to {}\n", to.display()))
}
