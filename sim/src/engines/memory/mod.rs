//! The smallest possible engine: the ledger, its entries in vectors, and reads that scan them.
//!
//! With it the simulator tests the bare ledger by the same suite as the real engines. It shows what
//! the contract requires where nothing is stored, cached or recovered: each read scans the journal
//! from its beginning.
//! Not here: durability and speed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use tollkeeper_engine::{
    Answer, BoxFuture, CommandResult, Deliveries, DuePlace, Engine, EngineStats, EntryRecord, Error,
    GrantRecord, Output, Query, QueryResult, Ran, Watch, Watchers,
};
use tollkeeper_ledger::{
    Account, Change, Charge, ChargeId, Command, Decision, Entry, EntryBody, GrantId, Hash, Id, MemberId,
    Micros, PaymentChange, PaymentRefund, Period, PeriodWindow, PeriodWindows, PersonalText, Platform,
    Subject, Submission, SubscriptionChange, Timestamp, TopUp, Usage, View, WorkspaceId, decide, invariants,
};

mod deliveries;
mod queries;
mod texts;

use deliveries::Delivered;

/// The account and the journal of a workspace.
#[derive(Debug)]
struct StoredWorkspace {
    account: Account,
    journal: Vec<EntryRecord>,
    usage: Usage,
    /// The texts about persons; `None` once erased.
    texts: Vec<(MemberId, Hash, Option<PersonalText>)>,
}

#[derive(Debug, Default)]
struct State {
    stored: BTreeMap<WorkspaceId, StoredWorkspace>,
    /// The workspaces in the order of their creation.
    opened: Vec<WorkspaceId>,
    platform: Arc<Platform>,
    ids: u64,
    commands: u64,
    delivered: Delivered,
}

/// An engine whose data ends with its process.
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
    watchers: Arc<Watchers>,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one command.
    pub fn run_now(&self, submission: Submission, now: Timestamp) -> CommandResult {
        let workspace = submission.workspace.clone();
        let result = self.state().run(submission, now);
        self.watchers.wake(std::iter::once(&workspace));
        result
    }
}

impl StoredWorkspace {
    fn new(id: WorkspaceId) -> StoredWorkspace {
        let (journal, usage, texts) = Default::default();
        StoredWorkspace { account: Account::new(id), journal, usage, texts }
    }

    fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.journal.iter().map(|record| &record.entry)
    }

    fn charge(&self, id: ChargeId) -> Option<Charge> {
        self.charge_after(id, u64::MAX)
    }

    /// The charge as it was after entry `n`.
    fn charge_after(&self, id: ChargeId, n: u64) -> Option<Charge> {
        let mut about = self
            .entries()
            .take_while(|entry| entry.n <= n)
            .filter(|entry| entry.body.charge().is_some_and(|(charge, _)| charge == id));
        let born = about.next()?;
        let EntryBody::ChargeOpened(details) = &born.body else {
            return None;
        };
        let last = about.last().unwrap_or(born);
        Some(Charge {
            details: details.clone(),
            opening_entry: born.n,
            created_at: born.at,
            decided_at: born.decided_at,
            state: last.body.state()?,
        })
    }

    /// What was paid for the grant that a command names.
    fn paid_cents(&self, command: &Command) -> i64 {
        let Some(grant) = command.grant() else { return 0 };
        self.grant(grant).map_or(0, |record| record.paid_cents)
    }

    fn grant(&self, id: GrantId) -> Option<GrantRecord> {
        self.entries().find_map(|entry| match &entry.body {
            EntryBody::Granted { grant, reason, origin, paid_cents } if grant.id == id => Some(GrantRecord {
                grant: self.account.grants.find(id).unwrap_or(grant).clone(),
                reason: reason.clone(),
                origin: origin.clone(),
                paid_cents: *paid_cents,
                created_at: entry.at,
            }),
            _ => None,
        })
    }

    /// The amount that a limit has used in its current period, net of refunds. A row of usage that
    /// covers the beginning of the period counts with its charges only: it does not show whether
    /// its refunds came before.
    fn spent(&self, (subject, period): &(Subject, Period), windows: &PeriodWindows) -> Micros {
        let PeriodWindow { start, end } = windows.of(*period);
        let rows = self.usage.rows().into_iter();
        let counted = rows.filter(|(key, _)| start < key.end() && key.begin() < end);
        let covered = counted.filter(|(key, _)| subject.covers(&key.spender));
        let spent = covered.map(|(key, sums)| match key.begin() < start {
            true => sums.charged,
            false => sums.charged - sums.refunded,
        });
        spent.sum::<Micros>().max(Micros::ZERO)
    }
}

impl State {
    fn run(&mut self, mut submission: Submission, now: Timestamp) -> CommandResult {
        self.commands += 1;
        self.ids += 1;
        let workspace = submission.workspace.clone();
        let actor = submission.actor.clone();
        let empty = StoredWorkspace::new(workspace.clone());
        let stored = self.stored.get(&workspace).unwrap_or(&empty);
        stored.reuse_texts(&mut submission.command);
        let command = submission.command.clone();
        let key = command.derived_key().or_else(|| submission.key.clone());
        let first = key.and_then(|key| stored.entries().find(|entry| entry.key.as_ref() == Some(&key)));
        let charge = command.charge().and_then(|id| stored.charge(id));
        let present = stored.account.present(now);
        let recount = command.recount(&stored.account);
        let timezone = recount.as_ref().map_or(&stored.account.profile.timezone, |recount| &recount.timezone);
        let windows = tollkeeper_engine::period_windows(timezone, present);
        let limits = recount.iter().flat_map(|recount| &recount.limits);
        let spent: Vec<Micros> = limits.map(|limit| stored.spent(limit, &windows)).collect();
        let view = View {
            account: Some(&stored.account),
            platform: &self.platform,
            entry_under_key: first,
            charge: charge.as_ref(),
            used_by_limit: &spent,
            texts_of_member: stored.texts_of(command.member_with_texts()),
            paid_cents: stored.paid_cents(&command),
            windows,
            fresh_id: Id::v7(now.millis(), 0, self.ids),
        };
        match decide(&view, submission, now)? {
            Decision::Replay => {
                let n = first.expect("an answer is repeated from its first entry").n;
                Ok(Answer { replayed: true, changed: false, output: stored.output(n, n) })
            }
            Decision::Unchanged => {
                let output = self.unchanged(stored, charge, &command, (&windows, now));
                Ok(Answer { replayed: false, changed: false, output })
            }
            Decision::Change(change) => {
                let (first, last) = self.write(&workspace, change, actor, now);
                let stored = self.stored.get_mut(&workspace).expect("a change was written to it");
                stored.store_texts(first, &command.texts());
                Ok(Answer { replayed: false, changed: true, output: stored.output(first, last) })
            }
        }
    }

    /// The answer to a command that changed nothing.
    fn unchanged(
        &self,
        stored: &StoredWorkspace,
        charge: Option<Charge>,
        command: &Command,
        (windows, now): (&PeriodWindows, Timestamp),
    ) -> Output {
        match charge {
            _ if matches!(command, Command::SetLimits(_)) => {
                Output::Limits(stored.account.limits.at(windows))
            }
            _ if let Command::SetPrices { effective_at, .. } = command => {
                let present = stored.account.present(now);
                let at = effective_at.map_or(present, |at| at.max(present));
                let prices = self.platform.price_book.in_force(at);
                Output::Prices(prices.expect("unchanged prices are in force").clone())
            }
            _ if matches!(command, Command::SetPlans { .. }) => {
                Output::Plans(self.platform.plans.newest().clone())
            }
            _ if matches!(command, Command::SetSettings(_)) => Output::Settings(self.platform.settings),
            _ if let Command::SetWebhookEndpoint(endpoint) = command => {
                let endpoint = self.platform.webhook_endpoint(endpoint.id);
                Output::WebhookEndpoint(Box::new((**endpoint.expect("it is set")).clone()))
            }
            _ if matches!(
                command,
                Command::SetAlerts { .. }
                    | Command::CheckAlerts { .. }
                    | Command::NoteRefused(_)
                    | Command::NoteLimit { .. }
                    | Command::SetLost { .. }
                    | Command::Payment(_)
                    | Command::RemoveWebhookEndpoint(_)
                    | Command::Operator(_)
            ) =>
            {
                Output::Done
            }
            _ if let Some(record) = command.grant().and_then(|id| stored.grant(id)) => {
                Output::Grant(Box::new(record), stored.account.balance)
            }
            Some(charge) => Output::Charge(charge, stored.account.balance),
            None => Output::Workspace(stored.account.profile.clone()),
        }
    }

    /// Applies a change to the account and the journal. Returns the numbers of its first entry and
    /// of the last one about its charge.
    fn write(
        &mut self,
        id: &WorkspaceId,
        change: Change,
        actor: tollkeeper_ledger::Actor,
        now: Timestamp,
    ) -> (u64, u64) {
        let Change { first, rest, mut key } = change;
        let stored = self.stored.entry(id.clone()).or_insert_with(|| StoredWorkspace::new(id.clone()));
        let (before, used) = (stored.account.totals, stored.usage.total());
        let first_n = stored.account.chain.n + 1;
        let mut last_n = first_n;
        for body in std::iter::once(first).chain(rest) {
            let entry = stored.account.record(body, key.take(), actor.clone(), now);
            let mut bytes = Vec::new();
            entry.encode(&mut bytes);
            let hash = Sha256::digest(&bytes).into();
            stored.account.link(hash);
            let part = tollkeeper_engine::hour_part(&stored.account.profile.timezone, entry.decided_at);
            stored.usage.record(&entry, part);
            Arc::make_mut(&mut self.platform)
                .apply(&entry)
                .expect("price versions and epochs are numbered without gaps");
            if entry.body.charge().is_some() {
                last_n = entry.n;
            }
            if matches!(entry.body, EntryBody::WorkspaceCreated(_)) {
                self.opened.push(id.clone());
            }
            self.delivered.order.push((id.clone(), entry.n));
            stored.journal.push(EntryRecord { entry, hash });
        }
        stored.account.finish_change();
        let mut total = stored.usage.total();
        total.charged -= used.charged;
        total.refunded -= used.refunded;
        invariants::i08_usage_covers(total, before, stored.account.totals);
        (first_n, last_n)
    }
}

impl StoredWorkspace {
    /// The answer of a change. Its first entry determines the kind of answer, the last one about a
    /// charge determines the state.
    fn output(&self, first: u64, last: u64) -> Output {
        let entry = |n: u64| &self.journal[usize::try_from(n - 1).expect("an index of a vector")].entry;
        let balance = entry(last).balance_after_change();
        match &entry(first).body {
            EntryBody::WorkspaceCreated(profile) | EntryBody::WorkspaceUpdated(profile) => {
                Output::Workspace(profile.clone())
            }
            EntryBody::Granted { grant, .. } => {
                let repaid = entry(first).balance.debt - balance.debt;
                self.grant_output((grant.id, None), grant.amount - repaid, balance)
            }
            EntryBody::GrantVoided { grant, .. } => {
                self.grant_output((*grant, Some(entry(first).decided_at)), Micros::ZERO, balance)
            }
            EntryBody::PricesSet(version) => Output::Prices(version.clone()),
            EntryBody::PlansSet(version) => Output::Plans(version.clone()),
            EntryBody::SettingsChanged(settings) => Output::Settings(*settings),
            EntryBody::WebhookEndpointSet(endpoint) => Output::WebhookEndpoint(endpoint.clone()),
            EntryBody::LimitsSet(limits) => Output::Limits(limits.clone()),
            EntryBody::Team(change) => Output::Team(change.clone()),
            EntryBody::Payment(change) => match **change {
                PaymentChange::TopUpOpened { top_up, cents, way } => {
                    let opened_at = entry(first).decided_at;
                    Output::TopUp(Box::new(TopUp::opened(top_up, cents, way, opened_at)))
                }
                PaymentChange::Refund(ref change) => {
                    let refund = PaymentRefund::of(change, entry(first).decided_at);
                    // The credit that the next entry takes is gone.
                    let balance = entry(first).balance_after_change();
                    refund.map_or(Output::Done, |refund| Output::PaymentRefund(Box::new(refund), balance))
                }
                PaymentChange::Subscription(ref change) => match **change {
                    SubscriptionChange::Started { subscription, .. } => Output::Subscription(subscription),
                    _ => Output::Done,
                },
                _ => Output::Done,
            },
            body => match body.charge() {
                None => Output::Done,
                Some((id, _)) => {
                    let charge =
                        self.charge_after(id, last).expect("an entry is about a charge of its account");
                    Output::Charge(charge, balance)
                }
            },
        }
    }

    /// A grant as an answer showed it: whether it was voided, and what remained.
    fn grant_output(
        &self,
        (id, voided_at): (GrantId, Option<Timestamp>),
        remaining: Micros,
        balance: tollkeeper_ledger::Balance,
    ) -> Output {
        let mut record = self.grant(id).expect("an entry is about a grant of its account");
        record.grant.remaining = remaining;
        record.grant.voided_at = voided_at;
        Output::Grant(Box::new(record), balance)
    }
}

/// A future that is ready at once.
fn now<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T, Error>> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Engine for Memory {
    fn run(&self, submission: Submission, at: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>> {
        now(self.run_now(submission, at))
    }

    fn run_or_shed(
        &self,
        submission: Submission,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<CommandResult, Error>> {
        now(self.run_now(submission, at))
    }

    fn run_each(&self, batch: Vec<Submission>, at: Timestamp) -> BoxFuture<'_, Result<Vec<Ran>, Error>> {
        now(batch.into_iter().map(|submission| Ok(self.run_now(submission, at))).collect())
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<QueryResult, Error>> {
        now(self.state().answer(&query))
    }

    fn watch(&self, workspace: &WorkspaceId) -> Watch {
        self.watchers.watch(workspace)
    }

    fn platform(&self) -> Arc<Platform> {
        self.state().platform.clone()
    }

    fn due(&self, at: Timestamp, most: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>> {
        let mut due = self.state().due(at);
        due.truncate(most);
        now(due)
    }

    fn due_payments(
        &self,
        at: Timestamp,
        after: Option<DuePlace>,
        most: usize,
    ) -> BoxFuture<'_, Result<Vec<DuePlace>, Error>> {
        let due = self.state().due_payments(at).into_iter();
        now(due.filter(|place| Some(place) > after.as_ref()).take(most).collect())
    }

    fn deliveries(&self) -> &dyn Deliveries {
        self
    }

    fn stats(&self) -> EngineStats {
        let state = self.state();
        EngineStats {
            entries: state.stored.values().map(|stored| stored.journal.len() as u64).sum(),
            commits: state.commands,
            commands: state.commands,
            accounts_in_memory: state.opened.len() as u64,
            pending_charges: state.due(Timestamp::from_millis(i64::MAX)).len() as u64,
            writable: true,
            ..EngineStats::default()
        }
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        now(())
    }
}

impl State {
    /// The account of a workspace that exists; the platform's journal is no workspace.
    fn open(&self, id: &WorkspaceId) -> Option<&StoredWorkspace> {
        self.stored.get(id).filter(|stored| !id.is_platform() && stored.account.exists())
    }
}
