//! `tollkeeper bench`: how fast this machine charges, measured with everything switched on: full durability, idempotency,
//! usage, history, grants. With `--floor` beside it, in turns, what the machine can do at the most.
//!
//! ```text
//! workload    who charges what, by seed                 library   through the engine as a library
//! http        through the server, over real sockets     wire      the client's side of those sockets
//! floor       the yardsticks                            figures   percentiles, memory, what is printed
//! ```
//!
//! Figures are only ever printed, never tested: machines differ.

mod figures;
mod floor;
mod http;
mod library;
mod wire;
mod workload;

use std::path::{Path, PathBuf};
use std::time::Instant;

use tollkeeper_engine::{Embedded, Engine, Options};

use self::figures::{Measured, Report};
use self::workload::{Keys, Workload};
use crate::failure::{Exit, Failure};

/// Measure how many charges a second this machine takes, and how long each waits
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  tollkeeper bench --floor                              batches of 8,190 through the library, beside a bare append
  tollkeeper bench --callers 64                         one charge a call, 64 callers at once
  tollkeeper bench --callers 64 --http --floor          one charge a request over HTTP, beside a constant answer
  tollkeeper bench --batch 1000 --http                  HTTP batches of 1,000")]
pub struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Measure in this directory and keep it; a second run goes on where the first ended [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Charges to run
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    charges: u64,
    /// Workspaces they are spread over; 1 is a single hot one
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    workspaces: u64,
    /// Charges in one batch (at most 1,000 over HTTP)
    #[arg(long, value_name = "N", default_value_t = 8_190, conflicts_with = "callers",
          value_parser = clap::value_parser!(u64).range(1..=100_000))]
    batch: u64,
    /// One charge a call, so many callers at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    callers: Option<u64>,
    /// Idempotency keys that grow, or random ones
    #[arg(long, value_enum, default_value_t = Keys::Ordered)]
    keys: Keys,
    /// Through the server, over HTTP
    #[arg(long)]
    http: bool,
    /// Measure the floor in turns with it: a bare append, or over HTTP a constant answer
    #[arg(long)]
    floor: bool,
    /// The seed of the workload
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// How the charges arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// Batches of so many, two in flight.
    Batches(u64),
    /// So many callers, each with one charge in flight.
    Callers(u64),
}

/// Rounds in which charges and floor take turns.
const ROUNDS: u64 = 5;

/// Runs the benchmark.
pub fn run(args: Args) -> Result<(), Failure> {
    let directory = Directory::of(args.data.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| failed(format!("no runtime: {error}")))?;
    let report = runtime.block_on(measure(&args, directory.path()))?;
    report.print(args.json)
}

async fn measure(args: &Args, directory: &Path) -> Result<Report, Failure> {
    let began = Instant::now();
    let engine = Embedded::open(directory, Options::default()).map_err(|error| unusable(&error))?;
    let open_ms = began.elapsed().as_millis() as u64;
    let engine: std::sync::Arc<dyn Engine> = std::sync::Arc::new(engine);
    let mut workload = Workload::new(args.workspaces, args.keys, args.seed, engine.figures().entries);
    library::prepare(&*engine, &workload).await?;
    let load = match args.callers {
        Some(callers) => Load::Callers(callers),
        None if args.http => Load::Batches(args.batch.min(1_000)),
        None => Load::Batches(args.batch),
    };
    let mut report = Report::new(args.charges, args.workspaces, load, args.keys.name(), args.http, open_ms);
    let http = if args.http { Some(http::Host::start(std::sync::Arc::clone(&engine)).await?) } else { None };
    let mut answer_bytes = 0;
    let rounds = if args.floor { ROUNDS } else { 1 };
    for round in 0..rounds {
        let charges = args.charges / rounds + u64::from(round < args.charges % rounds);
        if charges == 0 {
            continue;
        }
        let before = engine.figures();
        let measured = match &http {
            Some(host) => host.charge(&mut workload, load, charges, &mut answer_bytes).await?,
            None => library::charge(&engine, &mut workload, load, charges).await?,
        };
        report.add(measured);
        report.commits += engine.figures().commits - before.commits;
        if args.floor {
            let floor = match &http {
                Some(host) => host.constant(load, charges, answer_bytes).await?,
                None => bare_append(directory, &*engine, before, load, charges)?,
            };
            report.add_floor(floor);
        }
    }
    let began = Instant::now();
    engine.close().await.map_err(|error| unusable(&error))?;
    report.close_ms = began.elapsed().as_millis() as u64;
    Ok(report)
}

/// Floor A for what was just charged: rows of the size an entry has on average, in batches as large as its commits were.
fn bare_append(
    directory: &Path,
    engine: &dyn Engine,
    before: tollkeeper_engine::Figures,
    load: Load,
    charges: u64,
) -> Result<Measured, Failure> {
    let after = engine.figures();
    let entries = (after.entries - before.entries).max(1);
    let row_bytes = (after.journal_bytes - before.journal_bytes) / entries;
    let batch = match load {
        Load::Batches(batch) => batch,
        Load::Callers(_) => (charges / (after.commits - before.commits).max(1)).max(1),
    };
    floor::bare_append(directory, row_bytes as usize, batch, charges)
}

fn failed(why: impl Into<String>) -> Failure {
    Failure::new(Exit::NotNow, "the benchmark cannot go on").because(why.into())
}

fn unusable(error: &tollkeeper_engine::Error) -> Failure {
    Failure::of_engine("the benchmark cannot go on", error)
}

/// Where the measuring is done.
enum Directory {
    Kept(PathBuf),
    Temporary(PathBuf),
}

impl Directory {
    fn of(data: Option<&Path>) -> Result<Directory, Failure> {
        if let Some(data) = data {
            return Ok(Directory::Kept(data.to_path_buf()));
        }
        let path = std::env::temp_dir().join(format!("tollkeeper-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| failed(format!("{}: {error}", path.display())))?;
        Ok(Directory::Temporary(path))
    }

    fn path(&self) -> &Path {
        match self {
            Directory::Kept(path) | Directory::Temporary(path) => path,
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Directory::Temporary(path) = self {
            // What is left behind in the temporary directory is the system's to clear.
            let _ = std::fs::remove_dir_all(path);
        }
    }
}
