//! Webhook endpoints: where messages about what happens are sent.

use super::OfPlatform;
use crate::http::call::Call;
use crate::http::pages::List;
use crate::http::routes;
use crate::types::{
    Deliveries, DeliveryAttempt, DeliveryException, WebhookEndpoint, WebhookEndpointChanges,
    WebhookEndpointRequest,
};

/// The webhook endpoints of the platform.
#[derive(Clone, Debug)]
pub struct WebhookEndpoints(pub(crate) OfPlatform);

impl WebhookEndpoints {
    /// Lists the endpoints, newest first.
    pub fn list(&self) -> List<WebhookEndpoint> {
        self.0.list(routes::GET_WEBHOOK_ENDPOINTS, &[], &())
    }

    /// Creates an endpoint. The answer has the secret with which receivers verify messages.
    pub fn create(&self, request: &WebhookEndpointRequest) -> Call<WebhookEndpoint> {
        self.0.call(&routes::POST_WEBHOOK_ENDPOINTS, &[]).body(request)
    }

    /// Gets an endpoint.
    pub fn get(&self, endpoint: &str) -> Call<WebhookEndpoint> {
        self.0.call(&routes::GET_WEBHOOK_ENDPOINTS_BY_ENDPOINT, &[endpoint])
    }

    /// Changes the given fields of an endpoint.
    pub fn change(&self, endpoint: &str, changes: &WebhookEndpointChanges) -> Call<WebhookEndpoint> {
        self.0.call(&routes::PATCH_WEBHOOK_ENDPOINTS_BY_ENDPOINT, &[endpoint]).body(changes)
    }

    /// Deletes an endpoint.
    pub fn delete(&self, endpoint: &str) -> Call<()> {
        self.0.call(&routes::DELETE_WEBHOOK_ENDPOINTS_BY_ENDPOINT, &[endpoint])
    }

    /// Makes a new secret, which the answer has. The old one signs too for a while.
    pub fn rotate_secret(&self, endpoint: &str) -> Call<WebhookEndpoint> {
        self.0.call(&routes::POST_WEBHOOK_ENDPOINTS_BY_ENDPOINT_ROTATE_SECRET, &[endpoint])
    }

    /// Sends a message to try the endpoint.
    pub fn ping(&self, endpoint: &str) -> Call<DeliveryAttempt> {
        self.0.call(&routes::POST_WEBHOOK_ENDPOINTS_BY_ENDPOINT_PING, &[endpoint])
    }

    /// Lists the last deliveries, and what was not delivered.
    pub fn deliveries(&self, endpoint: &str) -> Call<Deliveries> {
        self.0.call(&routes::GET_WEBHOOK_ENDPOINTS_BY_ENDPOINT_DELIVERIES, &[endpoint])
    }

    /// Sends a message again.
    pub fn resend(&self, endpoint: &str, delivery: &str) -> Call<DeliveryException> {
        self.0.call(
            &routes::POST_WEBHOOK_ENDPOINTS_BY_ENDPOINT_DELIVERIES_BY_DELIVERY_RESEND,
            &[endpoint, delivery],
        )
    }
}
