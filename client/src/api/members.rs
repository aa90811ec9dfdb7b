//! Members: the people of a workspace.

use super::InWorkspace;
use crate::http::call::Call;
use crate::http::pages::List;
use crate::http::routes;
use crate::types::{Member, MemberChanges, MemberRequest};

/// The members of a workspace.
#[derive(Clone, Debug)]
pub struct Members(pub(crate) InWorkspace);

impl Members {
    /// Lists the members, newest first.
    pub fn list(&self) -> List<Member> {
        self.0.list(routes::GET_WORKSPACES_BY_WORKSPACE_MEMBERS, &[], &())
    }

    /// Adds a person to the workspace.
    pub fn add(&self, request: &MemberRequest) -> Call<Member> {
        self.0.call(&routes::POST_WORKSPACES_BY_WORKSPACE_MEMBERS, &[]).body(request)
    }

    /// Gets a member.
    pub fn get(&self, member: &str) -> Call<Member> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE_MEMBERS_BY_MEMBER, &[member])
    }

    /// Changes the given fields of a member.
    pub fn change(&self, member: &str, changes: &MemberChanges) -> Call<Member> {
        self.0.call(&routes::PATCH_WORKSPACES_BY_WORKSPACE_MEMBERS_BY_MEMBER, &[member]).body(changes)
    }

    /// Removes a member, with the keys that are tied to the member.
    pub fn remove(&self, member: &str) -> Call<()> {
        self.0.call(&routes::DELETE_WORKSPACES_BY_WORKSPACE_MEMBERS_BY_MEMBER, &[member])
    }

    /// Erases the names and e-mail addresses that were ever stored of a member. This cannot be
    /// undone.
    pub fn erase_personal_data(&self, member: &str) -> Call<()> {
        self.0.call(&routes::DELETE_WORKSPACES_BY_WORKSPACE_MEMBERS_BY_MEMBER_PERSONAL_DATA, &[member])
    }
}
