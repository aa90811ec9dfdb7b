//! The writer thread: takes whatever waits in the queue, lets the heart decide it, takes what came meanwhile, and when
//! nothing more waits commits it all at once and answers. There is no artificial delay: a batch grows only while there is
//! something to decide. Those who were just answered and ask again at once are in the next batch together with those who
//! waited, so that one sync of the disk serves them all.
//!
//! The thread that decides does not wait for the disk when a batch is large: the `committer` appends it and answers, and
//! the next batch is decided meanwhile. Reads look at memory at once; their answers wait until all that they saw is on disk.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tollkeeper_ledger::{Submission, Timestamp};

use super::committer::Committer;
use crate::embedded::core::{Core, Failure};
use crate::embedded::queue::{CoreSnapshot, DeliverRead, Job, Published, Read};
use crate::reply::Reply;
use crate::{CommandResult, Error};

/// The most commands in one commit: what waits longer goes into the next.
const BATCH_COMMANDS: usize = 8_192;

/// So many commands are handed over to the committer; fewer are committed here.
const HANDED_OVER_FROM: usize = 1_024;

/// Jobs taken from the queue at once.
const JOBS_AT_ONCE: usize = 1_024;

/// What was decided and is not on disk yet: the answers, who waits for them, and reads that saw it.
#[derive(Default)]
struct Undelivered {
    answers: Vec<CommandResult>,
    waiting: Vec<Reply>,
    releases: Vec<DeliverRead>,
}

impl Undelivered {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.releases.is_empty()
    }

    /// It is on disk, or what became of it is not known.
    fn deliver(self, result: &Result<(), Error>) {
        let mut answers = self.answers.into_iter();
        match result {
            Ok(()) => self.waiting.into_iter().for_each(|waiting| waiting.answer(&mut answers)),
            Err(error) => self.waiting.into_iter().for_each(|waiting| waiting.fail(error.clone())),
        }
        self.releases.into_iter().for_each(|release| release(result));
    }

    /// Nobody's command was run. Whoever is at fault is told so, the others may ask again.
    fn fail(self, failure: &Failure) {
        let mut from = 0;
        for waiting in self.waiting {
            let commands = waiting.commands();
            let at_fault = failure.culprit.is_none_or(|culprit| (from..from + commands).contains(&culprit));
            from += commands;
            waiting.fail(if at_fault { failure.error.clone() } else { another_failed() });
        }
        self.releases.into_iter().for_each(|release| release(&Err(another_failed())));
    }
}

fn another_failed() -> Error {
    Error::unavailable("another request failed")
}

/// The thread's own.
struct Writer {
    core: Core,
    published: Arc<Published>,
    /// None where no thread can be had: then every batch is waited for.
    committer: Option<Committer>,
    jobs: mpsc::Receiver<Job>,
    /// Taken from the queue and not looked at yet.
    received: VecDeque<Job>,
    /// Decided and not handed over yet.
    present: Undelivered,
    /// Reads that saw nothing but what is under way.
    releases: Vec<DeliverRead>,
    closing: Option<oneshot::Sender<Result<(), Error>>>,
}

/// Runs until it is told to close or nobody can ask any more. `nudge`: how the committer says that it is done.
pub(crate) fn work(core: Core, published: Arc<Published>, jobs: mpsc::Receiver<Job>) {
    let committer = core.wake.make().and_then(|wake| {
        // A directory that is only read has nothing to commit.
        let appender = core.lock.is_some().then(|| core.appender().ok()).flatten()?;
        Committer::start(appender, wake).ok()
    });
    let mut writer = Writer {
        core,
        published,
        committer,
        jobs,
        received: VecDeque::new(),
        present: Undelivered::default(),
        releases: Vec::new(),
        closing: None,
    };
    let mut first = Vec::with_capacity(JOBS_AT_ONCE);
    loop {
        if writer.received.is_empty() {
            if writer.jobs.blocking_recv_many(&mut first, JOBS_AT_ONCE) == 0 {
                break;
            }
            writer.received.extend(first.drain(..));
        }
        writer.batch();
        writer.maintain();
    }
    let _ = writer.wait_for_append();
    let Writer { mut core, published, committer, closing, .. } = writer;
    drop(committer);
    let persisted = core.checkpoint_all();
    published.publish(CoreSnapshot::of(&core));
    drop(core);
    if let Some(closing) = closing {
        let _ = closing.send(persisted);
    }
}

impl Writer {
    /// Decides what was taken and what comes meanwhile, and sees that it gets to the disk and is answered.
    fn batch(&mut self) {
        self.poll_append();
        let mut result = Ok(());
        while result.is_ok() {
            let portion = self.next_portion();
            if portion.is_empty() {
                break;
            }
            result = self.decide(portion);
            while self.received.len() < JOBS_AT_ONCE
                && let Ok(job) = self.jobs.try_recv()
            {
                self.received.push_back(job);
            }
        }
        if let Err(failure) = result {
            // What is under way was decided before, and may still get there; the disk is read anew after it.
            let _ = self.wait_for_append();
            std::mem::take(&mut self.present).fail(&failure);
        } else if !self.present.is_empty() {
            self.commit();
        }
    }

    /// A large batch is handed over, so that the next can be decided while the disk works. A small one is waited for: there
    /// the sync is what takes time, and to decide ahead would only split those who wait for it into two halves.
    fn commit(&mut self) {
        if let Err(error) = self.wait_for_append() {
            // It was decided on top of what is lost.
            std::mem::take(&mut self.present).deliver(&Err(error));
            return;
        }
        let present = std::mem::take(&mut self.present);
        if present.answers.len() >= HANDED_OVER_FROM
            && let Some(committer) = &mut self.committer
            && let Some(in_flight) = self.core.begin_append()
        {
            let published = Arc::clone(&self.published);
            let shown = CoreSnapshot::of(&self.core).append_finished(in_flight.bytes());
            let then = move |result: &Result<(), Error>| {
                // Before anyone is answered: whoever knows that a key was made must find it.
                if result.is_ok() {
                    published.publish(shown);
                }
                present.deliver(result);
            };
            committer.give(in_flight, Box::new(then));
        } else {
            let committed = self.core.commit();
            self.published.publish(CoreSnapshot::of(&self.core));
            present.deliver(&committed);
        }
    }

    /// Takes note of a landing, if there was one.
    fn poll_append(&mut self) {
        if let Some(result) = self.committer.as_mut().and_then(Committer::poll) {
            self.append_finished(&result);
        }
    }

    /// Waits until nothing is under way.
    fn wait_for_append(&mut self) -> Result<(), Error> {
        match &mut self.committer {
            Some(committer) if committer.is_under_way() => {
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
            self.published.publish(CoreSnapshot::of(&self.core));
        }
        std::mem::take(&mut self.releases).into_iter().for_each(|release| release(result));
    }

    fn is_under_way(&self) -> bool {
        self.committer.as_ref().is_some_and(Committer::is_under_way)
    }

    fn maintain(&mut self) {
        if self.core.is_crowded() {
            // What the keeper is waited for may itself wait for the landing. A failure is met by the next batch.
            let _ = self.wait_for_append();
        }
        // A failure here is remembered by the heart and met by the next batch.
        let _ = self.core.maintain();
        if !self.is_under_way() {
            self.published.publish(CoreSnapshot::of(&self.core));
        }
    }

    /// Answers a read as soon as all that it saw is on disk.
    fn read(&mut self, read: Read) {
        let release = read(&mut self.core);
        if !self.present.answers.is_empty() {
            self.present.releases.push(release);
        } else if self.is_under_way() {
            self.releases.push(release);
        } else {
            release(&Ok(()));
        }
    }

    /// The commands of what was taken, as long as they fit into one commit; reads are answered or put off on the way.
    fn next_portion(&mut self) -> Vec<(Submission, Timestamp)> {
        let mut portion = Vec::with_capacity(self.received.len());
        while let Some(job) = self.received.pop_front() {
            let more = job.commands();
            let decided = self.present.answers.len() + portion.len();
            if more > 0 && decided > 0 && decided + more > BATCH_COMMANDS {
                self.received.push_front(job);
                break;
            }
            match job {
                Job::One(submission, now, answer) => {
                    portion.push((submission, now));
                    self.present.waiting.push(Reply::One(answer));
                }
                Job::Batch(submissions, now, answer) => {
                    self.present.waiting.push(Reply::Batch(submissions.len(), answer));
                    portion.extend(submissions.into_iter().map(|submission| (submission, now)));
                }
                Job::Read(read) => self.read(read),
                Job::Wake => {}
                Job::Close(answer) => {
                    // What is in the queue was accepted and is answered; nothing more is accepted.
                    self.jobs.close();
                    self.closing = Some(answer);
                }
            }
        }
        portion
    }

    fn decide(&mut self, portion: Vec<(Submission, Timestamp)>) -> Result<(), Failure> {
        let before = self.present.answers.len();
        let decided = self.core.decide(portion);
        let answers = decided.map_err(|failure| Failure {
            culprit: failure.culprit.map(|culprit| before + culprit),
            ..failure
        })?;
        self.present.answers.extend(answers);
        Ok(())
    }
}
