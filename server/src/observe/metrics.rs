//! Metrics for Prometheus: requests and their duration by route, problems by code, and the counters
//! of the engine.
//!
//! Every counter has a fixed index, so that a request costs a few additions: nothing is looked up
//! or allocated. The metrics do not know the table of routes; they get its labels when they are
//! built, and a route is counted by its index in that list.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::http::StatusCode;
use tollkeeper_engine::EngineStats;

use super::message_counts::MessageCounts;

/// The statuses that responses have. Any other status would be counted under 0, the last one.
pub const STATUSES: [u16; 22] = [
    200, 201, 204, 303, 400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 414, 415, 422, 429, 431, 500, 503,
    0,
];

/// The upper bounds of the histogram's buckets, in microseconds.
const BUCKETS_MICROS: [u64; 13] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

/// What is counted, by name.
#[derive(Debug)]
pub struct Labels {
    /// The routes, in the order of their indexes.
    pub routes: Vec<RouteLabel>,
    /// The problem codes, in the order of their indexes.
    pub codes: Vec<&'static str>,
}

/// The labels of a route.
#[derive(Debug)]
pub struct RouteLabel {
    /// The method, such as `GET`.
    pub method: String,
    /// The path with its parameters in braces.
    pub path: &'static str,
}

/// A kind of due work of payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentWork {
    /// Work that needs nobody else.
    Own,
    /// Work at the payment provider.
    Calls,
}

/// What became of a webhook event of the payment provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookResult {
    /// The ledger knows what it says.
    Done,
    /// Nothing follows from an event of its kind.
    Ignored,
    /// It is about an object of somebody else.
    Foreign,
    /// It is about money that fits nothing here.
    Unmatched,
    /// It waits for its repetition.
    Failed,
    /// Its signature is missing or malformed.
    NotSigned,
    /// Its signature fits no secret.
    WrongSignature,
    /// Its signature is too old or too new.
    StaleSignature,
    /// It is of the other mode than the API key.
    OtherMode,
    /// Its body cannot be read.
    Malformed,
}

impl WebhookResult {
    /// The labels, in the order of the variants.
    const LABELS: [&str; 10] = [
        "done",
        "ignored",
        "foreign",
        "unmatched",
        "failed",
        "not_signed",
        "wrong_signature",
        "stale_signature",
        "other_mode",
        "malformed",
    ];
}

/// All counters since the start of the process.
#[derive(Debug)]
pub struct Metrics {
    labels: Labels,
    /// One per route, and a last one for requests that no route takes.
    routes: Vec<RouteCounts>,
    problems: Vec<AtomicU64>,
    failed_time_outs: AtomicU64,
    failing_time_outs: AtomicU64,
    failed_payment_work: AtomicU64,
    failing_payment_work: [AtomicU64; 2],
    webhooks: [AtomicU64; WebhookResult::LABELS.len()],
    walks: AtomicU64,
    failed_walks: AtomicU64,
    reconciled: AtomicU64,
    failing_events: AtomicU64,
    self_checks: AtomicU64,
    self_check_disagreements: AtomicU64,
    followers: AtomicU64,
}

#[derive(Debug, Default)]
struct RouteCounts {
    statuses: [AtomicU64; STATUSES.len()],
    /// One per bound, and a last one for requests that took longer than all bounds.
    buckets: [AtomicU64; BUCKETS_MICROS.len() + 1],
    /// The sum of all durations in microseconds.
    micros: AtomicU64,
}

impl Metrics {
    /// Counters at zero.
    pub fn new(labels: Labels) -> Metrics {
        Metrics {
            routes: (0..=labels.routes.len()).map(|_| RouteCounts::default()).collect(),
            problems: labels.codes.iter().map(|_| AtomicU64::new(0)).collect(),
            failed_time_outs: AtomicU64::new(0),
            failing_time_outs: AtomicU64::new(0),
            failed_payment_work: AtomicU64::new(0),
            failing_payment_work: Default::default(),
            webhooks: Default::default(),
            walks: AtomicU64::new(0),
            failed_walks: AtomicU64::new(0),
            reconciled: AtomicU64::new(0),
            failing_events: AtomicU64::new(0),
            self_checks: AtomicU64::new(0),
            self_check_disagreements: AtomicU64::new(0),
            followers: AtomicU64::new(0),
            labels,
        }
    }

    /// Counts a response. `route` is the index of the route; `None` if no route takes the request.
    pub fn count_response(&self, route: Option<usize>, status: StatusCode, took: Duration) {
        let counts = &self.routes[route.unwrap_or(self.labels.routes.len())];
        let status = STATUSES.iter().position(|known| *known == status.as_u16());
        counts.statuses[status.unwrap_or(STATUSES.len() - 1)].fetch_add(1, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_MICROS.partition_point(|bound| *bound < micros);
        counts.buckets[bucket].fetch_add(1, Relaxed);
        counts.micros.fetch_add(micros, Relaxed);
    }

    /// Counts a problem by the index of its code; one in a batch too.
    pub fn count_problem(&self, code: usize) {
        self.problems[code].fetch_add(1, Relaxed);
    }

    /// Counts an attempt to time out a charge that failed.
    pub fn count_failed_time_out(&self) {
        self.failed_time_outs.fetch_add(1, Relaxed);
    }

    /// Sets the number of due charges that could not be timed out.
    pub fn set_failing_time_outs(&self, charges: usize) {
        self.failing_time_outs.store(charges as u64, Relaxed);
    }

    /// Counts an attempt at due work of payments that failed.
    pub fn count_failed_payment_work(&self) {
        self.failed_payment_work.fetch_add(1, Relaxed);
    }

    /// Sets the number of pieces of due work of payments that could not be done, of one kind.
    pub fn set_failing_payment_work(&self, kind: PaymentWork, pieces: usize) {
        self.failing_payment_work[kind as usize].store(pieces as u64, Relaxed);
    }

    /// Counts a webhook event of the payment provider.
    pub fn count_webhook(&self, result: WebhookResult) {
        self.webhooks[result as usize].fetch_add(1, Relaxed);
    }

    /// Counts a walk over Stripe's list of events that came to its end.
    pub fn count_walk(&self) {
        self.walks.fetch_add(1, Relaxed);
    }

    /// Counts a page of Stripe's list of events that could not be read.
    pub fn count_failed_walk(&self) {
        self.failed_walks.fetch_add(1, Relaxed);
    }

    /// Counts an event that a walk found and no webhook had brought.
    pub fn count_reconciled(&self) {
        self.reconciled.fetch_add(1, Relaxed);
    }

    /// Sets the number of events of Stripe's list that could not be carried out.
    pub fn set_failing_events(&self, events: usize) {
        self.failing_events.store(events as u64, Relaxed);
    }

    /// Sets the number of open streams and waiting requests.
    pub fn set_followers(&self, followers: u64) {
        self.followers.store(followers, Relaxed);
    }

    /// Counts an account that was recomputed and compared.
    pub fn count_self_check(&self) {
        self.self_checks.fetch_add(1, Relaxed);
    }

    /// Counts an account that does not follow from its journal.
    pub fn count_self_check_disagreement(&self) {
        self.self_check_disagreements.fetch_add(1, Relaxed);
    }

    /// All metrics in the text format of Prometheus.
    pub fn text(&self, stats: EngineStats, timers_are_held: bool, messages: MessageCounts) -> String {
        let mut text = String::with_capacity(16_384);
        let written = self.write(&mut text, stats, timers_are_held).and_then(|()| messages.write(&mut text));
        written.expect("writing to a String does not fail");
        text
    }

    fn write(&self, text: &mut String, stats: EngineStats, timers_are_held: bool) -> std::fmt::Result {
        const REQUESTS: &str = "tollkeeper_http_requests_total";
        head(text, REQUESTS, "counter", "Answered requests by route and status.")?;
        for (index, counts) in self.routes.iter().enumerate() {
            let labels = self.route_labels(index);
            for (status, count) in STATUSES.iter().zip(&counts.statuses) {
                let count = count.load(Relaxed);
                if count > 0 {
                    writeln!(text, "{REQUESTS}{{{labels},status=\"{status}\"}} {count}")?;
                }
            }
        }
        self.write_durations(text)?;
        const REFUSALS: &str = "tollkeeper_refusals_total";
        head(text, REFUSALS, "counter", "Problems returned, including those in batches, by code.")?;
        for (code, count) in self.labels.codes.iter().zip(&self.problems) {
            writeln!(text, "{REFUSALS}{{code=\"{code}\"}} {}", count.load(Relaxed))?;
        }
        self.write_work(text)?;
        const FOLLOWERS: &str = "tollkeeper_followers";
        head(text, FOLLOWERS, "gauge", "Open streams, and requests that wait for an entry.")?;
        writeln!(text, "{FOLLOWERS} {}", self.followers.load(Relaxed))?;
        const WEBHOOKS: &str = "tollkeeper_stripe_webhooks_total";
        head(text, WEBHOOKS, "counter", "Webhook events of Stripe by what became of them.")?;
        for (label, count) in WebhookResult::LABELS.iter().zip(&self.webhooks) {
            writeln!(text, "{WEBHOOKS}{{result=\"{label}\"}} {}", count.load(Relaxed))?;
        }
        const DROPPED: &str = "tollkeeper_log_lines_dropped_total";
        head(text, DROPPED, "counter", "Lines of the log that could not be written.")?;
        writeln!(text, "{DROPPED} {}", super::log::dropped_lines())?;
        write_engine_stats(text, stats)?;
        write_clock(text, stats.clock_deviation_millis, timers_are_held)
    }

    /// Writes what is counted of the work that no request starts.
    fn write_work(&self, text: &mut String) -> std::fmt::Result {
        let failing_payment_work = self.failing_payment_work.iter().map(|pieces| pieces.load(Relaxed)).sum();
        let failing_payment_work = AtomicU64::new(failing_payment_work);
        for (name, kind, help, value) in [
            (
                "tollkeeper_time_out_failures_total",
                "counter",
                "Attempts to time out a charge that failed.",
                &self.failed_time_outs,
            ),
            (
                "tollkeeper_time_outs_failing",
                "gauge",
                "Due charges that cannot be timed out and are tried again after a pause.",
                &self.failing_time_outs,
            ),
            (
                "tollkeeper_payment_work_failures_total",
                "counter",
                "Attempts at due work of payments that failed.",
                &self.failed_payment_work,
            ),
            (
                "tollkeeper_payment_work_failing",
                "gauge",
                "Pieces of due work of payments that cannot be done and are tried again after a pause.",
                &failing_payment_work,
            ),
            (
                "tollkeeper_stripe_walks_total",
                "counter",
                "Walks over Stripe's list of events that came to their end.",
                &self.walks,
            ),
            (
                "tollkeeper_stripe_walk_failures_total",
                "counter",
                "Pages of Stripe's list of events that could not be read.",
                &self.failed_walks,
            ),
            (
                "tollkeeper_stripe_reconciled_total",
                "counter",
                "Events of Stripe that changed something and that no webhook had brought.",
                &self.reconciled,
            ),
            (
                "tollkeeper_stripe_events_failing",
                "gauge",
                "Events of Stripe's list that cannot be carried out and are tried again.",
                &self.failing_events,
            ),
            (
                "tollkeeper_self_checks_total",
                "counter",
                "Accounts that were recomputed from their journals while the server runs.",
                &self.self_checks,
            ),
            (
                "tollkeeper_self_check_disagreements_total",
                "counter",
                "Accounts that did not follow from their journals. It must stay 0.",
                &self.self_check_disagreements,
            ),
        ] {
            head(text, name, kind, help)?;
            writeln!(text, "{name} {}", value.load(Relaxed))?;
        }
        Ok(())
    }

    fn write_durations(&self, text: &mut String) -> std::fmt::Result {
        const NAME: &str = "tollkeeper_http_request_duration_seconds";
        head(text, NAME, "histogram", "Time from the head of a request to its response, by route.")?;
        for (index, counts) in self.routes.iter().enumerate() {
            let found: Vec<u64> = counts.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
            if found.iter().all(|count| *count == 0) {
                continue;
            }
            let labels = self.route_labels(index);
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

    /// The labels of a route; empty ones for requests that no route takes.
    fn route_labels(&self, index: usize) -> String {
        match self.labels.routes.get(index) {
            Some(RouteLabel { method, path }) => format!("method=\"{method}\",route=\"{path}\""),
            None => "method=\"\",route=\"\"".to_owned(),
        }
    }
}

fn write_engine_stats(text: &mut String, stats: EngineStats) -> std::fmt::Result {
    let EngineStats {
        entries,
        journal_bytes,
        commits,
        commands,
        queued,
        accounts_in_memory,
        pending_charges,
        entries_to_replay,
        accounts_refused,
        accounts_rebuilt,
        writable,
        clock_deviation_millis: _,
        entries_decided_ahead,
    } = stats;
    for (name, kind, help, value) in [
        ("tollkeeper_journal_entries", "gauge", "Entries in the journal.", entries),
        ("tollkeeper_journal_bytes_total", "counter", "Bytes appended since the start.", journal_bytes),
        ("tollkeeper_commits_total", "counter", "Database transactions since the start.", commits),
        ("tollkeeper_commands_total", "counter", "Commands run since the start.", commands),
        ("tollkeeper_queued_requests", "gauge", "Requests waiting in the engine's queue.", queued),
        ("tollkeeper_accounts_in_memory", "gauge", "Workspaces held in memory.", accounts_in_memory),
        ("tollkeeper_pending_charges", "gauge", "Charges that await an outcome.", pending_charges),
        (
            "tollkeeper_tail_entries",
            "gauge",
            "Entries after the last finished checkpoint round.",
            entries_to_replay,
        ),
        (
            "tollkeeper_accounts_refused",
            "gauge",
            "Workspaces that are refused while their account is rebuilt, or because it cannot be.",
            accounts_refused,
        ),
        (
            "tollkeeper_accounts_rebuilt_total",
            "counter",
            "Accounts rebuilt from their journals since the start.",
            accounts_rebuilt,
        ),
        (
            "tollkeeper_entries_decided_ahead_total",
            "counter",
            "Entries since the start whose workspace's last entry was ahead of the clock.",
            entries_decided_ahead,
        ),
        ("tollkeeper_store_writable", "gauge", "1 if the store takes writes, else 0.", u64::from(writable)),
    ] {
        head(text, name, kind, help)?;
        writeln!(text, "{name} {value}")?;
    }
    Ok(())
}

fn write_clock(text: &mut String, deviation_millis: i64, timers_are_held: bool) -> std::fmt::Result {
    const DEVIATION: &str = "tollkeeper_clock_deviation_seconds";
    head(text, DEVIATION, "gauge", "How far the clock is ahead of the database's.")?;
    let (sign, millis) = (if deviation_millis < 0 { "-" } else { "" }, deviation_millis.unsigned_abs());
    writeln!(text, "{DEVIATION} {sign}{}.{:03}", millis / 1_000, millis % 1_000)?;
    const HELD: &str = "tollkeeper_timers_held";
    head(text, HELD, "gauge", "1 if no timer runs until the clock is confirmed, else 0.")?;
    writeln!(text, "{HELD} {}", u8::from(timers_are_held))
}

/// The lines before the values of a metric.
pub(super) fn head(text: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// Microseconds as exact decimal seconds.
fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}
