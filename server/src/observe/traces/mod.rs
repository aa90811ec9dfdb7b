//! Traces: a span of each request, and one of the time that its commands took in the engine. They
//! are sent to a collector in the OpenTelemetry protocol (OTLP) if a setting names one.
//!
//! A caller's header `traceparent` makes a request part of the caller's trace. Without the setting
//! a request pays one comparison. A collector that is slow or away delays no request: spans wait in
//! a bounded queue, and what finds no place there is dropped and counted.
//!
//! A span has the method, the route with its parameters in braces, the status, the id of the
//! workspace and the code of the problem. It has no path, no query, no header and no body, because
//! they hold secrets and names. Requests that no route takes have no span.

mod exporter;
mod parent;
mod protobuf;

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::http::{HeaderMap, Method, StatusCode};
use tokio::sync::{mpsc, watch};
use tollkeeper_ledger::WorkspaceId;

pub use self::exporter::Exporter;
use self::parent::Parent;
use super::settings::TraceSettings;

/// The most spans that wait to be sent.
const QUEUE_MAX: usize = 4_096;

/// Which span of which trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
}

/// What a span is about.
#[derive(Debug)]
enum What {
    /// A request to this server.
    Request {
        method: Method,
        route: &'static str,
        status: u16,
        workspace: Option<WorkspaceId>,
        problem: Option<&'static str>,
    },
    /// Commands in the engine, from the queue to the commit.
    Engine { commands: usize },
}

/// A span that has ended.
#[derive(Debug)]
struct Span {
    context: SpanContext,
    /// The id of the span that caused it.
    parent: Option<[u8; 8]>,
    began_at: SystemTime,
    took: Duration,
    what: What,
}

/// The span of a request that is being handled.
#[derive(Debug)]
pub struct RequestSpan {
    /// Which span it is.
    pub context: SpanContext,
    parent: Option<[u8; 8]>,
    began_at: SystemTime,
    began: Instant,
    /// The workspace that the request is about, once it is known.
    pub workspace: Option<WorkspaceId>,
    /// The code of the problem that the request ended with.
    pub problem: Option<&'static str>,
}

/// What became of spans.
#[derive(Debug, Default)]
struct Counts {
    exported: AtomicU64,
    dropped: AtomicU64,
}

/// The traces of a server that has a collector.
#[derive(Debug)]
pub struct Traces {
    queue: mpsc::Sender<Span>,
    /// Until it is taken.
    exporter: Mutex<Option<Exporter>>,
    is_ending: watch::Sender<bool>,
    counts: Arc<Counts>,
    sample_percent: u8,
}

impl Traces {
    /// The traces with these settings; `None` if they name no collector.
    pub fn new(settings: &TraceSettings) -> Option<Traces> {
        let endpoint = settings.endpoint.clone()?;
        let (queue, spans) = mpsc::channel(QUEUE_MAX);
        let (is_ending, ending) = watch::channel(false);
        let counts = Arc::new(Counts::default());
        let exporter = Exporter {
            endpoint,
            headers: settings.headers.clone(),
            spans,
            ending,
            counts: Arc::clone(&counts),
        };
        let exporter = Mutex::new(Some(exporter));
        Some(Traces { queue, exporter, is_ending, counts, sample_percent: settings.sample_percent })
    }

    /// What sends the spans; `None` if it was taken before.
    pub fn take_exporter(&self) -> Option<Exporter> {
        self.exporter.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Lets the exporter send what waits, and end.
    pub fn end(&self) {
        self.is_ending.send_replace(true);
    }

    /// Begins the span of a request with these headers; `None` if it is not recorded. A caller that
    /// sends a trace decides for it, else chance does.
    pub fn begin(&self, headers: &HeaderMap) -> Option<RequestSpan> {
        let parent = Parent::of(headers);
        let mut random = [0; 32];
        getrandom::fill(&mut random).ok()?;
        let (span_id, chance, trace_id) = split(&random);
        let is_recorded = match &parent {
            Some(parent) => parent.is_recorded,
            None => u64::from_le_bytes(chance) % 100 < u64::from(self.sample_percent),
        };
        let trace_id = parent.as_ref().map_or(trace_id, |parent| parent.trace_id);
        is_recorded.then(|| RequestSpan {
            context: SpanContext { trace_id, span_id },
            parent: parent.map(|parent| parent.span_id),
            began_at: SystemTime::now(),
            began: Instant::now(),
            workspace: None,
            problem: None,
        })
    }

    /// Ends the span of a request.
    pub fn end_request(&self, span: RequestSpan, method: Method, route: &'static str, status: StatusCode) {
        let RequestSpan { context, parent, began_at, began, workspace, problem } = span;
        let what = What::Request { method, route, status: status.as_u16(), workspace, problem };
        self.send(Span { context, parent, began_at, took: began.elapsed(), what });
    }

    /// Does work of the engine for a request as a span of its own. `commands`: how many there are.
    pub async fn in_engine<T>(
        &self,
        request: SpanContext,
        commands: usize,
        work: impl Future<Output = T>,
    ) -> T {
        let (began_at, began) = (SystemTime::now(), Instant::now());
        let done = work.await;
        let mut span_id = [0; 8];
        if getrandom::fill(&mut span_id).is_ok() {
            let context = SpanContext { span_id, ..request };
            let (parent, what) = (Some(request.span_id), What::Engine { commands });
            self.send(Span { context, parent, began_at, took: began.elapsed(), what });
        }
        done
    }

    fn send(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }

    /// The numbers as metrics, in the text format of Prometheus.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        for (name, help, count) in [
            ("tollkeeper_spans_exported_total", "Spans that the collector accepted.", &self.counts.exported),
            ("tollkeeper_spans_dropped_total", "Spans that were lost on their way.", &self.counts.dropped),
        ] {
            let count = count.load(Relaxed);
            let written = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}");
            written.expect("writing to a String does not fail");
        }
        text
    }
}

/// Random bytes as the id of a span, a number, and the id of a trace. No id is all zeros.
fn split(random: &[u8; 32]) -> ([u8; 8], [u8; 8], [u8; 16]) {
    let (mut span_id, mut chance, mut trace_id) = ([0; 8], [0; 8], [0; 16]);
    span_id.copy_from_slice(&random[..8]);
    chance.copy_from_slice(&random[8..16]);
    trace_id.copy_from_slice(&random[16..]);
    span_id[0] |= 1;
    trace_id[0] |= 1;
    (span_id, chance, trace_id)
}
