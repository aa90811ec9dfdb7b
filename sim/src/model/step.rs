//! One thing that is asked of an engine and of the model alike, and the names they have for it.
//!
//! An engine makes ids, the model counts: the third charge of a workspace is number 2 there. A [`Step`] speaks of
//! charges, grants, API keys and sessions by the model's [`nth`] ids; [`Names`] translates it for an engine and the
//! engine's answers back, learning each new id from the answer that first told it. So one stream of steps drives any
//! engine, and what two engines answered can be compared as it stands.
//! Not here: where steps come from (`workload`), what is right (`model`).

use std::collections::HashMap;

use tollkeeper_engine::{Answer, GrantRecord, Output};
use tollkeeper_ledger::{
    Actor, ApiKey, ApiKeyId, ChargeDetails, ChargeId, Command, EntryBody, GrantId, Id, Limit, PortalSession,
    Refusal, Subject, Submission, TeamChange, TeamCommand, Timestamp, UsageKey, WorkspaceId,
};

/// What is asked, and when.
#[derive(Clone, Debug)]
pub struct Step {
    /// The caller's clock.
    pub now: Timestamp,
    /// What is asked, with everything that an engine names under its [`nth`] id.
    pub submission: Submission,
}

/// The model's id of what so many of its kind came before in its workspace: a charge, a grant, an API key, or a session,
/// which is counted by its link.
#[must_use]
pub fn nth(place: usize) -> Id {
    Id::from_bytes((place as u128).to_be_bytes())
}

/// Which place an id of the model's stands for.
#[must_use]
pub fn index_of(id: Id) -> usize {
    usize::try_from(u128::from_be_bytes(id.to_bytes())).unwrap_or(usize::MAX)
}

/// An id that names nothing in any engine.
#[must_use]
pub fn unknown_id() -> Id {
    Id::from_bytes([0xff; 16])
}

/// What an engine calls the charges, grants, API keys and sessions of each workspace.
#[derive(Clone, Debug, Default)]
pub struct Names(HashMap<WorkspaceId, Named>);

/// The engine's ids of one workspace, each kind in the order it came.
#[derive(Clone, Debug, Default)]
struct Named {
    charges: Vec<Id>,
    grants: Vec<Id>,
    keys: Vec<Id>,
    sessions: Vec<Id>,
}

impl Names {
    fn of(&mut self, workspace: &WorkspaceId) -> &mut Named {
        self.0.entry(workspace.clone()).or_default()
    }

    /// The submission as the engine understands it; `None` while it speaks of something the engine has not named yet.
    #[must_use]
    pub fn for_engine(&self, submission: &Submission) -> Option<Submission> {
        let mut submission = submission.clone();
        let nothing = Named::default();
        let named = self.0.get(&submission.workspace).unwrap_or(&nothing);
        if let Actor::ApiKey(key) = &mut submission.actor {
            key.0 = known(&named.keys, key.0)?;
        }
        match &mut submission.command {
            Command::ExistingCharge { charge, .. } => charge.0 = known(&named.charges, charge.0)?,
            Command::VoidGrant { grant, .. } | Command::ClawBack { grant, .. } => {
                grant.0 = known(&named.grants, grant.0)?;
            }
            Command::SetLimits(limits) => {
                for (subject, _, _) in limits {
                    if let Subject::ApiKey(key) = subject {
                        key.0 = known(&named.keys, key.0)?;
                    }
                }
            }
            Command::Team(TeamCommand::RevokeKey(key) | TeamCommand::NoteKeyUse(key)) => {
                key.0 = known(&named.keys, key.0)?;
            }
            Command::Team(TeamCommand::SignOut(session)) => {
                session.0 = known(&named.sessions, session.0)?;
            }
            Command::CreateWorkspace(_)
            | Command::UpdateWorkspace(_)
            | Command::Grant(_)
            | Command::RestoreClawBack { .. }
            | Command::Charge(_)
            | Command::SetAlerts { .. }
            | Command::Team(_)
            | Command::SetPrices { .. }
            | Command::SetPlatformKey { .. } => {}
        }
        Some(submission)
    }

    /// The answer in the model's words; what was not heard of before gets the next number.
    pub fn for_model(&mut self, workspace: &WorkspaceId, mut answer: Answer) -> Answer {
        match &mut answer.output {
            Output::Charge(charge, _) => self.details_for_model(workspace, &mut charge.details),
            Output::Grant(record, _) => self.grant_for_model(workspace, record),
            Output::Limits(limits) => self.limits_for_model(workspace, limits),
            Output::Team(change) => self.change_for_model(workspace, change),
            Output::Workspace(_) | Output::Prices(_) | Output::Done => {}
        }
        answer
    }

    /// The refusal in the model's words.
    pub fn refusal_for_model(&mut self, workspace: &WorkspaceId, mut refusal: Refusal) -> Refusal {
        if let Refusal::LimitExceeded { subject, .. } = &mut refusal {
            self.subject_for_model(workspace, subject);
        }
        refusal
    }

    /// Learns what an entry names, for want of the answer that told it.
    pub fn learn(&mut self, workspace: &WorkspaceId, body: &EntryBody) {
        let named = self.of(workspace);
        match body {
            EntryBody::ChargeOpened(details) => learn(&mut named.charges, details.id.0),
            EntryBody::Granted { grant, .. } => learn(&mut named.grants, grant.id.0),
            EntryBody::Team(change) => match change.as_ref() {
                TeamChange::KeyCreated(key) => learn(&mut named.keys, key.id.0),
                TeamChange::LinkMade(link) => learn(&mut named.sessions, link.id.0),
                _ => return,
            },
            _ => return,
        };
    }

    /// The model's id of a charge.
    pub fn charge_for_model(&mut self, workspace: &WorkspaceId, charge: ChargeId) -> ChargeId {
        ChargeId(learn(&mut self.of(workspace).charges, charge.0))
    }

    /// Puts the model's ids into a charge as it was born.
    pub fn details_for_model(&mut self, workspace: &WorkspaceId, details: &mut ChargeDetails) {
        details.id = self.charge_for_model(workspace, details.id);
        details.spender.api_key = details.spender.api_key.map(|key| self.key_for_model(workspace, key));
    }

    /// Puts the model's id into the record of a grant.
    pub fn grant_for_model(&mut self, workspace: &WorkspaceId, record: &mut GrantRecord) {
        record.grant.id = self.grant_id_for_model(workspace, record.grant.id);
    }

    /// The model's id of a grant.
    pub fn grant_id_for_model(&mut self, workspace: &WorkspaceId, grant: GrantId) -> GrantId {
        GrantId(learn(&mut self.of(workspace).grants, grant.0))
    }

    fn key_for_model(&mut self, workspace: &WorkspaceId, key: ApiKeyId) -> ApiKeyId {
        ApiKeyId(learn(&mut self.of(workspace).keys, key.0))
    }

    fn subject_for_model(&mut self, workspace: &WorkspaceId, subject: &mut Subject) {
        if let Subject::ApiKey(key) = subject {
            *key = self.key_for_model(workspace, *key);
        }
    }

    /// Puts the model's ids into spending limits.
    pub fn limits_for_model(&mut self, workspace: &WorkspaceId, limits: &mut [Limit]) {
        for limit in limits {
            self.subject_for_model(workspace, &mut limit.subject);
        }
    }

    /// Puts the model's id into what usage is counted under.
    pub fn usage_for_model(&mut self, workspace: &WorkspaceId, key: &mut UsageKey) {
        key.spender.api_key = key.spender.api_key.map(|key| self.key_for_model(workspace, key));
    }

    /// Puts the model's id into an API key.
    pub fn api_key_for_model(&mut self, workspace: &WorkspaceId, key: &mut ApiKey) {
        key.id = self.key_for_model(workspace, key.id);
    }

    /// Puts the model's id into a link or a session.
    pub fn session_for_model(&mut self, workspace: &WorkspaceId, session: &mut PortalSession) {
        session.id.0 = learn(&mut self.of(workspace).sessions, session.id.0);
    }

    fn change_for_model(&mut self, workspace: &WorkspaceId, change: &mut TeamChange) {
        match change {
            TeamChange::KeyCreated(key) => self.api_key_for_model(workspace, key),
            TeamChange::KeyRevoked(key) | TeamChange::KeyUsed(key) => {
                *key = self.key_for_model(workspace, *key);
            }
            TeamChange::LinkMade(session) | TeamChange::SignedIn(session) => {
                self.session_for_model(workspace, session);
            }
            TeamChange::SignedOut(session) => {
                session.0 = learn(&mut self.of(workspace).sessions, session.0);
            }
            TeamChange::MemberAdded(_)
            | TeamChange::MemberChanged(_)
            | TeamChange::MemberRemoved(_)
            | TeamChange::AllSignedOut(_) => {}
        }
    }

    /// The engine's id of a workspace's charge by its place.
    #[must_use]
    pub fn charge(&self, workspace: &WorkspaceId, place: usize) -> Option<ChargeId> {
        self.0.get(workspace)?.charges.get(place).map(|id| ChargeId(*id))
    }
}

fn known(names: &[Id], id: Id) -> Option<Id> {
    if id == unknown_id() { Some(id) } else { names.get(index_of(id)).copied() }
}

fn learn(names: &mut Vec<Id>, id: Id) -> Id {
    if id == unknown_id() {
        return id;
    }
    let place = names.iter().position(|name| *name == id).unwrap_or_else(|| {
        names.push(id);
        names.len() - 1
    });
    nth(place)
}
