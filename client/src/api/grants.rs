//! Grants: credit that came into a workspace.

use super::InWorkspace;
use crate::http::call::Call;
use crate::http::pages::List;
use crate::http::routes;
use crate::types::{Grant, GrantRequest, VoidRequest};

/// The grants of a workspace.
#[derive(Clone, Debug)]
pub struct Grants(pub(crate) InWorkspace);

impl Grants {
    /// Lists grants, newest first.
    pub fn list(&self) -> List<Grant> {
        self.0.list(routes::GET_WORKSPACES_BY_WORKSPACE_GRANTS, &[], &())
    }

    /// Grants credit that nobody paid for.
    pub fn create(&self, request: &GrantRequest) -> Call<Grant> {
        self.0.call(&routes::POST_WORKSPACES_BY_WORKSPACE_GRANTS, &[]).body(request)
    }

    /// Takes back what is unspent of a grant that nobody paid for.
    pub fn void(&self, grant: &str, request: &VoidRequest) -> Call<Grant> {
        self.0.call(&routes::POST_WORKSPACES_BY_WORKSPACE_GRANTS_BY_GRANT_VOID, &[grant]).body(request)
    }
}
