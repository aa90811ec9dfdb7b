//! `tollkeeper bench --streams`: the cost of open streams, and how soon they show a charge.
//!
//! Ten clients stream each of some workspaces, over sockets. Then charges are made at a fixed rate,
//! one workspace after the other. An event is measured from the answer to its charge, which the
//! client gets after the commit; an event that is there before the answer counts as zero. Server
//! and clients share the machine and the process, so its memory holds both ends of each connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tollkeeper_engine::Engine;
use tollkeeper_server::settings::{AccessSettings, Secret};
use tollkeeper_server::{App, Settings};

use super::credentials::PLATFORM_KEY;
use super::failure::{engine_failed, failed};
use super::hostile::tenant;
use super::http::serve;
use super::options::Args;
use super::stats::{percentile, rss_mb, sorted};
use crate::terminal::failure::Failure;
use crate::terminal::output;
use crate::transport::local;
use crate::transport::request::{Request, path};

/// The streams of one workspace.
const OF_WORKSPACE: u64 = 10;

/// The charges, and how many of them are made in a second.
const CHARGES: u64 = 1_000;
const CHARGES_PER_SECOND: u32 = 100;

/// How long opening all streams may take.
const OPENS_WITHIN: Duration = Duration::from_secs(60);

/// How long the clients wait for the last events.
const LAST_EVENTS: Duration = Duration::from_secs(30);

/// What stands in an event before the number of its charge.
const KEY: &str = "\"idempotency_key\":\"bench-";

/// When charges were answered, in nanoseconds since the beginning; 0 before.
type Answered = Arc<Vec<AtomicU64>>;

/// Measures streams on an engine, prints the report and closes the engine.
pub async fn run(args: &Args, streams: u64, engine: Arc<dyn Engine>) -> Result<(), Failure> {
    let access = AccessSettings {
        platform_key: Some(Secret::new(PLATFORM_KEY)),
        platform_key_requests_per_second: 0,
        ..AccessSettings::default()
    };
    let app = App::new(Arc::clone(&engine), &Settings { access, ..Settings::default() });
    tollkeeper_server::prepare(&app).await.map_err(|error| failed(error.to_string()))?;
    let workspaces = streams.div_ceil(OF_WORKSPACE);
    for workspace in 0..workspaces {
        tenant(&app, &name(workspace), &["read"]).await?;
    }
    let address = serve(tollkeeper_server::router(Arc::clone(&app))).await?;
    let before = rss_mb();
    let answered: Answered = Arc::new((0..CHARGES).map(|_| AtomicU64::new(0)).collect());
    let start = Instant::now();
    let (ready, mut are_ready) = mpsc::unbounded_channel();
    let (seen, mut events) = mpsc::unbounded_channel();
    let clients = Clients { address, streams, answered: Arc::clone(&answered), start, ready, seen };
    let running = tokio::task::spawn_blocking(move || clients.run());
    let all_open = async {
        for _ in 0..streams {
            are_ready.recv().await;
        }
    };
    let opened = tokio::time::timeout(OPENS_WITHIN, all_open).await;
    opened.map_err(|_| failed("not every stream has opened"))?;
    let with_streams = rss_mb();
    let open_ms = start.elapsed().as_millis() as u64;
    let charge_latencies = charge(&app, workspaces, &answered, start).await?;
    let expected = (0..CHARGES).map(|n| of_workspace(streams, n % workspaces)).sum::<u64>();
    let mut latencies = Vec::with_capacity(expected as usize);
    let all = async {
        while (latencies.len() as u64) < expected
            && let Some(latency) = events.recv().await
        {
            latencies.push(latency);
        }
    };
    // What is missing then is in the report.
    let _ = tokio::time::timeout(LAST_EVENTS, all).await;
    drop(events);
    running.await.map_err(|error| failed(error.to_string()))??;
    engine.close().await.map_err(|error| engine_failed(&error))?;
    let (charges, events) = (sorted(charge_latencies.iter()), sorted(latencies.iter()));
    let report = json!({
        "engine": args.engine().name(),
        "streams": streams,
        "workspaces": workspaces,
        "charges": CHARGES,
        "rate": CHARGES_PER_SECOND,
        "open_ms": open_ms,
        "charge_p50_ms": percentile(&charges, 50),
        "charge_p99_ms": percentile(&charges, 99),
        "events": events.len(),
        "events_missing": expected - events.len() as u64,
        "event_p50_ms": percentile(&events, 50),
        "event_p99_ms": percentile(&events, 99),
        "event_max_ms": percentile(&events, 100),
        "rss_before_mb": before,
        "rss_with_streams_mb": with_streams,
    });
    if args.json {
        return output::data(&format!("{report}\n"));
    }
    let fields = report.as_object().into_iter().flatten();
    output::data(&fields.map(|(name, value)| format!("{name:<22}{value}\n")).collect::<String>())
}

fn name(workspace: u64) -> String {
    format!("streams-{workspace}")
}

/// The streams of a workspace, by its number.
fn of_workspace(streams: u64, workspace: u64) -> u64 {
    OF_WORKSPACE.min(streams - workspace * OF_WORKSPACE)
}

/// Makes the charges; returns the latency of each.
async fn charge(
    app: &Arc<App>,
    workspaces: u64,
    answered: &Answered,
    start: Instant,
) -> Result<Vec<Duration>, Failure> {
    let mut timer = tokio::time::interval(Duration::from_secs(1) / CHARGES_PER_SECOND);
    let mut latencies = Vec::with_capacity(CHARGES as usize);
    for n in 0..CHARGES {
        timer.tick().await;
        let path = path(&["v1", "workspaces", &name(n % workspaces), "charges"]);
        let mut request = Request::write("POST", path, json!({"operation": "support_message"}));
        request.key = Some(format!("bench-{n}"));
        let begun = Instant::now();
        let answer = local::call(Arc::clone(app), PLATFORM_KEY, request).await?;
        latencies.push(begun.elapsed());
        if answer.status != 201 {
            return Err(failed(format!("a charge was answered {}: {}", answer.status, answer.text)));
        }
        answered[n as usize].store(start.elapsed().as_nanos() as u64, Relaxed);
    }
    Ok(latencies)
}

/// The clients, on one thread of their own.
struct Clients {
    address: SocketAddr,
    streams: u64,
    answered: Answered,
    start: Instant,
    /// Gets a message for each stream that has begun.
    ready: mpsc::UnboundedSender<()>,
    /// Gets the latency of each event.
    seen: mpsc::UnboundedSender<Duration>,
}

impl Clients {
    /// Reads all streams until nobody takes the latencies any more.
    fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        let clients = Arc::new(self);
        runtime.block_on(async {
            for stream in 0..clients.streams {
                tokio::spawn(read(Arc::clone(&clients), stream / OF_WORKSPACE));
            }
            clients.seen.closed().await;
        });
        Ok(())
    }
}

/// Reads one stream. A stream that breaks is seen by its missing events.
async fn read(clients: Arc<Clients>, workspace: u64) -> Option<()> {
    let mut socket = TcpStream::connect(clients.address).await.ok()?;
    let path = path(&["v1", "workspaces", &name(workspace), "stream"]);
    let head = format!("GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {PLATFORM_KEY}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.ok()?;
    let mut bytes: Vec<u8> = Vec::with_capacity(4_096);
    let mut has_begun = false;
    loop {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let Some(end) = bytes.windows(2).rposition(|pair| pair == b"\n\n") else { continue };
        if !has_begun {
            has_begun = true;
            clients.ready.send(()).ok()?;
        }
        let now = clients.start.elapsed();
        let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
        for (at, _) in text.match_indices(KEY) {
            let digits = text[at + KEY.len()..].chars().take_while(char::is_ascii_digit).collect::<String>();
            let answered = clients.answered.get(digits.parse::<usize>().ok()?)?.load(Relaxed);
            let answered = if answered == 0 { now } else { Duration::from_nanos(answered) };
            clients.seen.send(now.saturating_sub(answered)).ok()?;
        }
        bytes.drain(..end);
    }
}
