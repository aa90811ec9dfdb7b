//! One phase of the hostile benchmark: the quiet tenant charges at a fixed rate for a fixed time,
//! alone or beside an attack.
//!
//! The quiet tenant and the attackers each run on a thread of their own. The quiet tenant's
//! latencies are measured from the time at which a charge was due, so that a slow server cannot
//! hide by delaying its client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::attacks::{Attack, Target};
use crate::bench::connection::Connection;
use crate::bench::failure::failed;
use crate::bench::rate::Schedule;
use crate::terminal::failure::Failure;

/// The length of a phase.
const PHASE: Duration = Duration::from_secs(4);

/// The charges per second of the quiet tenant.
const QUIET_RATE: u64 = 100;

/// The tenant whose latencies are measured.
pub struct Quiet {
    pub address: SocketAddr,
    pub workspace: &'static str,
    /// Its API key.
    pub key: String,
    /// Differs between runs on one store, part of every idempotency key.
    pub run: String,
}

/// The result of a phase.
pub struct Measured {
    /// The latency of each charge of the quiet tenant.
    pub latencies: Vec<Duration>,
    /// How many of these charges were not accepted.
    pub refused: u64,
    /// How many requests of the attackers were answered or given up.
    pub hostile_requests: u64,
}

/// Runs a phase.
pub async fn run(
    quiet: &Quiet,
    attack: Option<(&'static Attack, &Arc<Target>)>,
) -> Result<Measured, Failure> {
    let done = Arc::new(AtomicBool::new(false));
    let attackers = attack.map(|(attack, target)| {
        let (done, target, address) = (Arc::clone(&done), Arc::clone(target), quiet.address);
        std::thread::spawn(move || on_this_thread(attack_until(address, attack, target, done)))
    });
    let name = attack.map_or("none", |(attack, _)| attack.name);
    let charging = Charging {
        address: quiet.address,
        head: format!(
            "POST /v1/workspaces/{}/charges HTTP/1.1\r\nauthorization: Bearer {}\r\nidempotency-key: {}-{name}-",
            quiet.workspace, quiet.key, quiet.run
        ),
    };
    let charged = tokio::task::spawn_blocking(move || on_this_thread(charging.charge())).await;
    done.store(true, Relaxed);
    let (latencies, refused) = charged.map_err(|error| failed(error.to_string()))???;
    let hostile_requests = match attackers {
        Some(thread) => thread.join().map_err(|_| failed("the thread of the attackers panicked"))??,
        None => 0,
    };
    Ok(Measured { latencies, refused, hostile_requests })
}

/// Runs a future on a runtime of this thread.
fn on_this_thread<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(error.to_string()))?;
    Ok(runtime.block_on(tokio::task::LocalSet::new().run_until(future)))
}

/// The charges of the quiet tenant.
struct Charging {
    address: SocketAddr,
    /// The head of each request, up to the number of the charge in its idempotency key.
    head: String,
}

impl Charging {
    /// Charges for [`PHASE`]; the latency of each charge, and how many were not accepted.
    async fn charge(self) -> Result<(Vec<Duration>, u64), Failure> {
        let mut connection = Connection::connect(self.address).await?;
        let start = Instant::now();
        let mut schedule = Schedule::new(Some(QUIET_RATE), 0, 1, start);
        let (mut latencies, mut refused) = (Vec::new(), 0);
        while start.elapsed() < PHASE {
            let due = schedule.wait().await;
            let head = format!("{}{}\r\n", self.head, latencies.len());
            let answer = connection.send(&head, br#"{"operation":"support_message"}"#).await?;
            refused += u64::from(answer.status != 201);
            latencies.push(due.elapsed());
        }
        Ok((latencies, refused))
    }
}

/// Sends the requests of an attack over all its connections until the phase is over; how many.
async fn attack_until(
    address: SocketAddr,
    attack: &'static Attack,
    target: Arc<Target>,
    done: Arc<AtomicBool>,
) -> u64 {
    let sent = Arc::new(AtomicU64::new(0));
    let running: Vec<_> = (0..attack.connections)
        .map(|_| {
            let (target, done, sent) = (Arc::clone(&target), Arc::clone(&done), Arc::clone(&sent));
            tokio::task::spawn_local(async move {
                let mut connection = None;
                while !done.load(Relaxed) {
                    let number = sent.fetch_add(1, Relaxed);
                    connection = send(address, attack, &target, number, connection).await;
                }
            })
        })
        .collect();
    for task in running {
        // An attacker that fails ends alone.
        let _ = task.await;
    }
    sent.load(Relaxed)
}

/// Sends one request. Returns the connection if it can be used again. What the server answers does
/// not matter; it may also close the connection or refuse it.
async fn send(
    address: SocketAddr,
    attack: &Attack,
    target: &Target,
    number: u64,
    connection: Option<Connection>,
) -> Option<Connection> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => match Connection::connect(address).await {
            Ok(connection) => connection,
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                return None;
            }
        },
    };
    let (head, body) = (attack.request)(target, number);
    let answered = tokio::time::timeout(attack.timeout, connection.send(&head, &body)).await;
    match answered {
        Ok(Ok(_)) => Some(connection),
        Ok(Err(_)) | Err(_) => None,
    }
}
