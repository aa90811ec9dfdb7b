//! A lane: a bounded queue, a thread, a connection, the accounts in memory, and one batch at a
//! time.
//!
//! All commands of a workspace that reach this server go through the same lane. That keeps their
//! order, and the process needs no locks. The lane has its own thread, so deciding delays no
//! request of the server. A batch is what waits in the queue, up to a number of commands that the
//! database carries out quickly. If it takes too long all the same, it is run in halves. The lane
//! lingers for up to three sleeps of 20 µs to let more commands join it.
//!
//! On a database that Citus distributes, each shard has a lane. What a lane takes is divided by
//! shard, so that one node commits a batch.
//!
//! A batch is decided *optimistically* unless a recent attempt failed: on the accounts in memory,
//! taking every idempotency key as new. That takes one round trip if nothing must be loaded. After
//! a failed attempt, the batch and those after it are decided *pessimistically*, under row locks.
//! This ends when the lane has committed 32 batches. A batch whose COMMIT result is unknown is also
//! retried under row locks. The lane first looks for the entries of the earlier attempt, and
//! decides again only if they are not in the database.
//!
//! Damage of one workspace is no conflict: its commands are set aside or refused, and the batch
//! goes on without them.
//!
//! If another session holds the row of an account for longer than a second, the commands of that
//! workspace are set aside and tried apart, and the others run without them.
//!
//! A panic is a failed assertion. If it happens while a command is decided, no credit moves, the
//! command at fault gets an error, and the other commands of the batch run without it. If an
//! earlier attempt of the batch may be committed, all commands get an error that says so. After a
//! panic anywhere else, all commands of the batch get an error. The lane then closes its
//! connection, removes all accounts from memory, and goes on with the next batch.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tollkeeper_ledger::{Submission, Timestamp, WorkspaceId};

use super::accounts::Accounts;
use super::columns::Columns;
use super::commit;
use super::open_batch::{OpenBatch, Outcome};
use super::prefetch::{self, PrefetchOutcome, PrefetchedBatch};
use super::queue::{LaneQueue, Waiting};
use super::state_machine::{DecidedBatch, StateMachine};
use crate::postgres::database::failure::Failure;
use crate::postgres::database::schema::Admission;
use crate::postgres::database::session::{DbSession, with_timeout};
use crate::postgres::database::shards::Shards;
use crate::postgres::ids::Ids;
use crate::postgres::platform::PlatformSnapshot;
use crate::postgres::repairs;
use crate::postgres::shared::SharedState;
use crate::{CommandResult, Error};

/// The most commands in one transaction. Commands beyond that wait for the next one.
const BATCH_MAX: usize = 4_096;

/// The least number of commands to which slow transactions are shortened.
const BATCH_MIN: usize = 64;

/// A full batch that takes longer shortens the next ones: everybody in the queue waits for it.
const SLOW: Duration = Duration::from_millis(100);

/// A full batch that takes less lengthens the next ones.
const QUICK: Duration = Duration::from_millis(50);

/// How long after its begin a batch may still be run in halves, because the database cancelled it.
const HALVE_FOR: Duration = Duration::from_secs(60);

/// How long commands stay aside until their account is tried again.
const ASIDE: Duration = Duration::from_millis(50);

/// How many batches are decided pessimistically after a failed attempt. The usual failure is a
/// conflict: another server that works on the same workspaces will probably do so again, and each
/// optimistic decision that fails is wasted work.
const PESSIMISTIC_BATCHES: u32 = 32;

/// How many conflicts a batch may have at least, however long they took: after the first, it is
/// decided under locks.
const CONFLICTS_MIN: u32 = 3;

/// The pause before the first reconnection. Each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause between reconnections.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How often a lane lingers for new commands after it has answered a batch.
const LINGERS: usize = 3;

/// How long one linger lasts.
const LINGER: Duration = Duration::from_micros(20);

/// The state of one lane.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(super) shared: Arc<SharedState>,
    pub(super) session: Option<DbSession>,
    /// The shards as the session, or the last one, has read them. A batch is of one.
    shards: Shards,
    pub(super) accounts: Accounts,
    ids: Ids,
    /// The most accounts that stay in memory between batches.
    accounts_most: usize,
    /// The most commands of the next batch.
    batch_most: usize,
    /// Workspaces whose accounts were locked by another session when they were last tried.
    pub(super) locked: BTreeSet<WorkspaceId>,
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

/// The commands of a batch that takes the database too long.
struct TooLong(Vec<(Submission, Timestamp)>);

/// Tells the callers of a lane that it has ended, however it ends.
struct EndOnDrop(Arc<LaneQueue>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Lane {
    /// A lane that keeps up to `accounts_most` accounts in memory.
    pub(crate) fn new(shared: Arc<SharedState>, accounts_most: usize, shards: Shards) -> Result<Lane, Error> {
        Ok(Lane {
            shared,
            session: None,
            shards,
            accounts: Accounts::default(),
            ids: Ids::new()?,
            accounts_most,
            batch_most: BATCH_MAX,
            locked: BTreeSet::new(),
            pessimistic_batches: 0,
            counted_accounts: 0,
            unreachable: false,
            may_be_committed: false,
        })
    }

    /// Runs batches until the queue is closed and everything in it is answered.
    pub(crate) async fn work(mut self, queue: Arc<LaneQueue>) {
        let ending = EndOnDrop(Arc::clone(&queue));
        let mut batch = Vec::new();
        let mut answered = 0;
        loop {
            linger(&queue, answered);
            if !queue.take(self.batch_most, &mut batch).await {
                break;
            }
            answered = batch.len();
            let taken = std::mem::take(&mut batch);
            let parts = self.shards.divide(taken, |waiting| waiting.submission.workspace.as_str());
            for part in parts {
                let aside = self.run_and_answer(part).await;
                if !aside.is_empty() {
                    queue.park(aside, Instant::now() + ASIDE);
                }
            }
        }
        drop(self);
        drop(ending);
    }

    /// Runs a batch and sends the answers. Returns the commands that were set aside.
    async fn run_and_answer(&mut self, batch: Vec<Waiting>) -> Vec<Waiting> {
        let begun = Instant::now();
        let count = batch.len();
        let (mut commands, mut replies) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for Waiting { submission, now, reply, aside_since } in batch {
            commands.push((submission, now));
            replies.push((reply, aside_since));
        }
        let outcomes = self.run_or_recover(commands).await;
        self.choose_batch_size(count, begun.elapsed());
        let ran = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Ran(_))).count();
        self.shared.counters.commands.fetch_add(ran as u64, Relaxed);
        let mut aside = Vec::new();
        for ((reply, aside_since), outcome) in replies.into_iter().zip(outcomes) {
            let aside_since = aside_since.unwrap_or(begun);
            match outcome {
                Outcome::Ran(ran) => reply.send(&mut std::iter::once(ran)),
                Outcome::SetAside(command) if aside_since.elapsed() >= self.shared.retry_for => {
                    reply.fail(&self.why_aside(&command.0.workspace));
                }
                Outcome::SetAside(command) => {
                    let (submission, now) = *command;
                    aside.push(Waiting { submission, now, reply, aside_since: Some(aside_since) });
                }
            }
        }
        let limit = self.accounts_most;
        if catch_unwind(AssertUnwindSafe(|| self.accounts.evict_idle(limit))).is_err() {
            self.discard_all();
        }
        let in_memory = self.accounts.in_memory() as i64;
        self.shared.counters.accounts.fetch_add(in_memory - self.counted_accounts, Relaxed);
        self.counted_accounts = in_memory;
        aside
    }

    /// Adapts the size of the next batch to the time that a full one took.
    fn choose_batch_size(&mut self, commands: usize, took: Duration) {
        if commands < self.batch_most {
            return;
        }
        if took > SLOW {
            self.batch_most = BATCH_MIN.max(self.batch_most / 2);
        } else if took < QUICK {
            self.batch_most = BATCH_MAX.min(self.batch_most * 2);
        }
    }

    /// Like [`Lane::run`], but a panic fails the batch and not the lane. The message was printed by
    /// the panic itself.
    async fn run_or_recover(&mut self, commands: Vec<(Submission, Timestamp)>) -> Vec<Outcome> {
        let count = commands.len();
        let caught = {
            // Pinned in place, because the future is several kilobytes long.
            let run = pin!(async {
                let outcomes = self.run(commands).await;
                assert_eq!(outcomes.len(), count, "every command has one outcome");
                outcomes
            });
            AssertUnwindSafe(run).catch_unwind().await
        };
        caught.unwrap_or_else(|panic| {
            self.discard_all();
            let error = self.batch_error(Error::panicked(&*panic));
            (0..count).map(|_| Outcome::Ran(Err(error.clone()))).collect()
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

    /// Runs commands until they are committed or no retry is left. Returns one outcome for each, in
    /// order. A batch that takes the database too long is run in halves.
    async fn run(&mut self, commands: Vec<(Submission, Timestamp)>) -> Vec<Outcome> {
        let begun = Instant::now();
        let mut outcomes = Vec::with_capacity(commands.len());
        let mut parts = VecDeque::from([commands]);
        let mut aside: Vec<WorkspaceId> = Vec::new();
        while let Some(part) = parts.pop_front() {
            let may_halve = begun.elapsed() < HALVE_FOR;
            let mut batch = OpenBatch::new(part, !outcomes.is_empty());
            // The commands of a workspace keep their order, also when its account is free again.
            batch.set_aside(&aside);
            match self.run_part(batch, may_halve).await {
                Ok(ran) => {
                    aside.extend(ran.iter().filter_map(Outcome::set_aside).cloned());
                    aside.sort_unstable();
                    aside.dedup();
                    outcomes.extend(ran);
                }
                Err(TooLong(mut first)) => {
                    let second = first.split_off(first.len() / 2);
                    self.batch_most = BATCH_MIN.max(first.len());
                    parts.push_front(second);
                    parts.push_front(first);
                }
            }
        }
        outcomes
    }

    async fn run_part(&mut self, mut batch: OpenBatch, may_halve: bool) -> Result<Vec<Outcome>, TooLong> {
        self.may_be_committed = batch.follows_commit;
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut conflicts = 0;
        loop {
            self.refuse_damaged(&mut batch);
            if batch.commands.is_empty() {
                return Ok(batch.into_outcomes(Vec::new()));
            }
            let failure = match self.attempt(&mut batch).await {
                Ok(AttemptResult::Committed(answers)) => {
                    self.unreachable = false;
                    self.pessimistic_batches = self.pessimistic_batches.saturating_sub(1);
                    self.shared.counters.writable.store(true, Relaxed);
                    return Ok(batch.into_outcomes(answers));
                }
                Ok(AttemptResult::Undecided(Undecided { error, command })) => {
                    self.discard_memory().await;
                    let error = if error.is_damaged() { repairs::refusal(&error) } else { error };
                    let error = self.batch_error(error);
                    // Each time a command is removed, so this repeats at most once for each
                    // command.
                    match command.filter(|_| batch.can_shrink()) {
                        Some(command) => batch.remove(command, error),
                        None => return Ok(batch.into_errors(&error)),
                    }
                    continue;
                }
                Err(failure) => failure,
            };
            self.accounts.discard_touched();
            if let Failure::Damaged(damaged) = &failure
                && batch.can_shrink()
            {
                // A prefetch under locks leaves its transaction open.
                self.session = None;
                self.set_aside_damaged(&mut batch, damaged);
                continue;
            }
            self.pessimistic_batches = PESSIMISTIC_BATCHES;
            if may_halve && matches!(failure, Failure::TimedOut(_)) {
                self.session = None;
                match batch.into_commands() {
                    Ok(commands) => return Err(TooLong(commands)),
                    Err(unchanged) => batch = unchanged,
                }
            }
            if matches!(failure, Failure::Locked(_)) && self.set_aside_locked(&mut batch).await {
                continue;
            }
            let is_conflict = matches!(failure, Failure::Conflict);
            let is_permanent = matches!(failure, Failure::Permanent(_) | Failure::Damaged(_));
            if is_conflict {
                conflicts += 1;
                if let Err(outdated) = self.refresh_platform().await {
                    return Ok(batch.into_errors(&outdated));
                }
            } else {
                self.disconnect_and_wait(&mut pause).await;
            }
            let out_of_time =
                begun.elapsed() >= self.shared.retry_for && (!is_conflict || conflicts >= CONFLICTS_MIN);
            if is_permanent || out_of_time || (self.unreachable && !is_conflict) {
                self.unreachable |= !is_permanent && !is_conflict;
                return Ok(batch.into_errors(&self.batch_error(failure.into_error())));
            }
        }
    }

    pub(super) async fn open_session(&mut self) -> Result<&DbSession, Failure> {
        if self.session.as_ref().is_none_or(DbSession::is_closed) {
            let session = DbSession::open(&self.shared.address).await?;
            self.shards.clone_from(session.shards());
            self.session = Some(session);
        }
        Ok(self.session.as_ref().expect("the session was opened above"))
    }

    /// Decides a batch and commits it, once.
    async fn attempt(&mut self, batch: &mut OpenBatch) -> Result<AttemptResult, Failure> {
        self.open_session().await?;
        if self.is_of_several_shards(batch) {
            // It is run in halves.
            return Err(Failure::TimedOut(Error::unavailable("the tables were divided anew meanwhile")));
        }
        self.set_aside_still_locked(batch).await?;
        self.refuse_early_recounts(batch);
        if batch.commands.is_empty() {
            return Ok(AttemptResult::Committed(Vec::new()));
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
            self.may_be_committed = is_unknown || !batch.can_shrink() || batch.follows_commit;
            if is_unknown {
                batch.unknown_commits.push(writes.unknown_commit(&self.accounts, answers));
            }
            return Err(failure);
        }
        writes.wake(&self.accounts, &self.shared);
        self.accounts.mark_committed();
        self.shared.platform.publish(platform);
        self.shared.counters.add(writes.committed());
        Ok(AttemptResult::Committed(answers))
    }

    /// True if the shards have changed since the batch was taken from the queue, and it is not of
    /// one shard any more.
    fn is_of_several_shards(&self, batch: &OpenBatch) -> bool {
        if self.shards.count() < 2 {
            return false;
        }
        let shard = |(submission, _): &(Submission, Timestamp)| self.shards.of(submission.workspace.as_str());
        let mut shards = batch.commands.iter().map(shard);
        let first = shards.next();
        shards.any(|shard| Some(shard) != first)
    }

    /// Loads what the batch needs, with or without locks.
    async fn prefetch(
        &mut self,
        batch: &OpenBatch,
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
    async fn end_committed(
        &mut self,
        batch: &mut OpenBatch,
        attempt: usize,
    ) -> Result<AttemptResult, Failure> {
        let session = self.session.as_ref().expect("an attempt opens the session first");
        batch.unknown_commits[attempt].lock_account(session).await?;
        session.forget_warnings();
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
        let (accounts, ids) = (&mut self.accounts, &mut self.ids);
        let machine = StateMachine::new(accounts, ids, platform, loaded);
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
    ///
    /// # Errors
    /// If this server is too old for the tables, so that no retry can succeed.
    async fn refresh_platform(&mut self) -> Result<(), Error> {
        let Some(session) = &self.session else { return Ok(()) };
        let refreshed = async {
            self.shared.platform.refresh(session).await?;
            Admission::ask(session).await
        };
        match refreshed.await {
            Ok(admission) => {
                self.shared.counters.writable.store(admission.may_write(), Relaxed);
                admission.refuse_outdated()
            }
            Err(_) => {
                self.session = None;
                Ok(())
            }
        }
    }
}

/// Waits briefly for the callers that were just answered. Most of them send the next command at
/// once, and then one commit serves them together with those that waited. The wait is much shorter
/// than a commit.
fn linger(queue: &LaneQueue, answered: usize) {
    for _ in 0..LINGERS {
        let waiting = queue.queued();
        if waiting == 0 || waiting >= answered {
            return;
        }
        std::thread::sleep(LINGER);
    }
}

#[cfg(test)]
mod tests;
