//! The API keys of a workspace. The secret of a key is shown once, when it is made; only its hash
//! is stored.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json as json_value;
use tollkeeper_ledger::Scope::Manage;
use tollkeeper_ledger::{ApiKey, ApiKeyId, MemberId, Scope, TeamCommand, WorkerId};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};

use super::PAGE;
use crate::access::Rule::Workspace;
use crate::actions::api_keys::{self, NewKey};
use crate::http::call::{Call, json, no_content};
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::http::route::{Route, list_of, of};
use crate::wire::page::{ListJson, newest_first};
use crate::wire::read::{DisplayName, Each, Instant, Word, maybe_word, one_of, word};
use crate::wire::write::{Text, Time};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/api-keys",
        Workspace(&[Manage]),
        "Create an API key",
        |call| Box::pin(create(call)),
    )
    .description(
        "Creates a key of the workspace. The response has its secret, which is shown this once. If the caller's key is \
         tied to a member or worker, the new key is tied to the same one. Only the platform creates a key with the scope \
         `settle`, because such a key gives credit back.",
    )
    .keeps_no_key()
    .request(of::<ApiKeyIn>, r#"{"name": "storefront", "scopes": ["charge"], "worker": "w-7"}"#)
    .response(
        201,
        of::<ApiKeyJson>,
        r#"{"id": "ak_01991234-5678-7abc-bfff-0123456789ab", "name": "storefront", "scopes": ["charge"],
            "member": null, "worker": "w-7", "expires_at": null, "created_at": "2026-11-23T15:04:05.678Z",
            "last_used_at": null, "secret": "tk_workspace_9c41…_acme"}"#,
    ),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/api-keys",
        Workspace(&[Manage]),
        "List API keys",
        |call| Box::pin(list(call)),
    )
    .description("Lists the keys of a workspace, newest first, without their secrets.")
    .parameters(PAGE)
    .response(
        200,
        list_of::<ApiKeyJson>,
        r#"{"id": "ak_01991234-5678-7abc-bfff-0123456789ab", "name": "storefront", "scopes": ["charge"],
            "member": null, "worker": "w-7", "expires_at": null, "created_at": "2026-11-23T15:04:05.678Z",
            "last_used_at": "2026-11-23T16:00:12.345Z"}"#,
    ),
    Route::new(
        Method::DELETE,
        "/v1/workspaces/{workspace}/api-keys/{key}",
        Workspace(&[Manage]),
        "Revoke an API key",
        |call| Box::pin(revoke(call)),
    )
    .description("Revokes a key. Every server refuses it from then on. It cannot be restored.")
    .no_content(),
];

/// About the size of one key in JSON.
const KEY_BYTES: usize = 512;

/// The key to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApiKeyRequest)]
pub struct ApiKeyIn {
    /// The display name, 1–255 characters. It stays in the journal for ever, so it is not for
    /// personal data.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 255, pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+$", example = "storefront")]
    name: DisplayName,
    /// What the key may do; see [`scopes_schema`] for the description.
    #[schema(schema_with = scopes_schema)]
    scopes: Vec<Each<Scope>>,
    /// The id of a member. Every charge with the key is made for this member and no other.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$")]
    member: Option<MemberId>,
    /// The id of a worker. Every charge with the key is made by this worker and no other.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$")]
    worker: Option<WorkerId>,
    /// When the key expires; never if it is absent.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Instant>,
}

fn scopes_schema() -> Schema {
    let scope =
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Scope::ALL.map(Scope::as_str)));
    ArrayBuilder::new()
        .items(scope)
        .min_items(Some(1))
        .max_items(Some(Scope::ALL.len()))
        .description(Some(
            "What the key may do: `charge` makes charges and reports success and failures of the user, `settle` reports \
             failures of the system, which refund pending charges, `read` reads, `manage` changes the workspace and its \
             team.",
        ))
        .examples([json_value!(["charge"])])
        .into()
}

impl Word for Scope {
    const EXPECTED: &'static str = "\"charge\", \"settle\", \"read\" or \"manage\"";
    fn read(text: &str) -> Result<Self, String> {
        one_of(&Scope::ALL, Scope::as_str, text)
    }
}

/// An API key of a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyJson<'a> {
    /// The id by which entries and limits name the key. It is not secret.
    #[schema(value_type = String, example = "ak_01991234-5678-7abc-bfff-0123456789ab")]
    id: Text<ApiKeyId>,
    /// The display name.
    name: &'a str,
    /// What the key may do: `charge`, `settle`, `read`, `manage`.
    scopes: Vec<&'static str>,
    /// The id of the member that every charge with the key is made for; null if it is not tied.
    #[schema(required)]
    member: Option<&'a str>,
    /// The id of the worker that every charge with the key is made by; null if it is not tied.
    #[schema(required)]
    worker: Option<&'a str>,
    /// When the key expires; null for never.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<Time>,
    /// When the key was created.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// When the key was last used, recorded at most once an hour; null before the first use.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_used_at: Option<Time>,
    /// The secret to send as `Authorization: Bearer SECRET`. Only the response to its creation has
    /// it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl<'a> ApiKeyJson<'a> {
    /// The key without its secret.
    pub fn of(key: &'a ApiKey) -> ApiKeyJson<'a> {
        let ApiKey { id, name, scopes, member, worker, expires_at, created_at, last_used_at, hash: _ } = key;
        ApiKeyJson {
            id: Text(*id),
            name,
            scopes: scopes.iter().map(Scope::as_str).collect(),
            member: member.as_ref().map(MemberId::as_str),
            worker: worker.as_ref().map(WorkerId::as_str),
            expires_at: expires_at.map(Time),
            created_at: Time(*created_at),
            last_used_at: last_used_at.map(Time),
            secret: None,
        }
    }
}

/// `POST /v1/workspaces/{workspace}/api-keys`.
async fn create(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let ApiKeyIn { name: DisplayName(name), scopes, member, worker, expires_at } = call.json().await?;
    let scopes = scopes.into_iter().map(|Each(scope)| scope).collect();
    let expires_at = expires_at.map(|Instant(at)| at);
    let new = NewKey { name, scopes, member, worker, expires_at };
    let (key, secret) = api_keys::create(&call, &workspace, new).await?;
    Ok(json(StatusCode::CREATED, KEY_BYTES, &ApiKeyJson { secret: Some(&secret), ..ApiKeyJson::of(&key) }))
}

/// `GET /v1/workspaces/{workspace}/api-keys`.
async fn list(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let team = call.team(&workspace).await?;
    let listing = newest_first(&team.keys, |key| key.created_at, &call.query().page()?)?;
    let rows = ListJson::of(&listing, |key| ApiKeyJson::of(key));
    Ok(json(StatusCode::OK, KEY_BYTES * listing.data.len() + 64, &rows))
}

/// `DELETE /v1/workspaces/{workspace}/api-keys/{key}`.
async fn revoke(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let Ok(id) = call.param("key").parse() else {
        return Err(call.missing(&workspace, refusal::api_key_not_found()).await);
    };
    call.run_team(&workspace, TeamCommand::RevokeKey(id)).await?;
    Ok(no_content())
}
