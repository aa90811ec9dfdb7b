//! `tollkeeper bench`: measures how many charges per second this machine takes, with everything
//! switched on: full durability, idempotency, usage, history, grants.
//!
//! With `--floor`, rounds of charges and rounds of a baseline take turns, and the report shows
//! their ratio: the baseline is what the machine can do without Tollkeeper.
//!
//! ```text
//! options            the options, and the load that follows from them
//! workload           which charges, by a seed
//! library            charges through the engine as a library
//! http               charges through the server, over sockets
//! connection         the client's side of such a socket
//! credentials        the keys of those requests
//! rate               when callers start their calls
//! follower           a webhook endpoint that is sent every charge
//! hostile            a quiet tenant beside a hostile one
//! streams            open streams, and how soon they show a charge
//! gate               requests through the gate, beside other proxies
//! mails              how soon a relay has the mail about a low balance
//! usage              reports of a year of use
//! stats              percentiles and the report
//! baseline_append    the baseline of the embedded engine: rows appended to SQLite
//! baseline_pgbench   the baseline of the PostgreSQL engine: hand-written SQL, run by pgbench
//! ```
//!
//! Results are printed and never tested, because machines differ.

mod baseline_append;
mod baseline_pgbench;
mod connection;
mod credentials;
mod failure;
mod follower;
mod gate;
mod hostile;
mod http;
mod library;
mod mails;
mod options;
mod rate;
mod stats;
mod streams;
mod usage;
mod workload;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tollkeeper_engine::{Embedded, Engine, EngineStats, Options, Postgres, postgres};
use tollkeeper_server::{DatabaseUrl, Store};

use self::baseline_pgbench::PgbenchBaseline;
use self::failure::{engine_failed, failed};
use self::follower::Follower;
use self::http::BenchServer;
use self::options::{EngineKind, Load};
use self::stats::{Measurement, Report};
use self::workload::Workload;
use crate::server_process::now;
use crate::terminal::failure::{Exit, Failure};
use crate::transport::store_args;

pub use self::options::Args;

/// The number of rounds in which charges and baseline take turns.
const ROUNDS: u64 = 5;

/// Runs the benchmark.
pub fn run(args: Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| failed(format!("no runtime: {error}")))?;
    match database(&args)? {
        Some(url) => runtime.block_on(measure_database(&args, &url)),
        None => {
            let directory = WorkDirectory::new(args.data.as_deref())?;
            runtime.block_on(measure_directory(&args, directory.path()))
        }
    }
}

/// Returns the database to measure on, or `None` for the embedded engine.
fn database(args: &Args) -> Result<Option<DatabaseUrl>, Failure> {
    if args.engine() == EngineKind::Embedded {
        if args.database_url.is_some() {
            return Err(Failure::new(Exit::Usage, "the embedded engine does not use --database-url")
                .hint("leave out --engine"));
        }
        return Ok(None);
    }
    let named = match store_args::from_options(None, args.database_url.clone())? {
        Some(store) => Some(store),
        None => Store::in_environment()
            .map_err(|why| Failure::new(Exit::Usage, "the environment names no usable store").because(why))?,
    };
    match named {
        Some(Store::Database(url)) => Ok(Some(url)),
        _ => Err(Failure::new(Exit::Usage, "no database to measure on is named").hint(
            "name an empty one with --database-url or TOLLKEEPER_DATABASE_URL; the charges stay in it",
        )),
    }
}

/// An engine that is ready to be measured.
struct OpenEngine {
    engine: Arc<dyn Engine>,
    /// Differs between runs on one store, so that idempotency keys of an earlier run do not return.
    epoch: u64,
    /// How long opening took, in milliseconds.
    open_ms: u64,
}

async fn measure_directory(args: &Args, directory: &Path) -> Result<(), Failure> {
    let start = Instant::now();
    let engine = Embedded::open(directory, Options::default()).map_err(|error| engine_failed(&error))?;
    let open_ms = start.elapsed().as_millis() as u64;
    let epoch = engine.stats().entries;
    if args.hostile {
        return hostile::run(args, Arc::new(engine)).await;
    }
    if let Some(streams) = args.streams {
        return streams::run(args, streams, Arc::new(engine)).await;
    }
    if let Some(mails) = args.mails {
        return mails::run(args, mails, Arc::new(engine)).await;
    }
    if args.usage {
        return usage::run(args, Arc::new(engine)).await;
    }
    if args.gate {
        return gate::run(args, Arc::new(engine)).await;
    }
    measure(args, OpenEngine { engine: Arc::new(engine), epoch, open_ms }, Baseline::Append(directory)).await
}

async fn measure_database(args: &Args, url: &DatabaseUrl) -> Result<(), Failure> {
    let baseline = match args.floor {
        true => {
            Baseline::Pgbench(Box::new(PgbenchBaseline::find(url.expose(), args.workspaces, args.callers)?))
        }
        false => Baseline::None,
    };
    let start = Instant::now();
    let opened = Postgres::open(url.expose(), postgres::Options::default()).await;
    let engine = opened.map_err(|error| engine_failed(&error))?;
    let open_ms = start.elapsed().as_millis() as u64;
    if args.hostile {
        return hostile::run(args, Arc::new(engine)).await;
    }
    if let Some(streams) = args.streams {
        return streams::run(args, streams, Arc::new(engine)).await;
    }
    if let Some(mails) = args.mails {
        return mails::run(args, mails, Arc::new(engine)).await;
    }
    if args.usage {
        return usage::run(args, Arc::new(engine)).await;
    }
    if args.gate {
        return gate::run(args, Arc::new(engine)).await;
    }
    // Other programs write to the database too, so the number of entries could repeat.
    let epoch = now().millis().unsigned_abs();
    measure(args, OpenEngine { engine: Arc::new(engine), epoch, open_ms }, baseline).await
}

/// What is measured in turns with the charges, unless they go over HTTP.
enum Baseline<'a> {
    None,
    /// Rows appended to a SQLite file in this directory.
    Append(&'a Path),
    /// Hand-written SQL on the database.
    Pgbench(Box<PgbenchBaseline>),
}

/// Measures charges and prints the report.
async fn measure(args: &Args, opened: OpenEngine, baseline: Baseline<'_>) -> Result<(), Failure> {
    let OpenEngine { engine, epoch, open_ms } = opened;
    let mut workload = Workload::new(args.workspaces, args.keys, args.seed, epoch);
    library::prepare(&*engine, &workload).await?;
    let load = args.load();
    let mut report = Report::new(args, load, open_ms);
    let server = match args.http {
        true => Some(BenchServer::start(Arc::clone(&engine), args.credential, args.workspaces).await?),
        false => None,
    };
    let follower = match args.follower {
        true => Some(Follower::start(Arc::clone(&engine)).await?),
        false => None,
    };
    let mut answer_bytes = 0;
    let rounds = if args.floor || args.follower { ROUNDS } else { 1 };
    for round in 0..rounds {
        let charges = args.charges / rounds + u64::from(round < args.charges % rounds);
        if charges == 0 {
            continue;
        }
        if let Some(follower) = &follower {
            report.add_baseline(
                charge(&engine, &server, &mut workload, (load, charges), &mut answer_bytes).await?,
            );
            follower.enable().await?;
        }
        let before = engine.stats();
        report.add(charge(&engine, &server, &mut workload, (load, charges), &mut answer_bytes).await?);
        report.commits += engine.stats().commits - before.commits;
        if let Some(follower) = &follower {
            report.messages = Some(follower.received());
            follower.disable().await?;
        }
        if args.floor {
            report.add_baseline(match (&baseline, &server) {
                (Baseline::Pgbench(pgbench), _) => pgbench.charge(charges)?,
                (_, Some(server)) => server.constant(load, charges, answer_bytes).await?,
                (Baseline::Append(directory), None) => append(directory, &*engine, before, load, charges)?,
                (Baseline::None, None) => continue,
            });
        }
    }
    let start = Instant::now();
    engine.close().await.map_err(|error| engine_failed(&error))?;
    report.close_ms = start.elapsed().as_millis() as u64;
    report.print(args.json)
}

/// Makes charges, over HTTP if there is a server.
async fn charge(
    engine: &Arc<dyn Engine>,
    server: &Option<BenchServer>,
    workload: &mut Workload,
    (load, charges): (Load, u64),
    answer_bytes: &mut usize,
) -> Result<Measurement, Failure> {
    match server {
        Some(server) => server.charge(workload, load, charges, answer_bytes).await,
        None => library::charge(engine, workload, load, charges).await,
    }
}

/// Measures the bare append for the charges since `before`: rows of the average size of an entry,
/// in batches as large as the commits of the engine.
fn append(
    directory: &Path,
    engine: &dyn Engine,
    before: EngineStats,
    load: Load,
    charges: u64,
) -> Result<Measurement, Failure> {
    let after = engine.stats();
    let entries = (after.entries - before.entries).max(1);
    let row_bytes = (after.journal_bytes - before.journal_bytes) / entries;
    let batch = match load {
        Load::Batches(batch) => batch,
        Load::Callers { .. } => (charges / (after.commits - before.commits).max(1)).max(1),
    };
    baseline_append::bare_append(directory, row_bytes as usize, batch, charges)
}

/// The data directory of the measurement.
enum WorkDirectory {
    /// Named by `--data`; it stays.
    Kept(PathBuf),
    /// Removed when this is dropped.
    Temporary(PathBuf),
}

impl WorkDirectory {
    fn new(data: Option<&Path>) -> Result<WorkDirectory, Failure> {
        if let Some(data) = data {
            return Ok(WorkDirectory::Kept(data.to_path_buf()));
        }
        let path = std::env::temp_dir().join(format!("tollkeeper-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| failed(format!("{}: {error}", path.display())))?;
        Ok(WorkDirectory::Temporary(path))
    }

    fn path(&self) -> &Path {
        match self {
            WorkDirectory::Kept(path) | WorkDirectory::Temporary(path) => path,
        }
    }
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        if let WorkDirectory::Temporary(path) = self {
            // If it cannot be removed, the system clears the temporary directory later.
            let _ = std::fs::remove_dir_all(path);
        }
    }
}
