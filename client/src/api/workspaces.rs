//! Workspaces: the customers of the platform, and their balances.

use super::OfPlatform;
use crate::http::call::Call;
use crate::http::pages::List;
use crate::http::routes;
use crate::types::{Balance, BalanceQuery, Workspace, WorkspaceChanges, WorkspaceRequest, WorkspacesQuery};

/// The workspaces of the platform.
#[derive(Clone, Debug)]
pub struct Workspaces(pub(crate) OfPlatform);

impl Workspaces {
    /// Lists workspaces, newest first.
    pub fn list(&self, query: &WorkspacesQuery) -> List<Workspace> {
        self.0.list(routes::GET_WORKSPACES, &[], query)
    }

    /// Creates a workspace without credit.
    pub fn create(&self, request: &WorkspaceRequest) -> Call<Workspace> {
        self.0.call(&routes::POST_WORKSPACES, &[]).body(request)
    }

    /// Gets a workspace.
    pub fn get(&self, workspace: &str) -> Call<Workspace> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE, &[workspace])
    }

    /// Changes the given fields of a workspace.
    pub fn change(&self, workspace: &str, changes: &WorkspaceChanges) -> Call<Workspace> {
        self.0.call(&routes::PATCH_WORKSPACES_BY_WORKSPACE, &[workspace]).body(changes)
    }

    /// Gets the balance of a workspace: now, or at a past time.
    pub fn balance(&self, workspace: &str, query: &BalanceQuery) -> Call<Balance> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE_BALANCE, &[workspace]).query(query)
    }
}
