//! The words of the test scripts about webhook endpoints.

use super::{Words, number};
use crate::tests::world::World;
use crate::{
    Command, EndpointFault, Id, MessageType, MessageTypes, Timestamp, WebhookEndpoint, WebhookEndpointId,
    WorkspaceId,
};

/// The id of the endpoint with this number.
pub(super) fn id(number: i64) -> WebhookEndpointId {
    WebhookEndpointId(Id::v7(number, 0, 1))
}

/// `endpoint 1` is the endpoint as it is to be next: a new one, or the one that is known with the
/// words of the line changed.
pub(super) fn set(world: &World, words: &Words) -> Command {
    let id = id(number(words.bare[1]));
    let known = world.platform.webhook_endpoint(id);
    let mut endpoint = known.map_or_else(|| new(id), |known| (**known).clone());
    endpoint.version += 1;
    if let Some(url) = words.boxed("url") {
        endpoint.url = url;
    }
    if let Some(kinds) = words.text("kinds") {
        let types = kinds.split(',').filter(|kind| !kind.is_empty());
        let types = types.map(|kind| MessageType::from_name(kind).expect("a type of messages"));
        endpoint.types = MessageTypes::These(types.collect());
    }
    if let Some(workspace) = words.text("workspace") {
        endpoint.workspace = Some(WorkspaceId::new(workspace).expect("an id of a workspace"));
    }
    endpoint.fault = words.text("fault").map(|name| {
        let all = [EndpointFault::Gone, EndpointFault::Failing];
        all.into_iter().find(|fault| fault.as_str() == name).expect("a fault")
    });
    endpoint.enabled = words.text("enabled").map_or(endpoint.fault.is_none(), |text| text == "true");
    endpoint.previous_signs_until = words.number("until").map(Timestamp::from_millis);
    endpoint.version = words.number("version").map_or(endpoint.version, i64::unsigned_abs);
    endpoint.generation += words.number::<u32>("rotate").unwrap_or(0);
    endpoint.beginning += words.number::<u32>("begin").unwrap_or(0);
    if let Some(secret) = words.number::<u8>("secret") {
        endpoint.secret_digest = [secret; 32];
    }
    Command::SetWebhookEndpoint(Box::new(endpoint))
}

fn new(id: WebhookEndpointId) -> WebhookEndpoint {
    WebhookEndpoint {
        id,
        version: 0,
        url: "https://a.example/hook".into(),
        types: MessageTypes::All,
        workspace: None,
        enabled: true,
        fault: None,
        generation: 1,
        previous_signs_until: None,
        beginning: 1,
        secret_digest: [9; 32],
        created_at: Timestamp::from_millis(5),
    }
}
