//! Authorization: whether the caller may still do this. It is checked first in every decision, on
//! the account that is decided on.
//!
//! The server looked up the API key or session a moment ago, on a team that may be out of date.
//! This check is final: a revoked key or a demoted member changes nothing afterwards, on any
//! server.
//!
//! The scopes of a key cannot change, so the server checks them, from its table of routes. A role
//! can change, so what only admins may do is checked here. An unknown caller has no [`Actor`]: the
//! server refuses it, and nothing here takes it for the system.

use super::view::{Clocks, View};
use crate::{
    Actor, ApiKey, Command, MemberId, PortalSession, Refusal, Role, Spender, Team, TeamCommand, Timestamp,
};

const ADMINS_ONLY: &str = "Only admins of the workspace may do this.";
const TIED_KEY: &str = "The key is tied to one member or worker and cannot act for another member or worker.";

/// Refuses a caller that may not act in the workspace, and a tied key that acts for another member
/// or worker.
///
/// # Errors
/// `WorkspaceNotFound`, `Unauthenticated`, `Forbidden`.
pub(super) fn check(view: &View, actor: &Actor, command: &Command, clocks: Clocks) -> Result<(), Refusal> {
    match actor {
        Actor::Platform | Actor::System => Ok(()),
        Actor::ApiKey(id) => {
            let key = view.account()?.team.key(*id).filter(|key| key.is_valid_at(clocks.account));
            check_tied_key(view, key.ok_or(Refusal::Unauthenticated)?, command)
        }
        Actor::Member(id) => {
            let team = &view.account()?.team;
            let member = team.member(id).ok_or(Refusal::Unauthenticated)?;
            assert!(member.id == *id, "a member must act under their own id");
            if member.role == Role::Admin || is_own_session(team, id, command, clocks.server) {
                Ok(())
            } else {
                Err(Refusal::Forbidden { why: ADMINS_ONLY })
            }
        }
    }
}

/// True if the member follows their own link or ends their own session. A link or session that is
/// not there changes nothing and counts as their own.
fn is_own_session(team: &Team, member: &MemberId, command: &Command, server_now: Timestamp) -> bool {
    match command {
        Command::Team(TeamCommand::SignIn { link, .. }) => {
            team.link(link, server_now).is_none_or(|link| link.member == *member)
        }
        Command::Team(TeamCommand::SignOut(session)) => {
            let is_it = |other: &&PortalSession| other.id == *session;
            team.sessions.iter().find(is_it).is_none_or(|session| session.member == *member)
        }
        _ => false,
    }
}

/// Refuses a tied key that opens a charge, creates a key, or changes a charge for another member or
/// worker.
fn check_tied_key(view: &View, key: &ApiKey, command: &Command) -> Result<(), Refusal> {
    let own = match command {
        Command::Charge(request) => key.may_act_for(request.member.as_ref(), request.worker.as_ref()),
        Command::Team(TeamCommand::CreateKey(request)) => {
            key.may_act_for(request.member.as_ref(), request.worker.as_ref())
        }
        _ => view.charge.is_none_or(|charge| {
            let Spender { member, worker, .. } = &charge.details.spender;
            key.may_act_for(member.as_ref(), worker.as_ref())
        }),
    };
    if own { Ok(()) } else { Err(Refusal::Forbidden { why: TIED_KEY }) }
}
