//! Charges: the deduction before an operation runs, and what becomes of it.

use super::{InWorkspace, OfPlatform};
use crate::http::call::Call;
use crate::http::pages::List;
use crate::http::routes;
use crate::types::{
    Batch, BatchRequest, Charge, ChargeRequest, ChargesQuery, HeartbeatRequest, OutcomeRequest, Quote,
    QuoteRequest, RefundRequest,
};

/// The charges of a workspace.
#[derive(Clone, Debug)]
pub struct Charges(pub(crate) InWorkspace);

impl Charges {
    /// Charges for one run of an operation: the whole amount or nothing. Run the operation only
    /// after the answer. A refusal for want of credit is an error with status 402, which is not
    /// repeated.
    pub fn create(&self, request: &ChargeRequest) -> Call<Charge> {
        self.0.call(&routes::POST_WORKSPACES_BY_WORKSPACE_CHARGES, &[]).body(request)
    }

    /// Lists charges, newest first.
    pub fn list(&self, query: &ChargesQuery) -> List<Charge> {
        self.0.list(routes::GET_WORKSPACES_BY_WORKSPACE_CHARGES, &[], query)
    }

    /// Gets a charge, with the grants that it drew from and its refunds.
    pub fn get(&self, charge: &str) -> Call<Charge> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE_CHARGES_BY_CHARGE, &[charge])
    }

    /// Reports what became of the operation. Reporting the same again changes nothing.
    pub fn report_outcome(&self, charge: &str, outcome: &OutcomeRequest) -> Call<Charge> {
        self.0
            .call(&routes::POST_WORKSPACES_BY_WORKSPACE_CHARGES_BY_CHARGE_OUTCOME, &[charge])
            .body(outcome)
            .repeatable(true)
    }

    /// Extends the deadline of a pending charge.
    pub fn heartbeat(&self, charge: &str, request: &HeartbeatRequest) -> Call<Charge> {
        self.0
            .call(&routes::POST_WORKSPACES_BY_WORKSPACE_CHARGES_BY_CHARGE_HEARTBEAT, &[charge])
            .body(request)
            .repeatable(true)
    }

    /// Refunds a charge, or a part of it. Only the platform may.
    pub fn refund(&self, charge: &str, request: &RefundRequest) -> Call<Charge> {
        self.0.call(&routes::POST_WORKSPACES_BY_WORKSPACE_CHARGES_BY_CHARGE_REFUND, &[charge]).body(request)
    }

    /// Says what a charge would cost and whether it is affordable. Moves no credit.
    pub fn quote(&self, request: &QuoteRequest) -> Call<Quote> {
        self.0.call(&routes::POST_WORKSPACES_BY_WORKSPACE_QUOTE, &[]).body(request).repeatable(true)
    }
}

/// Charges of any workspaces in one request.
#[derive(Clone, Debug)]
pub struct ChargeBatches(pub(crate) OfPlatform);

impl ChargeBatches {
    /// Charges 1 to 1,000 items, each decided alone, in order. Each item has an idempotency key of
    /// its own, so the whole batch is safe to send again.
    pub fn create(&self, request: &BatchRequest) -> Call<Batch> {
        self.0.call(&routes::POST_CHARGES_BATCH, &[]).body(request).repeatable(true)
    }
}
