//! Commands with a time of its own for each, which are run in order and share commits.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::task::unconstrained;
use tollkeeper_engine::{BoxFuture, CommandResult, Engine, Error};
use tollkeeper_ledger::{Submission, Timestamp};

/// Commands that wait to be run.
pub struct CommandBatch {
    engine: Arc<dyn Engine>,
    waiting: Vec<(Submission, Timestamp)>,
}

impl CommandBatch {
    /// An empty batch.
    pub fn new(engine: Arc<dyn Engine>) -> CommandBatch {
        CommandBatch { engine, waiting: Vec::new() }
    }

    /// Adds a command, which is run at a time that is not before that of the last one.
    pub fn add(&mut self, submission: Submission, at: Timestamp) {
        self.waiting.push((submission, at));
    }

    /// The number of commands that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Runs the commands in order, and returns their results in order.
    ///
    /// [`Engine::run_batch`] has one time for all its commands. So each command is sent by itself:
    /// all are sent first, then the results are awaited, and the engine commits them together.
    pub async fn run(&mut self) -> Result<Vec<CommandResult>, Error> {
        let waiting = std::mem::take(&mut self.waiting);
        let runs = waiting.into_iter().map(|(submission, at)| self.engine.run(submission, at));
        // The scheduler of the runtime would interrupt the sending after some commands.
        unconstrained(results(runs.collect())).await
    }
}

type Run<'a> = BoxFuture<'a, Result<CommandResult, Error>>;

/// Polls each run once, in order, which sends its command; then awaits the results.
async fn results(mut runs: Vec<Run<'_>>) -> Result<Vec<CommandResult>, Error> {
    let mut ready = Vec::with_capacity(runs.len());
    poll_fn(|context| {
        for run in &mut runs {
            ready.push(match run.as_mut().poll(context) {
                Poll::Ready(result) => Some(result),
                Poll::Pending => None,
            });
        }
        Poll::Ready(())
    })
    .await;
    let mut results = Vec::with_capacity(runs.len());
    for (run, ready) in runs.into_iter().zip(ready) {
        results.push(match ready {
            Some(result) => result?,
            None => run.await?,
        });
    }
    Ok(results)
}
