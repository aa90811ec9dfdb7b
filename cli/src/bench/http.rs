//! The benchmark over HTTP: the real server on a real socket, keep-alive connections, one charge a request or batches.
//! Floor B beside it: the same connections and the same server library, answering a constant of the same size.

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
use tollkeeper_server::{App, Settings, settings::Secret};

use super::credentials::{Credential, Credentials, PLATFORM_KEY};
use super::rate::Pace;
use super::stats::Measured;
use super::wire::Wire;
use super::workload::{Asked, Workload};
use super::{Load, failed};
use crate::terminal::failure::Failure;

/// How often a balance is read beside the load.
const READ_EVERY: Duration = Duration::from_millis(1);

/// A server to be measured.
#[derive(Debug)]
pub struct Host {
    address: SocketAddr,
    credentials: Arc<Credentials>,
}

/// What one connection is to send.
enum Sending {
    Charges(Workload, Arc<Credentials>),
    /// Any request; what matters is the answer.
    Constant(Workload, Arc<Credentials>),
}

impl Host {
    /// Starts the server on a free port, without a limit on requests.
    pub async fn start(
        engine: Arc<dyn Engine>,
        credential: Credential,
        workspaces: u64,
    ) -> Result<Host, Failure> {
        let settings = Settings {
            platform_key: Some(Secret::new(PLATFORM_KEY)),
            platform_key_requests_per_second: 0,
            workspace_key_requests_per_second: 0,
            ..Settings::default()
        };
        let app = App::new(engine, &settings);
        tollkeeper_server::prepare(&app).await.map_err(|error| failed(error.to_string()))?;
        let credentials = Arc::new(Credentials::make(&app, credential, workspaces).await?);
        let address = serve(tollkeeper_server::router(app)).await?;
        Ok(Host { address, credentials })
    }

    /// Charges over HTTP; notes how large an answer is.
    pub async fn charge(
        &self,
        workload: &mut Workload,
        paced: (Load, Option<u64>),
        charges: u64,
        answer_bytes: &mut usize,
    ) -> Result<Measured, Failure> {
        let connections = connections(paced.0);
        let sending = |_| Sending::Charges(workload.split(), Arc::clone(&self.credentials));
        let sending = (0..connections).map(sending).collect();
        let (measured, bytes) = drive(self.address, sending, paced, charges).await?;
        *answer_bytes = bytes;
        Ok(measured)
    }

    /// The same requests, answered by a constant of `answer_bytes`.
    pub async fn constant(&self, load: Load, charges: u64, answer_bytes: usize) -> Result<Measured, Failure> {
        let body: Arc<str> =
            format!("{{\"padding\":\"{}\"}}", "x".repeat(answer_bytes.saturating_sub(14))).into();
        let answer = move |_: axum::body::Bytes| {
            let body = body.clone();
            async move { (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body.to_string()) }
        };
        let address = serve(axum::Router::new().fallback(post(answer))).await?;
        let workload = |caller| Workload::new(1, super::Keys::Ordered, caller, 0);
        let sending = |caller| Sending::Constant(workload(caller), Arc::clone(&self.credentials));
        let sending = (0..connections(load)).map(sending).collect();
        drive(address, sending, (load, None), charges).await.map(|(measured, _)| measured)
    }
}

fn connections(load: Load) -> u64 {
    match load {
        Load::Callers(callers) => callers,
        Load::Batches(_) => 2,
    }
}

async fn serve(router: axum::Router) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| failed(error.to_string()))?;
    let address = listener.local_addr().map_err(|error| failed(error.to_string()))?;
    tokio::spawn(tollkeeper_server::answer(router, listener));
    Ok(address)
}

/// Drives all connections from a thread of their own, as clients are elsewhere, and reads balances beside them.
async fn drive(
    address: SocketAddr,
    sending: Vec<Sending>,
    paced: (Load, Option<u64>),
    charges: u64,
) -> Result<(Measured, usize), Failure> {
    let driven = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        runtime.block_on(tokio::task::LocalSet::new().run_until(drive_here(address, sending, paced, charges)))
    });
    driven.await.map_err(|error| failed(error.to_string()))?
}

async fn drive_here(
    address: SocketAddr,
    sending: Vec<Sending>,
    (load, rate): (Load, Option<u64>),
    charges: u64,
) -> Result<(Measured, usize), Failure> {
    let tasks = sending.len() as u64;
    let reads_balances = matches!(sending.first(), Some(Sending::Charges(..)));
    let mut wires = Vec::new();
    for _ in 0..tasks {
        wires.push(Wire::connect(address).await?);
    }
    let began = Instant::now();
    let mut running = Vec::new();
    for (task, (sending, wire)) in sending.into_iter().zip(wires).enumerate() {
        let share = charges / tasks + u64::from((task as u64) < charges % tasks);
        let pace = Pace::of(rate, task as u64, tasks, began);
        running.push(tokio::task::spawn_local(send(wire, sending, (load, pace), share)));
    }
    let done = Rc::new(Cell::new(!reads_balances));
    let reads = tokio::task::spawn_local(read_balances(address, Rc::clone(&done)));
    let (mut waited, mut bytes) = (Vec::new(), 0);
    for task in running {
        let (times, largest) = task.await.map_err(|error| failed(error.to_string()))??;
        waited.extend(times);
        bytes = bytes.max(largest);
    }
    let elapsed = began.elapsed();
    done.set(true);
    let reads = reads.await.map_err(|error| failed(error.to_string()))??;
    Ok((Measured { charges, elapsed, waited, reads }, bytes))
}

/// Reads a balance now and then, until the load is done; says how long each read waited.
async fn read_balances(address: SocketAddr, done: Rc<Cell<bool>>) -> Result<Vec<Duration>, Failure> {
    let mut wire = Wire::connect(address).await?;
    let head =
        format!("GET /v1/workspaces/bench-0/balance HTTP/1.1\r\nauthorization: Bearer {PLATFORM_KEY}\r\n");
    let mut waited = Vec::new();
    while !done.get() {
        let began = Instant::now();
        wire.ask(&head, b"").await?;
        waited.push(began.elapsed());
        tokio::time::sleep(READ_EVERY).await;
    }
    Ok(waited)
}

async fn send(
    mut wire: Wire,
    sending: Sending,
    (load, mut pace): (Load, Pace),
    share: u64,
) -> Result<(Vec<Duration>, usize), Failure> {
    let (Sending::Charges(mut workload, credentials) | Sending::Constant(mut workload, credentials)) =
        sending;
    let (mut waited, mut bytes) = (Vec::with_capacity(share as usize), 0);
    let (mut head, mut body) = (String::new(), String::new());
    let mut left = share;
    while left > 0 {
        let count = match load {
            Load::Callers(_) => 1,
            Load::Batches(size) => size.min(left),
        };
        left -= count;
        head.clear();
        body.clear();
        match load {
            Load::Callers(_) => one(&workload.next(), &credentials, &mut head, &mut body),
            Load::Batches(_) => batch((0..count).map(|_| workload.next()), &mut head, &mut body),
        }
        let began = pace.turn().await;
        let answer = wire.ask(&head, body.as_bytes()).await?;
        waited.push(began.elapsed());
        if !matches!(answer.status, 200 | 201) {
            let text = String::from_utf8_lossy(answer.body).into_owned();
            return Err(failed(format!("the server answered {}: {text}", answer.status)));
        }
        bytes = bytes.max(answer.body.len());
    }
    Ok((waited, bytes))
}

fn one(asked: &Asked, credentials: &Credentials, head: &mut String, body: &mut String) {
    let Asked { number, workspace, operation, worker, member, key } = asked;
    let credential = credentials.of(*number);
    // Writing into a String cannot fail.
    let _ = write!(
        head,
        "POST /v1/workspaces/{workspace}/charges HTTP/1.1\r\nauthorization: Bearer {credential}\r\n\
         idempotency-key: {key}\r\n"
    );
    let _ = write!(body, r#"{{"operation":"{operation}","worker":"{worker}","member":"{member}"}}"#);
}

fn batch(items: impl Iterator<Item = Asked>, head: &mut String, body: &mut String) {
    let _ = write!(head, "POST /v1/charges/batch HTTP/1.1\r\nauthorization: Bearer {PLATFORM_KEY}\r\n");
    body.push_str(r#"{"charges":["#);
    for (index, Asked { workspace, operation, worker, member, key, .. }) in items.enumerate() {
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
