//! The writer thread: takes whatever waits in the queue, lets the heart decide it, takes what came meanwhile, and when
//! nothing more waits commits it all at once and answers. There is no artificial delay: a batch grows only while there is
//! something to decide. Those who were just answered and ask again at once are in the next batch together with those who
//! waited, so that one sync of the disk serves them all.
//!
//! Reads of memory are answered when nothing uncommitted is in it: before the batch, or after it.

use std::collections::VecDeque;

use tokio::sync::{mpsc, oneshot};
use tollkeeper_ledger::{Submission, Timestamp};

use super::heart::{Failure, Heart};
use super::shell::{Job, Published, Read};
use crate::waiting::Waiting;
use crate::{Error, Ran};

/// The most commands in one commit: what waits longer goes into the next.
const BATCH_COMMANDS: usize = 8_192;

/// Jobs taken from the queue at once.
const JOBS_AT_ONCE: usize = 1_024;

/// The thread's own.
struct Writer<'a> {
    heart: Heart,
    published: &'a Published,
    jobs: mpsc::Receiver<Job>,
    /// Taken from the queue and not looked at yet.
    taken: VecDeque<Job>,
    /// Decided and not yet committed: the answers, and who waits for them.
    answers: Vec<Ran>,
    waiting: Vec<Waiting>,
    /// Reads that came while something was uncommitted.
    reads: Vec<Read>,
    closing: Option<oneshot::Sender<Result<(), Error>>>,
}

/// Runs until it is told to close or nobody can ask any more.
pub(super) fn work(heart: Heart, published: &Published, jobs: mpsc::Receiver<Job>) {
    let mut writer = Writer {
        heart,
        published,
        jobs,
        taken: VecDeque::new(),
        answers: Vec::new(),
        waiting: Vec::new(),
        reads: Vec::new(),
        closing: None,
    };
    let mut first = Vec::with_capacity(JOBS_AT_ONCE);
    loop {
        if writer.taken.is_empty() {
            if writer.jobs.blocking_recv_many(&mut first, JOBS_AT_ONCE) == 0 {
                break;
            }
            writer.taken.extend(first.drain(..));
        }
        writer.batch();
        // A failure here is remembered by the heart and met by the next batch.
        let _ = writer.heart.tend();
        writer.published.publish(&writer.heart);
    }
    let Writer { mut heart, published, closing, .. } = writer;
    let kept = heart.keep_all();
    published.publish(&heart);
    drop(heart);
    if let Some(closing) = closing {
        let _ = closing.send(kept);
    }
}

impl Writer<'_> {
    /// Decides what was taken and what comes meanwhile, commits it, and answers.
    fn batch(&mut self) {
        let mut result = Ok(());
        while result.is_ok() {
            let portion = self.next_portion();
            if portion.is_empty() {
                break;
            }
            result = self.decide(portion);
            while self.taken.len() < JOBS_AT_ONCE
                && let Ok(job) = self.jobs.try_recv()
            {
                self.taken.push_back(job);
            }
        }
        let result = result.and_then(|()| {
            let committed = self.heart.commit();
            committed.map_err(|error| Failure { error, culprit: None })
        });
        // Before anyone is answered: whoever knows that a key was made must find it.
        self.published.publish(&self.heart);
        let waiting = std::mem::take(&mut self.waiting);
        let mut answers = std::mem::take(&mut self.answers).into_iter();
        match result {
            Ok(()) => waiting.into_iter().for_each(|waiting| waiting.answer(&mut answers)),
            Err(failure) => fail(waiting, &failure),
        }
        for read in std::mem::take(&mut self.reads) {
            read(&mut self.heart);
        }
    }

    /// The commands of what was taken, as long as they fit into one commit; reads are answered or put off on the way.
    fn next_portion(&mut self) -> Vec<(Submission, Timestamp)> {
        let mut portion = Vec::with_capacity(self.taken.len());
        while let Some(job) = self.taken.pop_front() {
            let more = job.commands();
            let decided = self.answers.len() + portion.len();
            if more > 0 && decided > 0 && decided + more > BATCH_COMMANDS {
                self.taken.push_front(job);
                break;
            }
            match job {
                Job::One(submission, now, answer) => {
                    portion.push((submission, now));
                    self.waiting.push(Waiting::One(answer));
                }
                Job::Batch(submissions, now, answer) => {
                    self.waiting.push(Waiting::Batch(submissions.len(), answer));
                    portion.extend(submissions.into_iter().map(|submission| (submission, now)));
                }
                // What is only taken is not decided: until then memory holds what is committed.
                Job::Read(read) if self.answers.is_empty() => read(&mut self.heart),
                Job::Read(read) => self.reads.push(read),
                Job::Nudge => {}
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
        let before = self.answers.len();
        let decided = self.heart.decide(portion);
        let answers = decided.map_err(|failure| Failure {
            culprit: failure.culprit.map(|culprit| before + culprit),
            ..failure
        })?;
        self.answers.extend(answers);
        Ok(())
    }
}

/// Nobody's command was run. Whoever is at fault is told so, the others may ask again.
fn fail(waiting: Vec<Waiting>, failure: &Failure) {
    let mut from = 0;
    for waiting in waiting {
        let commands = waiting.commands();
        let at_fault = failure.culprit.is_none_or(|culprit| (from..from + commands).contains(&culprit));
        from += commands;
        waiting.fail(if at_fault {
            failure.error.clone()
        } else {
            Error::unavailable("another request failed")
        });
    }
}
