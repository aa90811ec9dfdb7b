//! The members of a workspace: the people who share its credit (P14). Only admins change what it
//! spends (P15).
//!
//! A charge may name a person who is no member: the platform may keep a list of its own. What is
//! decided about members is in `decide::team`.

use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::{MemberId, Timestamp};

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reads and changes everything of the workspace.
    Admin,
    /// Reads the balance and the usage.
    Member,
}

coded!(Role, "a member's role", { Admin = 0 "admin", Member = 1 "member" });

/// A person in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The id in charges and limits, chosen by the platform.
    pub id: MemberId,
    /// The e-mail address.
    pub email: Box<str>,
    /// The display name.
    pub name: Box<str>,
    /// What the member may do.
    pub role: Role,
    /// The time at which the member joined.
    pub created_at: Timestamp,
}

/// A person to be added.
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

/// The fields of a member that a command sets; `None` leaves a field as it is.
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
