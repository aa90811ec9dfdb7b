//! Webhook endpoints: addresses of the platform that are sent messages about what happens.
//!
//! The secret of an endpoint is shown when it is created and when it is rotated. It is derived from
//! the secret of the instance, so a repeated request is shown the same one.

mod deliveries;

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::Output;
use tollkeeper_ledger::{
    Command, Id, MessageType, MessageTypes, Timestamp, WebhookEndpoint, WebhookEndpointId, WorkspaceId,
    bounds,
};
use utoipa::ToSchema;

pub use self::deliveries::{DeliveriesJson, EXAMPLE as DELIVERIES_EXAMPLE, ROUTES as DELIVERY_ROUTES};
use super::PAGE;
use crate::access::Rule::Platform;
use crate::http::call::{Call, json, mark_replayed, no_content, wrong_output};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::http::route::{Route, list_of, of};
use crate::notify::address::host_and_port;
use crate::notify::secret::InstanceSecret;
use crate::wire::page::{ListJson, newest_first};
use crate::wire::read::{Each, Word, maybe_word, one_of, word};
use crate::wire::write::{Text, Time};

/// How long the secret before a rotation signs too.
const PREVIOUS_SIGNS_SECONDS: i64 = 24 * 3_600;

/// How often a change is made again because another one came first.
const TRIES: usize = 5;

/// About the size of an endpoint in JSON.
const ENDPOINT_BYTES: usize = 512;

/// The path of the endpoints, and of one.
const ALL: &str = "/v1/webhook-endpoints";
const ONE: &str = "/v1/webhook-endpoints/{endpoint}";

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::POST, ALL, Platform, "Create a webhook endpoint", |call| Box::pin(create(call)))
        .description(
            "Creates an endpoint. It is sent a message about each entry of its types that is committed from now on, also \
             of other workspaces unless one is named. The response has its secret, which is shown this once. \
             docs/WEBHOOKS.md says how messages are verified. An `Idempotency-Key` makes the request safe to repeat.",
        )
        .request(
            of::<EndpointIn>,
            r#"{"url": "https://example.com/hooks/credits", "kinds": ["balance.low", "charge.settled"]}"#,
        )
        .response(201, of::<EndpointJson>, SECRET_EXAMPLE)
        .problems(&[Code::SecretKeyMissing, Code::IdempotencyKeyReused]),
    Route::new(Method::GET, ALL, Platform, "List webhook endpoints", |call| Box::pin(list(call)))
        .description("Lists the endpoints, newest first, without their secrets.")
        .parameters(PAGE)
        .response(200, list_of::<EndpointJson>, EXAMPLE),
    Route::new(Method::GET, ONE, Platform, "Get a webhook endpoint", |call| Box::pin(get(call)))
        .description("Returns an endpoint without its secret.")
        .response(200, of::<EndpointJson>, EXAMPLE),
    Route::new(Method::PATCH, ONE, Platform, "Change a webhook endpoint", |call| Box::pin(change(call)))
        .description(
            "Changes the given fields. While an endpoint is disabled, nothing is sent to it. To enable it again, say with \
             `from` whether it begins where it stopped, or now, without what it has missed.",
        )
        .request(of::<EndpointChangesIn>, r#"{"enabled": true, "from": "stopped"}"#)
        .response(200, of::<EndpointJson>, EXAMPLE),
    Route::new(Method::DELETE, ONE, Platform, "Delete a webhook endpoint", |call| Box::pin(delete(call)))
        .description("Deletes an endpoint: nothing more is sent to it.")
        .no_content(),
    Route::new(
        Method::POST,
        "/v1/webhook-endpoints/{endpoint}/rotate-secret",
        Platform,
        "Rotate the secret of a webhook endpoint",
        |call| Box::pin(rotate(call)),
    )
    .description(
        "Gives the endpoint a new secret, which is shown this once. For 24 hours both secrets sign, so that receivers can \
         change without a gap.",
    )
    .response(200, of::<EndpointJson>, SECRET_EXAMPLE),
];

const EXAMPLE: &str = r#"{"id": "we_01991234-5678-7abc-bfff-0123456789ab",
    "url": "https://example.com/hooks/credits", "kinds": ["charge.settled", "balance.low"], "workspace": null,
    "enabled": true, "disabled_reason": null, "previous_secret_signs_until": null,
    "created_at": "2026-11-23T15:04:05.678Z"}"#;

const SECRET_EXAMPLE: &str = r#"{"id": "we_01991234-5678-7abc-bfff-0123456789ab",
    "url": "https://example.com/hooks/credits", "kinds": ["charge.settled", "balance.low"], "workspace": null,
    "enabled": true, "disabled_reason": null, "previous_secret_signs_until": null,
    "created_at": "2026-11-23T15:04:05.678Z", "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}"#;

/// A new endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointRequest)]
pub struct EndpointIn {
    /// The address to which messages are sent: https, without a user, on port 443 unless the server
    /// allows others.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, format = "uri", max_length = 500, example = "https://example.com/hooks")]
    url: Address,
    /// The types of messages to send; all if it is left out, also those of later versions.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["balance.low"]))]
    kinds: Option<Vec<Each<MessageType>>>,
    /// Only messages about this workspace are sent, if one is named.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, example = json!(null))]
    workspace: Option<WorkspaceId>,
}

/// The fields to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointChanges)]
pub struct EndpointChangesIn {
    /// The new address.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, format = "uri", max_length = 500)]
    url: Option<Address>,
    /// The new types of messages.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    kinds: Option<Vec<Each<MessageType>>>,
    /// False to send nothing, true to send again.
    #[serde(default)]
    enabled: Option<bool>,
    /// Where an endpoint begins: `stopped` sends what it has missed, `now` leaves it out.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, pattern = "^(stopped|now)$")]
    from: Option<Begins>,
}

/// The address of an endpoint, of the longest length.
#[derive(Debug)]
struct Address(Box<str>);

impl Word for Address {
    const EXPECTED: &'static str = "the address of a web server";
    fn read(text: &str) -> Result<Self, String> {
        let fits = (1..=bounds::WEBHOOK_URL_MAX_BYTES).contains(&text.len());
        let is_printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits && is_printable {
            Ok(Address(text.into()))
        } else {
            Err(format!("this is not {}", Self::EXPECTED))
        }
    }
}

/// Where an endpoint begins again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    Stopped,
    Now,
}

impl Word for Begins {
    const EXPECTED: &'static str = "`stopped` or `now`";
    fn read(text: &str) -> Result<Self, String> {
        let name = |from| if from == Begins::Stopped { "stopped" } else { "now" };
        one_of(&[Begins::Stopped, Begins::Now], name, text)
    }
}

impl Word for MessageType {
    const EXPECTED: &'static str = "a type of messages, such as `balance.low`";
    fn read(text: &str) -> Result<Self, String> {
        one_of(MessageType::ALL, MessageType::as_str, text)
    }
}

/// A webhook endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub struct EndpointJson {
    /// The id of the endpoint.
    #[schema(value_type = String)]
    id: Text<WebhookEndpointId>,
    /// The address to which messages are sent.
    url: String,
    /// The types of messages that are sent; null for all.
    #[schema(required)]
    kinds: Option<Vec<&'static str>>,
    /// The workspace whose messages are sent; null for all.
    #[schema(required)]
    workspace: Option<String>,
    /// Whether messages are sent.
    enabled: bool,
    /// Why the server has disabled it: `gone` after an answer 410, `failing` after five days
    /// without one success; null otherwise.
    #[schema(required)]
    disabled_reason: Option<&'static str>,
    /// Until when the secret before the last rotation signs too; null if it does not.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    previous_secret_signs_until: Option<Time>,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// The secret with which receivers verify messages. It is there when the endpoint is created
    /// and when its secret is rotated, and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl EndpointJson {
    fn of(endpoint: &WebhookEndpoint, now: Timestamp) -> EndpointJson {
        let kinds = match &endpoint.types {
            MessageTypes::All => None,
            MessageTypes::These(types) => Some(types.iter().copied().map(MessageType::as_str).collect()),
        };
        EndpointJson {
            id: Text(endpoint.id),
            url: endpoint.url.to_string(),
            kinds,
            workspace: endpoint.workspace.as_ref().map(ToString::to_string),
            enabled: endpoint.enabled,
            disabled_reason: endpoint.fault.map(|fault| fault.as_str()),
            previous_secret_signs_until: endpoint.previous_signs_until.filter(|until| now < *until).map(Time),
            created_at: Time(endpoint.created_at),
            secret: None,
        }
    }
}

/// The endpoint in the path.
fn known(call: &Call) -> Result<Arc<WebhookEndpoint>, Problem> {
    let text = call.param("endpoint");
    let id = text.parse::<WebhookEndpointId>().ok();
    let platform = call.app.engine().platform();
    let found = id.and_then(|id| platform.webhook_endpoint(id).cloned());
    found.ok_or_else(|| {
        Problem::new(Code::WebhookEndpointNotFound, "There is no webhook endpoint with this id.")
    })
}

/// The types of a request, sorted, each once; all if none are named.
fn types(kinds: Option<Vec<Each<MessageType>>>) -> Result<MessageTypes, Problem> {
    let Some(kinds) = kinds else { return Ok(MessageTypes::All) };
    let mut types: Vec<MessageType> = kinds.into_iter().map(|Each(kind)| kind).collect();
    types.sort_unstable();
    types.dedup();
    if types.is_empty() {
        return Err(Problem::field("kinds", "must name a type, or be left out for all"));
    }
    Ok(MessageTypes::These(types))
}

fn checked(call: &Call, Address(url): Address) -> Result<Box<str>, Problem> {
    host_and_port(&url, &call.app.webhooks.settings).map_err(|why| Problem::field("url", why))?;
    Ok(url)
}

fn secret(call: &Call) -> Result<InstanceSecret, Problem> {
    let secret = call.app.webhooks.secret_or_make().map_err(|error| refusal::internal(&error))?;
    secret.ok_or_else(|| {
        Problem::new(
            Code::SecretKeyMissing,
            "Set `secret_key` to 64 random hexadecimal digits, the same on every server, and start the servers again.",
        )
    })
}

/// `POST /v1/webhook-endpoints`.
async fn create(mut call: Call) -> Result<Response, Problem> {
    let key = match call.headers().contains_key("idempotency-key") {
        true => Some(call.idempotency_key()?),
        false => None,
    };
    let EndpointIn { url, kinds, workspace } = call.json().await?;
    let (url, types) = (checked(&call, url)?, types(kinds)?);
    let secret = secret(&call)?;
    call.app.engine().deliveries().prepare().await?;
    let endpoint = WebhookEndpoint {
        id: fresh_id(call.now).map_err(|error| refusal::internal(&error))?,
        version: 1,
        url,
        types,
        workspace,
        enabled: true,
        fault: None,
        generation: 1,
        previous_signs_until: None,
        beginning: 1,
        secret_digest: secret.digest(),
        created_at: call.now,
    };
    let command = Command::SetWebhookEndpoint(Box::new(endpoint));
    let answer = call.run(&WorkspaceId::platform(), key, command).await?;
    let Output::WebhookEndpoint(endpoint) = answer.output else { return Err(wrong_output("an endpoint")) };
    call.app.webhooks.wake.notify_one();
    let mut response = with_secret(&call, StatusCode::CREATED, &endpoint, &secret);
    mark_replayed(&mut response, answer.replayed);
    Ok(response)
}

/// A new id of an endpoint.
fn fresh_id(now: Timestamp) -> Result<WebhookEndpointId, getrandom::Error> {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes)?;
    let [a, b, c, d, e, f, g, h, i, j] = bytes;
    let random = u64::from_le_bytes([c, d, e, f, g, h, i, j]) >> 2;
    Ok(WebhookEndpointId(Id::v7(now.millis(), u16::from_le_bytes([a, b]) >> 4, random)))
}

fn with_secret(
    call: &Call,
    status: StatusCode,
    endpoint: &WebhookEndpoint,
    secret: &InstanceSecret,
) -> Response {
    let secret = Some(secret.of_endpoint(endpoint.id, endpoint.generation).text());
    let shown = EndpointJson { secret, ..EndpointJson::of(endpoint, call.now) };
    json(status, ENDPOINT_BYTES, &shown)
}

/// `GET /v1/webhook-endpoints`.
async fn list(call: Call) -> Result<Response, Problem> {
    let platform = call.app.engine().platform();
    let page = call.query().page()?;
    let listing = newest_first(&platform.webhook_endpoints, |endpoint| endpoint.created_at, &page)?;
    let rows = ListJson::of(&listing, |endpoint| EndpointJson::of(endpoint, call.now));
    Ok(json(StatusCode::OK, ENDPOINT_BYTES * listing.data.len() + 64, &rows))
}

/// `GET /v1/webhook-endpoints/{endpoint}`.
async fn get(call: Call) -> Result<Response, Problem> {
    let endpoint = known(&call)?;
    Ok(json(StatusCode::OK, ENDPOINT_BYTES, &EndpointJson::of(&endpoint, call.now)))
}

/// `PATCH /v1/webhook-endpoints/{endpoint}`.
async fn change(mut call: Call) -> Result<Response, Problem> {
    let was = known(&call)?;
    let EndpointChangesIn { url, kinds, enabled, from } = call.json().await?;
    let url = url.map(|url| checked(&call, url)).transpose()?;
    let types = kinds.map(|kinds| types(Some(kinds))).transpose()?;
    let enables = enabled == Some(true) && !was.enabled;
    if enables && from.is_none() {
        return Err(Problem::field("from", "is required to enable it: `stopped` or `now`"));
    }
    if from.is_some() && enabled != Some(true) {
        return Err(Problem::field("from", "goes with `enabled` true"));
    }
    let changed = set(&call, |endpoint| {
        if let Some(url) = &url {
            endpoint.url.clone_from(url);
        }
        if let Some(types) = &types {
            endpoint.types.clone_from(types);
        }
        if let Some(enabled) = enabled {
            endpoint.enabled = enabled;
            endpoint.fault = endpoint.fault.filter(|_| !enabled);
        }
        endpoint.beginning += u32::from(from == Some(Begins::Now));
    })
    .await?;
    if enables {
        deliveries::retry_all(&call, &changed).await?;
    }
    Ok(json(StatusCode::OK, ENDPOINT_BYTES, &EndpointJson::of(&changed, call.now)))
}

/// `DELETE /v1/webhook-endpoints/{endpoint}`.
async fn delete(call: Call) -> Result<Response, Problem> {
    let endpoint = known(&call)?;
    call.run(&WorkspaceId::platform(), None, Command::RemoveWebhookEndpoint(endpoint.id)).await?;
    call.app.webhooks.wake.notify_one();
    Ok(no_content())
}

/// `POST /v1/webhook-endpoints/{endpoint}/rotate-secret`.
async fn rotate(call: Call) -> Result<Response, Problem> {
    known(&call)?;
    let secret = secret(&call)?;
    let until = call.now.plus_seconds(PREVIOUS_SIGNS_SECONDS);
    let rotated = set(&call, |endpoint| {
        endpoint.generation += 1;
        endpoint.previous_signs_until = Some(until);
    })
    .await?;
    Ok(with_secret(&call, StatusCode::OK, &rotated, &secret))
}

/// Changes the endpoint in the path as it is now, again if another change came first.
async fn set(call: &Call, change: impl Fn(&mut WebhookEndpoint)) -> Result<Arc<WebhookEndpoint>, Problem> {
    let mut tries = 0;
    loop {
        tries += 1;
        let endpoint = known(call)?;
        let mut next = (*endpoint).clone();
        change(&mut next);
        if next == *endpoint {
            return Ok(endpoint);
        }
        next.version += 1;
        let command = Command::SetWebhookEndpoint(Box::new(next));
        match call.run(&WorkspaceId::platform(), None, command).await {
            Ok(answer) => {
                let Output::WebhookEndpoint(set) = answer.output else {
                    return Err(wrong_output("an endpoint"));
                };
                call.app.webhooks.wake.notify_one();
                return Ok(Arc::new(*set));
            }
            Err(problem) if tries < TRIES && names_version(&problem) => {}
            Err(problem) => return Err(problem),
        }
    }
}

/// True if another change came first.
fn names_version(problem: &Problem) -> bool {
    problem.members.iter().any(|(name, value)| *name == "field" && value == "version")
}
