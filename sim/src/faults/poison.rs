//! Accounts whose numbers in memory become wrong in the middle of a run.
//!
//! A poisoned account must stop nobody else. Its commands are undone and refused, it is rebuilt
//! from its entries, and then everything is answered as the model says. [`Poison`] holds back the
//! commands that were refused meanwhile, so that they can be sent again. An account that is refused
//! without having been poisoned is a [`Difference`].

use std::collections::BTreeSet;

use tollkeeper_engine::Ran;
use tollkeeper_engine::embedded::Core;
use tollkeeper_ledger::{
    Actor, Command, Micros, OperationId, OperationPrice, Submission, WorkspaceChanges, WorkspaceId,
};

use crate::differential::{Difference, Differential};
use crate::model::step::Step;
use crate::random::Random;

/// Rounds of maintenance within which a poisoned account of a short run is rebuilt.
const ROUNDS: u32 = 200;

/// A batch of steps, each with its submission in the ids of the engine.
type Batch = Vec<(Step, Submission)>;

/// The poisoned accounts of a run, and what is to be sent again because of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Poison {
    /// Accounts that may be refused: poisoned, and not answered since.
    poisoned: BTreeSet<WorkspaceId>,
    /// The account that is poisoned by the batch under way.
    fresh: Option<WorkspaceId>,
    unanswered: Batch,
    /// How often an account was poisoned.
    pub strikes: u64,
    /// Commands that were refused because of it.
    pub refused: u64,
}

impl Poison {
    /// Makes an account in memory wrong, and ends the batch with a command that cannot be recorded
    /// on it: so nothing of the account is persisted before it is found out.
    pub fn strike(&mut self, core: &mut Core, diff: &Differential, random: &mut Random, batch: &mut Batch) {
        let mut targets: Vec<WorkspaceId> = diff.model.pools.keys().cloned().collect();
        targets.push(WorkspaceId::platform());
        let target = random.pick(&targets).clone();
        if self.poisoned.contains(&target) || diff.model.prices.is_empty() {
            return;
        }
        assert!(core.flip_total(&target).expect("a healthy disk"), "the engine has what the model has");
        self.strikes += 1;
        let command = self.certain_change(diff, &target);
        let submission = Submission { workspace: target.clone(), key: None, actor: Actor::Platform, command };
        let now = batch.first().map_or(diff.now(), |(step, _)| step.now);
        batch.push((Step { now, submission: submission.clone() }, submission));
        self.poisoned.insert(target.clone());
        self.fresh = Some(target);
    }

    /// A command that is never refused and always adds an entry.
    fn certain_change(&self, diff: &Differential, target: &WorkspaceId) -> Command {
        if !target.is_platform() {
            let name = Some(format!("Strike {}", self.strikes).into());
            return Command::UpdateWorkspace(WorkspaceChanges { name, ..WorkspaceChanges::default() });
        }
        let last = diff.model.prices.last().expect("an account is poisoned once there are prices");
        let same = last.operations.iter().map(|operation| OperationPrice {
            id: operation.id.clone(),
            price: operation.price.clone(),
            timeout_seconds: operation.timeout_seconds,
        });
        let id = OperationId::new(format!("strike-{}", self.strikes)).expect("a name");
        let new = OperationPrice { id, price: Micros::new(500).into(), timeout_seconds: None };
        Command::SetPrices { operations: same.chain([new]).collect(), effective_at: None }
    }

    /// Compares the answers of a batch, and keeps the commands that were refused with their
    /// account; returns those that were answered.
    pub fn compare(
        &mut self,
        diff: &mut Differential,
        batch: Batch,
        results: Vec<Ran>,
    ) -> Result<Batch, Difference> {
        let fresh = self.fresh.take();
        let mut answered = Vec::with_capacity(batch.len());
        for ((step, submission), result) in batch.into_iter().zip(results) {
            let workspace = &submission.workspace;
            match result {
                Ok(answer) => {
                    diff.compare(&step, answer)?;
                    if fresh.as_ref() != Some(workspace) {
                        self.poisoned.remove(workspace);
                    }
                    answered.push((step, submission));
                }
                Err(error) if self.poisoned.contains(workspace) && error.is_of_one_command() => {
                    self.refused += 1;
                    self.unanswered.push((step, submission));
                }
                Err(error) => return Err(diff.engine_error("a command of a sound account", error)),
            }
        }
        Ok(answered)
    }

    /// The commands that are to be sent again, at the present time.
    pub fn take_unanswered(&mut self, diff: &Differential) -> Batch {
        let now = diff.now();
        let unanswered = std::mem::take(&mut self.unanswered);
        unanswered.into_iter().map(|(step, submission)| (Step { now, ..step }, submission)).collect()
    }

    /// True if commands are to be sent again.
    pub fn is_waiting(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// Maintains a core until every account that can be read is served again.
    pub fn heal(&self, core: &mut Core, diff: &Differential) -> Result<(), Difference> {
        for id in diff.model.pools.keys() {
            let mut rounds = 0;
            while let Err(error) = core.balance(id) {
                rounds += 1;
                if rounds > ROUNDS || !error.is_account_refused() {
                    return Err(diff.engine_error(&format!("{id} after it was poisoned"), error));
                }
                core.maintain().expect("a healthy disk");
            }
        }
        // The platform's account has no balance to be asked for.
        (0..4).for_each(|_| core.maintain().expect("a healthy disk"));
        Ok(())
    }
}
