//! The benchmark over HTTP: the real server on a real socket and keep-alive connections, with one
//! charge per request or batches.
//!
//! Its baseline uses the same connections and the same HTTP library, and answers a constant as
//! large as the answer to a charge.

use std::cell::Cell;
use std::fmt::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{StatusCode, header};
use axum::routing::post;
use tokio::net::TcpListener;
use tollkeeper_engine::Engine;
use tollkeeper_server::settings::{AccessSettings, Secret};
use tollkeeper_server::{App, HttpService, Settings};

use super::connection::Connection;
use super::credentials::{Credential, Credentials, PLATFORM_KEY};
use super::failure::failed;
use super::options::Load;
use super::rate::Schedule;
use super::stats::Measurement;
use super::workload::{Keys, PlannedCharge, Workload};
use crate::terminal::failure::Failure;

/// The pause between two reads of a balance during the load.
const READ_EVERY: Duration = Duration::from_millis(1);

/// The state of a server without rate limits.
pub async fn app_without_limits(engine: Arc<dyn Engine>) -> Result<Arc<App>, Failure> {
    let access = AccessSettings {
        platform_key: Some(Secret::new(PLATFORM_KEY)),
        platform_key_requests_per_second: 0,
        workspace_key_requests_per_second: 0,
        workspace_requests_per_second: 0,
        ..AccessSettings::default()
    };
    let app = App::new(engine, &Settings { access, ..Settings::default() });
    tollkeeper_server::prepare(&app).await.map_err(|error| failed(error.to_string()))?;
    Ok(app)
}

/// A server to be measured.
#[derive(Debug)]
pub struct BenchServer {
    address: SocketAddr,
    credentials: Arc<Credentials>,
}

/// The requests of all connections.
struct Requests {
    address: SocketAddr,
    credentials: Arc<Credentials>,
    load: Load,
    charges: u64,
    /// Reads a balance every [`READ_EVERY`] at the same time.
    with_reads: bool,
}

/// What the requests measured, and the size of the largest answer in bytes.
type Measured = (Measurement, usize);

impl BenchServer {
    /// Starts the server on a free port, without rate limits.
    pub async fn start(
        engine: Arc<dyn Engine>,
        credential: Credential,
        workspaces: u64,
    ) -> Result<BenchServer, Failure> {
        let app = app_without_limits(engine).await?;
        let credentials = Arc::new(Credentials::create(&app, credential, workspaces).await?);
        let address = serve(tollkeeper_server::router(app)).await?;
        Ok(BenchServer { address, credentials })
    }

    /// Runs `charges` charges; sets `answer_bytes` to the size of the largest answer.
    pub async fn charge(
        &self,
        workload: &mut Workload,
        load: Load,
        charges: u64,
        answer_bytes: &mut usize,
    ) -> Result<Measurement, Failure> {
        let (connections, _) = load.tasks_and_size();
        let workloads = (0..connections).map(|_| workload.split()).collect();
        let requests = self.requests(self.address, load, charges, true);
        let (measurement, bytes) = run(requests, workloads).await?;
        *answer_bytes = bytes;
        Ok(measurement)
    }

    /// Runs the same requests against a server that answers a constant of `answer_bytes` bytes.
    pub async fn constant(
        &self,
        load: Load,
        charges: u64,
        answer_bytes: usize,
    ) -> Result<Measurement, Failure> {
        let body: Arc<str> =
            format!("{{\"padding\":\"{}\"}}", "x".repeat(answer_bytes.saturating_sub(14))).into();
        let answer = move |_: axum::body::Bytes| {
            let body = body.clone();
            async move { (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body.to_string()) }
        };
        let address = serve(axum::Router::new().fallback(post(answer))).await?;
        let (connections, _) = load.tasks_and_size();
        let workloads = (0..connections).map(|seed| Workload::new(1, Keys::Ordered, seed, 0)).collect();
        let requests = self.requests(address, load.unlimited(), charges, false);
        run(requests, workloads).await.map(|(measurement, _)| measurement)
    }

    fn requests(&self, address: SocketAddr, load: Load, charges: u64, with_reads: bool) -> Requests {
        Requests { address, credentials: Arc::clone(&self.credentials), load, charges, with_reads }
    }
}

/// Serves on a free port, in the background.
pub async fn serve(router: impl HttpService) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| failed(error.to_string()))?;
    let address = listener.local_addr().map_err(|error| failed(error.to_string()))?;
    tokio::spawn(tollkeeper_server::answer(router, listener));
    Ok(address)
}

/// Runs all connections on one thread of their own, as if the clients were on another machine.
async fn run(requests: Requests, workloads: Vec<Workload>) -> Result<Measured, Failure> {
    let finished = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        runtime.block_on(tokio::task::LocalSet::new().run_until(run_on_this_thread(requests, workloads)))
    });
    finished.await.map_err(|error| failed(error.to_string()))?
}

async fn run_on_this_thread(requests: Requests, workloads: Vec<Workload>) -> Result<Measured, Failure> {
    let Requests { address, credentials, load, charges, with_reads } = requests;
    let tasks = workloads.len() as u64;
    let mut connections = Vec::new();
    for _ in 0..tasks {
        connections.push(Connection::connect(address).await?);
    }
    let start = Instant::now();
    let mut running = Vec::new();
    for (task, (workload, connection)) in (0..).zip(workloads.into_iter().zip(connections)) {
        let share = charges / tasks + u64::from(task < charges % tasks);
        let schedule = Schedule::new(load.rate(), task, tasks, start);
        let client = Client { connection, workload, credentials: Arc::clone(&credentials), load, schedule };
        running.push(tokio::task::spawn_local(client.charge(share)));
    }
    let done = Rc::new(Cell::new(!with_reads));
    let reads = tokio::task::spawn_local(read_balances(address, Rc::clone(&done)));
    let (mut latencies, mut bytes) = (Vec::new(), 0);
    for task in running {
        let (times, largest) = task.await.map_err(|error| failed(error.to_string()))??;
        latencies.extend(times);
        bytes = bytes.max(largest);
    }
    let elapsed = start.elapsed();
    done.set(true);
    let read_latencies = reads.await.map_err(|error| failed(error.to_string()))??;
    Ok((Measurement { charges, elapsed, latencies, read_latencies }, bytes))
}

/// Reads a balance every [`READ_EVERY`] until the load is done; returns the latency of each read.
async fn read_balances(address: SocketAddr, done: Rc<Cell<bool>>) -> Result<Vec<Duration>, Failure> {
    let mut connection = Connection::connect(address).await?;
    let head =
        format!("GET /v1/workspaces/bench-0/balance HTTP/1.1\r\nauthorization: Bearer {PLATFORM_KEY}\r\n");
    let mut latencies = Vec::new();
    while !done.get() {
        let start = Instant::now();
        connection.send(&head, b"").await?;
        latencies.push(start.elapsed());
        tokio::time::sleep(READ_EVERY).await;
    }
    Ok(latencies)
}

/// One connection and the charges that it sends.
struct Client {
    connection: Connection,
    workload: Workload,
    credentials: Arc<Credentials>,
    load: Load,
    schedule: Schedule,
}

impl Client {
    /// Sends `share` charges; returns the latency of each request and the largest answer's size.
    async fn charge(mut self, share: u64) -> Result<(Vec<Duration>, usize), Failure> {
        let (mut latencies, mut bytes) = (Vec::with_capacity(share as usize), 0);
        let (mut head, mut body) = (String::new(), String::new());
        let mut left = share;
        while left > 0 {
            head.clear();
            body.clear();
            left -= match self.load {
                Load::Callers { .. } => {
                    write_charge(&self.workload.next(), &self.credentials, &mut head, &mut body);
                    1
                }
                Load::Batches(size) => {
                    let count = size.min(left);
                    write_batch((0..count).map(|_| self.workload.next()), &mut head, &mut body);
                    count
                }
            };
            let start = self.schedule.wait().await;
            let answer = self.connection.send(&head, body.as_bytes()).await?;
            latencies.push(start.elapsed());
            if !matches!(answer.status, 200 | 201) {
                let text = String::from_utf8_lossy(answer.body).into_owned();
                return Err(failed(format!("the server answered {}: {text}", answer.status)));
            }
            bytes = bytes.max(answer.body.len());
        }
        Ok((latencies, bytes))
    }
}

fn write_charge(charge: &PlannedCharge, credentials: &Credentials, head: &mut String, body: &mut String) {
    let PlannedCharge { workspace_index, workspace, operation, worker, member, key } = charge;
    let credential = credentials.of(*workspace_index);
    // Writing to a String cannot fail.
    let _ = write!(
        head,
        "POST /v1/workspaces/{workspace}/charges HTTP/1.1\r\nauthorization: Bearer {credential}\r\n\
         idempotency-key: {key}\r\n"
    );
    let _ = write!(body, r#"{{"operation":"{operation}","worker":"{worker}","member":"{member}"}}"#);
}

fn write_batch(charges: impl Iterator<Item = PlannedCharge>, head: &mut String, body: &mut String) {
    let _ = write!(head, "POST /v1/charges/batch HTTP/1.1\r\nauthorization: Bearer {PLATFORM_KEY}\r\n");
    body.push_str(r#"{"charges":["#);
    for (index, PlannedCharge { workspace, operation, worker, member, key, .. }) in charges.enumerate() {
        if index > 0 {
            body.push(',');
        }
        let _ = write!(
            body,
            r#"{{"workspace":"{workspace}","idempotency_key":"{key}","operation":"{operation}","worker":"{worker}","member":"{member}"}}"#
        );
    }
    body.push_str("]}");
}
