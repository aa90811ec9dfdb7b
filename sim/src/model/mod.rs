//! A slow, obvious model of the whole ledger, written from the rules alone and sharing no decision with it.
//!
//! Each workspace is a list of facts, and every question (what is left of a grant, how a charge stands, what a limit has
//! counted, who may act, when an alert last spoke) is answered by reading that list from its beginning. So there is nothing that could
//! be forgotten in an update, and nothing that is fast. Asked a [`Step`], the model says what has to be answered, with ids
//! by number ([`crate::model::step::nth`]) and without words for people.
//!
//! Keeps: it looks at values of the ledger (`Micros`, `Refusal`, `Charge`), never at its decisions or its accounts.
//! Not here: where steps come from (`workload`), the comparison (`history`).

mod charges;
mod credit;
mod facts;
mod limits;
mod settings;
pub mod step;
mod team;

pub use facts::{Fact, Line, Pool};

use std::collections::BTreeMap;

use tollkeeper_engine::{Answer, CommandResult, Output};
use tollkeeper_ledger::{
    Actor, ChargeCommand, Command, IdempotencyKey, OperationPrice, PriceVersion, Refusal, Submission,
    Timestamp, WorkspaceId,
};

use crate::model::step::Step;

/// What was answered under a key, and to what.
#[derive(Clone, Debug)]
struct Made {
    key: String,
    command: Command,
    answer: Answer,
}

/// All workspaces, the price book, and every answer given under a key.
#[derive(Clone, Debug)]
pub struct Model {
    /// The workspaces that were opened.
    pub pools: BTreeMap<WorkspaceId, Pool>,
    /// The versions of the price book.
    pub prices: Vec<PriceVersion>,
    /// How many platform keys were made.
    pub platform_keys: usize,
    platform_at: Timestamp,
    made: BTreeMap<WorkspaceId, Vec<Made>>,
    refund_window_seconds: i64,
}

impl Model {
    /// An empty model whose settled charges may fail late for so long.
    #[must_use]
    pub fn new(refund_window_seconds: i64) -> Model {
        Model {
            pools: BTreeMap::new(),
            prices: Vec::new(),
            platform_keys: 0,
            platform_at: Timestamp::ZERO,
            made: BTreeMap::new(),
            refund_window_seconds,
        }
    }

    /// What has to be answered; what it says has happened afterwards.
    pub fn step(&mut self, step: &Step) -> CommandResult {
        let Submission { workspace, key, actor, command } = &step.submission;
        self.admit(workspace, actor, command, step.now)?;
        let key = once_only(command).or_else(|| key.as_ref().map(|key| key.as_str().to_owned()));
        if let Some(made) = self.made_under(workspace, key.as_deref()) {
            return match differing_field(&made.command, command) {
                None => Ok(Answer { replayed: true, ..made.answer.clone() }),
                Some(field) => Err(Refusal::KeyReused { field }),
            };
        }
        let told = self.told(workspace, actor, command, step.now)?;
        let answer = Answer { replayed: false, output: told };
        if let Some(key) = key {
            let made = Made { key, command: command.clone(), answer: answer.clone() };
            self.made.entry(workspace.clone()).or_default().push(made);
        }
        Ok(answer)
    }

    /// Whether this key already has its answer.
    #[must_use]
    pub fn has_answered(&self, workspace: &WorkspaceId, key: &IdempotencyKey) -> bool {
        self.made_under(workspace, Some(key.as_str())).is_some()
    }

    fn made_under(&self, workspace: &WorkspaceId, key: Option<&str>) -> Option<&Made> {
        self.made.get(workspace)?.iter().find(|made| Some(made.key.as_str()) == key)
    }

    /// Whether somebody may ask for this at all, which is looked at before anything else.
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
        match self.pools.get(id) {
            Some(pool) => pool.admit(actor, command, (pool.clock(now), now)),
            // The platform's own chain has no members and no keys of a workspace.
            None if id.is_platform() && (self.platform_keys > 0 || !self.prices.is_empty()) => {
                Err(Refusal::ActorUnknown)
            }
            None => Err(Refusal::WorkspaceNotFound),
        }
    }

    fn told(
        &mut self,
        id: &WorkspaceId,
        actor: &Actor,
        command: &Command,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        match command {
            Command::SetPrices { operations, effective_at } => {
                return self.set_prices(operations, *effective_at, now);
            }
            Command::SetPlatformKey { .. } => {
                self.platform_at = self.platform_at.max(now);
                self.platform_keys += 1;
                return Ok(Output::Done);
            }
            Command::CreateWorkspace(changes) => {
                if self.pools.contains_key(id) {
                    return Err(Refusal::WorkspaceExists);
                }
                let pool = Pool::open(id.clone(), changes, now);
                let told = Output::Workspace(Box::new(pool.profile()));
                self.pools.insert(id.clone(), pool);
                return Ok(told);
            }
            _ => {}
        }
        let pool = self.pools.get_mut(id).ok_or(Refusal::WorkspaceNotFound)?;
        let before = pool.balance().available;
        let (now, asked_at) = (pool.clock(now), now);
        let answer = match command {
            Command::Charge(request) => {
                let api_key = match actor {
                    Actor::ApiKey(key) => Some(*key),
                    Actor::Platform | Actor::System | Actor::Member(_) => None,
                };
                pool.charge(request, api_key, &self.prices, now)
            }
            Command::ExistingCharge { charge, command } => match command {
                ChargeCommand::Succeed { quantity } => pool.succeed(*charge, *quantity, now),
                ChargeCommand::Fail { by_system, detail: _ } => {
                    pool.fail(*charge, *by_system, self.refund_window_seconds, now)
                }
                ChargeCommand::Heartbeat { extend_seconds } => pool.heartbeat(*charge, *extend_seconds, now),
                ChargeCommand::Refund { amount, reason: _ } => pool.refund(*charge, *amount, now),
                ChargeCommand::TimeOut => pool.time_out(*charge, now),
            },
            Command::Grant(request) => pool.grant(request, now),
            Command::VoidGrant { grant, reason: _ } => pool.void(*grant, now),
            Command::ClawBack { grant, dispute, amount } => pool.claw_back(*grant, dispute, *amount, now),
            Command::RestoreClawBack { dispute } => pool.restore(dispute, now),
            Command::UpdateWorkspace(changes) => Ok(pool.update(changes, now)),
            Command::SetLimits(limits) => pool.set_limits(limits, now),
            Command::Team(command) => pool.change_team(command, (now, asked_at)),
            Command::SetAlerts { thresholds, cooldown_seconds } => {
                pool.set_alerts(thresholds, *cooldown_seconds, now)
            }
            Command::CreateWorkspace(_) | Command::SetPrices { .. } | Command::SetPlatformKey { .. } => {
                unreachable!("answered above")
            }
        }?;
        pool.fire_alerts(before, now);
        Ok(answer)
    }

    fn set_prices(
        &mut self,
        operations: &[OperationPrice],
        effective_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let now = now.max(self.platform_at);
        let effective_at = effective_at.unwrap_or(now);
        settings::check_prices(operations, effective_at, now)?;
        let version = u32::try_from(self.prices.len() + 1).expect("a simulation sets few prices");
        let version = PriceVersion { version, effective_at, operations: settings::sorted(operations) };
        self.platform_at = now;
        self.prices.push(version.clone());
        Ok(Output::Prices(version))
    }

    /// Pending charges whose deadline has passed, by workspace and place, in no order that matters.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<(WorkspaceId, usize)> {
        let mut due = Vec::new();
        for (id, pool) in &self.pools {
            let late = |place: &usize| pool.state(*place).deadline.is_some_and(|deadline| deadline <= now);
            due.extend((0..pool.charge_count()).filter(late).map(|place| (id.clone(), place)));
        }
        due
    }
}

/// What names itself can happen once only, under whatever key it is sent. Callers' keys are printable, so a control
/// character keeps the two apart.
fn once_only(command: &Command) -> Option<String> {
    match command {
        Command::Grant(request) => {
            let origin = request.origin.as_deref()?;
            Some(format!("\u{2}grant {:?} {origin}", request.source))
        }
        Command::ClawBack { dispute, .. } => Some(format!("\u{2}claw back {dispute}")),
        Command::RestoreClawBack { dispute } => Some(format!("\u{2}restore {dispute}")),
        _ => None,
    }
}

/// The first field in which two requests under one key differ, as the API spells it.
fn differing_field(first: &Command, again: &Command) -> Option<&'static str> {
    let fields: Vec<(&'static str, bool)> = match (first, again) {
        (Command::Charge(a), Command::Charge(b)) => vec![
            ("member", a.member == b.member),
            ("worker", a.worker == b.worker),
            ("operation", a.operation == b.operation),
            ("quantity", a.quantity == b.quantity),
            ("await_outcome", a.await_outcome == b.await_outcome),
            ("timeout_seconds", a.timeout_seconds == b.timeout_seconds),
            ("reference", a.reference == b.reference),
            ("metadata", a.metadata == b.metadata),
        ],
        (Command::Grant(a), Command::Grant(b)) => vec![
            ("source", a.source == b.source),
            ("amount", a.amount == b.amount),
            ("reason", a.reason == b.reason),
        ],
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
            Command::ClawBack { grant: a, amount: sum_a, .. },
            Command::ClawBack { grant: b, amount: sum_b, .. },
        ) => vec![("grant", a == b), ("amount", sum_a == sum_b)],
        (Command::RestoreClawBack { .. }, Command::RestoreClawBack { .. }) => Vec::new(),
        _ => vec![("path", false)],
    };
    fields.into_iter().find(|(_, same)| !same).map(|(name, _)| name)
}
