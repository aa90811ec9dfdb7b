//! The writer thread: group commit.
//!
//! It takes all jobs that wait in the queue, decides them through the core, takes what came in
//! meanwhile, and commits when nothing more waits. So a batch grows only while there is something
//! to decide; there is no artificial delay. Callers that were just answered and send again at once
//! join those that waited, and one sync of the disk serves them all.
//!
//! For a large batch the thread does not wait for the disk: the committer appends and answers it,
//! while the next batch is decided. Reads see memory at once; their answers are held back until all
//! that they saw is on disk.
//!
//! Guarantee: no answer is sent before what it says is on disk. When an append fails, or its result
//! is not known, every caller that depends on it gets the error. If that is
//! [`Error::is_unavailable`], the caller may send the same request again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tollkeeper_ledger::{Submission, Timestamp};

use super::checkpoint::Wake;
use super::committer::Committer;
use crate::embedded::core::Core;
use crate::embedded::core_handle::{CoreJob, DeliverRead, Job, PublishedState, Read, StateToPublish};
use crate::reply::Reply;
use crate::request_queue::{OpenRequest, Request};
use crate::watch::{self, Waker};
use crate::{Error, Ran, Watchers};

/// The most commands in one commit; the rest goes into the next.
const BATCH_COMMANDS: usize = 8_192;

/// A request of at most this many commands is decided whole, like a single command. Of a larger one
/// this many are decided at each of its turns.
const PORTION: usize = 64;

/// The most commands of such requests that are decided before the queue is looked at again.
const PORTIONS_AT_ONCE: usize = 1_024;

/// A batch of at least this many commands is appended by the committer, a smaller one by this
/// thread.
const COMMITTER_MIN_COMMANDS: usize = 1_024;

/// The pauses between attempts to write again after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A failure after this time is a new one.
const FORGET_FAILURES: Duration = Duration::from_secs(60);

/// Jobs taken from the queue at once.
const JOBS_AT_ONCE: usize = 1_024;

/// What was decided and is not on disk: the results, the callers that wait for them, and the reads
/// that saw it.
#[derive(Default)]
struct Undelivered {
    results: Vec<Ran>,
    replies: Vec<Reply>,
    reads: Vec<DeliverRead>,
    /// Those who watch the workspaces of the commands.
    watches: Vec<Waker>,
}

impl Undelivered {
    fn is_empty(&self) -> bool {
        self.replies.is_empty() && self.reads.is_empty()
    }

    /// Sends everything, after it was appended or the append has failed.
    fn deliver(self, result: &Result<(), Error>) {
        match result {
            Ok(()) => {
                let mut results = self.results.into_iter();
                self.replies.into_iter().for_each(|reply| reply.send(&mut results));
                assert!(results.next().is_none(), "every result has reached its caller");
            }
            Err(error) => self.replies.into_iter().for_each(|reply| reply.fail(error)),
        }
        self.reads.into_iter().for_each(|deliver| deliver(result));
        // Also after an error: the batch may be on disk.
        watch::wake_all(&self.watches);
    }
}

/// What the thread owns.
struct Writer {
    core: Core,
    published: Arc<PublishedState>,
    watchers: Arc<Watchers>,
    /// `None` if the directory is open for reading only, or if the system could not start it: then
    /// this thread appends.
    committer: Option<Committer>,
    queue: mpsc::Receiver<Job>,
    /// Jobs that were taken from the queue and not looked at yet.
    received: VecDeque<Job>,
    /// Requests of more than [`PORTION`] commands, oldest first.
    open: VecDeque<OpenRequest>,
    /// True if the next turn is that of the oldest of them.
    oldest_next: bool,
    /// What was decided since the last commit.
    undelivered: Undelivered,
    /// Reads that saw nothing newer than the batch in flight.
    reads_in_flight: Vec<DeliverRead>,
    closing: Option<oneshot::Sender<Result<(), Error>>>,
    retry: Retry,
}

/// When the thread tries by itself to write again after a failure.
#[derive(Debug)]
struct Retry {
    /// The time of the last failure or attempt.
    since: Instant,
    pause: Duration,
}

impl Retry {
    /// The time until the next attempt. Failures that follow each other make it longer.
    fn wait(&self) -> Duration {
        self.pause.saturating_sub(self.since.elapsed())
    }

    /// Notes an attempt.
    fn attempted(&mut self) {
        let is_over = self.since.elapsed() > FORGET_FAILURES;
        self.pause = if is_over { FIRST_PAUSE } else { LONGEST_PAUSE.min(2 * self.pause) };
        self.since = Instant::now();
    }
}

/// Runs until the engine is closed or its last handle is dropped.
pub(crate) fn run(
    core: Core,
    (published, watchers): (Arc<PublishedState>, Arc<Watchers>),
    queue: mpsc::Receiver<Job>,
    wake: Wake,
) {
    let appender = if core.is_read_only() { None } else { core.appender().ok() };
    let committer = appender.and_then(|appender| Committer::start(appender, wake).ok());
    let mut writer = Writer {
        core,
        published,
        watchers,
        committer,
        queue,
        received: VecDeque::new(),
        open: VecDeque::new(),
        oldest_next: true,
        undelivered: Undelivered::default(),
        reads_in_flight: Vec::new(),
        closing: None,
        retry: Retry { since: Instant::now(), pause: FIRST_PAUSE },
    };
    let mut received = Vec::with_capacity(JOBS_AT_ONCE);
    let timer = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let timer = timer.expect("a runtime without input and output needs nothing of the system");
    loop {
        if writer.received.is_empty() && writer.open.is_empty() {
            if !writer.receive(&mut received, &timer) {
                break;
            }
            writer.received.extend(received.drain(..));
        }
        writer.run_batch();
        writer.maintain();
    }
    writer.close();
}

impl Writer {
    /// Waits for jobs; returns false when the queue is closed. It may return without a job, when
    /// the thread has something to do by itself: an account to rebuild, or a failure to recover
    /// from.
    fn receive(&mut self, received: &mut Vec<Job>, timer: &Runtime) -> bool {
        if self.core.is_repairing() {
            return match self.queue.try_recv() {
                Ok(job) => {
                    received.push(job);
                    true
                }
                Err(closed_or_empty) => closed_or_empty == TryRecvError::Empty,
            };
        }
        if !self.core.is_failed() {
            return self.queue.blocking_recv_many(received, JOBS_AT_ONCE) > 0;
        }
        let next = self.queue.recv_many(received, JOBS_AT_ONCE);
        let wait = self.retry.wait();
        // The timer exists only inside the runtime.
        match timer.block_on(async { timeout(wait, next).await }) {
            Ok(jobs) => jobs > 0,
            Err(_) => {
                self.recover();
                true
            }
        }
    }

    /// Tries to write again after a failure, so that a server to which nobody writes becomes ready
    /// again.
    fn recover(&mut self) {
        let _ = self.wait_for_append();
        self.retry.attempted();
        match self.core.recover() {
            Ok(()) => tracing::info!("the data directory takes writes again"),
            Err(error) => tracing::warn!(%error, "the data directory takes no writes; it is tried again"),
        }
        self.publish();
    }

    /// Decides what was received and what comes in meanwhile; then commits and answers it.
    fn run_batch(&mut self) {
        self.poll_append();
        let mut result = Ok(());
        while result.is_ok() {
            let commands = self.next_commands();
            if commands.is_empty() {
                break;
            }
            result = self.decide(commands);
            while self.received.len() < JOBS_AT_ONCE
                && let Ok(job) = self.queue.try_recv()
            {
                self.received.push_back(job);
            }
        }
        if let Err(failure) = result {
            // Memory is discarded, or nothing was decided on it. Wait for the older batch: it may
            // still commit, and the reload must see it.
            let _ = self.wait_for_append();
            self.open.drain(..).for_each(|request| request.fail(&failure));
            std::mem::take(&mut self.undelivered).deliver(&Err(failure));
        } else if !self.undelivered.is_empty() {
            self.commit();
        }
    }

    /// Commits what was decided. A large batch is given to the committer, so that the next one can
    /// be decided while the disk works. A small batch is waited for: there the sync takes most of
    /// the time, and to decide ahead would only split the waiting callers into two halves.
    fn commit(&mut self) {
        let before = self.wait_for_append();
        let undelivered = std::mem::take(&mut self.undelivered);
        if let Err(error) = before {
            // It was decided on top of what is lost.
            undelivered.deliver(&Err(error));
            return;
        }
        if undelivered.results.len() >= COMMITTER_MIN_COMMANDS
            && let Some(committer) = &mut self.committer
            && let Some(batch) = self.core.begin_append()
        {
            let published = Arc::clone(&self.published);
            let to_publish = StateToPublish::of(&self.core).after_append(batch.bytes());
            let on_appended = move |result: &Result<(), Error>| {
                // Before anyone is answered: a caller that knows of a new platform key must find it
                // valid.
                if result.is_ok() {
                    published.publish(to_publish);
                }
                undelivered.deliver(result);
            };
            committer.submit(batch, Box::new(on_appended));
        } else {
            let committed = self.core.commit();
            self.publish();
            undelivered.deliver(&committed);
        }
    }

    fn publish(&self) {
        self.published.publish(StateToPublish::of(&self.core));
    }

    /// Takes the result of the batch in flight, if it is known.
    fn poll_append(&mut self) {
        if let Some(result) = self.committer.as_mut().and_then(Committer::poll) {
            self.append_finished(&result);
        }
    }

    /// Waits until no batch is in flight; returns the result of the one that was.
    fn wait_for_append(&mut self) -> Result<(), Error> {
        match &mut self.committer {
            Some(committer) if committer.is_in_flight() => {
                let result = committer.wait();
                self.append_finished(&result);
                result
            }
            _ => Ok(()),
        }
    }

    fn append_finished(&mut self, result: &Result<(), Error>) {
        self.core.append_finished(result);
        if result.is_err() {
            self.publish();
        }
        std::mem::take(&mut self.reads_in_flight).into_iter().for_each(|deliver| deliver(result));
    }

    fn is_in_flight(&self) -> bool {
        self.committer.as_ref().is_some_and(Committer::is_in_flight)
    }

    fn maintain(&mut self) {
        if self.core.must_wait() {
            // The checkpointer, which is waited for, may itself wait for the batch in flight. After
            // a failure, the next batch loads everything again.
            let _ = self.wait_for_append();
        }
        // After a failure, the next batch loads everything again.
        let _ = self.core.maintain();
        if !self.is_in_flight() {
            self.publish();
        }
    }

    /// Runs a read; delivers its answer as soon as all that it saw is on disk.
    fn read(&mut self, read: Read) {
        let deliver = read(&mut self.core);
        if !self.undelivered.results.is_empty() {
            self.undelivered.reads.push(deliver);
        } else if self.is_in_flight() {
            self.reads_in_flight.push(deliver);
        } else {
            deliver(&Ok(()));
        }
    }

    /// The commands of the received jobs, as many as fit into one commit; other jobs are done on
    /// the way. Large requests take turns after the small ones, so that the batches of one caller
    /// do not stall the others.
    fn next_commands(&mut self) -> Vec<(Submission, Timestamp)> {
        let mut commands = Vec::with_capacity(self.received.len());
        while let Some(job) = self.received.pop_front() {
            match job {
                Job::Run(Request::One(submission, now, reply)) => {
                    if self.undelivered.results.len() + commands.len() >= BATCH_COMMANDS {
                        self.received.push_front(Job::Run(Request::One(submission, now, reply)));
                        break;
                    }
                    commands.push((submission, now));
                    self.undelivered.replies.push(Reply::One(reply));
                }
                Job::Run(Request::Many(mut request)) if request.remaining() <= PORTION => {
                    let decided = self.undelivered.results.len() + commands.len();
                    if decided + request.remaining() > BATCH_COMMANDS {
                        self.received.push_front(Job::Run(Request::Many(request)));
                        break;
                    }
                    self.undelivered.replies.push(request.take_portion(PORTION, &mut commands));
                }
                Job::Run(Request::Many(request)) => self.open.push_back(request),
                Job::Other(CoreJob::Read(read)) => self.read(read),
                Job::Other(CoreJob::Wake) => {}
                Job::Close(reply) => {
                    // The queue takes nothing more; what it holds was accepted and is answered.
                    self.queue.close();
                    self.closing = Some(reply);
                }
            }
        }
        self.take_portions(&mut commands);
        commands
    }

    /// Adds portions of the large requests. Turns alternate between the oldest request and the one
    /// with the fewest commands left: no request waits for ever, a smaller one overtakes, and of
    /// equal ones the first is finished first, so that its caller goes on while others are decided.
    fn take_portions(&mut self, commands: &mut Vec<(Submission, Timestamp)>) {
        let room = BATCH_COMMANDS.saturating_sub(self.undelivered.results.len() + commands.len());
        let remaining = self.open.iter().map(OpenRequest::remaining).sum::<usize>();
        let end = commands.len() + room.min(PORTIONS_AT_ONCE).min(remaining);
        commands.reserve(end - commands.len());
        while commands.len() < end {
            let remaining = self.open.iter().map(OpenRequest::remaining).enumerate();
            let fewest = remaining.min_by_key(|(_, remaining)| *remaining).map_or(0, |(index, _)| index);
            let index = if self.oldest_next { 0 } else { fewest };
            self.oldest_next = !self.oldest_next;
            let request = &mut self.open[index];
            let portion = request.take_portion(PORTION.min(end - commands.len()), commands);
            self.undelivered.replies.push(portion);
            if request.remaining() == 0 {
                self.open.remove(index);
            }
        }
    }

    fn decide(&mut self, commands: Vec<(Submission, Timestamp)>) -> Result<(), Error> {
        // One allocation for all turns of the batch.
        let to_come = self.open.iter().map(OpenRequest::remaining).sum::<usize>() + commands.len();
        if !self.watchers.is_empty() {
            let workspaces = commands.iter().map(|(submission, _)| &submission.workspace);
            self.undelivered.watches.extend(self.watchers.wakers_of(workspaces));
        }
        let results = &mut self.undelivered.results;
        results.reserve(to_come.min(BATCH_COMMANDS.saturating_sub(results.len())));
        self.core.decide(commands, results)
    }

    /// Persists everything and answers the caller that closes the engine.
    fn close(mut self) {
        let _ = self.wait_for_append();
        let Writer { mut core, published, committer, closing, .. } = self;
        drop(committer);
        if !core.is_read_only() {
            core.log_head("closed");
        }
        let persisted = core.checkpoint_all().and(core.check_files());
        published.publish(StateToPublish::of(&core));
        // The lock is free before the caller learns that the engine is closed.
        drop(core);
        if let Some(closing) = closing {
            // The caller may have gone away; then the result is not needed.
            let _ = closing.send(persisted);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tollkeeper_ledger::{
        ChargeRequest, Command, GrantRequest, Micros, OperationId, OperationPrice, Source, Submission,
        Timestamp, WorkspaceId,
    };

    use crate::embedded::core::ids::seq_of_id;
    use crate::embedded::test_commands::{submission, workspace};
    use crate::embedded::{Embedded, Options};
    use crate::{Engine, Output, Ran};

    fn charge(name: &str, key: &str) -> Submission {
        let operation = OperationId::new("message").expect("the id is valid");
        submission(workspace(name), key, Command::Charge(ChargeRequest::new(operation, 1)))
    }

    /// The number of the entry that opened a charge.
    fn seq(ran: &Ran) -> u64 {
        let answer = ran.as_ref().expect("it was run").as_ref().expect("it was accepted");
        let Output::Charge(charge, _) = &answer.output else { panic!("a charge is answered") };
        seq_of_id(charge.details.id.0)
    }

    #[test]
    fn a_small_request_does_not_wait_for_the_whole_of_large_ones_before_it() {
        let scratch = tempfile::tempdir().expect("a directory");
        let engine = Embedded::open(scratch.path(), Options::default()).expect("a fresh directory opens");
        let now = Timestamp::from_millis(1_767_225_600_000);
        let id = OperationId::new("message").expect("the id is valid");
        let price = OperationPrice { id, price: Micros::new(1).into(), timeout_seconds: None };
        let prices = Command::SetPrices { operations: vec![price], effective_at: None };
        let mut begin = vec![submission(WorkspaceId::platform(), "prices", prices)];
        for name in ["loud", "quiet"] {
            let credit = GrantRequest::new(Source::Promotional, Micros::new(1_000_000));
            begin.push(submission(workspace(name), "new", Command::CreateWorkspace(Default::default())));
            begin.push(submission(workspace(name), "credit", Command::Grant(credit)));
        }
        let many = |caller: &'static str, count: usize| {
            (0..count).map(move |n| charge("loud", &format!("{caller}-{n}"))).collect()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
        let (one, other, medium, small, single) = runtime.block_on(async {
            for ran in engine.run_each(begin, now).await.expect("a healthy disk") {
                ran.expect("it was run").expect("it was accepted");
            }
            // The writer is held by a job that it received alone, until all others have been sent.
            let (release, released) = std::sync::mpsc::channel::<()>();
            let (holding, held) = std::sync::mpsc::channel();
            let mut hold = Box::pin(engine.core.read(move |_| {
                let _ = holding.send(());
                let _ = released.recv();
                Ok(())
            }));
            assert!((&mut hold).now_or_never().is_none(), "it was sent, and is not answered yet");
            held.recv().expect("the writer runs the job");
            let sent = async { drop(release) };
            let calls = (
                engine.run_each(many("one", 5_000), now),
                engine.run_each(many("other", 5_000), now),
                engine.run_each(many("medium", 200), now),
                engine.run_each(vec![charge("quiet", "small")], now),
                engine.run(charge("quiet", "single"), now),
            );
            let (_, one, other, medium, small, single, ()) =
                tokio::join!(hold, calls.0, calls.1, calls.2, calls.3, calls.4, sent);
            (one, other, medium.expect("a healthy disk"), small.expect("a healthy disk"), single)
        });
        let (one, other) = (one.expect("a healthy disk"), other.expect("a healthy disk"));
        assert_eq!((one.len(), other.len()), (5_000, 5_000));
        let first_of_large = seq(&one[0]);
        assert!(
            seq(&single) < first_of_large && seq(&small[0]) < first_of_large,
            "small requests come first"
        );
        let medium_end = seq(&medium[199]);
        assert!(
            medium_end < first_of_large + 2 * (200 + super::PORTION as u64),
            "a smaller request overtakes"
        );
        assert!(seq(&one[super::PORTION - 1]) < medium_end, "the oldest request has turns meanwhile");
        assert!(seq(&one[4_999]) < seq(&other[0]), "of equal requests the first is finished first");
        assert!(one.is_sorted_by_key(seq) && other.is_sorted_by_key(seq), "each request keeps its order");
    }
}
