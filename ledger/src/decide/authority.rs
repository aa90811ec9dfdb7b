//! Authorization: whether the caller may still do this, on the account that is decided on. Only
//! one check comes before it: that the command fits the journal.
//!
//! The server looked up the API key or session a moment ago, on a team that may be out of date.
//! This check is final: a revoked key or a demoted member changes nothing afterwards, on any
//! server.
//!
//! The scopes of a key cannot change, so the server checks them, from its table of routes. Two
//! rules depend on more than the route and are checked here: who may give back the credit of a
//! charge, and who may create a key with [`Scope::Settle`]. Otherwise the party that is charged
//! could take its credit back. A role can change, so what only admins may do is checked here. An
//! unknown caller has no [`Actor`]: the server refuses it, and nothing here takes it for the
//! system.

use super::operators;
use super::view::{Clocks, View};
use crate::{
    Actor, ApiKey, ChargeCommand, Command, MemberId, PortalSession, Refusal, Role, Scope, Spender, Status,
    Team, TeamCommand, Timestamp,
};

const ADMINS_ONLY: &str = "Only admins of the workspace may do this.";
const TIED_KEY: &str = "The key is tied to one member or worker and cannot act for another member or worker.";
const CHARGE_ONLY: &str = "Only a key with the scope `charge` may report this about a charge.";
const SETTLE_ONLY: &str = "A failure of the system refunds the charge. Only the platform, or a key with the scope `settle`, may report it.";
const OUTCOME_BY_PLATFORM: &str = "The charge was made with `outcome_by_platform`. Only the platform, or a key with the scope `settle`, may report about it.";
const SETTLED: &str = "The charge is settled. From then on only the platform may refund it.";
const PLATFORM_ONLY: &str = "Only the platform may do this.";
const GRANTS_SETTLE: &str = "Only the platform may create a key with the scope `settle`.";

/// Refuses a caller that may not act in the workspace, and a tied key that acts for another member
/// or worker.
///
/// # Errors
/// `WorkspaceNotFound`, `Unauthenticated`, `Forbidden`, and `InvalidField` for an
/// operator's reason.
pub(super) fn check(view: &View, actor: &Actor, command: &Command, clocks: Clocks) -> Result<(), Refusal> {
    match actor {
        Actor::Platform | Actor::System => Ok(()),
        Actor::ApiKey(id) => {
            let key = view.account()?.team.key(*id).filter(|key| key.is_valid_at(clocks.present));
            let key = key.ok_or(Refusal::Unauthenticated)?;
            assert!(key.id == *id, "an API key must act under its own id");
            check_tied_key(view, key, command)?;
            check_gives_back(view, Some(key), command)
        }
        Actor::Member(id) => {
            let team = &view.account()?.team;
            let member = team.member(id).ok_or(Refusal::Unauthenticated)?;
            assert!(member.id == *id, "a member must act under their own id");
            if member.role == Role::Admin || is_own_session(team, id, command, clocks.server) {
                check_gives_back(view, None, command)
            } else {
                Err(Refusal::Forbidden { why: ADMINS_ONLY })
            }
        }
        Actor::Operator(act) => operators::check(view, act, command, clocks),
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

/// Refuses a caller of the workspace that would give back credit of a charge without the right to,
/// or create a key that can. `key` is `None` for a member.
///
/// The outcome decides what a charge costs: fewer units may be reported than were paid for. So a
/// charge can leave that to the platform.
///
/// A failure of the system that was reported already changes nothing, so it may be repeated.
fn check_gives_back(view: &View, key: Option<&ApiKey>, command: &Command) -> Result<(), Refusal> {
    let has = |scope| key.is_some_and(|key| key.scopes.contains(scope));
    let forbidden = |why| Err(Refusal::Forbidden { why });
    match command {
        Command::Team(TeamCommand::CreateKey(request)) if request.scopes.contains(Scope::Settle) => {
            forbidden(GRANTS_SETTLE)
        }
        Command::ExistingCharge { .. } if is_left_to_platform(view) && !has(Scope::Settle) => {
            forbidden(OUTCOME_BY_PLATFORM)
        }
        Command::ExistingCharge { command, .. } => match command {
            ChargeCommand::Succeed { .. }
            | ChargeCommand::Fail { by_system: false, .. }
            | ChargeCommand::Heartbeat { .. } => {
                if has(Scope::Charge) {
                    Ok(())
                } else {
                    forbidden(CHARGE_ONLY)
                }
            }
            ChargeCommand::Fail { by_system: true, .. } if !has(Scope::Settle) => forbidden(SETTLE_ONLY),
            ChargeCommand::Fail { by_system: true, .. } => {
                let is_settled = view.charge.is_some_and(|charge| charge.state.status == Status::Settled);
                if is_settled { forbidden(SETTLED) } else { Ok(()) }
            }
            ChargeCommand::Refund { .. } | ChargeCommand::TimeOut => forbidden(PLATFORM_ONLY),
        },
        Command::Payment(command) if command.is_reported() => forbidden(PLATFORM_ONLY),
        Command::Team(TeamCommand::Recipient(command)) if command.is_reported() => forbidden(PLATFORM_ONLY),
        // The server sends them by itself.
        Command::CheckAlerts { .. } | Command::NoteRefused(_) | Command::NoteLimit { .. } => {
            forbidden(PLATFORM_ONLY)
        }
        _ => Ok(()),
    }
}

/// True if only the platform, or a key with the scope `settle`, may report about the charge.
fn is_left_to_platform(view: &View) -> bool {
    view.charge.is_some_and(|charge| charge.details.outcome_by_platform)
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
