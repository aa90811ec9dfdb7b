//! Decides changes of a team: members (P14, P15), API keys, links to the portal and sessions.
//!
//! The state and what an entry does to it are in `team`. Who may ask for a change is in
//! `authority`, and who gets mails is in `recipients`. Links and sessions expire by the clock of
//! the server itself: the session of a browser is checked there without an account.

use super::recipients;
use super::view::{Clocks, View};
use crate::{
    ApiKey, ApiKeyId, ApiKeyRequest, Hash, LinkRequest, Member, MemberChanges, MemberId, MemberRequest,
    PortalSession, Refusal, Role, SessionId, Team, TeamChange, TeamCommand, TextsOfMember, Timestamp, bounds,
};

/// Decides a command about the team; `None` if it would change nothing.
///
/// # Errors
/// `WorkspaceNotFound`, and what each command may be refused for.
pub(super) fn decide(
    view: &View,
    command: TeamCommand,
    clocks: Clocks,
) -> Result<Option<TeamChange>, Refusal> {
    let team = &*view.account()?.team;
    assert!(team.is_within_bounds(), "a team must be within its bounds");
    match command {
        TeamCommand::AddMember(request) => add_member(team, *request, clocks.present).map(Some),
        TeamCommand::ChangeMember(id, changes) => change_member(team, &id, *changes),
        TeamCommand::RemoveMember(id) => remove_member(team, id).map(Some),
        TeamCommand::EraseMember(id) => erase_member(team, id, view.texts_of_member),
        TeamCommand::CreateKey(request) => {
            create_key(team, ApiKeyId(view.fresh_id), request, clocks.present).map(Some)
        }
        TeamCommand::RevokeKey(id) => {
            team.key(id).ok_or(Refusal::ApiKeyNotFound)?;
            Ok(Some(TeamChange::KeyRevoked(id)))
        }
        TeamCommand::RecordKeyUse(id) => {
            let key = team.key(id).ok_or(Refusal::ApiKeyNotFound)?;
            Ok(key.is_use_due(clocks.present).then_some(TeamChange::KeyUsed(id)))
        }
        TeamCommand::CreateLink(request) => {
            create_link(team, SessionId(view.fresh_id), request, clocks.server).map(Some)
        }
        TeamCommand::SignIn { link, session, valid_for_seconds } => {
            let secrets = SignInSecrets { link, session };
            sign_in(team, &secrets, valid_for_seconds, clocks.server).map(Some)
        }
        TeamCommand::SignOut(id) => Ok(sign_out(team, id)),
        TeamCommand::SignOutAll(member) => sign_out_all(team, member),
        TeamCommand::Recipient(command) => Ok(recipients::decide(view, command)?.map(TeamChange::Recipient)),
    }
}

/// # Errors
/// `MemberExists`, `InvalidField` if the team is full.
fn add_member(team: &Team, request: MemberRequest, now: Timestamp) -> Result<TeamChange, Refusal> {
    let MemberRequest { id, email, name, role } = request;
    if team.member(&id).is_some() {
        return Err(Refusal::MemberExists);
    }
    if team.members.len() >= bounds::MEMBERS_MAX {
        return Err(Refusal::InvalidField {
            field: "members",
            why: "are 1,000 already, the most there can be",
        });
    }
    assert!(email.digest != name.digest, "each text about a person must have a salt of its own");
    let (email, name) = (email.digest, name.digest);
    Ok(TeamChange::MemberAdded(Member { id, email, name, role, created_at: now }))
}

/// # Errors
/// `MemberNotFound`, `LastAdmin`.
fn change_member(team: &Team, id: &MemberId, changes: MemberChanges) -> Result<Option<TeamChange>, Refusal> {
    let member = team.member(id).ok_or(Refusal::MemberNotFound)?;
    let MemberChanges { email, name, role } = changes;
    let changed = Member {
        email: email.map_or(member.email, |email| email.digest),
        name: name.map_or(member.name, |name| name.digest),
        role: role.unwrap_or(member.role),
        ..member.clone()
    };
    if changed.role != Role::Admin {
        check_admin_stays(team, member)?;
    }
    Ok((changed != *member).then_some(TeamChange::MemberChanged(changed)))
}

/// # Errors
/// `MemberNotFound`, `LastAdmin`.
fn remove_member(team: &Team, id: MemberId) -> Result<TeamChange, Refusal> {
    check_admin_stays(team, team.member(&id).ok_or(Refusal::MemberNotFound)?)?;
    Ok(TeamChange::MemberRemoved(id))
}

/// Erases what is stored of a member's names and e-mail addresses; `None` if all of it was erased.
/// The member may have left the team, and one who stays keeps role, keys and sessions.
///
/// # Errors
/// `MemberNotFound`.
fn erase_member(team: &Team, id: MemberId, texts: TextsOfMember) -> Result<Option<TeamChange>, Refusal> {
    match texts {
        TextsOfMember::Kept => Ok(Some(TeamChange::MemberErased(id))),
        TextsOfMember::Erased => Ok(None),
        // Damage of the store may have lost the texts of a member.
        TextsOfMember::Unknown if team.member(&id).is_some() => Ok(None),
        TextsOfMember::Unknown => Err(Refusal::MemberNotFound),
    }
}

/// Refuses that the last admin leaves or is demoted: no member could buy credits or change the team
/// afterwards.
fn check_admin_stays(team: &Team, leaving: &Member) -> Result<(), Refusal> {
    if team.is_last_admin(leaving) { Err(Refusal::LastAdmin) } else { Ok(()) }
}

/// # Errors
/// `InvalidField`.
fn create_key(
    team: &Team,
    id: ApiKeyId,
    request: ApiKeyRequest,
    now: Timestamp,
) -> Result<TeamChange, Refusal> {
    let ApiKeyRequest { name, scopes, member, worker, expires_at, hash } = request;
    if scopes.is_empty() {
        return Err(Refusal::InvalidField { field: "scopes", why: "must name at least one" });
    }
    if expires_at.is_some_and(|end| end <= now) {
        return Err(Refusal::InvalidField { field: "expires_at", why: "must be in the future" });
    }
    if team.keys.len() >= bounds::API_KEYS_MAX {
        return Err(Refusal::InvalidField { field: "api_keys", why: "are 100 already; revoke one first" });
    }
    assert!(team.key(id).is_none(), "a new API key must have a new id");
    let (created_at, last_used_at) = (now, None);
    let key = ApiKey { id, name, scopes, member, worker, expires_at, created_at, last_used_at, hash };
    assert!(key.is_valid_at(now), "a new API key must be valid");
    Ok(TeamChange::KeyCreated(key))
}

/// # Errors
/// `MemberNotFound`.
fn create_link(
    team: &Team,
    id: SessionId,
    request: LinkRequest,
    server_now: Timestamp,
) -> Result<TeamChange, Refusal> {
    let LinkRequest { member, hash, return_url, valid_for_seconds } = request;
    team.member(&member).ok_or(Refusal::MemberNotFound)?;
    let (created_at, expires_at) = (server_now, server_now.plus_seconds(valid_for_seconds));
    Ok(TeamChange::LinkCreated(PortalSession { id, member, hash, return_url, created_at, expires_at }))
}

/// The hashes of the two secrets of a sign-in.
struct SignInSecrets {
    /// SHA-256 of the secret in the link.
    link: Hash,
    /// SHA-256 of the secret in the cookie of the new session.
    session: Hash,
}

/// Signs in. The link is removed by the same entry, so that of two browsers that follow it one
/// signs in.
///
/// # Errors
/// `PortalLinkExpired`.
fn sign_in(
    team: &Team,
    secrets: &SignInSecrets,
    valid_for_seconds: i64,
    server_now: Timestamp,
) -> Result<TeamChange, Refusal> {
    let link = team.link(&secrets.link, server_now).ok_or(Refusal::PortalLinkExpired)?;
    assert!(server_now < link.expires_at, "a link must not sign in after it expires");
    assert!(team.member(&link.member).is_some(), "a member who was removed must not have a link");
    let (created_at, expires_at) = (server_now, server_now.plus_seconds(valid_for_seconds));
    let session = PortalSession { hash: secrets.session, created_at, expires_at, ..link.clone() };
    Ok(TeamChange::SignedIn(session))
}

/// Ends a session, also one that has expired: on the clock of another server it may still be valid.
fn sign_out(team: &Team, id: SessionId) -> Option<TeamChange> {
    team.sessions.iter().any(|session| session.id == id).then_some(TeamChange::SignedOut(id))
}

/// Ends all sessions and links, of one member or of all.
///
/// # Errors
/// `MemberNotFound`.
fn sign_out_all(team: &Team, member: Option<MemberId>) -> Result<Option<TeamChange>, Refusal> {
    if let Some(member) = &member {
        team.member(member).ok_or(Refusal::MemberNotFound)?;
    }
    let concerned = |session: &PortalSession| member.as_ref().is_none_or(|member| session.member == *member);
    let any = team.sessions.iter().chain(&team.links).any(concerned);
    Ok(any.then_some(TeamChange::AllSignedOut(member)))
}
