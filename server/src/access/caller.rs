//! Who calls, and the rule that says who may call a route.

use std::sync::Arc;

use tollkeeper_ledger::{
    Actor, ApiKey, Hash, Member, OperatorId, PortalSession, Role, Scope, Team, Timestamp, WorkspaceId,
};

use super::operator::SignedInOperator;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everyone, without a key.
    Public,
    /// The holder of a platform key.
    Platform,
    /// The holder of a platform key, or of an API key of the path's workspace with at least one of
    /// these scopes.
    Workspace(&'static [Scope]),
    /// The same for a path without a workspace: an API key of any workspace, for its own.
    AnyWorkspace(&'static [Scope]),
    /// A member who is signed in to the dashboard. [`Role::Member`] admits both roles.
    SignedIn(Role),
    /// An operator of the platform who is signed in to the console.
    Operator,
}

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Unknown: the route is public and no key was looked at.
    Anonymous,
    /// The holder of a platform key.
    Platform,
    /// The holder of an API key of a workspace.
    Key(KeyHolder),
    /// A member who is signed in to the dashboard.
    Member(Box<SignedIn>),
    /// An operator who is signed in to the console.
    Operator(Box<SignedInOperator>),
}

/// The holder of an API key of a workspace.
#[derive(Clone, Debug)]
pub struct KeyHolder {
    /// The workspace that the key belongs to.
    pub workspace: WorkspaceId,
    team: Arc<Team>,
    /// The index of the key in the team's list; kept instead of a copy of the key.
    key_index: usize,
}

impl KeyHolder {
    /// The holder of the key with this hash, if the team has such a key and it is valid at `now`.
    #[must_use]
    pub fn find(workspace: WorkspaceId, team: Arc<Team>, hash: &Hash, now: Timestamp) -> Option<KeyHolder> {
        let key_index = team.key_index(hash, now)?;
        Some(KeyHolder { workspace, team, key_index })
    }

    /// The key.
    #[must_use]
    pub fn api_key(&self) -> &ApiKey {
        &self.team.keys[self.key_index]
    }

    /// Whether the key has at least one of these scopes.
    #[must_use]
    pub fn has_any(&self, scopes: &[Scope]) -> bool {
        scopes.iter().any(|scope| self.api_key().scopes.contains(*scope))
    }
}

/// A member who is signed in to the dashboard.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The workspace of the session.
    pub workspace: WorkspaceId,
    /// The session.
    pub session: PortalSession,
    /// The member as the team has it now, so that a changed role counts at once.
    pub member: Member,
    /// The token that the forms of the session's pages carry.
    pub form_token: String,
    /// The operator who looks at the pages as an admin of the workspace sees them; `None` for a
    /// member.
    pub viewer: Option<OperatorId>,
}

impl Caller {
    /// The actor that the journal records for the caller's commands; `None` for an anonymous
    /// caller, for an operator who only looks, and for one who gives no reason: they may submit no
    /// command.
    #[must_use]
    pub fn actor(&self) -> Option<Actor> {
        match self {
            Caller::Anonymous => None,
            Caller::Platform => Some(Actor::Platform),
            Caller::Key(holder) => Some(Actor::ApiKey(holder.api_key().id)),
            Caller::Member(signed_in) if signed_in.viewer.is_some() => None,
            Caller::Member(signed_in) => Some(Actor::Member(signed_in.member.id.clone())),
            Caller::Operator(operator) => operator.actor(),
        }
    }

    /// The caller's API key, if the caller holds one.
    #[must_use]
    pub fn api_key(&self) -> Option<&ApiKey> {
        match self {
            Caller::Key(holder) => Some(holder.api_key()),
            Caller::Anonymous | Caller::Platform | Caller::Member(_) | Caller::Operator(_) => None,
        }
    }

    /// The workspace to which the caller belongs, if to one.
    #[must_use]
    pub fn workspace(&self) -> Option<&WorkspaceId> {
        match self {
            Caller::Key(holder) => Some(&holder.workspace),
            Caller::Member(signed_in) => Some(&signed_in.workspace),
            Caller::Anonymous | Caller::Platform | Caller::Operator(_) => None,
        }
    }

    /// Whether the caller may name this workspace in a body. Paths are checked by `admit`.
    #[must_use]
    pub fn may_name(&self, workspace: &WorkspaceId) -> bool {
        match self {
            Caller::Platform => true,
            Caller::Key(holder) => holder.workspace == *workspace,
            Caller::Anonymous | Caller::Member(_) | Caller::Operator(_) => false,
        }
    }
}
