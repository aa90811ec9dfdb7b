//! Usage: what a workspace was charged for, and how fast its credit is used up.

use super::InWorkspace;
use crate::http::call::Call;
use crate::http::routes;
use crate::types::{BurnRate, BurnRateQuery, Usage, UsageChanges, UsageChangesQuery, UsageQuery};

/// The use of a workspace.
#[derive(Clone, Debug)]
pub struct Usages(pub(crate) InWorkspace);

impl Usages {
    /// Reads the use of a range.
    pub fn get(&self, query: &UsageQuery) -> Call<Usage> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE_USAGE, &[]).query(query)
    }

    /// Reads the use of a range as comma-separated values.
    pub fn csv(&self, query: &UsageQuery) -> Call<String> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE_USAGE, &[]).query(query).text("text/csv")
    }

    /// Compares the use of a range with an earlier one.
    pub fn changes(&self, query: &UsageChangesQuery) -> Call<UsageChanges> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE_USAGE_CHANGES, &[]).query(query)
    }

    /// Reads the burn rate: the average use, and how long the credit lasts.
    pub fn burn_rate(&self, query: &BurnRateQuery) -> Call<BurnRate> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE_BURN_RATE, &[]).query(query)
    }
}
