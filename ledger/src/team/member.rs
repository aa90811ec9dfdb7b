//! The members of a workspace: the people who share its credit (P14). Only admins change what it
//! spends (P15).
//!
//! A charge may name a person who is no member: the platform may keep a list of its own. Of a name
//! and an e-mail address only the digests are here (see `personal`). What is decided about members
//! is in `decide::team`.

use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::{Hash, MemberId, PersonalText, Timestamp};

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
    /// The digest of the e-mail address.
    pub email: Hash,
    /// The digest of the display name.
    pub name: Hash,
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
    /// The e-mail address.
    pub email: PersonalText,
    /// The display name.
    pub name: PersonalText,
    /// See [`Member::role`].
    pub role: Role,
}

/// The fields of a member that a command sets; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberChanges {
    /// The e-mail address. If it is the stored one, it must have its salt.
    pub email: Option<PersonalText>,
    /// The display name. If it is the stored one, it must have its salt.
    pub name: Option<PersonalText>,
    /// See [`Member::role`].
    pub role: Option<Role>,
}

impl Member {
    pub(crate) fn write(&self, w: &mut Writer) {
        let Member { id, email, name, role, created_at } = self;
        w.text(id.as_str());
        w.raw(email);
        w.raw(name);
        w.byte(role.code());
        w.time(*created_at);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Member, Malformed> {
        Ok(Member {
            id: MemberId::known(r.text("a member's id")?),
            email: r.hash("the digest of a member's address")?,
            name: r.hash("the digest of a member's name")?,
            role: Role::from_code(r.byte("a member's role")?)?,
            created_at: r.time("a member's beginning")?,
        })
    }
}
