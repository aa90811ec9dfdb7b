//! EngineStats for Prometheus: requests and their time by route and status, refusals by code, and what the engine says of
//! itself. Counted in fixed places, so that a request costs a few additions and nothing is looked up or allocated.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::http::StatusCode;
use tollkeeper_engine::EngineStats;

use crate::api::ROUTES;
use crate::http::problem::Code;

/// The place of requests that no route takes.
pub const UNROUTED: usize = ROUTES.len();

/// The statuses that are given; whatever else would be counted in the last place, as 0.
const STATUSES: [u16; 19] =
    [200, 201, 204, 303, 400, 401, 402, 403, 404, 405, 409, 410, 413, 415, 422, 429, 500, 503, 0];

/// Upper bounds of the time buckets.
const BUCKETS_MICROS: [u64; 13] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

/// All counts since the start.
#[derive(Debug)]
pub struct Metrics {
    routes: Vec<RouteCounts>,
    refusals: Vec<AtomicU64>,
}

#[derive(Debug, Default)]
struct RouteCounts {
    statuses: [AtomicU64; STATUSES.len()],
    /// One more than there are bounds: the last is for whatever took longer.
    buckets: [AtomicU64; BUCKETS_MICROS.len() + 1],
    micros: AtomicU64,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Metrics {
        Metrics {
            routes: (0..=UNROUTED).map(|_| RouteCounts::default()).collect(),
            refusals: Code::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts an answer of a route by its place in the table.
    pub fn answered(&self, route: usize, status: StatusCode, took: Duration) {
        let counts = &self.routes[route];
        let status = STATUSES.iter().position(|known| *known == status.as_u16());
        counts.statuses[status.unwrap_or(STATUSES.len() - 1)].fetch_add(1, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_MICROS.partition_point(|bound| *bound < micros);
        counts.buckets[bucket].fetch_add(1, Relaxed);
        counts.micros.fetch_add(micros, Relaxed);
    }

    /// Counts a problem, one in a batch too.
    pub fn refused(&self, code: Code) {
        self.refusals[code as usize].fetch_add(1, Relaxed);
    }

    /// Everything in the text format of Prometheus.
    pub fn text(&self, figures: EngineStats) -> String {
        let mut text = String::with_capacity(16_384);
        self.write(&mut text, figures).expect("writing to memory does not fail");
        text
    }

    fn write(&self, text: &mut String, figures: EngineStats) -> std::fmt::Result {
        head(text, "tollkeeper_http_requests_total", "counter", "Answered requests by route and status.")?;
        for (index, counts) in self.routes.iter().enumerate() {
            for (place, status) in STATUSES.iter().enumerate() {
                let count = counts.statuses[place].load(Relaxed);
                if count > 0 {
                    let labels = labels(index);
                    writeln!(text, "tollkeeper_http_requests_total{{{labels},status=\"{status}\"}} {count}")?;
                }
            }
        }
        self.write_times(text)?;
        head(text, "tollkeeper_refusals_total", "counter", "Problems told, those in batches too, by code.")?;
        for code in Code::ALL {
            let count = self.refusals[*code as usize].load(Relaxed);
            writeln!(text, "tollkeeper_refusals_total{{code=\"{}\"}} {count}", code.as_str())?;
        }
        write_figures(text, figures)
    }

    fn write_times(&self, text: &mut String) -> std::fmt::Result {
        const NAME: &str = "tollkeeper_http_request_duration_seconds";
        head(text, NAME, "histogram", "Time from a request's head to its answer, by route.")?;
        for (index, counts) in self.routes.iter().enumerate() {
            let found: Vec<u64> = counts.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
            if found.iter().all(|count| *count == 0) {
                continue;
            }
            let labels = labels(index);
            let mut below = 0;
            for (bound, count) in BUCKETS_MICROS.iter().zip(&found) {
                below += count;
                writeln!(text, "{NAME}_bucket{{{labels},le=\"{}\"}} {below}", seconds(*bound))?;
            }
            let all: u64 = found.iter().sum();
            writeln!(text, "{NAME}_bucket{{{labels},le=\"+Inf\"}} {all}")?;
            writeln!(text, "{NAME}_sum{{{labels}}} {}", seconds(counts.micros.load(Relaxed)))?;
            writeln!(text, "{NAME}_count{{{labels}}} {all}")?;
        }
        Ok(())
    }
}

fn write_figures(text: &mut String, figures: EngineStats) -> std::fmt::Result {
    let EngineStats {
        entries,
        journal_bytes,
        commits,
        commands,
        queued,
        accounts_in_memory,
        pending_charges,
        tail_entries,
        writable,
    } = figures;
    for (name, kind, help, value) in [
        ("tollkeeper_journal_entries", "gauge", "Entries in the journal.", entries),
        ("tollkeeper_journal_bytes_total", "counter", "Bytes appended since the start.", journal_bytes),
        ("tollkeeper_commits_total", "counter", "Database transactions since the start.", commits),
        ("tollkeeper_commands_total", "counter", "Commands run since the start.", commands),
        ("tollkeeper_queued_requests", "gauge", "Requests waiting in the queue.", queued),
        ("tollkeeper_accounts_in_memory", "gauge", "Workspaces held in memory.", accounts_in_memory),
        ("tollkeeper_pending_charges", "gauge", "Charges that await an outcome.", pending_charges),
        ("tollkeeper_tail_entries", "gauge", "Entries a start after a kill would replay.", tail_entries),
        ("tollkeeper_store_writable", "gauge", "Whether the store takes writes.", u64::from(writable)),
    ] {
        head(text, name, kind, help)?;
        writeln!(text, "{name} {value}")?;
    }
    Ok(())
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn labels(index: usize) -> String {
    match ROUTES.get(index) {
        Some(route) => format!("method=\"{}\",route=\"{}\"", route.method, route.path),
        None => "method=\"\",route=\"\"".to_owned(),
    }
}

/// Micro-seconds as exact decimal seconds.
fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_that_is_given_is_counted_under_its_number() {
        let given =
            ROUTES.iter().map(|route| route.answer.0).chain(Code::ALL.iter().map(|code| code.status()));
        let uncounted: Vec<u16> = given.filter(|status| !STATUSES.contains(status)).collect();
        assert_eq!(uncounted, Vec::<u16>::new());
    }
}
