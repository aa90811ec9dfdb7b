//! The keys that the HTTP requests of a benchmark carry: the platform key, or one API key for each
//! workspace. The difference in speed is the cost of looking up a key.
//!
//! Keys are created through the API before the measurement, and each is used once: the first use of
//! a key in an hour writes an entry, which is not part of a charge.

use std::sync::Arc;

use serde_json::{Value, json};
use tollkeeper_server::App;

use super::failure::failed;
use super::workload::workspace_id;
use crate::terminal::failure::Failure;
use crate::transport::request::{Request, path};
use crate::transport::{local, problem};

/// The platform key of the server that the benchmark starts.
pub const PLATFORM_KEY: &str = "tk_platform_of_the_benchmark_only";

/// The number of keys that are created concurrently, so that one commit holds many.
const CREATED_AT_ONCE: u64 = 256;

/// Whose key the requests carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Credential {
    /// The platform key for all workspaces
    Platform,
    /// An API key for each workspace
    Workspace,
}

impl Credential {
    /// The name on the command line and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Credential::Platform => "platform",
            Credential::Workspace => "workspace",
        }
    }
}

/// The keys of the requests.
#[derive(Debug)]
pub enum Credentials {
    /// The platform key.
    Platform,
    /// The API key of each workspace, by the number of the workspace.
    Workspaces(Vec<String>),
}

impl Credentials {
    /// Creates the keys, if each workspace needs one.
    pub async fn create(app: &Arc<App>, who: Credential, workspaces: u64) -> Result<Credentials, Failure> {
        if who == Credential::Platform {
            return Ok(Credentials::Platform);
        }
        let tasks = CREATED_AT_ONCE.min(workspaces);
        let running = (0..tasks).map(|first| {
            let app = Arc::clone(app);
            tokio::spawn(async move {
                let mut created = Vec::new();
                for workspace in (first..workspaces).step_by(tasks as usize) {
                    created.push((workspace, create_key(&app, workspace).await?));
                }
                Ok::<_, Failure>(created)
            })
        });
        let mut created = Vec::new();
        for task in running.collect::<Vec<_>>() {
            created.extend(task.await.map_err(|error| failed(error.to_string()))??);
        }
        created.sort_unstable();
        Ok(Credentials::Workspaces(created.into_iter().map(|(_, secret)| secret).collect()))
    }

    /// The key for a charge of a workspace.
    pub fn of(&self, workspace: usize) -> &str {
        match self {
            Credentials::Platform => PLATFORM_KEY,
            Credentials::Workspaces(secrets) => &secrets[workspace],
        }
    }
}

/// Creates a key with scope `charge`, uses it once, and returns its secret.
async fn create_key(app: &Arc<App>, workspace: u64) -> Result<String, Failure> {
    let path = path(&["v1", "workspaces", workspace_id(workspace).as_str(), "api-keys"]);
    let request = Request::write("POST", path, json!({"name": "benchmark", "scopes": ["charge"]}));
    let answer = local::call(Arc::clone(app), PLATFORM_KEY, request).await?;
    let json: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let secret = json["secret"].as_str().ok_or_else(|| problem::failure(&answer))?;
    let used = local::call(Arc::clone(app), secret, Request::get("/v1/price-book".to_owned())).await?;
    if used.status == 200 { Ok(secret.to_owned()) } else { Err(problem::failure(&used)) }
}
