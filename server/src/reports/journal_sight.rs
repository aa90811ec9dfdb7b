//! What a signed-in member may see of the journal of the workspace: on the page of the journal, and
//! in the stream of the pages.
//!
//! A member sees no entry about money that comes in or goes back. If the settings say that members
//! do not see the use of others, neither are the charges of others shown.

use tollkeeper_ledger::{Alert, Entry, EntryBody, Member, MemberId, Role, Subject};

use super::journal_group::Group;
use crate::access::Access;

/// What a signed-in member may see.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Whether the member is an admin, who sees everything.
    pub is_admin: bool,
    /// Whether the use of others is shown.
    pub sees_others_use: bool,
    member: MemberId,
}

impl Sight {
    /// What this member may see, in the present role.
    pub fn of(access: &Access, member: &Member) -> Sight {
        Sight {
            is_admin: member.role == Role::Admin,
            sees_others_use: access.sees_others_use(member),
            member: member.id.clone(),
        }
    }

    /// Whether an entry is shown.
    pub fn admits(&self, entry: &Entry) -> bool {
        if self.is_admin {
            return true;
        }
        if Group::of(entry.body.kind()).is_money() {
            return false;
        }
        let is_own = |member: &Option<MemberId>| member.as_ref() == Some(&self.member);
        self.sees_others_use
            || match &entry.body {
                EntryBody::ChargeOpened(details) => is_own(&details.spender.member),
                EntryBody::ChargeRefunded(refund) => is_own(&refund.spender.member),
                // These do not say whose charge it is.
                EntryBody::ChargeSettled(_) | EntryBody::ChargeExtended { .. } => false,
                EntryBody::Alert(Alert::Refused(_)) => false,
                EntryBody::Alert(Alert::LimitReached(reached)) => match &reached.subject {
                    Subject::Workspace | Subject::Operation(_) => true,
                    Subject::Member(member) => *member == self.member,
                    Subject::Worker(_) | Subject::ApiKey(_) => false,
                },
                _ => true,
            }
    }
}
