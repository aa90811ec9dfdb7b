//! A lane: one bounded queue, one connection, one set of accounts in memory, one batch at a time. All commands of a
//! workspace that reach this server go through the same lane, so their order holds and nothing is locked in the process.
//!
//! A lane has a thread of its own, so that what it decides holds up nobody's requests. A batch is whatever waits; there is
//! no artificial delay.
//!
//! Deciding is optimistic first: on the accounts in memory, every key taken to be new, one round trip. When somebody else
//! was faster, or a key stands already, the batch is decided again carefully, under locks. So is a batch whose end was not
//! heard: its first attempt is looked for before anything is decided anew.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tollkeeper_ledger::{Submission, Timestamp};

use super::accounts::Accounts;
use super::prefetch::{self, Scene};
use super::state_machine::Mind;
use super::write::{self, Attempt, Rows};
use crate::postgres::counters::Counted;
use crate::postgres::database::config::Address;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{Session, within};
use crate::postgres::ids::Ids;
use crate::postgres::platform::{Known, Shared};
use crate::reply::Reply;
use crate::{CommandResult, Error};

/// The most commands in one transaction: what waits longer goes into the next.
const BATCH_COMMANDS: usize = 4_096;

/// Batches that are decided carefully after one that met another server or a repeated key: where that happened once it
/// will happen again, and each time the first decision is for nothing.
const CAREFUL_BATCHES: u32 = 32;

/// The pause before the first attempt to connect again; each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How often a lane looks whether those it has answered ask again, and how long it sleeps in between.
const LINGERS: usize = 3;
/// See [`LINGERS`].
const LINGER: Duration = Duration::from_micros(20);

/// What can be asked of a lane.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every job is a single command, and a box for each is an allocation"
)]
#[derive(Debug)]
pub(crate) enum Job {
    One(Submission, Timestamp, oneshot::Sender<Result<CommandResult, Error>>),
    Batch(Vec<Submission>, Timestamp, oneshot::Sender<Result<Vec<CommandResult>, Error>>),
    Close(oneshot::Sender<Result<(), Error>>),
}

/// What all lanes of a server have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub address: Address,
    pub platform: Shared,
    pub counted: Counted,
    pub refund_window_seconds: i64,
    pub patience: Duration,
    pub accounts_in_memory: usize,
}

/// A lane's own.
#[derive(Debug)]
pub(crate) struct Lane {
    common: Arc<Common>,
    session: Option<Session>,
    accounts: Accounts,
    ids: Ids,
    /// How many more batches are to be decided carefully.
    careful: u32,
    /// How many accounts in memory it has told of.
    counted: i64,
    /// Whether patience with the database has ended. Until it is back, batches ask it once: nobody is kept waiting behind
    /// others for an answer that is known.
    away: bool,
}

/// What became of one attempt.
enum Outcome {
    Answers(Vec<CommandResult>),
    /// An invariant did not hold; the command at fault if one is.
    Bug(Error, Option<usize>),
    Failed(Failure),
}

/// A batch until it is answered.
struct Batch {
    commands: Vec<(Submission, Timestamp)>,
    /// Where each of them stands among those that came.
    places: Vec<usize>,
    /// What those were told that have left the batch.
    errors: Vec<Option<Error>>,
    /// Those whose end was not heard, with their answers.
    attempts: Vec<Attempt>,
    answers: Vec<Vec<CommandResult>>,
}

impl Lane {
    pub(crate) fn new(common: Arc<Common>) -> Result<Lane, Error> {
        Ok(Lane {
            common,
            session: None,
            accounts: Accounts::default(),
            ids: Ids::new()?,
            careful: 0,
            counted: 0,
            away: false,
        })
    }

    /// Runs until it is told to close or nobody can ask any more.
    pub(crate) async fn work(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut taken = Vec::new();
        let mut closing = None;
        let mut answered = 0;
        loop {
            linger(&jobs, answered);
            if jobs.recv_many(&mut taken, BATCH_COMMANDS).await == 0 {
                break;
            }
            let (mut commands, mut waiting) =
                (Vec::with_capacity(taken.len()), Vec::with_capacity(taken.len()));
            for job in taken.drain(..) {
                match job {
                    Job::One(submission, now, answer) => {
                        commands.push((submission, now));
                        waiting.push(Reply::One(answer));
                    }
                    Job::Batch(submissions, now, answer) => {
                        waiting.push(Reply::Batch(submissions.len(), answer));
                        commands.extend(submissions.into_iter().map(|submission| (submission, now)));
                    }
                    Job::Close(answer) => {
                        // What is in the queue was accepted and is answered; nothing more is accepted.
                        jobs.close();
                        closing = Some(answer);
                    }
                }
            }
            answered = waiting.len();
            self.batch(commands, waiting).await;
        }
        drop(self);
        if let Some(closing) = closing {
            let _ = closing.send(Ok(()));
        }
    }

    async fn batch(&mut self, commands: Vec<(Submission, Timestamp)>, waiting: Vec<Reply>) {
        if commands.is_empty() {
            waiting.into_iter().for_each(|waiting| waiting.answer(&mut std::iter::empty()));
            return;
        }
        let count = commands.len();
        let answers = self.run(commands).await;
        self.common.counted.commands.fetch_add(count as u64, Relaxed);
        let mut answers = answers.into_iter();
        for waiting in waiting {
            let own: Result<Vec<CommandResult>, Error> = answers.by_ref().take(waiting.commands()).collect();
            match own {
                Ok(answers) => waiting.answer(&mut answers.into_iter()),
                Err(error) => waiting.fail(error),
            }
        }
        self.accounts.let_go(self.common.accounts_in_memory);
        let in_memory = self.accounts.in_memory() as i64;
        self.common.counted.accounts.fetch_add(in_memory - self.counted, Relaxed);
        self.counted = in_memory;
    }

    /// Runs commands until they are answered or patience ends; one answer each, in order.
    async fn run(&mut self, commands: Vec<(Submission, Timestamp)>) -> Vec<Result<CommandResult, Error>> {
        let mut batch = Batch::new(commands);
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match self.attempt(&mut batch).await {
                Outcome::Answers(answers) => {
                    self.away = false;
                    self.careful = self.careful.saturating_sub(1);
                    self.common.counted.writable.store(true, Relaxed);
                    return batch.told(Ok(answers));
                }
                Outcome::Bug(error, culprit) => {
                    self.forget().await;
                    if !batch.dismiss(error.clone(), culprit) {
                        return batch.told(Err(error));
                    }
                    continue;
                }
                Outcome::Failed(failure) => failure,
            };
            self.careful = CAREFUL_BATCHES;
            self.accounts.forget_touched();
            let conflict = matches!(failure, Failure::Conflict);
            if conflict {
                self.refresh_platform().await;
            } else {
                // Whatever transaction was under way ends with its connection.
                self.session = None;
                self.common.counted.writable.store(false, Relaxed);
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(2 * pause);
            }
            let hopeless = matches!(failure, Failure::Never(_));
            if hopeless || begun.elapsed() >= self.common.patience || (self.away && !conflict) {
                self.away |= !hopeless && !conflict;
                return batch.told(Err(failure.into_error()));
            }
        }
    }

    /// Decides and writes a batch once.
    async fn attempt(&mut self, batch: &mut Batch) -> Outcome {
        match self.try_attempt(batch).await {
            Ok(outcome) => outcome,
            Err(failure) => Outcome::Failed(failure),
        }
    }

    async fn try_attempt(&mut self, batch: &mut Batch) -> Result<Outcome, Failure> {
        let careful = self.careful > 0;
        let common = Arc::clone(&self.common);
        if self.session.as_ref().is_none_or(Session::is_closed) {
            self.session = Some(Session::open(&common.address).await?);
        }
        let session = self.session.as_ref().expect("just connected");
        let known = common.platform.known();
        let (accounts, commands) = (&mut self.accounts, &batch.commands);
        let scene = if careful {
            let (scene, current) =
                prefetch::careful(session, accounts, commands, &batch.attempts, &known).await?;
            if !current {
                within(session.say("ROLLBACK")).await??;
                return Err(Failure::Conflict);
            }
            scene
        } else {
            prefetch::optimistic(session, accounts, commands).await?
        };
        if let Some(place) = scene.committed {
            within(session.say("COMMIT")).await??;
            if session.was_warned() {
                return Err(Failure::Lost(Error::unavailable("the database does not vouch for the commit")));
            }
            // What was read under the locks is what the attempt has written.
            self.accounts.settle();
            return Ok(Outcome::Answers(batch.answers.swap_remove(place)));
        }
        let decided = decide(
            (&mut self.accounts, &mut self.ids),
            known,
            common.refund_window_seconds,
            scene,
            &batch.commands,
        );
        let (answers, rows, known) = match decided {
            Ok(decided) => decided,
            Err(bug) => return Ok(bug),
        };
        match write::send(session, &rows, &mut self.accounts, careful).await {
            Ok(()) => {}
            Err(failure) => {
                if matches!(failure, Failure::Lost(_)) && !rows.entries.is_empty() {
                    batch.attempts.push(rows.attempt(&self.accounts));
                    batch.answers.push(answers);
                }
                return Err(failure);
            }
        }
        self.accounts.settle();
        common.platform.publish(known);
        common.counted.committed(&rows);
        Ok(Outcome::Answers(answers))
    }

    /// Forgets the accounts of the batch under way and ends its transaction if it has one.
    async fn forget(&mut self) {
        self.accounts.forget_touched();
        if let Some(session) = &self.session
            && !matches!(within(session.say("ROLLBACK")).await, Ok(Ok(())))
        {
            self.session = None;
        }
    }

    /// Reads what others have added to the platform's chain; the batch that is tried again needs it.
    async fn refresh_platform(&mut self) {
        if let Some(session) = &self.session
            && self.common.platform.refresh(session).await.is_err()
        {
            self.session = None;
        }
    }
}

/// Gives those who were just answered a moment to ask again: most do at once, and are then in the next batch together with
/// those who waited, so that one commit serves them all. Nobody waits longer for it than a commit takes.
fn linger(jobs: &mpsc::Receiver<Job>, answered: usize) {
    for _ in 0..LINGERS {
        if jobs.is_empty() || jobs.len() >= answered {
            return;
        }
        std::thread::sleep(LINGER);
    }
}

/// Decides a batch in memory. A panic is an invariant that did not hold: no credit moves, and whoever is at fault is told.
fn decide(
    (accounts, ids): (&mut Accounts, &mut Ids),
    known: Known,
    refund_window_seconds: i64,
    scene: Scene,
    batch: &[(Submission, Timestamp)],
) -> Result<(Vec<CommandResult>, Rows, Known), Outcome> {
    let Scene { loaded, resolved, committed: _ } = scene;
    let mut mind = Mind::new((accounts, ids), known, refund_window_seconds, loaded);
    let mut at = None;
    let decided = catch_unwind(AssertUnwindSafe(|| mind.decide_all(batch, &resolved, &mut at)));
    match decided {
        Ok(Ok(answers)) => Ok((answers, mind.rows, mind.known)),
        Ok(Err(error)) => Err(Outcome::Bug(error, at)),
        Err(panic) => {
            let what = panic.downcast_ref::<String>().cloned();
            let what = what.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let what = what.unwrap_or_else(|| "an invariant did not hold".to_owned());
            Err(Outcome::Bug(Error::bug(what), at))
        }
    }
}

impl Batch {
    fn new(commands: Vec<(Submission, Timestamp)>) -> Batch {
        let places = (0..commands.len()).collect();
        let errors = vec![None; commands.len()];
        Batch { commands, places, errors, attempts: Vec::new(), answers: Vec::new() }
    }

    /// Takes the command at fault out, so that the others can be run; `false` if there is none or nobody is left.
    fn dismiss(&mut self, error: Error, culprit: Option<usize>) -> bool {
        let Some(culprit) = culprit else { return false };
        self.commands.remove(culprit);
        self.errors[self.places.remove(culprit)] = Some(error);
        // Answers of earlier attempts are no longer one a command.
        !self.commands.is_empty() && self.attempts.is_empty()
    }

    /// One answer for each command that came.
    fn told(self, answers: Result<Vec<CommandResult>, Error>) -> Vec<Result<CommandResult, Error>> {
        let (answers, error) = match answers {
            Ok(answers) => (answers, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let mut answers = answers.into_iter();
        let error = error.unwrap_or_else(crate::reply::engine_closed);
        let told = self.errors.into_iter().map(|left| match left {
            Some(error) => Err(error),
            None => answers.next().ok_or_else(|| error.clone()),
        });
        told.collect()
    }
}
