//! Automatic top-ups, and the saved card that pays for them.

use super::InWorkspace;
use crate::http::call::Call;
use crate::http::routes;
use crate::types::{AutoTopUp, AutoTopUpRequest, PaymentMethod, PaymentPage, PaymentPageRequest};

/// The automatic top-up of a workspace.
#[derive(Clone, Debug)]
pub struct AutoTopUps(pub(crate) InWorkspace);

impl AutoTopUps {
    /// Gets the automatic top-up.
    pub fn get(&self) -> Call<AutoTopUp> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE_AUTO_TOP_UP, &[])
    }

    /// Sets the automatic top-up.
    pub fn set(&self, request: &AutoTopUpRequest) -> Call<AutoTopUp> {
        self.0.call(&routes::PUT_WORKSPACES_BY_WORKSPACE_AUTO_TOP_UP, &[]).body(request)
    }

    /// Stops the automatic top-up.
    pub fn stop(&self) -> Call<()> {
        self.0.call(&routes::DELETE_WORKSPACES_BY_WORKSPACE_AUTO_TOP_UP, &[])
    }
}

/// The saved card of a workspace.
#[derive(Clone, Debug)]
pub struct PaymentMethods(pub(crate) InWorkspace);

impl PaymentMethods {
    /// Gets the saved card.
    pub fn get(&self) -> Call<PaymentMethod> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE_PAYMENT_METHOD, &[])
    }

    /// Makes a page of the payment provider on which a card is saved.
    pub fn save_page(&self, request: &PaymentPageRequest) -> Call<PaymentPage> {
        self.0.call(&routes::POST_WORKSPACES_BY_WORKSPACE_PAYMENT_METHOD, &[]).body(request)
    }

    /// Removes the saved card, and stops the automatic top-up.
    pub fn remove(&self) -> Call<()> {
        self.0.call(&routes::DELETE_WORKSPACES_BY_WORKSPACE_PAYMENT_METHOD, &[])
    }

    /// Makes a page of the payment provider for cards and invoices.
    pub fn billing_portal(&self, request: &PaymentPageRequest) -> Call<PaymentPage> {
        self.0.call(&routes::POST_WORKSPACES_BY_WORKSPACE_BILLING_PORTAL, &[]).body(request)
    }
}
