//! `bench --gate`: requests per second through the gate to a local upstream, in turns with the same
//! proxy without charging, with nginx as a proxy of the same upstream if it is installed, and with
//! the upstream itself.
//!
//! A request through the gate is two commands of the ledger: a charge before it, and its outcome
//! after it. Clients, gate, ledger and upstream share the machine, so a ratio says more than a
//! rate.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{Method, Request, Response, StatusCode, Uri};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tollkeeper_engine::Engine;
use tollkeeper_gate::{
    BoxFuture, Charging, Dialect, Gate, Opened, Outcome, Quantities, Quantity, ReportError, Route, Settings,
    Unavailable,
};

use super::connection::Connection;
use super::credentials::{Credential, Credentials};
use super::failure::{engine_failed, failed};
use super::http::{app_without_limits, serve};
use super::library;
use super::options::Args;
use super::stats::{percentile, sorted};
use super::workload::Workload;
use crate::gate_process::LocalApi;
use crate::terminal::failure::Failure;
use crate::terminal::output;

/// The connections of the clients unless `--callers` is given.
const CONNECTIONS: u64 = 64;

/// The rounds in which all ways take turns. They are many and short: the speed of a machine that
/// others share changes within seconds.
const ROUNDS: u64 = 25;

/// The bytes of the upstream's answer.
const ANSWER_BYTES: usize = 1_024;

/// How long nginx may take to accept connections.
const NGINX_STARTS_WITHIN: Duration = Duration::from_secs(5);

/// A way of the requests to the upstream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Direct,
    Nginx,
    WithoutCharging,
    Charged,
}

/// Measures all ways in turns, prints the report and closes the engine.
pub async fn run(args: &Args, engine: Arc<dyn Engine>) -> Result<(), Failure> {
    let workload = Workload::new(1, args.keys, args.seed, 0);
    library::prepare(&*engine, &workload).await?;
    let app = app_without_limits(Arc::clone(&engine)).await?;
    let credentials = Credentials::create(&app, Credential::Workspace, 1).await?;
    let answer = "x".repeat(ANSWER_BYTES);
    let upstream = axum::Router::new().fallback(post(move || std::future::ready(answer.clone())));
    let upstream = serve(upstream).await?;
    let mut addresses = BTreeMap::from([
        (Way::Direct, upstream),
        (Way::WithoutCharging, start_gate(upstream, Arc::new(Free)).await?),
        (Way::Charged, start_gate(upstream, Arc::new(LocalApi::new(&app))).await?),
    ]);
    let nginx = Nginx::start(upstream).await?;
    if let Some(nginx) = &nginx {
        addresses.insert(Way::Nginx, nginx.address);
    }
    let head = format!("POST /run HTTP/1.1\r\ntollkeeper-key: {}\r\n", credentials.of(0));
    let connections = args.callers.unwrap_or(CONNECTIONS);
    let share = (args.charges / ROUNDS / connections).max(1);
    let mut measured: BTreeMap<Way, Vec<(Duration, Vec<Duration>)>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (way, address) in &addresses {
            let round = load(*address, head.clone(), connections, share).await?;
            measured.entry(*way).or_default().push(round);
        }
    }
    drop(nginx);
    engine.close().await.map_err(|error| engine_failed(&error))?;
    report(args, connections, connections * share, &measured)
}

/// Serves a gate with one route to the upstream on a free port, in the background.
async fn start_gate(upstream: SocketAddr, charging: Arc<dyn Charging>) -> Result<SocketAddr, Failure> {
    let upstream: Uri = format!("http://{upstream}").parse().map_err(|why| failed(format!("{why}")))?;
    let route = Route {
        method: Method::POST,
        path: "/run".to_owned(),
        takes_rest: false,
        operation: "support_message".to_owned(),
        upstream,
        quantity: Quantity::Constant(1),
        timeout_seconds: 60,
        grace_seconds: 60,
        body_max_bytes: 1,
        dialect: Dialect::Problem,
        upstream_key: None,
    };
    let settings = Settings { listen: String::new(), routes: vec![route] };
    let gate = Gate::new(settings, charging).map_err(|why| failed(why.to_string()))?;
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|why| failed(why.to_string()))?;
    let address = listener.local_addr().map_err(|why| failed(why.to_string()))?;
    tokio::spawn(tollkeeper_gate::serve(gate, listener, std::future::pending()));
    Ok(address)
}

/// An API that takes every charge and keeps none: the gate as a proxy alone.
struct Free;

impl Charging for Free {
    fn call(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, Unavailable>> {
        let charge = r#"{"id":"ch_free","workspace":"bench-0","amount":0,"balance":{"available":0}}"#;
        let mut response = Response::new(Bytes::from_static(charge.as_bytes()));
        *response.status_mut() = StatusCode::CREATED;
        Box::pin(std::future::ready(Ok(response)))
    }

    fn report<'a>(&'a self, _: &'a Opened, _: Outcome) -> BoxFuture<'a, Result<(), ReportError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn settle<'a>(&'a self, _: &'a Opened, _: &'a Quantities) -> BoxFuture<'a, Result<(), ReportError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn extend<'a>(&'a self, _: &'a Opened, _: u32) -> BoxFuture<'a, Result<(), ReportError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Sends requests over all connections, from one thread of their own; returns how long all took and
/// how long each took.
async fn load(
    address: SocketAddr,
    head: String,
    connections: u64,
    share: u64,
) -> Result<(Duration, Vec<Duration>), Failure> {
    let clients = async move {
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(Connection::connect(address).await?);
        }
        let start = Instant::now();
        let running: Vec<_> = open
            .into_iter()
            .map(|connection| tokio::task::spawn_local(send(connection, head.clone(), share)))
            .collect();
        let mut latencies = Vec::new();
        for task in running {
            latencies.extend(task.await.map_err(|why| failed(why.to_string()))??);
        }
        Ok((start.elapsed(), latencies))
    };
    let on_a_thread = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|why| failed(why.to_string()))?;
        runtime.block_on(tokio::task::LocalSet::new().run_until(clients))
    };
    tokio::task::spawn_blocking(on_a_thread).await.map_err(|why| failed(why.to_string()))?
}

async fn send(mut connection: Connection, head: String, share: u64) -> Result<Vec<Duration>, Failure> {
    let mut latencies = Vec::with_capacity(share as usize);
    for _ in 0..share {
        let start = Instant::now();
        let answer = connection.send(&head, br#"{"prompt":"draw a jacket"}"#).await?;
        latencies.push(start.elapsed());
        if (answer.status, answer.body.len()) != (200, ANSWER_BYTES) {
            return Err(failed(format!("a request was answered {}", answer.status)));
        }
    }
    Ok(latencies)
}

fn report(
    args: &Args,
    connections: u64,
    requests: u64,
    measured: &BTreeMap<Way, Vec<(Duration, Vec<Duration>)>>,
) -> Result<(), Failure> {
    let mut object = json!({
        "engine": args.engine().name(),
        "connections": connections,
        "requests": requests * ROUNDS,
    });
    // The median round of each way.
    let per_second = |way: Way| {
        let mut rounds: Vec<u128> =
            measured.get(&way)?.iter().map(|(elapsed, _)| elapsed.as_micros()).collect();
        rounds.sort_unstable();
        Some(u128::from(requests) * 1_000_000 / rounds[rounds.len() / 2].max(1))
    };
    let names = [
        (Way::Direct, "direct"),
        (Way::Nginx, "nginx"),
        (Way::WithoutCharging, "without_charging"),
        (Way::Charged, "charged"),
    ];
    for (way, name) in names {
        object[format!("{name}_per_second")] = json!(per_second(way).map(|rate| rate as u64));
        let all = measured.get(&way).into_iter().flatten().flat_map(|(_, latencies)| latencies);
        let all = sorted(all);
        object[format!("{name}_p50_ms")] = percentile(&all, 50);
        object[format!("{name}_p99_ms")] = percentile(&all, 99);
    }
    // Both sides of a ratio are of the same round; the median over the rounds.
    let percent_of = |way: Way| {
        let pairs = measured.get(&Way::Charged)?.iter().zip(measured.get(&way)?);
        let mut ratios: Vec<u128> = pairs
            .map(|((charged, _), (other, _))| other.as_micros() * 100 / charged.as_micros().max(1))
            .collect();
        ratios.sort_unstable();
        Some(ratios[ratios.len() / 2] as u64)
    };
    object["charged_percent_of_without_charging"] = json!(percent_of(Way::WithoutCharging));
    object["charged_percent_of_nginx"] = json!(percent_of(Way::Nginx));
    if args.json {
        return output::data(&format!("{object}\n"));
    }
    let line = |(name, value): (&String, &Value)| match value {
        Value::Null => format!("{name:<36}not measured: nginx is not installed\n"),
        value => format!("{name:<36}{value}\n"),
    };
    output::data(&object.as_object().into_iter().flatten().map(line).collect::<String>())
}

/// nginx as a proxy of the upstream, with a directory of its own.
struct Nginx {
    address: SocketAddr,
    child: Child,
    directory: PathBuf,
}

impl Nginx {
    /// Starts nginx; `None` if it is not installed.
    async fn start(upstream: SocketAddr) -> Result<Option<Nginx>, Failure> {
        let is_there = Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok();
        if !is_there {
            return Ok(None);
        }
        let io = |why: std::io::Error| failed(format!("nginx: {why}"));
        // A free port; nginx takes it a moment later.
        let address =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_err(io)?;
        let directory = std::env::temp_dir().join(format!("tollkeeper-nginx-{}", std::process::id()));
        std::fs::create_dir_all(&directory).map_err(io)?;
        let file = directory.join("nginx.conf");
        std::fs::write(&file, config(&directory, address, upstream)).map_err(io)?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&directory).arg("-c").arg(&file).stderr(Stdio::null());
        let child = command.spawn().map_err(io)?;
        let nginx = Nginx { address, child, directory };
        let start = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if start.elapsed() > NGINX_STARTS_WITHIN {
                return Err(failed("nginx does not accept connections"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(Some(nginx))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended already, and the system clears the temporary directory later.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// One process, connections to the upstream that are used again, no log.
fn config(directory: &Path, address: SocketAddr, upstream: SocketAddr) -> String {
    let directory = directory.display();
    let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {directory}/{name};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {directory}/pid;\nerror_log {directory}/error.log crit;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n{kept}access_log off;\nkeepalive_requests 100000000;\n\
         upstream local {{ server {upstream}; keepalive 256; keepalive_requests 100000000; }}\n\
         server {{ listen {address}; location / {{\n\
         proxy_pass http://local; proxy_http_version 1.1; proxy_set_header Connection \"\";\n}} }}\n}}\n"
    )
}
