//! One thing that is asked of an engine and of the model alike, and the names they have for it.
//!
//! An engine makes ids, the model counts: the third charge of a workspace is number 2 there. A [`Step`] speaks of
//! charges and grants by the model's [`nth`] ids; [`Names`] translates it for an engine and the engine's answers back,
//! learning each new id from the answer that first told it. So one stream of steps drives any engine, and what two
//! engines answered can be compared as it stands.
//! Not here: where steps come from (`workload`), what is right (`model`).

use std::collections::HashMap;

use tollkeeper_engine::{Answer, GrantRecord, Told};
use tollkeeper_ledger::{ChargeId, Command, GrantId, Id, Submission, Timestamp, WorkspaceId};

/// What is asked, and when.
#[derive(Clone, Debug)]
pub struct Step {
    /// The caller's clock.
    pub now: Timestamp,
    /// What is asked, with charges and grants under their [`nth`] ids.
    pub submission: Submission,
}

/// The model's id of the charge or grant that came so many before it in its workspace.
#[must_use]
pub fn nth(place: usize) -> Id {
    Id::from_bytes((place as u128).to_be_bytes())
}

/// Which place an id of the model's stands for.
#[must_use]
pub fn place(id: Id) -> usize {
    usize::try_from(u128::from_be_bytes(id.to_bytes())).unwrap_or(usize::MAX)
}

/// An id that names nothing in any engine.
#[must_use]
pub fn nothing() -> Id {
    Id::from_bytes([0xff; 16])
}

/// What an engine calls the charges and grants of each workspace.
#[derive(Clone, Debug, Default)]
pub struct Names {
    charges: HashMap<WorkspaceId, Vec<Id>>,
    grants: HashMap<WorkspaceId, Vec<Id>>,
}

impl Names {
    /// The submission as the engine understands it; `None` while it speaks of something the engine has not named yet.
    #[must_use]
    pub fn for_engine(&self, submission: &Submission) -> Option<Submission> {
        let mut submission = submission.clone();
        let charges = self.charges.get(&submission.workspace).map_or(&[][..], Vec::as_slice);
        let grants = self.grants.get(&submission.workspace).map_or(&[][..], Vec::as_slice);
        match &mut submission.command {
            Command::Succeed { charge, .. }
            | Command::Fail { charge, .. }
            | Command::Heartbeat { charge, .. }
            | Command::Refund { charge, .. }
            | Command::TimeOut { charge } => charge.0 = known(charges, charge.0)?,
            Command::VoidGrant { grant, .. } | Command::ClawBack { grant, .. } => {
                grant.0 = known(grants, grant.0)?;
            }
            Command::CreateWorkspace(_)
            | Command::UpdateWorkspace(_)
            | Command::Grant(_)
            | Command::RestoreClawBack { .. }
            | Command::Charge(_)
            | Command::SetLimits(_)
            | Command::SetAlerts { .. }
            | Command::SetPrices { .. }
            | Command::SetPlatformKey { .. } => {}
        }
        Some(submission)
    }

    /// The answer in the model's words; a charge or grant not heard of before gets the next number.
    pub fn for_model(&mut self, workspace: &WorkspaceId, mut answer: Answer) -> Answer {
        match &mut answer.told {
            Told::Charge(charge, _) => {
                charge.opening.id = self.charge_for_model(workspace, charge.opening.id);
            }
            Told::Grant(record, _) => self.grant_for_model(workspace, record),
            Told::Workspace(_) | Told::Prices(_) | Told::Done => {}
        }
        answer
    }

    /// The model's id of a charge.
    pub fn charge_for_model(&mut self, workspace: &WorkspaceId, charge: ChargeId) -> ChargeId {
        ChargeId(learn(self.charges.entry(workspace.clone()).or_default(), charge.0))
    }

    /// Puts the model's id into the record of a grant.
    pub fn grant_for_model(&mut self, workspace: &WorkspaceId, record: &mut GrantRecord) {
        record.grant.id = self.grant_id_for_model(workspace, record.grant.id);
    }

    /// The model's id of a grant.
    pub fn grant_id_for_model(&mut self, workspace: &WorkspaceId, grant: GrantId) -> GrantId {
        GrantId(learn(self.grants.entry(workspace.clone()).or_default(), grant.0))
    }

    /// The engine's id of a workspace's charge by its place.
    #[must_use]
    pub fn charge(&self, workspace: &WorkspaceId, place: usize) -> Option<ChargeId> {
        self.charges.get(workspace)?.get(place).map(|id| ChargeId(*id))
    }
}

fn known(names: &[Id], id: Id) -> Option<Id> {
    if id == nothing() { Some(id) } else { names.get(place(id)).copied() }
}

fn learn(names: &mut Vec<Id>, id: Id) -> Id {
    let place = names.iter().position(|name| *name == id).unwrap_or_else(|| {
        names.push(id);
        names.len() - 1
    });
    nth(place)
}
