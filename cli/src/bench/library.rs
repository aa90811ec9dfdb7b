//! The benchmark through the engine as a library: batches with two in flight, or many callers with one charge each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tollkeeper_engine::{CommandResult, Engine, Reads};
use tollkeeper_ledger::{Refusal, Timestamp, WorkspaceId};

use super::rate::Pace;
use super::stats::Measured;
use super::workload::Workload;
use super::{Load, failed, unusable};
use crate::terminal::failure::Failure;

/// Workspaces opened in one batch.
const OPENED_AT_ONCE: u64 = 4_000;

/// How often a balance is read beside the load.
const READ_EVERY: Duration = Duration::from_millis(1);

/// The present, as every request brings it.
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(since.as_millis() as i64)
}

/// Sets the prices and opens the workspaces, where an earlier run has not.
pub async fn prepare(engine: &dyn Engine, workload: &Workload) -> Result<(), Failure> {
    if engine.platform().price_book.versions().is_empty() {
        let ran = engine.run(Workload::prices(), now()).await;
        expect(ran.map_err(|error| unusable(&error))?)?;
    }
    for from in (0..workload.workspaces).step_by(OPENED_AT_ONCE as usize) {
        let to = workload.workspaces.min(from + OPENED_AT_ONCE);
        let batch = (from..to).flat_map(|workspace| workload.opening(workspace)).collect();
        let answers = engine.run_batch(batch, now()).await;
        for ran in answers.map_err(|error| unusable(&error))? {
            match ran {
                Err(Refusal::WorkspaceExists) => {}
                ran => expect(ran)?,
            }
        }
    }
    Ok(())
}

fn expect(ran: CommandResult) -> Result<(), Failure> {
    ran.map(|_| ()).map_err(|refusal| failed(format!("the workload was refused: {}", refusal.code())))
}

/// Runs so many charges and says how long it took, and how long each call waited.
pub async fn charge(
    engine: &Arc<dyn Engine>,
    workload: &mut Workload,
    (load, rate): (Load, Option<u64>),
    charges: u64,
) -> Result<Measured, Failure> {
    let (tasks, size) = match load {
        Load::Batches(size) => (2, size),
        Load::Callers(callers) => (callers, 1),
    };
    let began = Instant::now();
    let mut running = Vec::new();
    for task in 0..tasks {
        let share = charges / tasks + u64::from(task < charges % tasks);
        let (engine, mut workload) = (Arc::clone(engine), workload.split());
        let mut pace = Pace::of(rate, task, tasks, began);
        running.push(tokio::spawn(async move {
            let mut waited = Vec::with_capacity((share / size + 1) as usize);
            let mut left = share;
            while left > 0 {
                let count = size.min(left);
                left -= count;
                waited.push(call(&*engine, &mut workload, &mut pace, count).await?);
            }
            Ok::<_, Failure>(waited)
        }));
    }
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_balances(Arc::clone(engine), Arc::clone(&done)));
    let mut waited = Vec::new();
    for task in running {
        waited.extend(task.await.map_err(|error| failed(format!("a caller failed: {error}")))??);
    }
    let elapsed = began.elapsed();
    done.store(true, Relaxed);
    let reads = reader.await.unwrap_or_default();
    Ok(Measured { charges, elapsed, waited, reads })
}

async fn call(
    engine: &dyn Engine,
    workload: &mut Workload,
    pace: &mut Pace,
    count: u64,
) -> Result<Duration, Failure> {
    if count == 1 {
        let submission = workload.next().submission();
        let began = pace.turn().await;
        let ran = engine.run(submission, now()).await;
        expect(ran.map_err(|error| unusable(&error))?)?;
        return Ok(began.elapsed());
    }
    let batch = workload.submissions(count);
    let began = Instant::now();
    let answers = engine.run_batch(batch, now()).await.map_err(|error| unusable(&error))?;
    let waited = began.elapsed();
    answers.into_iter().try_for_each(expect)?;
    Ok(waited)
}

/// Reads a balance now and then, until the load is done; says how long each read waited.
async fn read_balances(engine: Arc<dyn Engine>, done: Arc<AtomicBool>) -> Vec<Duration> {
    let mut waited = Vec::new();
    let Ok(id) = WorkspaceId::new("bench-0") else { return waited };
    while !done.load(Relaxed) {
        let began = Instant::now();
        if engine.balance(&id, None).await.is_ok() {
            waited.push(began.elapsed());
        }
        tokio::time::sleep(READ_EVERY).await;
    }
    waited
}
