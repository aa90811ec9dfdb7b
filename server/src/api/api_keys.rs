//! The API keys of a workspace. A secret is shown once, when it is made; only its hash is kept.

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tollkeeper_ledger::{
    ApiKey, ApiKeyId, ApiKeyRequest, MemberId, Scope, Scopes, TeamChange, TeamCommand, WorkerId,
};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};

use super::ListJson;
use crate::access::secret::{self, Kind};
use crate::http::call::{Call, answer, empty};
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::wire::read::{DisplayName, Each, Instant, Word, maybe_word, one_of, word};
use crate::wire::write::{Text, Time};

/// About the size of one key in JSON.
const KEY_BYTES: usize = 512;

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApiKeyRequest)]
pub struct ApiKeyIn {
    /// The display name.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 255, pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f]+$", example = "storefront")]
    name: DisplayName,
    /// What it may do: `charge` pays and reports outcomes, `read` sees, `manage` changes the workspace.
    #[schema(schema_with = scopes_schema)]
    scopes: Vec<Each<Scope>>,
    /// Charges through it bear this member's name and no other.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$")]
    member: Option<MemberId>,
    /// Charges through it bear this worker's name and no other.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$")]
    worker: Option<WorkerId>,
    /// From when on it opens nothing any more.
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
        .max_items(Some(3))
        .examples([json!(["charge"])])
        .into()
}

impl Word for Scope {
    const EXPECTED: &'static str = "\"charge\", \"read\" or \"manage\"";
    fn read(text: &str) -> Result<Self, String> {
        one_of(&Scope::ALL, Scope::as_str, text)
    }
}

/// An API key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyJson<'a> {
    /// Its name in entries and limits; it opens nothing.
    #[schema(value_type = String, example = "ak_01991234-5678-7abc-bfff-0123456789ab")]
    id: Text<ApiKeyId>,
    name: &'a str,
    scopes: Vec<&'static str>,
    #[schema(required)]
    member: Option<&'a str>,
    #[schema(required)]
    worker: Option<&'a str>,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<Time>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// When it was last used, to the hour; null before.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_used_at: Option<Time>,
    /// What is sent as `Authorization: Bearer`; told this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl<'a> ApiKeyJson<'a> {
    /// A key without its secret.
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

/// `POST /v1/workspaces/{workspace}/api-keys`. What a tied key makes is tied as it is.
pub async fn create(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let ApiKeyIn { name: DisplayName(name), scopes, member, worker, expires_at } = call.json().await?;
    let secret = secret::make(Kind::ApiKey, Some(&workspace)).map_err(|error| refusal::internal(&error))?;
    let own = call.caller.key();
    let request = ApiKeyRequest {
        name,
        scopes: scopes.into_iter().map(|Each(scope)| scope).collect::<Scopes>(),
        member: member.or_else(|| own.and_then(|key| key.member.clone())),
        worker: worker.or_else(|| own.and_then(|key| key.worker.clone())),
        expires_at: expires_at.map(|Instant(at)| at),
        hash: secret::hash(secret.as_bytes()),
    };
    match call.run_team(&workspace, TeamCommand::CreateKey(request)).await? {
        Some(TeamChange::KeyCreated(key)) => {
            let json = ApiKeyJson { secret: Some(&secret), ..ApiKeyJson::of(&key) };
            Ok(answer(StatusCode::CREATED, KEY_BYTES, &json))
        }
        _ => Err(refusal::internal(&"the engine did not answer with a key")),
    }
}

/// `GET /v1/workspaces/{workspace}/api-keys`.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let team = call.team(&workspace).await?;
    let listing = super::paged(&team.keys, |key| key.created_at, &call.query.page()?)?;
    let json = ListJson::of(&listing, |key| ApiKeyJson::of(key));
    Ok(answer(StatusCode::OK, KEY_BYTES * listing.data.len() + 64, &json))
}

/// `DELETE /v1/workspaces/{workspace}/api-keys/{key}`.
pub async fn revoke(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let Ok(id) = call.param("key").parse() else {
        return Err(call.missing(&workspace, refusal::api_key_not_found()).await);
    };
    call.run_team(&workspace, TeamCommand::RevokeKey(id)).await?;
    Ok(empty())
}
