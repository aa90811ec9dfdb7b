//! `tollkeeper export` and `tollkeeper import`: a whole ledger out of a directory or a database, and into another. Both
//! may be repeated: an export leaves no half file under its name, an import goes on where the one before ended.

use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use tollkeeper_engine::transfer::{Counts, Imported};
use tollkeeper_engine::{Error, embedded, postgres};
use tollkeeper_server::Store;

use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output::{self, grouped};
use crate::transport::store_args::Place;

/// How much is read or written at once.
const BUFFER_BYTES: usize = 1 << 20;

/// Write the whole ledger as one stream, for `tollkeeper import` anywhere
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It holds every entry as it is, hashes included, and works beside a running server; what is written
after it began is left out.

Examples:
  tollkeeper export --data ./tollkeeper-data --to ledger.export
  tollkeeper export | zstd > ledger.export.zst
  tollkeeper export --data ./tollkeeper-data | tollkeeper import --database-url postgres://db/tollkeeper")]
pub struct ExportArgs {
    #[command(flatten)]
    place: Place,

    /// A new file [default: stdout]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,

    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

/// Take a ledger in that `tollkeeper export` wrote
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every entry is verified on the way in. An import that was interrupted is repeated and goes on where
it ended; what is there already is compared, never changed. Stop the servers of both sides first,
and compare `tollkeeper audit` of both sides afterwards.

Exit code 1: the export is damaged or cut off, or another ledger is there.

Examples:
  tollkeeper import --from ledger.export --data ./tollkeeper-data
  zstd -dc ledger.export.zst | tollkeeper import --database-url postgres://db/tollkeeper")]
pub struct ImportArgs {
    #[command(flatten)]
    place: Place,

    /// The export [default: stdin]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `tollkeeper export`.
pub fn export(args: ExportArgs) -> Result<(), Failure> {
    let store = args.place.store()?;
    let failed = |why: &Error| Failure::of_engine(format!("{store} cannot be exported"), why);
    let Some(path) = &args.to else {
        if std::io::stdout().is_terminal() {
            return Err(Failure::new(Exit::Usage, "an export is no text for a terminal")
                .hint("give a file with --to, or send stdout to one"));
        }
        // Whole lines are of no use here: it is written in large pieces.
        let out = BufWriter::with_capacity(BUFFER_BYTES, std::io::stdout().lock());
        let counts = write(&store, out).map_err(|why| failed(&why))?;
        output::remark(told("exported", counts, args.json, None).trim_end());
        return Ok(());
    };
    let counts = to_file(path, |file| write(&store, file).map_err(|why| failed(&why)))?;
    output::data(&told("exported", counts, args.json, Some(path)))
}

/// Runs `tollkeeper import`.
pub fn import(args: ImportArgs) -> Result<(), Failure> {
    let store = args.place.store()?;
    let taken = match &args.from {
        None => read(&store, BufReader::with_capacity(BUFFER_BYTES, std::io::stdin().lock())),
        Some(path) => {
            let file = File::open(path).map_err(|why| {
                Failure::new(Exit::NotNow, format!("{} cannot be read", path.display())).because(why)
            })?;
            read(&store, BufReader::with_capacity(BUFFER_BYTES, file))
        }
    };
    let Imported { stream, written } = taken.map_err(|why| {
        let failure = Failure::of_engine(format!("the import into {store} was not finished"), &why);
        if why.is_damaged() || why.is_conflict() { failure.ending(Exit::No) } else { failure }
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
        "imported {written} entries into {store}; all {entries} of the export are there, the same\n"
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

/// Writes a file that appears under its name when it is whole and on disk, and not before.
fn to_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<Counts, Failure>,
) -> Result<Counts, Failure> {
    let failed = |why: std::io::Error| {
        Failure::new(Exit::NotNow, format!("{} cannot be written", path.display())).because(why)
    };
    if path.exists() {
        return Err(Failure::new(Exit::NotNow, format!("{} is there already", path.display()))
            .hint("name a new file; nothing is ever overwritten"));
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create(&part).map_err(failed)?);
    let written = write(&mut file).and_then(|counts| {
        let synced = file.flush().and_then(|()| file.get_ref().sync_all());
        synced.and_then(|()| std::fs::rename(&part, path)).map_err(failed)?;
        Ok(counts)
    });
    if written.is_err() {
        // Half an export is of no use; that it cannot be removed is not what matters.
        let _ = std::fs::remove_file(&part);
    }
    written
}

fn told(done: &str, counts: Counts, json: bool, to: Option<&Path>) -> String {
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
