//! Top-ups: credit that is bought, and payments that fit nothing.

use super::{InWorkspace, OfPlatform};
use crate::http::call::Call;
use crate::http::pages::List;
use crate::http::routes;
use crate::types::{PaymentRefund, PaymentRefundRequest, TopUp, TopUpRequest, UnmatchedPayment};

/// The top-ups of a workspace.
#[derive(Clone, Debug)]
pub struct TopUps(pub(crate) InWorkspace);

impl TopUps {
    /// Lists top-ups, newest first.
    pub fn list(&self) -> List<TopUp> {
        self.0.list(routes::GET_WORKSPACES_BY_WORKSPACE_TOP_UPS, &[], &())
    }

    /// Opens a top-up. The credit comes after the money.
    pub fn create(&self, request: &TopUpRequest) -> Call<TopUp> {
        self.0.call(&routes::POST_WORKSPACES_BY_WORKSPACE_TOP_UPS, &[]).body(request)
    }

    /// Gets a top-up.
    pub fn get(&self, top_up: &str) -> Call<TopUp> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE_TOP_UPS_BY_TOP_UP, &[top_up])
    }

    /// Confirms that the money of a manual top-up has arrived. Confirming twice changes nothing.
    pub fn confirm(&self, top_up: &str) -> Call<TopUp> {
        self.0
            .call(&routes::POST_WORKSPACES_BY_WORKSPACE_TOP_UPS_BY_TOP_UP_CONFIRM, &[top_up])
            .repeatable(true)
    }

    /// Sends money of a top-up back to the payer, and takes its unspent credit.
    pub fn refund(&self, top_up: &str, request: &PaymentRefundRequest) -> Call<PaymentRefund> {
        self.0.call(&routes::POST_WORKSPACES_BY_WORKSPACE_TOP_UPS_BY_TOP_UP_REFUND, &[top_up]).body(request)
    }
}

/// Payments that fit nothing.
#[derive(Clone, Debug)]
pub struct UnmatchedPayments(pub(crate) OfPlatform);

impl UnmatchedPayments {
    /// Lists the payments, newest first.
    pub fn list(&self) -> List<UnmatchedPayment> {
        self.0.list(routes::GET_PAYMENTS_UNMATCHED, &[], &())
    }
}
