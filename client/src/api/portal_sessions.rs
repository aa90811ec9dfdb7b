//! Portal sessions: links that sign members in to the dashboard.

use super::InWorkspace;
use crate::http::call::Call;
use crate::http::routes;
use crate::types::{PortalSession, PortalSessionRequest, PortalSessionsQuery};

/// The sessions of the members of a workspace.
#[derive(Clone, Debug)]
pub struct PortalSessions(pub(crate) InWorkspace);

impl PortalSessions {
    /// Makes a link that signs a member in. It works once and for ten minutes.
    pub fn create(&self, request: &PortalSessionRequest) -> Call<PortalSession> {
        self.0.call(&routes::POST_WORKSPACES_BY_WORKSPACE_PORTAL_SESSIONS, &[]).body(request)
    }

    /// Ends sessions and links: those of one member, or all.
    pub fn end(&self, query: &PortalSessionsQuery) -> Call<()> {
        self.0.call(&routes::DELETE_WORKSPACES_BY_WORKSPACE_PORTAL_SESSIONS, &[]).query(query)
    }
}
