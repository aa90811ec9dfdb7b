//! Who asks, and whether they still may: the edge looked a key or a session up a moment ago, and the decision looks once
//! more, at the account it decides on. So a key that was revoked or a member who was demoted does nothing afterwards, on
//! whichever server the request came in.
//!
//! What a scope opens is decided at the edge, from the table of routes: a key's scopes cannot change in between. A role can,
//! so what only admins may do is looked at here too.

use super::View;
use crate::{
    ApiKey, ApiKeyId, Command, MemberId, PortalSession, Refusal, Role, Team, TeamCommand, Timestamp,
};

/// Who asks; every entry keeps it, so that the journal is the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The holder of a platform key.
    Platform,
    /// Tollkeeper itself: timers, renewals.
    System,
    /// A workspace API key.
    ApiKey(ApiKeyId),
    /// A person in the dashboard.
    Member(MemberId),
}

impl Actor {
    /// The API key, if it is one.
    #[must_use]
    pub fn api_key(&self) -> Option<ApiKeyId> {
        match self {
            Actor::ApiKey(id) => Some(*id),
            Actor::Platform | Actor::System | Actor::Member(_) => None,
        }
    }
}

/// Refuses whoever may not act in the workspace (any more), and a tied key that speaks for somebody else. `now` is the account's
/// clock, `asked_at` the server's.
pub(crate) fn confirm(
    view: &View,
    actor: &Actor,
    command: &Command,
    (now, asked_at): (Timestamp, Timestamp),
) -> Result<(), Refusal> {
    match actor {
        Actor::Platform | Actor::System => Ok(()),
        Actor::ApiKey(id) => {
            let key = view.account()?.team.key(*id).filter(|key| key.holds(now));
            is_tied(view, key.ok_or(Refusal::ActorUnknown)?, command)
        }
        Actor::Member(id) => {
            let team = &view.account()?.team;
            let member = team.member(id).ok_or(Refusal::ActorUnknown)?;
            if is_own_way(team, id, command, asked_at) || member.role == Role::Admin {
                Ok(())
            } else {
                Err(Refusal::Forbidden { why: ADMINS })
            }
        }
    }
}

/// Whether a member follows a link of their own or ends a session of their own; what is not there (any more) harms nobody.
fn is_own_way(team: &Team, member: &MemberId, command: &Command, asked_at: Timestamp) -> bool {
    match command {
        Command::Team(TeamCommand::SignIn { link, .. }) => {
            team.link(link, asked_at).is_none_or(|link| link.member == *member)
        }
        Command::Team(TeamCommand::SignOut(session)) => {
            let is_it = |other: &&PortalSession| other.id == *session;
            team.sessions.iter().find(is_it).is_none_or(|session| session.member == *member)
        }
        _ => false,
    }
}

const ADMINS: &str = "Only admins of the workspace may do this.";
const TIED: &str = "The key is tied to one member or worker and cannot speak for another.";

fn is_tied(view: &View, key: &ApiKey, command: &Command) -> Result<(), Refusal> {
    let own = match command {
        Command::Charge(request) => key.speaks_for(request.member.as_ref(), request.worker.as_ref()),
        Command::Team(TeamCommand::CreateKey(made)) => {
            key.speaks_for(made.member.as_ref(), made.worker.as_ref())
        }
        _ => view.charge.is_none_or(|charge| {
            key.speaks_for(charge.details.spender.member.as_ref(), charge.details.spender.worker.as_ref())
        }),
    };
    if own { Ok(()) } else { Err(Refusal::Forbidden { why: TIED }) }
}
