//! The contract every engine keeps: run a command durably, and read what is kept.
//!
//! One test suite holds all engines to it. Commands go through [`Engine::run`] and [`Engine::run_batch`]; an answer
//! means the change is on disk. Reads show what is committed, never what is about to be. `now` comes from the caller:
//! no engine looks at a clock.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tollkeeper_ledger::{
    Balance, Charge, ChargeId, Entry, Grant, GrantId, Hash, Limit, MemberId, Micros, OperationId, Platform,
    PriceVersion, Profile, Refund, Refusal, Status, Submission, TeamChange, Timestamp, WorkerId, WorkspaceId,
};

use crate::{Error, Query, QueryResult};

/// A future that an engine hands out.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What became of a command that the engine could run: the ledger's yes or no.
pub type CommandResult = Result<Answer, Refusal>;

/// The ledger's "yes", on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether this is the first answer again, to a request that was repeated under its key.
    pub replayed: bool,
    /// What was answered.
    pub output: Output,
}

/// What a command answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A workspace as it is now described.
    Workspace(Box<Profile>),
    /// A charge, and the balance after the entry that answered (for an unchanged charge: the present one).
    Charge(Charge, Balance),
    /// A grant as it was when it was answered, and the balance after it.
    Grant(Box<GrantRecord>, Balance),
    /// A version of the price book.
    Prices(PriceVersion),
    /// Spending limits with what was used of them.
    Limits(Vec<Limit>),
    /// What changed of the team.
    Team(Box<TeamChange>),
    /// Alerts, platform keys, claw-backs: nothing to tell beyond "done".
    Done,
}

/// A grant with what was said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRecord {
    /// The lot and what remains of it.
    pub grant: Grant,
    /// Why, for people.
    pub reason: Option<Box<str>>,
    /// The payment, or the subscription and its period.
    pub origin: Option<Box<str>>,
    /// What was paid for it, in cents.
    pub paid_cents: i64,
    /// When it came.
    pub created_at: Timestamp,
}

/// A charge with all that happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRecord {
    /// The charge.
    pub charge: Charge,
    /// From which grants it drew at birth.
    pub draws: Vec<(GrantId, Micros)>,
    /// What went back, oldest first.
    pub refunds: Vec<RefundRecord>,
    /// The present balance of its workspace.
    pub balance: Balance,
}

/// One refund of a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRecord {
    /// When.
    pub at: Timestamp,
    /// What and why.
    pub refund: Refund,
}

/// A balance and the instant it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceAt {
    /// What the workspace has, or had.
    pub balance: Balance,
    /// The time of the last entry that it includes.
    pub last_entry_at: Timestamp,
}

/// An entry and its place in the hash chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRecord {
    /// The line of the journal.
    pub entry: Entry,
    /// Its hash, which the next entry carries.
    pub hash: Hash,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// At most so many rows.
    pub limit: usize,
    /// Where the page before ended, as [`Listing::next`] said; from the newest when `None`.
    pub cursor: Option<String>,
}

/// A page of a list, newest first. It may hold fewer rows than asked while `next` still says where to go on: a filter
/// that finds little looks through a bounded number of entries at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// Which charges are wanted; all conditions hold at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChargeFilter {
    /// Only this operation.
    pub operation: Option<OperationId>,
    /// Only this worker.
    pub worker: Option<WorkerId>,
    /// Only this member.
    pub member: Option<MemberId>,
    /// Only in this state now.
    pub status: Option<Status>,
    /// Only with this reference.
    pub reference: Option<Box<str>>,
    /// Opened at or after.
    pub from: Option<Timestamp>,
    /// Opened before.
    pub to: Option<Timestamp>,
}

impl ChargeFilter {
    /// Whether a charge as it was born is wanted; what has become of it is not looked at.
    pub(crate) fn admits(&self, charge: &Charge) -> bool {
        let ChargeFilter { operation, worker, member, status: _, reference, from, to } = self;
        let details = &charge.details;
        from.is_none_or(|from| charge.created_at >= from)
            && to.is_none_or(|to| charge.created_at < to)
            && operation.as_ref().is_none_or(|operation| *operation == details.spender.operation)
            && worker.as_ref().is_none_or(|worker| details.spender.worker.as_ref() == Some(worker))
            && member.as_ref().is_none_or(|member| details.spender.member.as_ref() == Some(member))
            && reference.as_ref().is_none_or(|reference| details.reference.as_ref() == Some(reference))
    }
}

/// What an engine says of itself, for metrics and readiness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Entries in the journal.
    pub entries: u64,
    /// Bytes appended to the journal since the start.
    pub journal_bytes: u64,
    /// Database transactions committed since the start.
    pub commits: u64,
    /// Commands run since the start.
    pub commands: u64,
    /// Requests waiting in the queue.
    pub queued: u64,
    /// Workspaces held in memory.
    pub accounts_in_memory: u64,
    /// Charges that await an outcome.
    pub pending_charges: u64,
    /// Entries that a start after a kill would replay.
    pub tail_entries: u64,
    /// Whether the store takes writes at present.
    pub writable: bool,
}

/// Runs commands durably and reads what is kept.
pub trait Engine: Send + Sync + 'static {
    /// Runs one command; waits for room in the queue.
    fn run(&self, submission: Submission, now: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>>;

    /// Runs one command, or says at once that there is no room ([`Error::is_overloaded`]).
    fn run_or_shed(
        &self,
        submission: Submission,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<CommandResult, Error>>;

    /// Runs commands in order, each decided alone, all in as few commits as possible; one answer each, in order.
    fn run_batch(
        &self,
        batch: Vec<Submission>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<CommandResult>, Error>>;

    /// Answers a query from committed state; [`crate::Reads`] has a typed method for each.
    fn query(&self, query: Query) -> BoxFuture<'_, Result<QueryResult, Error>>;

    /// The price book and the platform keys, as last committed; cheap enough to ask with every request.
    fn platform(&self) -> Arc<Platform>;

    /// Pending charges whose deadline has passed, at most so many: each is to be sent a `TimeOut`.
    fn due(&self, now: Timestamp, most: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>>;

    /// What the engine says of itself.
    fn stats(&self) -> EngineStats;

    /// Finishes what was accepted and leaves everything in order. Later calls are refused as unavailable.
    fn close(&self) -> BoxFuture<'_, Result<(), Error>>;
}
