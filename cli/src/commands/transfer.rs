//! `tollkeeper export` and `tollkeeper import`: write a whole ledger as one stream, and read it
//! into another data directory or database.
//!
//! Both are safe to repeat. An export to a file appears under its name only when it is complete; an
//! import continues after the last entry that an interrupted one wrote.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use tollkeeper_engine::transfer::{Counts, Imported};
use tollkeeper_engine::{Error, embedded, postgres};
use tollkeeper_server::Store;

use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output::{self, grouped};
use crate::transport::store_args::StoreArgs;

/// The size of the buffer for reading and writing, in bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// Write the whole ledger as one stream, which `tollkeeper import` reads
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The stream holds every entry unchanged, with its hash. The command works while a server runs;
entries written after its start are not included.

Examples:
  tollkeeper export --data ./tollkeeper-data --to ledger.export
  tollkeeper export | zstd > ledger.export.zst
  tollkeeper export | tollkeeper import --database-url postgres://db/tollkeeper")]
pub struct ExportArgs {
    #[command(flatten)]
    store: StoreArgs,

    /// The file to write, which must not exist [default: stdout]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,

    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// Read a ledger that `tollkeeper export` wrote
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every entry is verified. Repeat an interrupted import: it continues where it stopped. Entries that
the store already has are compared and never changed. Stop the servers on both stores first, and
compare `tollkeeper audit` of both stores afterwards.

Exit code 1: the export is damaged or cut off, or the store holds another ledger.

Examples:
  tollkeeper import --from ledger.export --data ./tollkeeper-data
  zstd -dc ledger.export.zst | tollkeeper import --database-url postgres://db/tollkeeper")]
pub struct ImportArgs {
    #[command(flatten)]
    store: StoreArgs,

    /// The file of the export [default: stdin]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `tollkeeper export`.
pub fn export(args: ExportArgs) -> Result<(), Failure> {
    let store = args.store.store()?;
    let failed = |why: &Error| Failure::of_engine(format!("{store} cannot be exported"), why);
    let Some(path) = &args.to else {
        if std::io::stdout().is_terminal() {
            return Err(Failure::new(Exit::Usage, "an export is binary and would disturb the terminal")
                .hint("name a file with --to, or redirect stdout"));
        }
        // Stdout flushes at every newline; the buffer makes large writes of it.
        let out = BufWriter::with_capacity(BUFFER_BYTES, std::io::stdout().lock());
        let counts = write(&store, out).map_err(|why| failed(&why))?;
        output::remark(summary("exported", counts, args.json, None).trim_end());
        return Ok(());
    };
    let counts = to_file(path, |file| write(&store, file).map_err(|why| failed(&why)))?;
    output::data(&summary("exported", counts, args.json, Some(path)))
}

/// Runs `tollkeeper import`.
pub fn import(args: ImportArgs) -> Result<(), Failure> {
    let store = args.store.store()?;
    let imported = match &args.from {
        None => read(&store, BufReader::with_capacity(BUFFER_BYTES, std::io::stdin().lock())),
        Some(path) => {
            let file = File::open(path).map_err(|why| {
                Failure::new(Exit::Unavailable, format!("{} cannot be read", path.display())).because(why)
            })?;
            read(&store, BufReader::with_capacity(BUFFER_BYTES, file))
        }
    };
    let Imported { stream, written } = imported.map_err(|why| {
        let failure = Failure::of_engine(format!("the import into {store} is not complete"), &why);
        if why.is_damaged() || why.is_import_conflict() { failure.with_exit(Exit::No) } else { failure }
    })?;
    if args.json {
        let Counts { entries, journals } = stream;
        return output::data(&format!(
            "{}\n",
            json!({"entries": entries, "journals": journals, "written": written})
        ));
    }
    let (written, entries) = (count(written), count(stream.entries));
    output::data(&format!(
        "imported {written} entries into {store}; it now holds all {entries} entries of the export\n"
    ))
}

fn write(store: &Store, out: impl Write) -> Result<Counts, Error> {
    match store {
        Store::Directory(path) => embedded::export(path, out),
        Store::Database(url) => postgres::export(url.expose(), out),
    }
}

fn read(store: &Store, from: impl Read) -> Result<Imported, Error> {
    match store {
        Store::Directory(path) => embedded::import(path, from),
        Store::Database(url) => postgres::import(url.expose(), from),
    }
}

/// Writes a file under a temporary name, syncs it, and renames it to `path`, which must not exist.
fn to_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<Counts, Failure>,
) -> Result<Counts, Failure> {
    let failed = |why: std::io::Error| {
        Failure::new(Exit::Unavailable, format!("{} cannot be written", path.display())).because(why)
    };
    if path.exists() {
        return Err(Failure::new(Exit::Unavailable, format!("{} exists already", path.display()))
            .hint("name a new file; an export never overwrites"));
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    // It holds a whole ledger: for this user alone, with any umask. A part that an export has left
    // may be open to others, or lead elsewhere.
    match std::fs::remove_file(&part) {
        Err(why) if why.kind() != ErrorKind::NotFound => return Err(failed(why)),
        Ok(()) | Err(_) => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600);
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, options.open(&part).map_err(failed)?);
    let written = write(&mut file).and_then(|counts| {
        let synced = file.flush().and_then(|()| file.get_ref().sync_all());
        synced.and_then(|()| std::fs::rename(&part, path)).map_err(failed)?;
        Ok(counts)
    });
    if written.is_err() {
        // The failure of the export matters more than that of the removal.
        let _ = std::fs::remove_file(&part);
    }
    written
}

/// Formats what was written, for users or as JSON.
fn summary(done: &str, counts: Counts, json: bool, to: Option<&Path>) -> String {
    let Counts { entries, journals } = counts;
    let to = to.map(|path| path.display().to_string());
    if json {
        return format!("{}\n", json!({"entries": entries, "journals": journals, "to": to}));
    }
    let to = to.map(|to| format!(" to {to}")).unwrap_or_default();
    format!("{done} {} entries of {} journals{to}\n", count(entries), count(journals))
}

fn count(number: u64) -> String {
    grouped(i64::try_from(number).unwrap_or(i64::MAX))
}
