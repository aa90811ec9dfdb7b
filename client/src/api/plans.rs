//! Plans: what workspaces can subscribe to.

use super::OfPlatform;
use crate::http::call::Call;
use crate::http::routes;
use crate::types::{Plans, PlansRequest};

/// The plans of the platform.
#[derive(Clone, Debug)]
pub struct PlanCatalog(pub(crate) OfPlatform);

impl PlanCatalog {
    /// Gets the plans.
    pub fn get(&self) -> Call<Plans> {
        self.0.call(&routes::GET_PLANS, &[])
    }

    /// Sets the plans as a new version. It is not repeated if the answer is lost: that could make
    /// two versions.
    pub fn set(&self, request: &PlansRequest) -> Call<Plans> {
        self.0.call(&routes::PUT_PLANS, &[]).body(request).repeatable(false)
    }
}
