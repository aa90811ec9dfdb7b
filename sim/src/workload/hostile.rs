//! What a hostile tenant repeats: heartbeats, settings that are set already, one request under one
//! key, ever new names, and the smallest grants and refunds.
//!
//! A *burst* repeats one kind of request in one workspace, many times in a row. Most of them must
//! change nothing, and none may change what others are answered. Not here: how many requests arrive
//! at once (`faults/crash.rs`), and what a burst costs (`tollkeeper bench --hostile`).

use tollkeeper_ledger::{
    ChargeCommand, ChargeId, Command, GrantRequest, Micros, OperationPrice, Source, WorkspaceChanges,
    WorkspaceId,
};

use super::{Workload, worker};
use crate::model::step::{Step, nth};
use crate::model::{Model, Pool};

/// The share of steps that begin a burst, per thousand.
const BURSTS: u64 = 15;
/// Requests of the longest burst that changes nothing, and of one that adds entries.
const LONGEST: u64 = 150;
const LONGEST_OF_ENTRIES: u64 = 25;

/// What a burst repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Heartbeats,
    EqualLimits,
    EqualProfile,
    EqualAlerts,
    EqualPrices,
    OneKey,
    NewWorkers,
    SmallGrants,
    SmallRefunds,
}

const KINDS: [Kind; 9] = [
    Kind::Heartbeats,
    Kind::EqualLimits,
    Kind::EqualProfile,
    Kind::EqualAlerts,
    Kind::EqualPrices,
    Kind::OneKey,
    Kind::NewWorkers,
    Kind::SmallGrants,
    Kind::SmallRefunds,
];

impl Kind {
    fn adds_entries(self) -> bool {
        matches!(self, Kind::NewWorkers | Kind::SmallGrants | Kind::SmallRefunds)
    }
}

/// A burst under way.
#[derive(Clone, Debug)]
pub(super) struct Burst {
    kind: Kind,
    workspace: WorkspaceId,
    left: u64,
}

impl Workload {
    /// The next step of a burst; `None` between bursts, and where the burst has nothing to repeat.
    pub(super) fn burst_step(&mut self, model: &Model) -> Option<Step> {
        if !self.hostile {
            return None;
        }
        let burst = match self.burst.take() {
            Some(burst) => burst,
            None if self.random.chance(BURSTS) => self.new_burst(),
            None => return None,
        };
        let Burst { kind, workspace, left } = burst.clone();
        self.burst = (left > 1).then(|| Burst { left: left - 1, ..burst });
        if kind == Kind::OneKey {
            let submission = self.repeatable.last()?.clone();
            return Some(Step { now: self.now, submission });
        }
        let pool = model.pools.get(&workspace)?;
        if kind == Kind::EqualPrices {
            let command = equal_prices(model)?;
            return Some(self.step(None, WorkspaceId::platform(), None, command));
        }
        let command = self.burst_command(kind, pool)?;
        let key = self.key_for(&command);
        Some(self.step(Some(pool), workspace, key, command))
    }

    fn new_burst(&mut self) -> Burst {
        let kind = *self.random.pick(&KINDS);
        let longest = if kind.adds_entries() { LONGEST_OF_ENTRIES } else { LONGEST };
        Burst { kind, workspace: self.workspace(), left: 2 + self.random.below(longest) }
    }

    fn burst_command(&mut self, kind: Kind, pool: &Pool) -> Option<Command> {
        // Always the same charge, so that its entries are many.
        let first = (pool.charge_count() > 0).then(|| ChargeId(nth(0)));
        let last = pool.charge_count().checked_sub(1).map(|index| ChargeId(nth(index)));
        let command = match kind {
            Kind::Heartbeats => {
                let extend_seconds = *self.random.pick(&[30, 3_600, 604_800]);
                ChargeCommand::Heartbeat { extend_seconds }.for_charge(last?)
            }
            Kind::SmallRefunds => {
                let amount = Some(Micros::new(1));
                ChargeCommand::Refund { amount, reason: "courtesy".into() }.for_charge(first?)
            }
            Kind::EqualLimits => Command::SetLimits(pool.limits().to_vec()),
            Kind::EqualProfile => {
                let profile = pool.profile();
                Command::UpdateWorkspace(WorkspaceChanges {
                    name: Some(profile.name),
                    timezone: Some(profile.timezone),
                    metadata: Some(profile.metadata),
                    suspended: Some(profile.suspended),
                })
            }
            Kind::EqualAlerts => {
                let (thresholds, cooldown_seconds) = pool.alerts()?;
                Command::SetAlerts { thresholds, cooldown_seconds }
            }
            Kind::NewWorkers => {
                let mut request = self.charge();
                request.worker = Some(worker(&format!("new-{}", self.keys)));
                Command::Charge(request)
            }
            Kind::SmallGrants => Command::Grant(GrantRequest::new(Source::Promotional, Micros::new(1))),
            Kind::EqualPrices | Kind::OneKey => return None,
        };
        Some(command)
    }
}

/// The prices that were set last.
fn equal_prices(model: &Model) -> Option<Command> {
    let last = model.prices.last()?;
    let operations = last.operations.iter().map(|operation| OperationPrice {
        id: operation.id.clone(),
        price: operation.price.clone(),
        timeout_seconds: operation.timeout_seconds,
    });
    Some(Command::SetPrices { operations: operations.collect(), effective_at: None })
}
