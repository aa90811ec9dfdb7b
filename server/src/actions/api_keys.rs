//! Creates API keys of a workspace. The secret of a key is returned once; only its hash is stored.

use tollkeeper_ledger::{
    ApiKey, ApiKeyRequest, MemberId, Scopes, TeamChange, TeamCommand, Timestamp, WorkerId, WorkspaceId,
};

use crate::access::secret::{self, Kind};
use crate::http::call::{Call, wrong_output};
use crate::http::problem::Problem;
use crate::http::refusal;

/// A key to be created.
#[derive(Debug)]
pub struct NewKey {
    /// The display name.
    pub name: Box<str>,
    /// What it may do.
    pub scopes: Scopes,
    /// The member that it is tied to.
    pub member: Option<MemberId>,
    /// The worker that it is tied to.
    pub worker: Option<WorkerId>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

/// Creates a key; returns it with its secret. A key that is made with a tied key is tied the same
/// way.
///
/// # Errors
/// The refusal of the ledger or the error of the engine.
pub async fn create(call: &Call, workspace: &WorkspaceId, new: NewKey) -> Result<(ApiKey, String), Problem> {
    let NewKey { name, scopes, member, worker, expires_at } = new;
    let secret = secret::make(Kind::ApiKey, Some(workspace)).map_err(|error| refusal::internal(&error))?;
    let own = call.caller.api_key();
    let request = ApiKeyRequest {
        name,
        scopes,
        member: member.or_else(|| own.and_then(|key| key.member.clone())),
        worker: worker.or_else(|| own.and_then(|key| key.worker.clone())),
        expires_at,
        hash: secret::hash(secret.as_bytes()),
    };
    match call.run_team(workspace, TeamCommand::CreateKey(request)).await? {
        Some(TeamChange::KeyCreated(key)) => Ok((key, secret)),
        _ => Err(wrong_output("an API key")),
    }
}
