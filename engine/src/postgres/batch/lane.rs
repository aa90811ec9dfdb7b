//! A lane: a bounded queue, a thread, a connection, the accounts in memory, and one batch at a
//! time.
//!
//! All commands of a workspace that reach this server go through the same lane. That keeps their
//! order, and the process needs no locks. The lane has its own thread, so deciding delays no
//! request of the server. A batch is everything that waits in the queue. The lane lingers for up to
//! three sleeps of 20 µs to let more commands join it.
//!
//! A batch is decided *optimistically* unless a recent attempt failed: on the accounts in memory,
//! taking every idempotency key as new. That takes one round trip if nothing must be loaded. After
//! a failed attempt, the batch and those after it are decided *pessimistically*, under row locks.
//! This ends when the lane has committed 32 batches. A batch whose COMMIT result is unknown is also
//! retried under row locks. The lane first looks for the entries of the earlier attempt, and
//! decides again only if they are not in the database.
//!
//! A panic is a failed assertion. If it happens while a command is decided, no credit moves, the
//! command at fault gets an error, and the other commands of the batch run without it. If an
//! earlier attempt of the batch may be committed, all commands get an error that says so. After a
//! panic anywhere else, all commands of the batch get an error. The lane then closes its
//! connection, removes all accounts from memory, and goes on with the next batch.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tollkeeper_ledger::{Submission, Timestamp};

use super::accounts::Accounts;
use super::columns::Columns;
use super::commit;
use super::prefetch::{self, PrefetchOutcome, PrefetchedBatch};
use super::state_machine::{DecidedBatch, StateMachine};
use super::write::UnknownCommit;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{DbSession, with_timeout};
use crate::postgres::ids::Ids;
use crate::postgres::platform::PlatformSnapshot;
use crate::postgres::shared::SharedState;
use crate::request_queue::{Job, Reply};
use crate::{CommandResult, Error};

/// The most jobs in one transaction. Jobs beyond that wait for the next one.
const BATCH_JOBS: usize = 4_096;

/// How many batches are decided pessimistically after a failed attempt. The usual failure is a
/// conflict: another server that works on the same workspaces will probably do so again, and each
/// optimistic decision that fails is wasted work.
const PESSIMISTIC_BATCHES: u32 = 32;

/// The pause before the first reconnection. Each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause between reconnections.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How often a lane lingers for new commands after it has answered a batch.
const LINGERS: usize = 3;

/// How long one linger lasts.
const LINGER: Duration = Duration::from_micros(20);

/// A job of a lane: commands to run, or to answer what is in the queue and end the lane.
pub(crate) type LaneJob = Job<Infallible>;

/// The state of one lane.
#[derive(Debug)]
pub(crate) struct Lane {
    shared: Arc<SharedState>,
    session: Option<DbSession>,
    accounts: Accounts,
    ids: Ids,
    /// How many more batches are decided pessimistically.
    pessimistic_batches: u32,
    /// How many of the lane's accounts the shared counter includes.
    counted_accounts: i64,
    /// True after a batch failed because the database could not be reached for
    /// [`SharedState::retry_for`]. Until the database is back, each batch tries once, so that
    /// requests do not queue up behind retries.
    unreachable: bool,
    /// True if the current batch may be committed: its writes were sent, and the database has not
    /// refused them.
    may_be_committed: bool,
}

/// The result of an attempt to decide and commit a batch, unless the database failed.
enum AttemptResult {
    /// The batch is committed; one answer for each command.
    Committed(Vec<CommandResult>),
    /// A command could not be decided, and nothing was written.
    Undecided(Undecided),
}

/// Why a batch could not be decided: a failed assertion, or a damaged entry.
struct Undecided {
    error: Error,
    /// The index of the command at fault, if it is a single one.
    command: Option<usize>,
}

/// A batch until it is answered.
struct Batch {
    /// The commands still to be run.
    commands: Vec<(Submission, Timestamp)>,
    /// For each of them, its index among the commands of the requests.
    positions: Vec<usize>,
    /// For each command of the requests, the error for which it was removed from the batch.
    errors: Vec<Option<Error>>,
    /// Earlier attempts whose COMMIT result is unknown.
    unknown_commits: Vec<UnknownCommit>,
}

impl Lane {
    pub(crate) fn new(shared: Arc<SharedState>) -> Result<Lane, Error> {
        Ok(Lane {
            shared,
            session: None,
            accounts: Accounts::default(),
            ids: Ids::new()?,
            pessimistic_batches: 0,
            counted_accounts: 0,
            unreachable: false,
            may_be_committed: false,
        })
    }

    /// Runs batches until a [`Job::Close`] arrives or all senders are dropped.
    pub(crate) async fn work(mut self, mut jobs: mpsc::Receiver<LaneJob>) {
        let mut taken = Vec::new();
        let mut closing = None;
        let mut answered = 0;
        loop {
            linger(&jobs, answered);
            if jobs.recv_many(&mut taken, BATCH_JOBS).await == 0 {
                break;
            }
            let mut commands = Vec::with_capacity(taken.len());
            let mut replies = Vec::with_capacity(taken.len());
            for job in taken.drain(..) {
                match job {
                    Job::Run(request) => replies.push(request.unpack(&mut commands)),
                    Job::Other(never) => match never {},
                    Job::Close(sender) => {
                        // Everything in the queue was accepted and is answered; nothing more is
                        // accepted.
                        jobs.close();
                        closing = Some(sender);
                    }
                }
            }
            answered = replies.len();
            self.run_and_reply(commands, replies).await;
        }
        drop(self);
        if let Some(closing) = closing {
            let _ = closing.send(Ok(()));
        }
    }

    /// Runs a batch and sends the answers.
    async fn run_and_reply(&mut self, commands: Vec<(Submission, Timestamp)>, replies: Vec<Reply>) {
        if commands.is_empty() {
            replies.into_iter().for_each(|reply| reply.send(&mut std::iter::empty()));
            return;
        }
        let count = commands.len();
        let results = self.run_or_recover(commands).await;
        self.shared.counters.commands.fetch_add(count as u64, Relaxed);
        let mut results = results.into_iter();
        replies.into_iter().for_each(|reply| reply.send_results(&mut results));
        assert!(results.next().is_none(), "every result has reached its caller");
        let limit = self.shared.accounts_per_lane;
        if catch_unwind(AssertUnwindSafe(|| self.accounts.evict_idle(limit))).is_err() {
            self.discard_all();
        }
        let in_memory = self.accounts.in_memory() as i64;
        self.shared.counters.accounts.fetch_add(in_memory - self.counted_accounts, Relaxed);
        self.counted_accounts = in_memory;
    }

    /// Like [`Lane::run`], but a panic fails the batch and not the lane. The message was printed by
    /// the panic itself.
    async fn run_or_recover(
        &mut self,
        commands: Vec<(Submission, Timestamp)>,
    ) -> Vec<Result<CommandResult, Error>> {
        let count = commands.len();
        let caught = {
            // Pinned in place, because the future is several kilobytes long.
            let run = pin!(async {
                let results = self.run(commands).await;
                assert_eq!(results.len(), count, "every command has one answer");
                results
            });
            AssertUnwindSafe(run).catch_unwind().await
        };
        caught.unwrap_or_else(|panic| {
            self.discard_all();
            vec![Err(self.batch_error(Error::panicked(&*panic))); count]
        })
    }

    /// The error that answers a batch. If the batch may be committed, it does not claim otherwise.
    fn batch_error(&self, error: Error) -> Error {
        if !self.may_be_committed || error.is_unavailable() {
            return error;
        }
        Error::unavailable(format!("it is not known whether the batch was committed: {error}"))
    }

    /// Removes all accounts from memory and closes the connection, which ends its transaction.
    fn discard_all(&mut self) {
        self.accounts = Accounts::default();
        self.session = None;
    }

    /// Runs commands until they are committed or no retry is left. Returns one result for each, in
    /// order.
    async fn run(&mut self, commands: Vec<(Submission, Timestamp)>) -> Vec<Result<CommandResult, Error>> {
        self.may_be_committed = false;
        let mut batch = Batch::new(commands);
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match self.attempt(&mut batch).await {
                Ok(AttemptResult::Committed(answers)) => {
                    self.unreachable = false;
                    self.pessimistic_batches = self.pessimistic_batches.saturating_sub(1);
                    self.shared.counters.writable.store(true, Relaxed);
                    return batch.into_results(answers);
                }
                Ok(AttemptResult::Undecided(Undecided { error, command })) => {
                    self.discard_memory().await;
                    let undecided = Undecided { error: self.batch_error(error), command };
                    // Each time a command is removed, so this repeats at most once for each
                    // command.
                    if !batch.remove(&undecided) {
                        return batch.into_errors(&undecided.error);
                    }
                    continue;
                }
                Err(failure) => failure,
            };
            self.pessimistic_batches = PESSIMISTIC_BATCHES;
            self.accounts.discard_touched();
            let is_conflict = matches!(failure, Failure::Conflict);
            let is_permanent = matches!(failure, Failure::Permanent(_));
            if is_conflict {
                self.refresh_platform().await;
            } else {
                self.disconnect_and_wait(&mut pause).await;
            }
            let out_of_time = begun.elapsed() >= self.shared.retry_for;
            if is_permanent || out_of_time || (self.unreachable && !is_conflict) {
                self.unreachable |= !is_permanent && !is_conflict;
                return batch.into_errors(&self.batch_error(failure.into_error()));
            }
        }
    }

    /// Decides a batch and commits it, once.
    async fn attempt(&mut self, batch: &mut Batch) -> Result<AttemptResult, Failure> {
        if self.session.as_ref().is_none_or(DbSession::is_closed) {
            self.session = Some(DbSession::open(&self.shared.address).await?);
        }
        let is_pessimistic = self.pessimistic_batches > 0;
        let platform = self.shared.platform.snapshot();
        let prefetched = match self.prefetch(batch, &platform, is_pessimistic).await? {
            PrefetchOutcome::Ready(prefetched) => *prefetched,
            PrefetchOutcome::Committed(attempt) => return self.end_committed(batch, attempt).await,
            PrefetchOutcome::PlatformOutdated => {
                self.roll_back().await?;
                return Err(Failure::Conflict);
            }
        };
        let decided = match self.decide(platform, prefetched, &batch.commands) {
            Ok(decided) => decided,
            Err(undecided) => return Ok(AttemptResult::Undecided(undecided)),
        };
        let DecidedBatch { answers, writes, platform } = decided;
        let touched = self.accounts.touched().to_vec();
        let columns = Columns::new(&writes, &self.accounts, &touched);
        let session = self.session.as_ref().expect("the session was opened above");
        self.may_be_committed |= !writes.entries.is_empty();
        if let Err(failure) = commit::commit(session, &columns, is_pessimistic).await {
            let is_unknown = matches!(failure, Failure::ResultUnknown(_)) && !writes.entries.is_empty();
            self.may_be_committed = is_unknown || !batch.unknown_commits.is_empty();
            if is_unknown {
                batch.unknown_commits.push(writes.unknown_commit(&self.accounts, answers));
            }
            return Err(failure);
        }
        self.accounts.mark_committed();
        self.shared.platform.publish(platform);
        self.shared.counters.add(writes.committed());
        Ok(AttemptResult::Committed(answers))
    }

    /// Loads what the batch needs, with or without locks.
    async fn prefetch(
        &mut self,
        batch: &Batch,
        platform: &PlatformSnapshot,
        is_pessimistic: bool,
    ) -> Result<PrefetchOutcome, Failure> {
        let session = self.session.as_ref().expect("an attempt opens the session first");
        let (accounts, commands) = (&mut self.accounts, &batch.commands);
        if is_pessimistic {
            return prefetch::pessimistic(session, accounts, commands, &batch.unknown_commits, platform)
                .await;
        }
        assert!(
            batch.unknown_commits.is_empty(),
            "a batch whose COMMIT result is unknown is retried under locks"
        );
        let prefetched = prefetch::optimistic(session, accounts, commands).await?;
        Ok(PrefetchOutcome::Ready(Box::new(prefetched)))
    }

    async fn roll_back(&self) -> Result<(), Failure> {
        match &self.session {
            Some(session) => with_timeout(session.batch_execute("ROLLBACK")).await?,
            None => Ok(()),
        }
    }

    /// Ends the transaction in which an earlier attempt was found to be committed, and returns its
    /// answers.
    ///
    /// The attempt may be on the primary's disk only: its COMMIT may have been waiting for a
    /// synchronous standby when the connection was lost. This transaction wrote no rows, but a row
    /// lock writes a WAL record. So its COMMIT waits for the standby. The standby confirms WAL
    /// positions in order, and those of the attempt are earlier. The lock is taken here, because
    /// an account that the attempt created may not have been there to be locked before.
    async fn end_committed(&mut self, batch: &mut Batch, attempt: usize) -> Result<AttemptResult, Failure> {
        let session = self.session.as_ref().expect("an attempt opens the session first");
        batch.unknown_commits[attempt].lock_account(session).await?;
        with_timeout(session.batch_execute("COMMIT")).await??;
        if session.is_commit_doubtful() {
            return Err(Failure::ResultUnknown(commit::commit_not_confirmed()));
        }
        // The accounts were read under locks and contain what the attempt wrote.
        self.accounts.mark_committed();
        Ok(AttemptResult::Committed(batch.unknown_commits.swap_remove(attempt).answers))
    }

    /// Decides a batch in memory. A panic is a failed assertion: no credit moves.
    fn decide(
        &mut self,
        platform: PlatformSnapshot,
        prefetched: PrefetchedBatch,
        commands: &[(Submission, Timestamp)],
    ) -> Result<DecidedBatch, Undecided> {
        let PrefetchedBatch { loaded, resolved } = prefetched;
        let refund_window_seconds = self.shared.refund_window_seconds;
        let (accounts, ids) = (&mut self.accounts, &mut self.ids);
        let machine = StateMachine::new(accounts, ids, platform, loaded, refund_window_seconds);
        let mut command = None;
        let decided =
            catch_unwind(AssertUnwindSafe(|| machine.decide_all(commands, &resolved, &mut command)));
        let error = match decided {
            Ok(Ok(decided)) => return Ok(decided),
            Ok(Err(error)) => error,
            Err(panic) => Error::panicked(&*panic),
        };
        Err(Undecided { error, command })
    }

    /// Removes the accounts of the batch from memory and ends its transaction, which is open only
    /// after a pessimistic prefetch. Without one, a ROLLBACK would cause a warning.
    async fn discard_memory(&mut self) {
        self.accounts.discard_touched();
        if self.pessimistic_batches > 0 && self.roll_back().await.is_err() {
            self.session = None;
        }
    }

    /// Closes the connection, which also ends its transaction, and waits before the next attempt.
    async fn disconnect_and_wait(&mut self, pause: &mut Duration) {
        self.session = None;
        self.shared.counters.writable.store(false, Relaxed);
        tokio::time::sleep(*pause).await;
        *pause = LONGEST_PAUSE.min(2 * *pause);
    }

    /// Reads the entries that other servers have added to the platform's journal, for the retry of
    /// the batch.
    async fn refresh_platform(&mut self) {
        if let Some(session) = &self.session
            && self.shared.platform.refresh(session).await.is_err()
        {
            self.session = None;
        }
    }
}

/// Waits briefly for the callers that were just answered. Most of them send the next command at
/// once, and then one commit serves them together with those that waited. The wait is much shorter
/// than a commit.
fn linger(jobs: &mpsc::Receiver<LaneJob>, answered: usize) {
    for _ in 0..LINGERS {
        if jobs.is_empty() || jobs.len() >= answered {
            return;
        }
        std::thread::sleep(LINGER);
    }
}

impl Batch {
    fn new(commands: Vec<(Submission, Timestamp)>) -> Batch {
        let positions = (0..commands.len()).collect();
        let errors = vec![None; commands.len()];
        Batch { commands, positions, errors, unknown_commits: Vec::new() }
    }

    /// Removes the command at fault, so that the others can be run. Returns `false` if the batch
    /// cannot go on, because no single command is at fault, none is left, or the batch may already
    /// be committed.
    fn remove(&mut self, undecided: &Undecided) -> bool {
        let Some(command) = undecided.command else { return false };
        assert!(command < self.commands.len(), "the command at fault is one of the batch");
        self.commands.remove(command);
        let position = self.positions.remove(command);
        assert!(self.errors[position].is_none(), "a command is removed once");
        self.errors[position] = Some(undecided.error.clone());
        // The answers of an earlier attempt would no longer match the commands.
        !self.commands.is_empty() && self.unknown_commits.is_empty()
    }

    /// One result for each command of the requests, from the answers to the commands that were run.
    fn into_results(self, answers: Vec<CommandResult>) -> Vec<Result<CommandResult, Error>> {
        assert_eq!(answers.len(), self.commands.len(), "every command that was run has one answer");
        let mut answers = answers.into_iter();
        let results = self.errors.into_iter().map(|removed| match removed {
            Some(error) => Err(error),
            None => answers.next().ok_or_else(Error::engine_closed),
        });
        results.collect()
    }

    /// One error for each command of the requests: its own, or the one for which the batch failed.
    fn into_errors(self, error: &Error) -> Vec<Result<CommandResult, Error>> {
        self.errors.into_iter().map(|removed| Err(removed.unwrap_or_else(|| error.clone()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{Actor, Command, WorkspaceId};

    use super::*;
    use crate::postgres::counters::Counters;
    use crate::postgres::database::blocking::single_thread_runtime;
    use crate::postgres::database::config;
    use crate::postgres::platform::PlatformCell;
    use crate::request_queue::RequestQueue;

    /// A lane whose database refuses connections.
    fn lane_without_database() -> Lane {
        let shared = SharedState {
            address: config::parse("postgres://127.0.0.1:1/none").expect("the address is well-formed"),
            platform: PlatformCell::default(),
            counters: Counters::default(),
            refund_window_seconds: 0,
            retry_for: Duration::ZERO,
            accounts_per_lane: 1,
        };
        Lane::new(Arc::new(shared)).expect("the operating system gives random bytes")
    }

    fn submission() -> Submission {
        let workspace = WorkspaceId::new("acme").expect("the id is valid");
        let command = Command::SetLimits(Vec::new());
        Submission { workspace, key: None, actor: Actor::System, command }
    }

    #[test]
    fn a_panic_outside_deciding_fails_the_batch_and_not_the_lane() {
        let mut lane = lane_without_database();
        lane.accounts.touch_missing_slot();
        let (queue, jobs) = RequestQueue::new(4);
        let calls = async {
            let now = Timestamp::from_millis(0);
            let panicked = queue.run(submission(), now).await.expect_err("the batch panics");
            assert!(panicked.is_bug(), "nothing was sent: {panicked}");
            let next = queue.run(submission(), now).await.expect_err("there is no database");
            assert!(next.is_unavailable() && next.to_string().contains("database"), "{next}");
            queue.close().await.expect("the lane still answers");
        };
        let runtime = single_thread_runtime().expect("a runtime starts");
        runtime.block_on(async { tokio::join!(lane.work(jobs), calls) });
    }

    #[test]
    fn the_error_of_a_batch_that_may_be_committed_does_not_say_that_it_was_not() {
        let mut lane = lane_without_database();
        assert!(lane.batch_error(Error::panicked(&"an assertion failed")).is_bug());
        lane.may_be_committed = true;
        let error = lane.batch_error(Error::panicked(&"an assertion failed"));
        assert!(error.is_unavailable() && !error.is_bug(), "the caller may retry: {error}");
        assert!(error.to_string().contains("it is not known whether"), "{error}");
    }
}
