//! The contract that every engine keeps: run commands durably, and answer queries about committed
//! state.
//!
//! An answer means that the change is on disk. A query shows what is committed, never what is about
//! to be. `now` comes from the caller: no engine reads a clock to decide. One test suite holds all
//! engines to this.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tollkeeper_ledger::{
    Balance, Charge, ChargeId, Entry, Grant, GrantId, Hash, Limit, MemberId, MeterQuantities, Micros,
    OperationId, PaymentRefund, PlanVersion, Platform, PlatformSettings, PriceVersion, Profile, Refund,
    Refusal, Status, Submission, SubscriptionId, TeamChange, Timestamp, TopUp, WebhookEndpoint, WorkerId,
    WorkspaceId, bounds,
};

use crate::delivery::nothing::NoDeliveries;
use crate::{Deliveries, Error, Query, QueryResult, TrustedClock, Watch};

/// The future of an engine's answer.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The ledger's decision on a command that the engine could run: an answer or a refusal.
pub type CommandResult = Result<Answer, Refusal>;

/// What became of one command of a batch: the ledger's decision, or the error because of which it
/// was not run.
pub type Ran = Result<CommandResult, Error>;

/// A workspace with work of payments, and its place in the list of them: by time, then by
/// workspace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DuePlace {
    /// The time at which its work was first due
    /// ([`Payments::due_at`](tollkeeper_ledger::Payments::due_at)).
    pub due_at: Timestamp,
    /// The workspace.
    pub workspace: WorkspaceId,
}

/// The answer to a command that the ledger accepted; what it states is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// True if this is the first answer again, to a request that was repeated under its idempotency
    /// key (i07).
    pub replayed: bool,
    /// True if entries were written: false for a repetition, and for what changes nothing.
    pub changed: bool,
    /// What the command made or changed.
    pub output: Output,
}

/// What a command made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The profile of a workspace after the command.
    Workspace(Box<Profile>),
    /// A charge, and the balance after the command's entry; the current balance if nothing changed.
    Charge(Charge, Balance),
    /// A grant after the command's entry, and the balance after it.
    Grant(Box<GrantRecord>, Balance),
    /// A top-up as it was opened.
    TopUp(Box<TopUp>),
    /// A payment refund as it was after the command that requested it, and the balance after it.
    PaymentRefund(Box<PaymentRefund>, Balance),
    /// The subscription that was started.
    Subscription(SubscriptionId),
    /// The published version of the price book.
    Prices(PriceVersion),
    /// The plans after the command.
    Plans(PlanVersion),
    /// The settings that decide money, after the command.
    Settings(PlatformSettings),
    /// A webhook endpoint after the command.
    WebhookEndpoint(Box<WebhookEndpoint>),
    /// The spending limits with what is used of them.
    Limits(Vec<Limit>),
    /// What changed in the team.
    Team(Box<TeamChange>),
    /// Nothing to show: alerts, platform keys, claw-backs, epochs.
    Done,
}

/// A grant with the circumstances of its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRecord {
    /// The grant and what remains of it.
    pub grant: Grant,
    /// The reason that the request gave, for people.
    pub reason: Option<Box<str>>,
    /// The payment, or the subscription and its period, that brought it.
    pub origin: Option<Box<str>>,
    /// What was paid for it, in cents (its cost basis).
    pub paid_cents: i64,
    /// The time of its entry.
    pub created_at: Timestamp,
}

/// A charge with its draws and refunds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRecord {
    /// The charge in its current state.
    pub charge: Charge,
    /// The grants that it drew from when it was created, with the amounts.
    pub draws: Vec<(GrantId, Micros)>,
    /// Its refunds, oldest first.
    pub refunds: Vec<RefundRecord>,
    /// The units of each meter that it used, if its operation has meters and it was settled.
    pub used: Option<MeterQuantities>,
    /// The current balance of its workspace.
    pub balance: Balance,
}

/// One refund of a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRecord {
    /// The time of the refund's entry.
    pub at: Timestamp,
    /// The amount and the reason.
    pub refund: Refund,
}

/// A balance and the instant it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceAt {
    /// The balance.
    pub balance: Balance,
    /// The time of the last entry that the balance includes.
    pub last_entry_at: Timestamp,
}

/// An entry with its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRecord {
    /// The entry of the journal.
    pub entry: Entry,
    /// Its hash, which the next entry of the workspace carries (i02).
    pub hash: Hash,
}

/// The part of a list that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The most rows of the answer.
    pub limit: usize,
    /// [`Listing::next`] of the page before; `None` for the newest rows.
    pub cursor: Option<String>,
}

/// A page of entries ends after this many stored bytes: an entry of 200 limits is a hundred times
/// as large as one of a charge.
pub(crate) const ENTRIES_MAX_BYTES: usize = 1 << 20;

/// A page of a list, newest first. It may hold fewer rows than asked for although `next` is set: a
/// filter looks at a bounded number of entries at a time, and a page of entries is bounded in
/// bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The rows.
    pub data: Vec<T>,
    /// The cursor of the next page; `None` at the end.
    pub next: Option<String>,
}

/// The conditions that a listed charge meets, all at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChargeFilter {
    /// Only charges of this operation.
    pub operation: Option<OperationId>,
    /// Only charges of this worker.
    pub worker: Option<WorkerId>,
    /// Only charges of this member.
    pub member: Option<MemberId>,
    /// Only charges that have this status now.
    pub status: Option<Status>,
    /// Only charges with this reference.
    pub reference: Option<Box<str>>,
    /// Only charges that were created at this instant or later.
    pub from: Option<Timestamp>,
    /// Only charges that were created before this instant.
    pub to: Option<Timestamp>,
}

impl ChargeFilter {
    /// True if a charge meets all conditions but the status, which can change.
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

/// The end of the journal of all workspaces, an anchor to keep outside: a store that does not hold
/// it later has lost entries or is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalHead {
    /// The epoch of the platform ([`Platform::epoch`]).
    pub epoch: u64,
    /// The place of the last entry, 0 if there is none. In a database, which has no order of all
    /// entries, the number of entries.
    pub place: u64,
    /// The hash of the entry there. In a database, one hash over the ends of all chains.
    pub hash: Hash,
    /// The number of entries.
    pub entries: u64,
}

/// What a step of closing days has done ([`Engine::close_days`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClosedDays {
    /// The days that were closed since the call before, each of one workspace.
    pub days: u64,
    /// True if there is more to do now.
    pub has_more: bool,
}

/// Numbers of an engine, for metrics and readiness. Counters begin with 0 at every start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Entries in the journal, or in the table of entries.
    pub entries: u64,
    /// Bytes appended to the journal since the start.
    pub journal_bytes: u64,
    /// Database transactions committed since the start.
    pub commits: u64,
    /// Commands run since the start.
    pub commands: u64,
    /// Requests waiting in the queue.
    pub queued: u64,
    /// Accounts in memory.
    pub accounts_in_memory: u64,
    /// Charges that await an outcome.
    pub pending_charges: u64,
    /// Entries after the last finished checkpoint round. A start after a crash replays them. It may
    /// begin earlier, for the key index.
    pub entries_to_replay: u64,
    /// Accounts that are not used, because they are being rebuilt or cannot be.
    pub accounts_refused: u64,
    /// Accounts that were rebuilt from their journals since the start.
    pub accounts_rebuilt: u64,
    /// True if the store takes writes now.
    pub writable: bool,
    /// How far the caller's clock is ahead of the trusted one, in milliseconds; negative if it is
    /// behind. 0 if the caller's is the trusted one.
    pub clock_deviation_millis: i64,
    /// Entries since the start that were decided although their workspace's last entry was ahead of
    /// the clock.
    pub entries_decided_ahead: u64,
}

impl EngineStats {
    /// True if the engine decides nothing, because the caller's clock deviates too much from the
    /// trusted one.
    #[must_use]
    pub fn clock_is_wrong(&self) -> bool {
        self.clock_deviation_millis.saturating_abs() > bounds::CLOCK_DEVIATION_MAX_MILLIS
    }
}

/// Runs commands durably and answers queries; the queries have typed methods in
/// [`Reads`](crate::Reads).
pub trait Engine: Send + Sync + 'static {
    /// Runs one command. Waits while the queue is full.
    fn run(&self, submission: Submission, now: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>>;

    /// Runs one command, or fails at once with [`Error::is_overloaded`] if the queue is full.
    fn run_or_shed(
        &self,
        submission: Submission,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<CommandResult, Error>>;

    /// Runs commands that one caller sends together, each decided alone, in as few commits as
    /// possible. One result each, in order: a command at fault has an error
    /// ([`Error::is_of_one_command`]), and the others are run. Commands of one workspace run in
    /// order. PostgreSQL may commit workspaces separately and in any order.
    ///
    /// # Errors
    /// The error stands for all commands. The caller may send all again under the same keys.
    fn run_each(&self, batch: Vec<Submission>, now: Timestamp) -> BoxFuture<'_, Result<Vec<Ran>, Error>>;

    /// The same for commands that are all expected to run: an error of one is the error of all.
    fn run_batch(
        &self,
        batch: Vec<Submission>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<CommandResult>, Error>> {
        Box::pin(async move { self.run_each(batch, now).await?.into_iter().collect() })
    }

    /// Answers a query from committed state; [`crate::Reads`] has a typed method for each.
    fn query(&self, query: Query) -> BoxFuture<'_, Result<QueryResult, Error>>;

    /// Watches the journal of a workspace: wakes after commits that may have added entries. Commits
    /// of other servers on the same database wake it within a second.
    fn watch(&self, workspace: &WorkspaceId) -> Watch;

    /// The price book, settings, platform keys and epoch, as last committed. Cheap enough for every
    /// request.
    fn platform(&self) -> Arc<Platform>;

    /// At most `most` pending charges whose deadline has passed. The caller sends each of them a
    /// `TimeOut`. One that cannot be read is logged and left out.
    fn due(&self, now: Timestamp, most: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>>;

    /// A page of the workspaces with work of payments that is due
    /// ([`Payments::due_work`](tollkeeper_ledger::Payments::due_work)): at most `most`, behind the
    /// place `after`, the longest overdue first. Workspaces of one time are in an order that stays
    /// the same. A workspace is due until its payments say that nothing is, so a caller that cannot
    /// do the work of one page goes on behind it. An empty page is the end of the list.
    fn due_payments(
        &self,
        now: Timestamp,
        after: Option<DuePlace>,
        most: usize,
    ) -> BoxFuture<'_, Result<Vec<DuePlace>, Error>>;

    /// Claims workspaces whose due work several servers could do at the same time; returns those
    /// that no other server has claimed. A claim ends after 30 seconds, or when the payments
    /// change. It only saves effort. An engine with one server claims all.
    fn claim_payments(
        &self,
        _now: Timestamp,
        workspaces: Vec<WorkspaceId>,
    ) -> BoxFuture<'_, Result<Vec<WorkspaceId>, Error>> {
        Box::pin(std::future::ready(Ok(workspaces)))
    }

    /// What subscribers are sent of the journal. An engine that only passes calls on has none.
    fn deliveries(&self) -> &dyn Deliveries {
        &NoDeliveries
    }

    /// Closes days of usage that are long over, so that reports of them are fast: looks at some
    /// workspaces, at most about `most`, where the call before it stopped, and says whether there
    /// is more to do. Reports are right however many days are closed. An engine without closed days
    /// has nothing to do.
    fn close_days(&self, _now: Timestamp, _most: usize) -> BoxFuture<'_, Result<ClosedDays, Error>> {
        Box::pin(std::future::ready(Ok(ClosedDays::default())))
    }

    /// Numbers for metrics and readiness.
    fn stats(&self) -> EngineStats;

    /// The clock by which the engine decides.
    fn trusted_clock(&self) -> TrustedClock {
        TrustedClock::Caller { last_entry_at: None }
    }

    /// Finishes what was accepted, and persists everything. Later commands fail with
    /// [`Error::is_unavailable`]. On PostgreSQL, queries are still answered.
    fn close(&self) -> BoxFuture<'_, Result<(), Error>>;
}
