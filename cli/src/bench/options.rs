//! The options of `tollkeeper bench`, and the load that follows from them.

use std::path::PathBuf;

use super::credentials::Credential;
use super::workload::Keys;

/// The largest batch that the API accepts.
const HTTP_BATCH_MAX: u64 = 1_000;

/// Measure how many charges per second this machine takes, and how long each waits
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
--floor also measures a baseline, in turns with the charges: what the machine can do without
Tollkeeper. Every charge is durable, idempotent and counted in usage, history and grants.

Examples:
  # Batches of 8,190 through the library, and a bare append
  tollkeeper bench --floor
  # One charge per call, 64 concurrent callers
  tollkeeper bench --callers 64
  # One charge per HTTP request, and a constant answer; then with an API key for each workspace
  tollkeeper bench --callers 64 --http --floor
  tollkeeper bench --callers 64 --http --credential workspace
  # HTTP batches of 1,000
  tollkeeper bench --batch 1000 --http
  # On a database, and hand-written SQL run by pgbench
  tollkeeper bench --engine postgres --callers 64 --floor
  # Latency at a fixed rate below the maximum
  tollkeeper bench --engine postgres --callers 64 --rate 20000
  # Latency of one tenant beside a hostile one, for each of ten attacks
  tollkeeper bench --hostile
  tollkeeper bench --hostile --database-url postgres://db/empty
  # A thousand open streams, and the time until they show a charge
  tollkeeper bench --streams 1000
  # The time until a relay has the mail about a low balance
  tollkeeper bench --mails 500
  # Charges with a webhook endpoint that is sent each of them, and without it
  tollkeeper bench --callers 64 --follower
  # Reports of the use of a year
  tollkeeper bench --usage --charges 200000
  # Requests through the gate, without charging, and through nginx if it is installed
  tollkeeper bench --gate --charges 100000")]
pub struct Args {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Measure in this directory and keep it; a later run adds to it [default: a temporary
    /// directory]
    #[arg(long, value_name = "DIR", conflicts_with = "database_url")]
    pub data: Option<PathBuf>,
    /// The engine to measure [default: postgres with --database-url, else embedded]
    #[arg(long, value_enum)]
    engine: Option<EngineKind>,
    /// The PostgreSQL database to measure on; the charges stay in it [default:
    /// TOLLKEEPER_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// The number of charges
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub charges: u64,
    /// The number of workspaces that share the charges; 1 measures a single busy workspace
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub workspaces: u64,
    /// Charges per batch (at most 1,000 over HTTP)
    #[arg(long, value_name = "N", default_value_t = 8_190, conflicts_with = "callers",
          value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub batch: u64,
    /// One charge per call, from this many concurrent callers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub callers: Option<u64>,
    /// Start this many charges per second, instead of as many as are answered
    #[arg(long, value_name = "N", requires = "callers", conflicts_with = "floor",
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rate: Option<u64>,
    /// The kind of idempotency keys: ascending or random
    #[arg(long, value_enum, default_value_t = Keys::Ordered)]
    pub keys: Keys,
    /// Send the charges to a server, over HTTP
    #[arg(long)]
    pub http: bool,
    /// Whose key the HTTP requests carry; keys of workspaces are created before the measurement
    #[arg(long, value_enum, default_value_t = Credential::Platform,
          requires_ifs([("workspace", "http"), ("workspace", "callers")]))]
    pub credential: Credential,
    /// Also measure a baseline: a bare append, over HTTP a constant answer, on PostgreSQL pgbench
    #[arg(long)]
    pub floor: bool,
    /// Also measure without a webhook endpoint that is sent each charge, in turns with it
    #[arg(long, conflicts_with = "floor")]
    pub follower: bool,
    /// Measure what a tenant notices of a hostile one, attack by attack
    #[arg(long, conflicts_with_all = ["batch", "callers", "rate", "http", "floor", "follower", "charges", "workspaces"])]
    pub hostile: bool,
    /// Open this many streams, and measure how soon they show charges; use a fresh store
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=2_000),
          conflicts_with_all = ["batch", "callers", "rate", "http", "floor", "follower", "charges", "workspaces", "hostile"])]
    pub streams: Option<u64>,
    /// Let this many balances fall, and measure how soon a relay has the mails; use a fresh store
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000),
          conflicts_with_all = ["batch", "callers", "rate", "http", "floor", "follower", "charges", "workspaces", "hostile", "streams"])]
    pub mails: Option<u64>,
    /// Measure a report of the use of a year, before its days are closed and after
    #[arg(long, conflicts_with_all = ["batch", "callers", "rate", "http", "floor", "follower", "hostile", "streams", "mails", "workspaces"])]
    pub usage: bool,
    /// Send requests through the gate to a local upstream, in turns with proxies that do not charge
    #[arg(long, conflicts_with_all = ["batch", "rate", "http", "floor", "follower", "hostile", "streams", "mails", "usage", "workspaces"])]
    pub gate: bool,
    /// The seed of the workload
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

impl Args {
    /// The engine to measure.
    pub fn engine(&self) -> EngineKind {
        let named = if self.database_url.is_some() { EngineKind::Postgres } else { EngineKind::Embedded };
        self.engine.unwrap_or(named)
    }

    /// How the charges arrive.
    pub fn load(&self) -> Load {
        match self.callers {
            Some(callers) => Load::Callers { callers, rate: self.rate },
            None if self.http => Load::Batches(self.batch.min(HTTP_BATCH_MAX)),
            None => Load::Batches(self.batch),
        }
    }
}

/// The two engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum EngineKind {
    /// A data directory
    Embedded,
    /// A PostgreSQL database
    Postgres,
}

impl EngineKind {
    /// The name in a report.
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::Embedded => "embedded",
            EngineKind::Postgres => "postgres",
        }
    }
}

/// How the charges arrive.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    /// Batches of this many charges, two batches in flight.
    Batches(u64),
    /// One charge per call.
    Callers {
        /// The number of callers; each has at most one charge in flight.
        callers: u64,
        /// The charges per second that all callers start together; `None` if each starts its next
        /// charge as soon as the one before is answered.
        rate: Option<u64>,
    },
}

impl Load {
    /// The number of concurrent tasks that send, and the charges per call of each.
    pub fn tasks_and_size(self) -> (u64, u64) {
        match self {
            Load::Batches(size) => (2, size),
            Load::Callers { callers, .. } => (callers, 1),
        }
    }

    /// The charges per second, if they are limited.
    pub fn rate(self) -> Option<u64> {
        match self {
            Load::Batches(_) => None,
            Load::Callers { rate, .. } => rate,
        }
    }

    /// The same load without a limit of charges per second.
    pub fn unlimited(self) -> Load {
        match self {
            Load::Batches(size) => Load::Batches(size),
            Load::Callers { callers, .. } => Load::Callers { callers, rate: None },
        }
    }
}
