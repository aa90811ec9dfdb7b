//! Subscriptions: the plan of a workspace.

use super::InWorkspace;
use crate::http::call::Call;
use crate::http::routes;
use crate::types::{Subscription, SubscriptionConfirmRequest, SubscriptionPreview, SubscriptionRequest};

/// The subscription of a workspace.
#[derive(Clone, Debug)]
pub struct Subscriptions(pub(crate) InWorkspace);

impl Subscriptions {
    /// Gets the subscription.
    pub fn get(&self) -> Call<Subscription> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE_SUBSCRIPTION, &[])
    }

    /// Starts a subscription, or changes its plan.
    pub fn set(&self, request: &SubscriptionRequest) -> Call<Subscription> {
        self.0.call(&routes::PUT_WORKSPACES_BY_WORKSPACE_SUBSCRIPTION, &[]).body(request)
    }

    /// Cancels the subscription at the end of its period.
    pub fn cancel(&self) -> Call<Subscription> {
        self.0.call(&routes::DELETE_WORKSPACES_BY_WORKSPACE_SUBSCRIPTION, &[])
    }

    /// Confirms that the oldest unpaid period is paid, or the change that waits.
    pub fn confirm(&self, request: &SubscriptionConfirmRequest) -> Call<Subscription> {
        self.0.call(&routes::POST_WORKSPACES_BY_WORKSPACE_SUBSCRIPTION_CONFIRM, &[]).body(request)
    }

    /// Says what a plan would cost now. Moves no credit.
    pub fn preview(&self, request: &SubscriptionRequest) -> Call<SubscriptionPreview> {
        self.0
            .call(&routes::POST_WORKSPACES_BY_WORKSPACE_SUBSCRIPTION_PREVIEW, &[])
            .body(request)
            .repeatable(true)
    }
}
