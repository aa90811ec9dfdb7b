//! The queue in front of the writer thread of the embedded engine.
//!
//! Callers are asynchronous, the thread that runs their commands is not. So a request travels with
//! its [`Reply`]. What the thread does besides commands is a `Job::Other`.
//!
//! The queue is bounded in jobs, and for requests of many commands in commands and in bytes. When
//! it is full, a request of many commands and [`RequestQueue::run_or_shed`] are refused instead of
//! waiting. A request of many commands is run in portions, so that requests can take turns.

use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tollkeeper_ledger::{Command, Submission, Timestamp};

use crate::reply::{Gathered, Reply};
use crate::{CommandResult, Error, Ran};

/// The most commands that may wait in requests of many commands.
const COMMANDS_MAX: usize = 65_536;

/// The most kilobytes that they may take.
const KILOBYTES_MAX: usize = 65_536;

/// One command, or commands that were sent together, each to be decided alone.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every request is a single command, and a box for each is an allocation"
)]
pub(crate) enum Request {
    One(Submission, Timestamp, oneshot::Sender<Ran>),
    Many(OpenRequest),
}

/// A request of many commands, of which some may have been taken already.
#[derive(Debug)]
pub(crate) struct OpenRequest {
    rest: std::vec::IntoIter<Submission>,
    now: Timestamp,
    gathered: Arc<Gathered>,
}

impl OpenRequest {
    /// Appends at most `most` commands to `to`; returns the reply that waits for their results.
    pub(crate) fn take_portion(&mut self, most: usize, to: &mut Vec<(Submission, Timestamp)>) -> Reply {
        let (place, before) = (self.taken(), to.len());
        to.extend(self.rest.by_ref().take(most).map(|submission| (submission, self.now)));
        Reply::Portion { gathered: Arc::clone(&self.gathered), place, commands: to.len() - before }
    }

    fn taken(&self) -> usize {
        self.gathered.commands() - self.rest.len()
    }

    /// The number of commands that were not taken yet.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Answers the commands that were not taken with an error.
    pub(crate) fn fail(self, error: &Error) {
        self.gathered.put(self.taken(), self.rest.map(|_| Err(error.clone())));
    }
}

/// What is sent through a queue; `Other` is the engine's own.
#[expect(clippy::large_enum_variant, reason = "nearly every job is a request, as above")]
pub(crate) enum Job<Other> {
    Run(Request),
    /// Accept nothing more, answer what was accepted, and reply when the thread ends, with the
    /// error if persisting failed.
    Close(oneshot::Sender<Result<(), Error>>),
    Other(Other),
}

/// The sending side of a queue of jobs.
pub(crate) struct RequestQueue<Other> {
    jobs: mpsc::Sender<Job<Other>>,
    /// Room for requests of many commands.
    commands: Arc<Semaphore>,
    kilobytes: Arc<Semaphore>,
}

impl<Other> fmt::Debug for RequestQueue<Other> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestQueue").field("queued", &self.queued()).finish()
    }
}

impl<Other> Clone for RequestQueue<Other> {
    fn clone(&self) -> RequestQueue<Other> {
        let RequestQueue { jobs, commands, kilobytes } = self;
        let (commands, kilobytes) = (Arc::clone(commands), Arc::clone(kilobytes));
        RequestQueue { jobs: jobs.clone(), commands, kilobytes }
    }
}

impl<Other> RequestQueue<Other> {
    /// A queue with room for `length` jobs, and its receiving side.
    pub(crate) fn new(length: usize) -> (RequestQueue<Other>, mpsc::Receiver<Job<Other>>) {
        let (jobs, receiver) = mpsc::channel(length);
        let commands = Arc::new(Semaphore::new(COMMANDS_MAX));
        let kilobytes = Arc::new(Semaphore::new(KILOBYTES_MAX));
        (RequestQueue { jobs, commands, kilobytes }, receiver)
    }

    /// Waits for room in the queue, then for the answer.
    pub(crate) async fn run(&self, submission: Submission, now: Timestamp) -> Result<CommandResult, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Run(Request::One(submission, now, reply))).await?;
        received(answer).await
    }

    /// Refuses with [`Error::is_overloaded`] if the queue is full, else waits for the answer.
    pub(crate) async fn run_or_shed(
        &self,
        submission: Submission,
        now: Timestamp,
    ) -> Result<CommandResult, Error> {
        let (reply, answer) = oneshot::channel();
        self.try_send(Job::Run(Request::One(submission, now, reply)))?;
        received(answer).await
    }

    /// Runs commands that one caller sends together. Refuses with [`Error::is_overloaded`] if there
    /// is no room for them; then none of them is run.
    pub(crate) async fn run_each(&self, batch: Vec<Submission>, now: Timestamp) -> Result<Vec<Ran>, Error> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let kilobytes = batch.iter().map(bytes_of).sum::<usize>().div_ceil(1_024);
        let room = vec![
            room(&self.commands, batch.len(), COMMANDS_MAX)?,
            room(&self.kilobytes, kilobytes, KILOBYTES_MAX)?,
        ];
        let (gathered, answer) = Gathered::new(batch.len(), room);
        let request = OpenRequest { rest: batch.into_iter(), now, gathered };
        self.try_send(Job::Run(Request::Many(request)))?;
        answer.await.map_err(|_| Error::engine_closed())
    }

    /// Refuses with [`Error::is_overloaded`] if the queue is full.
    fn try_send(&self, job: Job<Other>) -> Result<(), Error> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Error::overloaded(),
            TrySendError::Closed(_) => Error::engine_closed(),
        })
    }

    /// Waits for room in the queue.
    pub(crate) async fn send(&self, job: Job<Other>) -> Result<(), Error> {
        self.jobs.send(job).await.map_err(|_| Error::engine_closed())
    }

    /// Waits for room in the queue, on a thread that may block.
    pub(crate) fn blocking_send(&self, job: Job<Other>) -> Result<(), Error> {
        self.jobs.blocking_send(job).map_err(|_| Error::engine_closed())
    }

    /// Closes the queue and waits until everything that was accepted is answered.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        let (reply, closed) = oneshot::channel();
        self.send(Job::Close(reply)).await?;
        received(closed).await
    }

    /// Asks for the same without waiting for its end, from any thread, asynchronous or not. It
    /// spins while the queue is full.
    pub(crate) fn close_without_waiting(&self) {
        let (reply, _) = oneshot::channel();
        let mut job = Job::Close(reply);
        while let Err(TrySendError::Full(again)) = self.jobs.try_send(job) {
            job = again;
            std::thread::yield_now();
        }
    }

    /// The number of jobs in the queue.
    pub(crate) fn queued(&self) -> u64 {
        (self.jobs.max_capacity() - self.jobs.capacity()) as u64
    }

    /// A sender that does not keep the queue open.
    pub(crate) fn downgrade(&self) -> mpsc::WeakSender<Job<Other>> {
        self.jobs.downgrade()
    }
}

/// Waits for a reply. A thread that ends without one has closed the engine.
async fn received<T>(reply: oneshot::Receiver<Result<T, Error>>) -> Result<T, Error> {
    reply.await.map_err(|_| Error::engine_closed())?
}

/// Room for `wanted`, until it is dropped. A request beyond the bound has room when nothing waits.
fn room(free: &Arc<Semaphore>, wanted: usize, most: usize) -> Result<OwnedSemaphorePermit, Error> {
    let wanted = u32::try_from(wanted.min(most)).expect("the bounds are below 2^32");
    Arc::clone(free).try_acquire_many_owned(wanted).map_err(|_| Error::overloaded())
}

/// The memory that a command takes, roughly: metadata is the one long text of a frequent command.
pub(crate) fn bytes_of(submission: &Submission) -> usize {
    let metadata = match &submission.command {
        Command::Charge(request) => request.metadata.as_ref().map_or(0, |metadata| metadata.len()),
        _ => 0,
    };
    size_of::<Submission>() + metadata
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tollkeeper_ledger::{Actor, ChargeRequest, OperationId, WorkspaceId};

    use super::*;

    fn commands(count: usize, metadata: usize) -> Vec<Submission> {
        let operation = OperationId::new("message").expect("the id is valid");
        let metadata = Some("x".repeat(metadata).into());
        let command = Command::Charge(ChargeRequest { metadata, ..ChargeRequest::new(operation, 1) });
        let workspace = WorkspaceId::new("loud").expect("the id is valid");
        vec![Submission { workspace, key: None, actor: Actor::System, command }; count]
    }

    /// Sends a request whose caller then goes away; returns its error, if it was refused.
    fn sent(queue: &RequestQueue<()>, batch: Vec<Submission>) -> Option<Error> {
        queue.run_each(batch, Timestamp::ZERO).now_or_never().and_then(Result::err)
    }

    #[test]
    fn requests_of_many_commands_are_bounded_in_commands_and_in_bytes() {
        let (queue, mut jobs) = RequestQueue::<()>::new(1_000);
        for _ in 0..65 {
            assert!(sent(&queue, commands(1_000, 0)).is_none());
        }
        assert!(sent(&queue, commands(1_000, 0)).expect("65,000 wait").is_overloaded());
        assert!(sent(&queue, commands(500, 0)).is_none(), "there is room for a smaller one");
        while jobs.try_recv().is_ok() {}
        let large = || commands(600, 65_536);
        assert!(sent(&queue, large()).is_none() && sent(&queue, commands(1, 0)).is_none());
        assert!(sent(&queue, large()).expect("38 MB wait").is_overloaded());
    }

    #[test]
    fn a_request_is_taken_in_portions_and_answered_once_with_all_results_in_order() {
        let (queue, mut jobs) = RequestQueue::<()>::new(1);
        let calling = queue.run_each(commands(5, 0), Timestamp::ZERO);
        let serve = async {
            let Some(Job::Run(Request::Many(mut request))) = jobs.recv().await else { panic!("a request") };
            let mut taken = Vec::new();
            let (first, second) = (request.take_portion(2, &mut taken), request.take_portion(2, &mut taken));
            assert_eq!((taken.len(), request.remaining()), (4, 1));
            first
                .send(&mut std::iter::repeat_with(|| Ok(Err(tollkeeper_ledger::Refusal::WorkspaceNotFound))));
            second.fail(&Error::unavailable("the disk is full"));
            request.fail(&Error::engine_closed());
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
        let (results, ()) = runtime.block_on(async { tokio::join!(calling, serve) });
        let failed: Vec<bool> = results.expect("it is answered").iter().map(Result::is_err).collect();
        assert_eq!(failed, [false, false, true, true, true]);
    }
}
