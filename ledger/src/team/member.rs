//! The members of a workspace: the people who share its pool (P14), of whom only admins change what it spends (P15).
//!
//! Here are the person and the decisions about one. Who may ask for them is in `actor`, where they are kept in `team`.
//! A charge may name a person who is no member: the platform may keep its own list and never tell this one.

use crate::decide::View;
use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::{MemberId, Refusal, Team, TeamChange, Timestamp, bounds};

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sees and changes everything of the workspace.
    Admin,
    /// Sees the balance and the usage.
    Member,
}

coded!(Role, "a member's role", { Admin = 0 "admin", Member = 1 "member" });

/// A person in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name that charges and limits bear.
    pub id: MemberId,
    /// Where messages go.
    pub email: Box<str>,
    /// The display name.
    pub name: Box<str>,
    /// What the member may do.
    pub role: Role,
    /// Since when.
    pub created_at: Timestamp,
}

/// A person who joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRequest {
    /// See [`Member::id`].
    pub id: MemberId,
    /// See [`Member::email`].
    pub email: Box<str>,
    /// See [`Member::name`].
    pub name: Box<str>,
    /// See [`Member::role`].
    pub role: Role,
}

/// What is to change of a member; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberChanges {
    /// See [`Member::email`].
    pub email: Option<Box<str>>,
    /// See [`Member::name`].
    pub name: Option<Box<str>>,
    /// See [`Member::role`].
    pub role: Option<Role>,
}

impl Member {
    pub(crate) fn write(&self, w: &mut Writer) {
        let Member { id, email, name, role, created_at } = self;
        w.text(id.as_str());
        w.text(email);
        w.text(name);
        w.byte(role.code());
        w.time(*created_at);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Member, Malformed> {
        Ok(Member {
            id: MemberId::known(r.text("a member's id")?),
            email: r.text("a member's address")?.into(),
            name: r.text("a member's name")?.into(),
            role: Role::from_code(r.byte("a member's role")?)?,
            created_at: r.time("a member's beginning")?,
        })
    }
}

pub(crate) fn add(view: &View, request: MemberRequest, now: Timestamp) -> Result<TeamChange, Refusal> {
    let team = &view.account()?.team;
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
    Ok(TeamChange::MemberAdded(Member { id, email, name, role, created_at: now }))
}

/// The member as described anew; nothing if nothing differs.
pub(crate) fn change(
    view: &View,
    id: &MemberId,
    changes: MemberChanges,
) -> Result<Option<TeamChange>, Refusal> {
    let team = &view.account()?.team;
    let member = team.member(id).ok_or(Refusal::MemberNotFound)?;
    let MemberChanges { email, name, role } = changes;
    let changed = Member {
        email: email.unwrap_or_else(|| member.email.clone()),
        name: name.unwrap_or_else(|| member.name.clone()),
        role: role.unwrap_or(member.role),
        ..member.clone()
    };
    if changed.role != Role::Admin {
        keeps_an_admin(team, member)?;
    }
    Ok((changed != *member).then_some(TeamChange::MemberChanged(changed)))
}

pub(crate) fn remove(view: &View, id: MemberId) -> Result<TeamChange, Refusal> {
    let team = &view.account()?.team;
    keeps_an_admin(team, team.member(&id).ok_or(Refusal::MemberNotFound)?)?;
    Ok(TeamChange::MemberRemoved(id))
}

/// Whoever is the last admin can neither leave nor be demoted: nobody would be left to buy credits.
fn keeps_an_admin(team: &Team, leaving: &Member) -> Result<(), Refusal> {
    if is_last_admin(team, leaving) { Err(Refusal::LastAdmin) } else { Ok(()) }
}

/// Whether there is no other admin.
pub(crate) fn is_last_admin(team: &Team, member: &Member) -> bool {
    let mut admins = team.members.iter().filter(|member| member.role == Role::Admin);
    member.role == Role::Admin && admins.nth(1).is_none()
}
