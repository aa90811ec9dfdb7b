//! The queue in front of the thread of an engine or of one lane, and the replies to what came
//! through it.
//!
//! Callers are asynchronous, the thread that runs their commands is not. So a request travels with
//! the sender of a one-shot channel, its [`Reply`]. Both engines use this queue; a job that only
//! one of them knows is its `Job::Other`. The queue is bounded: when it is full,
//! [`RequestQueue::run_or_shed`] refuses instead of waiting.
//!
//! Invariant: a reply is sent exactly as many results as its request had commands, in their order,
//! or one error instead of all.
//! A caller may have gone away; its reply is then dropped without an error.

use std::fmt;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tollkeeper_ledger::{Submission, Timestamp};

use crate::{CommandResult, Error, Ran};

type OneReply = oneshot::Sender<Ran>;
type BatchReply = oneshot::Sender<Result<Vec<Ran>, Error>>;

/// Commands that were sent together, each to be decided alone.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every request is a single command, and a box for each is an allocation"
)]
pub(crate) enum Request {
    One(Submission, Timestamp, OneReply),
    Batch(Vec<Submission>, Timestamp, BatchReply),
}

impl Request {
    /// The number of commands in the request.
    pub(crate) fn commands(&self) -> usize {
        match self {
            Request::One(..) => 1,
            Request::Batch(submissions, ..) => submissions.len(),
        }
    }

    /// Appends the commands to `to`, each with the caller's clock, and returns the reply that waits
    /// for their answers.
    pub(crate) fn unpack(self, to: &mut Vec<(Submission, Timestamp)>) -> Reply {
        match self {
            Request::One(submission, now, reply) => {
                to.push((submission, now));
                Reply::One(reply)
            }
            Request::Batch(submissions, now, reply) => {
                let commands = submissions.len();
                to.extend(submissions.into_iter().map(|submission| (submission, now)));
                Reply::Batch(commands, reply)
            }
        }
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

/// The caller that waits for answers.
#[derive(Debug)]
pub(crate) enum Reply {
    One(OneReply),
    /// The number of answers, and where to send them.
    Batch(usize, BatchReply),
}

impl Reply {
    /// Takes this reply's results from the front of `results` and sends them.
    ///
    /// # Panics
    /// When there are fewer results than commands: an answer would reach the wrong caller.
    pub(crate) fn send(self, results: &mut impl Iterator<Item = Ran>) {
        match self {
            Reply::One(reply) => {
                let result = results.next().expect("there is a result for every command");
                // The caller may have gone away; then the result is not needed.
                let _ = reply.send(result);
            }
            Reply::Batch(commands, reply) => {
                let own: Vec<Ran> = results.take(commands).collect();
                assert_eq!(own.len(), commands, "there is a result for every command");
                // As above.
                let _ = reply.send(Ok(own));
            }
        }
    }

    /// Sends an error instead of answers.
    pub(crate) fn fail(self, error: Error) {
        // The caller may have gone away; then the error is not needed.
        match self {
            Reply::One(reply) => drop(reply.send(Err(error))),
            Reply::Batch(_, reply) => drop(reply.send(Err(error))),
        }
    }
}

/// The sending side of a queue of jobs.
pub(crate) struct RequestQueue<Other> {
    jobs: mpsc::Sender<Job<Other>>,
}

impl<Other> fmt::Debug for RequestQueue<Other> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestQueue").field("queued", &self.queued()).finish()
    }
}

impl<Other> Clone for RequestQueue<Other> {
    fn clone(&self) -> RequestQueue<Other> {
        RequestQueue { jobs: self.jobs.clone() }
    }
}

impl<Other> RequestQueue<Other> {
    /// A queue with room for `length` jobs, and its receiving side.
    pub(crate) fn new(length: usize) -> (RequestQueue<Other>, mpsc::Receiver<Job<Other>>) {
        let (jobs, receiver) = mpsc::channel(length);
        (RequestQueue { jobs }, receiver)
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
        let job = Job::Run(Request::One(submission, now, reply));
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Error::overloaded(),
            TrySendError::Closed(_) => Error::engine_closed(),
        })?;
        received(answer).await
    }

    /// Waits for room in the queue, then for the answers: one per command, in order.
    pub(crate) async fn run_each(&self, batch: Vec<Submission>, now: Timestamp) -> Result<Vec<Ran>, Error> {
        let (reply, answers) = oneshot::channel();
        self.send(Job::Run(Request::Batch(batch, now, reply))).await?;
        received(answers).await
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
