//! A slow reference model of the ledger, written from the rules and independent of the ledger's
//! code.
//!
//! A workspace is a list of facts. Every question is answered by reading that list from its
//! beginning: what remains of a grant, the state of a charge, what a limit has counted, who may
//! act, when an alert last fired. So the model has no derived state that an update could forget,
//! and it is slow. For a [`Step`] the model returns the expected answer, with its own ids
//! ([`crate::model::step::nth`]) and without explanations for people.
//!
//! The model uses the value types of the ledger (`Micros`, `Refusal`, `Charge`), never its
//! decisions or its accounts. Not here: the source of the steps (`workload`), the comparison
//! (`differential`).

mod alerts;
mod at_provider;
mod auto_top_ups;
mod charges;
mod collected;
mod credit;
mod endpoints;
mod facts;
mod limits;
mod metered;
mod operators;
mod payment_refunds;
mod payments;
mod plan_payments;
mod recipients;
mod report;
mod settings;
mod spendings;
pub mod step;
mod subscriptions;
mod team;
mod usage;

pub use facts::{Fact, Line, Pool};
pub use operators::Session;
pub use payment_refunds::unheard_at;
pub use payments::gives_up_at;
pub use usage::{usage_report, used_by};

use std::collections::BTreeMap;

use tollkeeper_engine::{Answer, CommandResult, Output};
use tollkeeper_ledger::{
    Actor, ChargeCommand, CollectedCommand, Command, IdempotencyKey, OperationPrice, PaymentCommand,
    PaymentRefundCommand, Plan, PlanVersion, PlatformSettings, PriceVersion, ProviderCommand, Refusal,
    Source, Submission, SubscriptionCommand, Timestamp, UnmatchedPayment, WebhookEndpoint, WorkspaceId,
};

use crate::model::step::Step;

/// The first request under an idempotency key, with its answer.
#[derive(Clone, Debug)]
struct Answered {
    key: String,
    command: Command,
    answer: Answer,
}

/// All workspaces, the price book, the plans, and every answer given under a key.
#[derive(Clone, Debug)]
pub struct Model {
    /// The workspaces.
    pub pools: BTreeMap<WorkspaceId, Pool>,
    /// The versions of the price book.
    pub prices: Vec<PriceVersion>,
    /// The versions of the plans, without the samples.
    pub plans: Vec<PlanVersion>,
    /// The number of platform keys.
    pub platform_keys: usize,
    /// Days in which a settled charge may still fail.
    pub refund_window_days: u32,
    /// 1, and one more after each restore.
    pub epoch: u64,
    /// How often the settings changed.
    settings_changes: usize,
    /// The payments that fit nothing, each with the time of its entry.
    pub unmatched: Vec<(Timestamp, UnmatchedPayment)>,
    platform_at: Timestamp,
    /// The webhook endpoints, and how often one was set or removed.
    endpoints: Vec<WebhookEndpoint>,
    endpoint_changes: usize,
    /// The sessions of operators, and how often one began or was ended.
    operators: Vec<Session>,
    operator_changes: usize,
    answered: BTreeMap<WorkspaceId, Vec<Answered>>,
}

impl Default for Model {
    /// An empty model.
    fn default() -> Model {
        Model {
            pools: BTreeMap::new(),
            prices: Vec::new(),
            plans: Vec::new(),
            platform_keys: 0,
            refund_window_days: 30,
            epoch: 1,
            settings_changes: 0,
            unmatched: Vec::new(),
            platform_at: Timestamp::ZERO,
            endpoints: Vec::new(),
            endpoint_changes: 0,
            operators: Vec::new(),
            operator_changes: 0,
            answered: BTreeMap::new(),
        }
    }
}

impl Model {
    /// Returns the expected answer and applies it to the model.
    pub fn step(&mut self, step: &Step) -> CommandResult {
        let Submission { workspace, key, actor, command } = &step.submission;
        if command.is_for_platform() != workspace.is_platform() {
            return Err(Refusal::WorkspaceNotFound);
        }
        self.admit(workspace, actor, command, step.now)?;
        let key = derived_key(command).or_else(|| key.as_ref().map(|key| key.as_str().to_owned()));
        if let Some(first) = self.answered_under(workspace, key.as_deref()) {
            return match differing_field(&first.command, command) {
                None => Ok(Answer { replayed: true, changed: false, ..first.answer.clone() }),
                Some(field) => Err(Refusal::IdempotencyKeyReused { field }),
            };
        }
        let written = |model: &Model| match model.pools.get(workspace) {
            Some(pool) => pool.lines.len(),
            None if workspace.is_platform() => model.platform_entries(),
            None => 0,
        };
        let before = written(self);
        let output = self.run(workspace, actor, command, step.now)?;
        let changed = written(self) > before;
        let answer = Answer { replayed: false, changed, output };
        // A command that changes nothing writes no entry, so its key stays free.
        if let Some(key) = key.filter(|_| changed) {
            let first = Answered { key, command: command.clone(), answer: answer.clone() };
            self.answered.entry(workspace.clone()).or_default().push(first);
        }
        Ok(answer)
    }

    /// The number of entries in the platform's journal.
    #[must_use]
    pub fn platform_entries(&self) -> usize {
        let restores = usize::try_from(self.epoch - 1).expect("a simulation restores seldom");
        let set = self.prices.len() + self.plans.len() + self.platform_keys + self.settings_changes;
        set + restores + self.unmatched.len() + self.endpoint_changes + self.operator_changes
    }

    /// True if a request under this key was accepted before.
    #[must_use]
    pub fn has_answered(&self, workspace: &WorkspaceId, key: &IdempotencyKey) -> bool {
        self.answered_under(workspace, Some(key.as_str())).is_some()
    }

    fn answered_under(&self, workspace: &WorkspaceId, key: Option<&str>) -> Option<&Answered> {
        self.answered.get(workspace)?.iter().find(|first| Some(first.key.as_str()) == key)
    }

    /// Checks whether the actor may run the command; this comes before every other rule.
    fn admit(
        &self,
        id: &WorkspaceId,
        actor: &Actor,
        command: &Command,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if matches!(actor, Actor::Platform | Actor::System) {
            return Ok(());
        }
        let pool = self.pools.get(id);
        if pool.is_none() && !(id.is_platform() && self.platform_entries() > 0) {
            return Err(Refusal::WorkspaceNotFound);
        }
        match (actor, pool) {
            (Actor::Operator(act), _) => self.admit_operator(act, command, self.present(id, now)),
            (_, Some(pool)) => pool.admit(actor, command, (pool.present(now), now)),
            // The platform's journal has neither members nor workspace keys.
            (_, None) => Err(Refusal::Unauthenticated),
        }
    }

    /// The time by which a command is decided in this journal.
    fn present(&self, id: &WorkspaceId, now: Timestamp) -> Timestamp {
        match self.pools.get(id) {
            Some(pool) => pool.present(now),
            None if !id.is_platform() || facts::is_ahead(self.platform_at, now) => now,
            None => now.max(self.platform_at),
        }
    }

    fn run(
        &mut self,
        id: &WorkspaceId,
        actor: &Actor,
        command: &Command,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        if command.is_for_platform() {
            return self.run_for_platform(command, now);
        }
        if let Command::CreateWorkspace(changes) = command {
            if self.pools.contains_key(id) {
                return Err(Refusal::WorkspaceExists);
            }
            let pool = Pool::open(id.clone(), changes, now);
            let output = Output::Workspace(Box::new(pool.profile()));
            self.pools.insert(id.clone(), pool);
            return Ok(output);
        }
        let pool = self.pools.get_mut(id).ok_or(Refusal::WorkspaceNotFound)?;
        let (before, known) = (pool.balance().available, pool.lines.len());
        let (now, asked_at) = (pool.present(now), now);
        let answer = match command {
            Command::Charge(request) => {
                let api_key = match actor {
                    Actor::ApiKey(key) => Some(*key),
                    Actor::Platform | Actor::System | Actor::Member(_) | Actor::Operator(_) => None,
                };
                pool.charge(request, api_key, &self.prices, now)
            }
            Command::ExistingCharge { charge, command } => {
                pool.change_charge(*charge, command, self.refund_window_days, now)
            }
            Command::Grant(request) => pool.grant(request, now),
            Command::VoidGrant { grant, reason: _ } => pool.void(*grant, now),
            Command::SetLost { grant, lost_cents, evidence: _ } => pool.set_lost(*grant, *lost_cents, now),
            Command::UpdateWorkspace(changes) => Ok(pool.update(changes, now)),
            Command::SetLimits(limits) => pool.set_limits(limits, now),
            Command::Payment(PaymentCommand::Subscription(command)) => {
                let samples = settings::sample_plans();
                let plans = self.plans.last().map_or(&samples, |version| &version.plans);
                pool.subscribe(command, plans, now)
            }
            Command::Payment(command) => pool.pay(command, now),
            Command::Team(command) => pool.change_team(command, (now, asked_at)),
            Command::SetAlerts { thresholds, cooldown_seconds } => {
                pool.set_alerts(thresholds, *cooldown_seconds, now)
            }
            Command::CheckAlerts { lines } => pool.check_alerts(lines, now),
            Command::NoteRefused(refused) => pool.note_refused(refused, now),
            Command::NoteLimit { subject, period, resets_at } => {
                pool.note_limit(subject, *period, (*resets_at, now))
            }
            Command::CreateWorkspace(_)
            | Command::SetPrices { .. }
            | Command::SetPlans { .. }
            | Command::SetPlatformKey { .. }
            | Command::SetSettings(_)
            | Command::MarkRestored
            | Command::ReportUnmatched(_)
            | Command::SetWebhookEndpoint(_)
            | Command::RemoveWebhookEndpoint(_)
            | Command::Operator(_) => unreachable!("answered above"),
        }?;
        pool.follow_with_alerts(known, before, now);
        Ok(answer)
    }

    /// Runs a command of the platform's own journal.
    fn run_for_platform(&mut self, command: &Command, now: Timestamp) -> Result<Output, Refusal> {
        match command {
            Command::SetPrices { operations, effective_at } => {
                return self.set_prices(operations, *effective_at, now);
            }
            Command::SetPlans { plans } => return self.set_plans(plans, now),
            Command::SetSettings(settings) => return self.set_settings(*settings, now),
            Command::SetWebhookEndpoint(endpoint) => return self.set_endpoint(endpoint, now),
            Command::RemoveWebhookEndpoint(id) => return Ok(self.remove_endpoint(*id, now)),
            Command::Operator(command) => return self.run_operator(command, now),
            Command::SetPlatformKey { .. } => self.platform_keys += 1,
            Command::MarkRestored => self.epoch += 1,
            Command::ReportUnmatched(payment) => {
                settings::check_unmatched(payment)?;
                self.unmatched.push((self.platform_at.max(now), payment.clone()));
            }
            other => unreachable!("{other:?} is of a workspace"),
        }
        self.platform_at = self.platform_at.max(now);
        Ok(Output::Done)
    }

    fn set_settings(&mut self, settings: PlatformSettings, now: Timestamp) -> Result<Output, Refusal> {
        if settings.refund_window_days > 3_650 {
            return Err(charges::invalid("refund_window_days"));
        }
        if settings.refund_window_days != self.refund_window_days {
            self.platform_at = self.platform_at.max(now);
            self.refund_window_days = settings.refund_window_days;
            self.settings_changes += 1;
        }
        Ok(Output::Settings(settings))
    }

    fn set_plans(&mut self, plans: &[Plan], now: Timestamp) -> Result<Output, Refusal> {
        settings::check_plans(plans)?;
        let mut plans = plans.to_vec();
        plans.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(same) = self.plans.last().filter(|last| last.plans == plans) {
            return Ok(Output::Plans(same.clone()));
        }
        let version = u32::try_from(self.plans.len() + 1).expect("a simulation sets few plans");
        let version = PlanVersion { version, plans };
        self.platform_at = self.platform_at.max(now);
        self.plans.push(version.clone());
        Ok(Output::Plans(version))
    }

    fn set_prices(
        &mut self,
        operations: &[OperationPrice],
        effective_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let at = self.platform_at.max(now);
        let now = self.present(&WorkspaceId::platform(), now);
        let effective_at = effective_at.unwrap_or(now);
        settings::check_prices(operations, effective_at, now)?;
        let effective_at = effective_at.max(now);
        let operations = settings::sorted(operations);
        if let Some(same) = charges::in_force(&self.prices, effective_at)
            && same.operations == operations
        {
            return Ok(Output::Prices(same.clone()));
        }
        let version = u32::try_from(self.prices.len() + 1).expect("a simulation sets few prices");
        let version = PriceVersion { version, effective_at, operations };
        self.platform_at = at;
        self.prices.push(version.clone());
        Ok(Output::Prices(version))
    }

    /// The pending charges whose deadline has passed, each as workspace and index, in no particular
    /// order.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<(WorkspaceId, usize)> {
        let mut due = Vec::new();
        for (id, pool) in &self.pools {
            let late = |index: &usize| pool.state(*index).deadline.is_some_and(|deadline| deadline <= now);
            due.extend((0..pool.charge_count()).filter(late).map(|index| (id.clone(), index)));
        }
        due
    }

    /// The workspaces with work of payments that is due.
    #[must_use]
    pub fn due_payments(&self, now: Timestamp) -> Vec<WorkspaceId> {
        let is_due = |pool: &Pool| {
            pool.has_due_top_up(now)
                || pool.has_due_refund(now)
                || pool.has_late_subscription(now)
                || pool.has_work_at_provider(now)
        };
        let due = self.pools.iter().filter(|(_, pool)| is_due(pool));
        due.map(|(id, _)| id.clone()).collect()
    }
}

/// The key that a command brings itself, so that it is executed once under any key of the caller.
///
/// The keys of callers are printable. A control character at the beginning keeps these apart.
fn derived_key(command: &Command) -> Option<String> {
    match command {
        Command::Grant(request) => {
            let origin = request.origin.as_deref()?;
            Some(format!("\u{2}grant {:?} {origin}", request.source))
        }
        Command::Payment(PaymentCommand::ConfirmTopUp(top_up)) => {
            Some(format!("\u{2}grant {:?} {}", Source::TopUp, payments::payment_of(*top_up)))
        }
        Command::Payment(PaymentCommand::Provider(ProviderCommand::SucceedTopUp { payment, .. })) => {
            Some(format!("\u{2}grant {:?} {payment}", Source::TopUp))
        }
        Command::ReportUnmatched(payment) => Some(format!("\u{2}unmatched {}", payment.payment)),
        Command::Payment(PaymentCommand::Subscription(
            SubscriptionCommand::Confirm { payment, .. }
            | SubscriptionCommand::Collected {
                command:
                    CollectedCommand::PayPeriod { payment, .. } | CollectedCommand::PayChange { payment, .. },
                ..
            },
        )) => Some(format!("\u{2}grant {:?} {payment}", Source::Subscription)),
        _ => None,
    }
}

/// The API's name of the first field in which two requests under one key differ.
fn differing_field(first: &Command, again: &Command) -> Option<&'static str> {
    let fields: Vec<(&'static str, bool)> = match (first, again) {
        (Command::Charge(a), Command::Charge(b)) => vec![
            ("member", a.member == b.member),
            ("worker", a.worker == b.worker),
            ("operation", a.operation == b.operation),
            (if b.quantity.meters().is_some() { "quantities" } else { "quantity" }, a.quantity == b.quantity),
            ("await_outcome", a.await_outcome == b.await_outcome),
            ("outcome_by_platform", a.outcome_by_platform == b.outcome_by_platform),
            ("timeout_seconds", a.timeout_seconds == b.timeout_seconds),
            ("reference", a.reference == b.reference),
            ("metadata", a.metadata == b.metadata),
        ],
        (Command::Grant(a), Command::Grant(b)) => vec![
            ("source", a.source == b.source),
            ("amount", a.amount == b.amount),
            ("reason", a.reason == b.reason),
            ("origin", a.origin == b.origin),
            ("paid_cents", a.paid_cents == b.paid_cents),
        ],
        (Command::Payment(a), Command::Payment(b)) => payment_fields(a, b),
        (Command::SetWebhookEndpoint(a), Command::SetWebhookEndpoint(b)) => endpoints::fields(a, b),
        (Command::ReportUnmatched(_), Command::ReportUnmatched(_)) => Vec::new(),
        (Command::VoidGrant { grant: a, reason: why_a }, Command::VoidGrant { grant: b, reason: why_b }) => {
            vec![("grant", a == b), ("reason", why_a == why_b)]
        }
        (
            Command::ExistingCharge {
                charge: a,
                command: ChargeCommand::Refund { amount: sum_a, reason: why_a },
            },
            Command::ExistingCharge {
                charge: b,
                command: ChargeCommand::Refund { amount: sum_b, reason: why_b },
            },
        ) => vec![("charge", a == b), ("amount", sum_a == sum_b), ("reason", why_a == why_b)],
        (
            Command::SetLost { grant: a, lost_cents: cents_a, evidence: why_a },
            Command::SetLost { grant: b, lost_cents: cents_b, evidence: why_b },
        ) => vec![("grant", a == b), ("lost_cents", cents_a == cents_b), ("evidence", why_a == why_b)],
        _ => vec![("path", false)],
    };
    fields.into_iter().find(|(_, same)| !same).map(|(name, _)| name)
}

/// The same of two requests about payments.
fn payment_fields(first: &PaymentCommand, again: &PaymentCommand) -> Vec<(&'static str, bool)> {
    match (first, again) {
        (PaymentCommand::OpenTopUp { cents: a, .. }, PaymentCommand::OpenTopUp { cents: b, .. }) => {
            vec![("amount_usd", a == b)]
        }
        (PaymentCommand::ConfirmTopUp(a), PaymentCommand::ConfirmTopUp(b)) => vec![("path", a == b)],
        (
            PaymentCommand::Provider(ProviderCommand::SucceedTopUp { payment: a, cents: cents_a, .. }),
            PaymentCommand::Provider(ProviderCommand::SucceedTopUp { payment: b, cents: cents_b, .. }),
        ) => vec![("path", a == b), ("cents", cents_a == cents_b)],
        (
            PaymentCommand::Refund(PaymentRefundCommand::Request {
                top_up: a,
                cents: cents_a,
                reason: why_a,
                ..
            }),
            PaymentCommand::Refund(PaymentRefundCommand::Request {
                top_up: b,
                cents: cents_b,
                reason: why_b,
                ..
            }),
        ) => vec![("path", a == b), ("amount_usd", cents_a == cents_b), ("reason", why_a == why_b)],
        (
            PaymentCommand::Subscription(SubscriptionCommand::Confirm { change: a, .. }),
            PaymentCommand::Subscription(SubscriptionCommand::Confirm { change: b, .. }),
        ) => vec![("change", a == b)],
        (
            PaymentCommand::Subscription(SubscriptionCommand::Collected { subscription: a, .. }),
            PaymentCommand::Subscription(SubscriptionCommand::Collected { subscription: b, .. }),
        ) => vec![("path", a == b)],
        _ => vec![("path", false)],
    }
}
