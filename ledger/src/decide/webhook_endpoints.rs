//! Decides what is set about webhook endpoints.
//!
//! The caller names the whole record that is to be, made from the one that it knows. A record that
//! was made from an older one is refused, so that of two changes at a time none is lost. Whether an
//! address may be called is decided when it is called.

use super::view::View;
use crate::{EntryBody, MessageTypes, Refusal, WebhookEndpoint, WebhookEndpointId, bounds};

/// Sets an endpoint; none if it is like that already.
///
/// # Errors
/// `InvalidField`.
pub(super) fn set(view: &View, endpoint: Box<WebhookEndpoint>) -> Result<Vec<EntryBody>, Refusal> {
    let refuse = |field, why| Err(Refusal::InvalidField { field, why });
    let length = endpoint.url.len();
    if !(1..=bounds::WEBHOOK_URL_MAX_BYTES).contains(&length) {
        return refuse("url", "must be 1 to 500 bytes");
    }
    let is_http = endpoint.url.starts_with("https://") || endpoint.url.starts_with("http://");
    if !is_http || !endpoint.url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse("url", "must be the address of a web server");
    }
    if let MessageTypes::These(types) = &endpoint.types
        && (types.is_empty() || !types.is_sorted_by(|a, b| a < b))
    {
        return refuse("kinds", "must name each type once");
    }
    if endpoint.enabled && endpoint.fault.is_some() {
        return refuse("enabled", "must be false for an endpoint with a fault");
    }
    let endpoints = &view.platform.webhook_endpoints;
    match endpoints.iter().find(|known| known.id == endpoint.id) {
        Some(known) if **known == *endpoint => return Ok(Vec::new()),
        Some(known) => follows(known, &endpoint)?,
        None if endpoints.len() >= bounds::WEBHOOK_ENDPOINTS_MAX => {
            return refuse("webhook_endpoints", "must be at most 100");
        }
        None if (endpoint.version, endpoint.generation, endpoint.beginning) != (1, 1, 1) => {
            return refuse("version", "must be 1 for a new endpoint");
        }
        None if endpoint.previous_signs_until.is_some() || !endpoint.enabled => {
            return refuse("enabled", "must be true for a new endpoint");
        }
        None => {}
    }
    let is_foreign = |known: &WebhookEndpoint| known.secret_digest != endpoint.secret_digest;
    if endpoints.iter().any(|known| is_foreign(known)) {
        return refuse("secret_key", "must be the one of the other endpoints");
    }
    assert!(length <= bounds::WEBHOOK_URL_MAX_BYTES, "an address must stay within its bound");
    Ok(vec![EntryBody::WebhookEndpointSet(endpoint)])
}

/// Checks that a record is the next one after `known`.
fn follows(known: &WebhookEndpoint, next: &WebhookEndpoint) -> Result<(), Refusal> {
    let refuse = |field, why| Err(Refusal::InvalidField { field, why });
    let is_next = |before: u32, after: u32| after == before || before.checked_add(1) == Some(after);
    if known.version.checked_add(1) != Some(next.version) {
        return refuse("version", "must be the next one: another change came first");
    }
    if !is_next(known.generation, next.generation) {
        return refuse("generation", "must be the present or the next one");
    }
    if !is_next(known.beginning, next.beginning) {
        return refuse("from", "must be the present or the next beginning");
    }
    if (known.created_at, &known.workspace) != (next.created_at, &next.workspace) {
        return refuse("workspace", "must stay as it is");
    }
    assert!(known.id == next.id, "a change must be of one endpoint");
    Ok(())
}

/// Removes an endpoint; none if it is not there.
pub(super) fn remove(view: &View, id: WebhookEndpointId) -> Vec<EntryBody> {
    let is_there = view.platform.webhook_endpoints.iter().any(|endpoint| endpoint.id == id);
    if is_there { vec![EntryBody::WebhookEndpointRemoved(id)] } else { Vec::new() }
}
