//! API keys: the keys of one workspace.

use super::InWorkspace;
use crate::http::call::Call;
use crate::http::pages::List;
use crate::http::routes;
use crate::types::{ApiKey, ApiKeyRequest};

/// The API keys of a workspace.
#[derive(Clone, Debug)]
pub struct ApiKeys(pub(crate) InWorkspace);

impl ApiKeys {
    /// Lists the keys, newest first, without their secrets.
    pub fn list(&self) -> List<ApiKey> {
        self.0.list(routes::GET_WORKSPACES_BY_WORKSPACE_API_KEYS, &[], &())
    }

    /// Creates a key. The answer has its secret, which is shown this once. If the answer is lost,
    /// the key exists and nobody knows its secret; so the request is not repeated.
    pub fn create(&self, request: &ApiKeyRequest) -> Call<ApiKey> {
        self.0.call(&routes::POST_WORKSPACES_BY_WORKSPACE_API_KEYS, &[]).body(request)
    }

    /// Revokes a key. It cannot be restored.
    pub fn revoke(&self, key: &str) -> Call<()> {
        self.0.call(&routes::DELETE_WORKSPACES_BY_WORKSPACE_API_KEYS_BY_KEY, &[key])
    }
}
