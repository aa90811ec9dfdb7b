//! Limits: caps on what a workspace spends.

use super::InWorkspace;
use crate::http::call::Call;
use crate::http::routes;
use crate::types::{Limits, LimitsRequest};

/// The spending limits of a workspace.
#[derive(Clone, Debug)]
pub struct SpendingLimits(pub(crate) InWorkspace);

impl SpendingLimits {
    /// Gets the limits, with what is used of each.
    pub fn get(&self) -> Call<Limits> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE_LIMITS, &[])
    }

    /// Replaces all limits.
    pub fn replace(&self, request: &LimitsRequest) -> Call<Limits> {
        self.0.call(&routes::PUT_WORKSPACES_BY_WORKSPACE_LIMITS, &[]).body(request)
    }
}
