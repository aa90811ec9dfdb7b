//! The benchmark through the engine as a library: batches with two in flight, or many callers with
//! one charge each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tollkeeper_engine::{CommandResult, Engine, Reads};
use tollkeeper_ledger::{Refusal, Timestamp};

use super::failure::{engine_failed, failed};
use super::options::Load;
use super::rate::Schedule;
use super::stats::Measurement;
use super::workload::{Workload, workspace_id};
use crate::server_process::now;
use crate::terminal::failure::Failure;

/// The number of workspaces that are created in one batch.
const CREATED_AT_ONCE: u64 = 4_000;

/// The pause between two reads of a balance during the load.
const READ_EVERY: Duration = Duration::from_millis(1);

/// Publishes the prices and creates the workspaces, unless an earlier run on this store did.
pub async fn prepare(engine: &dyn Engine, workload: &Workload) -> Result<(), Failure> {
    prepare_at(engine, workload, now()).await
}

/// The same at another time.
pub async fn prepare_at(engine: &dyn Engine, workload: &Workload, at: Timestamp) -> Result<(), Failure> {
    if engine.platform().price_book.versions().is_empty() {
        let result = engine.run(Workload::prices(), at).await;
        accepted(result.map_err(|error| engine_failed(&error))?)?;
    }
    for from in (0..workload.workspaces).step_by(CREATED_AT_ONCE as usize) {
        let to = workload.workspaces.min(from + CREATED_AT_ONCE);
        let batch = (from..to).flat_map(|workspace| workload.creation(workspace)).collect();
        let answers = engine.run_batch(batch, at).await;
        for result in answers.map_err(|error| engine_failed(&error))? {
            match result {
                Err(Refusal::WorkspaceExists) => {}
                result => accepted(result)?,
            }
        }
    }
    Ok(())
}

/// A refusal of the workload is a failure of the benchmark.
fn accepted(result: CommandResult) -> Result<(), Failure> {
    result.map(|_| ()).map_err(|refusal| failed(format!("the workload was refused: {}", refusal.code())))
}

/// Runs `charges` charges; measures the time of all and the latency of each call.
pub async fn charge(
    engine: &Arc<dyn Engine>,
    workload: &mut Workload,
    load: Load,
    charges: u64,
) -> Result<Measurement, Failure> {
    let (tasks, size) = load.tasks_and_size();
    let start = Instant::now();
    let mut running = Vec::new();
    for task in 0..tasks {
        let share = charges / tasks + u64::from(task < charges % tasks);
        let (engine, mut workload) = (Arc::clone(engine), workload.split());
        let mut schedule = Schedule::new(load.rate(), task, tasks, start);
        running.push(tokio::spawn(async move {
            let mut latencies = Vec::with_capacity((share / size + 1) as usize);
            let mut left = share;
            while left > 0 {
                let count = size.min(left);
                left -= count;
                latencies.push(call(&*engine, &mut workload, &mut schedule, count).await?);
            }
            Ok::<_, Failure>(latencies)
        }));
    }
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_balances(Arc::clone(engine), Arc::clone(&done)));
    let mut latencies = Vec::new();
    for task in running {
        latencies.extend(task.await.map_err(|error| failed(format!("a caller failed: {error}")))??);
    }
    let elapsed = start.elapsed();
    done.store(true, Relaxed);
    let read_latencies = reader.await.unwrap_or_default();
    Ok(Measurement { charges, elapsed, latencies, read_latencies })
}

/// Runs one call of `count` charges; returns its latency.
async fn call(
    engine: &dyn Engine,
    workload: &mut Workload,
    schedule: &mut Schedule,
    count: u64,
) -> Result<Duration, Failure> {
    if count == 1 {
        let submission = workload.next().submission();
        let start = schedule.wait().await;
        let result = engine.run(submission, now()).await;
        accepted(result.map_err(|error| engine_failed(&error))?)?;
        return Ok(start.elapsed());
    }
    let batch = workload.submissions(count);
    let start = Instant::now();
    let answers = engine.run_batch(batch, now()).await.map_err(|error| engine_failed(&error))?;
    let latency = start.elapsed();
    answers.into_iter().try_for_each(accepted)?;
    Ok(latency)
}

/// Reads a balance every [`READ_EVERY`] until the load is done; returns the latency of each read.
async fn read_balances(engine: Arc<dyn Engine>, done: Arc<AtomicBool>) -> Vec<Duration> {
    let mut latencies = Vec::new();
    let id = workspace_id(0);
    while !done.load(Relaxed) {
        let start = Instant::now();
        if engine.balance(&id, None).await.is_ok() {
            latencies.push(start.elapsed());
        }
        tokio::time::sleep(READ_EVERY).await;
    }
    latencies
}
