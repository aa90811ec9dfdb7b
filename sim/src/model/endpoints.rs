//! The rules of webhook endpoints: what a record must be, and that it follows the one before.

use tollkeeper_engine::Output;
use tollkeeper_ledger::{MessageTypes, Refusal, Timestamp, WebhookEndpoint, WebhookEndpointId};

use super::Model;
use super::charges::invalid;

impl Model {
    pub(super) fn set_endpoint(
        &mut self,
        endpoint: &WebhookEndpoint,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        check(endpoint)?;
        let output = Output::WebhookEndpoint(Box::new(endpoint.clone()));
        let known = self.endpoints.iter().position(|known| known.id == endpoint.id);
        match known.map(|index| &self.endpoints[index]) {
            Some(known) if known == endpoint => return Ok(output),
            Some(known) => {
                if endpoint.version != known.version + 1 {
                    return Err(invalid("version"));
                }
                if ![known.generation, known.generation + 1].contains(&endpoint.generation) {
                    return Err(invalid("generation"));
                }
                if ![known.beginning, known.beginning + 1].contains(&endpoint.beginning) {
                    return Err(invalid("from"));
                }
                if known.created_at != endpoint.created_at || known.workspace != endpoint.workspace {
                    return Err(invalid("workspace"));
                }
            }
            None if self.endpoints.len() == 100 => return Err(invalid("webhook_endpoints")),
            None if endpoint.version != 1 || endpoint.generation != 1 || endpoint.beginning != 1 => {
                return Err(invalid("version"));
            }
            None if !endpoint.enabled || endpoint.previous_signs_until.is_some() => {
                return Err(invalid("enabled"));
            }
            None => {}
        }
        if self.endpoints.iter().any(|known| known.secret_digest != endpoint.secret_digest) {
            return Err(invalid("secret_key"));
        }
        match known {
            Some(index) => self.endpoints[index] = endpoint.clone(),
            None => self.endpoints.push(endpoint.clone()),
        }
        self.changed_endpoints(now);
        Ok(output)
    }

    pub(super) fn remove_endpoint(&mut self, id: WebhookEndpointId, now: Timestamp) -> Output {
        let before = self.endpoints.len();
        self.endpoints.retain(|known| known.id != id);
        if self.endpoints.len() < before {
            self.changed_endpoints(now);
        }
        Output::Done
    }

    fn changed_endpoints(&mut self, now: Timestamp) {
        self.endpoint_changes += 1;
        self.platform_at = self.platform_at.max(now);
    }

    /// The webhook endpoints, oldest first.
    #[must_use]
    pub fn endpoints(&self) -> &[WebhookEndpoint] {
        &self.endpoints
    }
}

fn check(endpoint: &WebhookEndpoint) -> Result<(), Refusal> {
    let url = &endpoint.url;
    let has_scheme = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    if url.is_empty() || url.len() > 500 || !has_scheme || !url.chars().all(|c| c.is_ascii_graphic()) {
        return Err(invalid("url"));
    }
    if let MessageTypes::These(types) = &endpoint.types {
        let mut sorted = types.clone();
        sorted.sort();
        sorted.dedup();
        if types.is_empty() || sorted != *types {
            return Err(invalid("kinds"));
        }
    }
    if endpoint.enabled && endpoint.fault.is_some() { Err(invalid("enabled")) } else { Ok(()) }
}

/// What is compared of two requests under one key.
pub(super) fn fields(first: &WebhookEndpoint, again: &WebhookEndpoint) -> Vec<(&'static str, bool)> {
    vec![
        ("path", first.version == 1 && again.version == 1),
        ("url", first.url == again.url),
        ("kinds", first.types == again.types),
        ("workspace", first.workspace == again.workspace),
    ]
}
