//! `tollkeeper bench`: how fast this machine charges, measured with everything switched on: full durability, idempotency,
//! usage, history, grants. With `--floor` beside it, in turns, what the machine can do at the most.
//!
//! ```text
//! workload    who charges what, by seed                 library   through the engine as a library
//! http        through the server, over real sockets     wire      the client's side of those sockets
//! credentials what those requests show at the door
//! floor       the yardstick of the embedded engine      peer      and of the PostgreSQL engine: the hand-written way
//! pace        as fast as answers come, or so many a second     figures   percentiles, memory, what is printed
//! ```
//!
//! EngineStats are only ever printed, never tested: machines differ.

pub(crate) mod baseline_append;
pub(crate) mod baseline_pgbench;
mod credentials;
mod http;
mod library;
pub(crate) mod rate;
pub(crate) mod stats;
mod wire;
mod workload;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tollkeeper_engine::{Embedded, Engine, Options, Postgres, postgres};
use tollkeeper_server::{DatabaseUrl, Store};

use self::baseline_pgbench::Peer;
use self::credentials::Credential;
use self::stats::{Measured, Report};
use self::workload::{Keys, Workload};
use crate::terminal::failure::{Exit, Failure};
use crate::transport::store_args;

/// Measure how many charges a second this machine takes, and how long each waits
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  tollkeeper bench --floor                              batches of 8,190 through the library, beside a bare append
  tollkeeper bench --callers 64                         one charge a call, 64 callers at once
  tollkeeper bench --callers 64 --http --floor          one charge a request over HTTP, beside a constant answer
  tollkeeper bench --callers 64 --http --credential workspace
                                                        the same with an API key of each workspace's own
  tollkeeper bench --batch 1000 --http                  HTTP batches of 1,000
  tollkeeper bench --engine postgres --callers 64 --floor
                                                        on a database, beside the hand-written way by pgbench
  tollkeeper bench --engine postgres --callers 64 --rate 20000
                                                        how long each waits at half the load it can take")]
pub struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Measure in this directory and keep it; a second run goes on where the first ended [default: a temporary one]
    #[arg(long, value_name = "DIR", conflicts_with = "database_url")]
    data: Option<PathBuf>,
    /// Which engine
    #[arg(long, value_enum, default_value_t = Which::Embedded)]
    engine: Which,
    /// The PostgreSQL database to measure on; what is charged stays in it [default: TOLLKEEPER_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
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
    /// So many charges a second, instead of as many as there are answers
    #[arg(long, value_name = "N", requires = "callers", conflicts_with = "floor",
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: Option<u64>,
    /// Idempotency keys that grow, or random ones
    #[arg(long, value_enum, default_value_t = Keys::Ordered)]
    keys: Keys,
    /// Through the server, over HTTP
    #[arg(long)]
    http: bool,
    /// Whose key the requests over HTTP show; keys of workspaces are made before the clock starts
    #[arg(long, value_enum, default_value_t = Credential::Platform,
          requires_ifs([("workspace", "http"), ("workspace", "callers")]))]
    credential: Credential,
    /// Measure the floor in turns with it: a bare append, over HTTP a constant answer, on PostgreSQL pgbench
    #[arg(long)]
    floor: bool,
    /// The seed of the workload
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// The engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Which {
    /// A data directory
    Embedded,
    /// A PostgreSQL database
    Postgres,
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
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| failed(format!("no runtime: {error}")))?;
    let report = match database(&args)? {
        Some(url) => runtime.block_on(measure_database(&args, &url))?,
        None => {
            let directory = Directory::of(args.data.as_deref())?;
            runtime.block_on(measure_directory(&args, directory.path()))?
        }
    };
    report.print(args.json)
}

/// The database to measure on, if it is one.
fn database(args: &Args) -> Result<Option<DatabaseUrl>, Failure> {
    if args.engine == Which::Embedded {
        if args.database_url.is_some() {
            return Err(Failure::new(Exit::Usage, "--database-url is of no use to the embedded engine")
                .hint("add --engine postgres"));
        }
        return Ok(None);
    }
    let given = store_args::given(None, args.database_url.clone())?;
    let named = match given {
        Some(store) => Some(store),
        None => Store::in_environment()
            .map_err(|why| Failure::new(Exit::Usage, "the environment names no database").because(why))?,
    };
    match named {
        Some(Store::Database(url)) => Ok(Some(url)),
        _ => Err(Failure::new(Exit::Usage, "there is no database to measure on")
            .hint("give one with --database-url or TOLLKEEPER_DATABASE_URL; an empty one, what is charged stays in it")),
    }
}

async fn measure_directory(args: &Args, directory: &Path) -> Result<Report, Failure> {
    let began = Instant::now();
    let engine = Embedded::open(directory, Options::default()).map_err(|error| unusable(&error))?;
    let open_ms = began.elapsed().as_millis() as u64;
    let epoch = engine.stats().entries;
    measure(args, Arc::new(engine), (epoch, open_ms), Floor::Directory(directory)).await
}

async fn measure_database(args: &Args, url: &DatabaseUrl) -> Result<Report, Failure> {
    let peer = match args.floor {
        true => Floor::Peer(Box::new(Peer::find(url.expose(), args.workspaces, args.callers)?)),
        false => Floor::None,
    };
    let began = Instant::now();
    let opened = Postgres::open(url.expose(), postgres::Options::default()).await;
    let engine = opened.map_err(|error| unusable(&error))?;
    let open_ms = began.elapsed().as_millis() as u64;
    // Others may write into the database, so the time tells this run's keys from those of any other.
    let epoch = library::now().millis().unsigned_abs();
    measure(args, Arc::new(engine), (epoch, open_ms), peer).await
}

/// What is measured in turns with the charges.
enum Floor<'a> {
    None,
    /// In a directory: the bare append.
    Directory(&'a Path),
    /// On a database: the hand-written way.
    Peer(Box<Peer>),
}

async fn measure(
    args: &Args,
    engine: Arc<dyn Engine>,
    (epoch, open_ms): (u64, u64),
    yardstick: Floor<'_>,
) -> Result<Report, Failure> {
    let mut workload = Workload::new(args.workspaces, args.keys, args.seed, epoch);
    library::prepare(&*engine, &workload).await?;
    let load = match args.callers {
        Some(callers) => Load::Callers(callers),
        None if args.http => Load::Batches(args.batch.min(1_000)),
        None => Load::Batches(args.batch),
    };
    let mut report = Report::new(args, load, open_ms);
    let http = match args.http {
        true => Some(http::Host::start(Arc::clone(&engine), args.credential, args.workspaces).await?),
        false => None,
    };
    let mut answer_bytes = 0;
    let rounds = if args.floor { ROUNDS } else { 1 };
    for round in 0..rounds {
        let charges = args.charges / rounds + u64::from(round < args.charges % rounds);
        if charges == 0 {
            continue;
        }
        let before = engine.stats();
        let paced = (load, args.rate);
        let measured = match &http {
            Some(host) => host.charge(&mut workload, paced, charges, &mut answer_bytes).await?,
            None => library::charge(&engine, &mut workload, paced, charges).await?,
        };
        report.add(measured);
        report.commits += engine.stats().commits - before.commits;
        if args.floor {
            report.add_floor(match (&yardstick, &http) {
                (Floor::Peer(peer), _) => peer.charge(charges)?,
                (_, Some(host)) => host.constant(load, charges, answer_bytes).await?,
                (Floor::Directory(directory), None) => {
                    bare_append(directory, &*engine, before, load, charges)?
                }
                (Floor::None, None) => continue,
            });
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
    before: tollkeeper_engine::EngineStats,
    load: Load,
    charges: u64,
) -> Result<Measured, Failure> {
    let after = engine.stats();
    let entries = (after.entries - before.entries).max(1);
    let row_bytes = (after.journal_bytes - before.journal_bytes) / entries;
    let batch = match load {
        Load::Batches(batch) => batch,
        Load::Callers(_) => (charges / (after.commits - before.commits).max(1)).max(1),
    };
    baseline_append::bare_append(directory, row_bytes as usize, batch, charges)
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
