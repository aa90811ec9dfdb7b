//! The results of a benchmark and its report: charges per second, percentiles of the latency,
//! memory, and the ratio to the baseline (the median over the rounds).

use std::time::Duration;

use serde_json::{Value, json};

use super::options::{Args, EngineKind, Load};
use crate::terminal::failure::Failure;
use crate::terminal::output;

/// The result of one round.
#[derive(Debug)]
pub struct Measurement {
    /// How many charges were made.
    pub charges: u64,
    /// The time from the start of the first call to the end of the last.
    pub elapsed: Duration,
    /// The latency of each call.
    pub latencies: Vec<Duration>,
    /// The latency of each balance that was read during the load.
    pub read_latencies: Vec<Duration>,
}

impl Measurement {
    /// Charges per second.
    fn per_second(&self) -> u64 {
        let nanos = self.elapsed.as_nanos().max(1);
        (u128::from(self.charges) * 1_000_000_000 / nanos) as u64
    }
}

/// The results of all rounds, with the options that led to them.
#[derive(Debug)]
pub struct Report {
    engine: EngineKind,
    charges: u64,
    workspaces: u64,
    load: Load,
    keys: &'static str,
    http: bool,
    /// Whose key the HTTP requests carried; `None` without HTTP.
    credential: Option<&'static str>,
    /// How long opening the engine took, in milliseconds.
    open_ms: u64,
    /// How long closing the engine took, in milliseconds.
    pub close_ms: u64,
    /// How many commits the engine made for the charges.
    pub commits: u64,
    /// How many messages a follower was sent during its rounds; `None` without a follower.
    pub messages: Option<u64>,
    rounds: Vec<Measurement>,
    baselines: Vec<Measurement>,
}

impl Report {
    /// The report before the first round.
    pub fn new(args: &Args, load: Load, open_ms: u64) -> Report {
        Report {
            engine: args.engine(),
            charges: args.charges,
            workspaces: args.workspaces,
            load,
            keys: args.keys.name(),
            http: args.http,
            credential: args.http.then_some(args.credential.name()),
            open_ms,
            close_ms: 0,
            commits: 0,
            messages: None,
            rounds: Vec::new(),
            baselines: Vec::new(),
        }
    }

    /// Adds a round of charges.
    pub fn add(&mut self, measurement: Measurement) {
        self.rounds.push(measurement);
    }

    /// Adds a round of the baseline.
    pub fn add_baseline(&mut self, measurement: Measurement) {
        self.baselines.push(measurement);
    }

    fn json(&self) -> Value {
        let rates: Vec<u64> = self.rounds.iter().map(Measurement::per_second).collect();
        let latencies = sorted(self.rounds.iter().flat_map(|round| &round.latencies));
        let read_latencies = sorted(self.rounds.iter().flat_map(|round| &round.read_latencies));
        let (batch, callers) = match self.load {
            Load::Batches(batch) => (Some(batch), None),
            Load::Callers { callers, .. } => (None, Some(callers)),
        };
        let mut object = json!({
            "engine": self.engine.name(),
            "charges": self.charges,
            "workspaces": self.workspaces,
            "batch": batch,
            "callers": callers,
            "rate": self.load.rate(),
            "keys": self.keys,
            "http": self.http,
            "credential": self.credential,
            "charges_per_second": median(rates.clone()),
            "p50_ms": percentile(&latencies, 50),
            "p99_ms": percentile(&latencies, 99),
            "max_ms": percentile(&latencies, 100),
            "charges_per_commit": self.charges / self.commits.max(1),
            "balance_read_p99_ms": percentile(&read_latencies, 99),
            "peak_rss_mb": peak_rss_mb(),
            "open_ms": self.open_ms,
            "close_ms": self.close_ms,
            "messages": self.messages,
        });
        if !self.baselines.is_empty() {
            let baselines: Vec<u64> = self.baselines.iter().map(Measurement::per_second).collect();
            let ratio = |(rate, baseline): (&u64, &u64)| rate * 1_000 / baseline.max(&1);
            let ratios = rates.iter().zip(&baselines).map(ratio).collect();
            object["floor"] = match (self.messages, self.engine, self.http) {
                (Some(_), ..) => "without a follower",
                (None, EngineKind::Postgres, _) => "pgbench, one transaction per charge",
                (None, EngineKind::Embedded, true) => "constant answer",
                (None, EngineKind::Embedded, false) => "bare append",
            }
            .into();
            object["floor_per_second"] = median(baselines).into();
            object["ratio"] = thousandths(median(ratios));
        }
        object
    }

    /// Prints the report as lines, or as one JSON object.
    pub fn print(&self, as_json: bool) -> Result<(), Failure> {
        let object = self.json();
        if as_json {
            return output::data(&format!("{object}\n"));
        }
        let line = |(name, value): (&String, &Value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name:<22}{value}\n")
        };
        let present = object.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        output::data(&present.map(line).collect::<String>())
    }
}

/// The durations in ascending order.
pub fn sorted<'a>(durations: impl Iterator<Item = &'a Duration>) -> Vec<Duration> {
    let mut sorted: Vec<Duration> = durations.copied().collect();
    sorted.sort_unstable();
    sorted
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// A percentile in milliseconds with three decimals; null if nothing was measured.
pub fn percentile(sorted: &[Duration], percent: usize) -> Value {
    at_percent(sorted, percent).map_or(Value::Null, |value| thousandths(value.as_micros() as u64))
}

/// A percentile; `None` if nothing was measured.
pub fn at_percent(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((sorted.len() * percent / 100).min(last)).copied()
}

/// A JSON number with three decimals, made without floating-point arithmetic.
fn thousandths(value: u64) -> Value {
    let text = format!("{}.{:03}", value / 1_000, value % 1_000);
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// The peak resident memory of this process in MiB; `None` where the system does not report it.
pub fn peak_rss_mb() -> Option<u64> {
    memory_mb("VmHWM:")
}

/// The resident memory of this process now, in MiB.
pub fn rss_mb() -> Option<u64> {
    memory_mb("VmRSS:")
}

/// A line of the memory of this process, in MiB.
fn memory_mb(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes.div_ceil(1_024))
}
