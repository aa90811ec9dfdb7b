//! What a benchmark prints: charges a second, percentiles of what each call waited, memory, and the ratio to the floor
//! as the median over the rounds.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Args, Load, Which};
use crate::terminal::failure::Failure;
use crate::terminal::output;

/// One round of measuring.
#[derive(Debug)]
pub struct Measured {
    pub charges: u64,
    pub elapsed: Duration,
    /// How long each call waited.
    pub waited: Vec<Duration>,
    /// How long each balance read beside the load waited.
    pub reads: Vec<Duration>,
}

impl Measured {
    fn per_second(&self) -> u64 {
        let nanos = self.elapsed.as_nanos().max(1);
        (u128::from(self.charges) * 1_000_000_000 / nanos) as u64
    }
}

/// All rounds, and what was run.
#[derive(Debug)]
pub struct Report {
    engine: Which,
    charges: u64,
    workspaces: u64,
    load: Load,
    rate: Option<u64>,
    keys: &'static str,
    http: bool,
    /// Whose key the requests over HTTP show.
    credential: Option<&'static str>,
    open_ms: u64,
    pub close_ms: u64,
    pub commits: u64,
    rounds: Vec<Measured>,
    floors: Vec<Measured>,
}

impl Report {
    /// Before the first round of what was asked for.
    pub fn new(args: &Args, load: Load, open_ms: u64) -> Report {
        Report {
            engine: args.engine,
            charges: args.charges,
            workspaces: args.workspaces,
            load,
            rate: args.rate,
            keys: args.keys.name(),
            http: args.http,
            credential: args.http.then_some(args.credential.name()),
            open_ms,
            close_ms: 0,
            commits: 0,
            rounds: Vec::new(),
            floors: Vec::new(),
        }
    }

    pub fn add(&mut self, measured: Measured) {
        self.rounds.push(measured);
    }

    pub fn add_floor(&mut self, measured: Measured) {
        self.floors.push(measured);
    }

    fn json(&self) -> Value {
        let rates: Vec<u64> = self.rounds.iter().map(Measured::per_second).collect();
        let mut waited: Vec<Duration> =
            self.rounds.iter().flat_map(|round| round.waited.iter().copied()).collect();
        waited.sort_unstable();
        let mut reads: Vec<Duration> =
            self.rounds.iter().flat_map(|round| round.reads.iter().copied()).collect();
        reads.sort_unstable();
        let (batch, callers) = match self.load {
            Load::Batches(batch) => (Some(batch), None),
            Load::Callers(callers) => (None, Some(callers)),
        };
        let mut object = json!({
            "engine": match self.engine {
                Which::Embedded => "embedded",
                Which::Postgres => "postgres",
            },
            "charges": self.charges,
            "workspaces": self.workspaces,
            "batch": batch,
            "callers": callers,
            "rate": self.rate,
            "keys": self.keys,
            "http": self.http,
            "credential": self.credential,
            "charges_per_second": median(rates.clone()),
            "p50_ms": percentile(&waited, 50),
            "p99_ms": percentile(&waited, 99),
            "max_ms": percentile(&waited, 100),
            "charges_per_commit": self.charges / self.commits.max(1),
            "balance_read_p99_ms": percentile(&reads, 99),
            "peak_rss_mb": peak_rss_mb(),
            "open_ms": self.open_ms,
            "close_ms": self.close_ms,
        });
        if !self.floors.is_empty() {
            let floors: Vec<u64> = self.floors.iter().map(Measured::per_second).collect();
            let ratios =
                rates.iter().zip(&floors).map(|(rate, floor)| rate * 1_000 / floor.max(&1)).collect();
            object["floor"] = match (self.engine, self.http) {
                (Which::Postgres, _) => "pgbench, one transaction a charge",
                (Which::Embedded, true) => "constant answer",
                (Which::Embedded, false) => "bare append",
            }
            .into();
            object["floor_per_second"] = median(floors).into();
            object["ratio"] = thousandths(median(ratios));
        }
        object
    }

    /// Prints the report.
    pub fn print(&self, as_json: bool) -> Result<(), Failure> {
        let object = self.json();
        if as_json {
            return output::data(&format!("{object}\n"));
        }
        let line = |(name, value): (&String, &Value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name:<22}{value}\n")
        };
        let told = object.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        output::data(&told.map(line).collect::<String>())
    }
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// Milliseconds with three decimals; nothing when nothing was measured.
fn percentile(sorted: &[Duration], percent: usize) -> Value {
    let Some(last) = sorted.len().checked_sub(1) else { return Value::Null };
    thousandths(sorted[(sorted.len() * percent / 100).min(last)].as_micros() as u64)
}

/// A number of thousandths as a JSON number, without a detour over floats in the measuring itself.
fn thousandths(value: u64) -> Value {
    let text = format!("{}.{:03}", value / 1_000, value % 1_000);
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// The most memory this process ever had, where the system tells.
fn peak_rss_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes.div_ceil(1_024))
}
