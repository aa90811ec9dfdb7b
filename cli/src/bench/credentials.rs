//! What the charges of a benchmark over HTTP show at the door: the platform key, or a key of each workspace's own, so that
//! the difference is what looking a key up costs. Keys are made through the API before anything is measured, and each is
//! used once: its first use in an hour is written down, which is another matter.

use std::sync::Arc;

use serde_json::{Value, json};
use tollkeeper_server::App;

use super::failed;
use super::workload::workspace_id;
use crate::terminal::failure::Failure;
use crate::transport::request::{Request, path};
use crate::transport::{local, problem};

/// The platform key of a benchmark's own server.
pub const PLATFORM_KEY: &str = "tk_platform_of_the_benchmark_only";

/// Keys that are made at the same time, so that one commit keeps many.
const MADE_AT_ONCE: u64 = 256;

/// Who charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Credential {
    /// The platform, for all workspaces
    Platform,
    /// Each workspace, with an API key of its own
    Workspace,
}

impl Credential {
    pub fn name(self) -> &'static str {
        match self {
            Credential::Platform => "platform",
            Credential::Workspace => "workspace",
        }
    }
}

/// The keys to show.
#[derive(Debug)]
pub enum Credentials {
    /// The one key.
    Platform,
    /// The key of each workspace, by its number.
    Workspaces(Vec<String>),
}

impl Credentials {
    /// Makes as many keys as are needed.
    pub async fn make(app: &Arc<App>, who: Credential, workspaces: u64) -> Result<Credentials, Failure> {
        if who == Credential::Platform {
            return Ok(Credentials::Platform);
        }
        let makers = MADE_AT_ONCE.min(workspaces);
        let making = (0..makers).map(|first| {
            let app = Arc::clone(app);
            tokio::spawn(async move {
                let mut made = Vec::new();
                for workspace in (first..workspaces).step_by(makers as usize) {
                    made.push((workspace, secret_of(&app, workspace).await?));
                }
                Ok::<_, Failure>(made)
            })
        });
        let mut made = Vec::new();
        for maker in making.collect::<Vec<_>>() {
            made.extend(maker.await.map_err(|error| failed(error.to_string()))??);
        }
        made.sort_unstable();
        Ok(Credentials::Workspaces(made.into_iter().map(|(_, secret)| secret).collect()))
    }

    /// The key for a charge of a workspace.
    pub fn of(&self, workspace: usize) -> &str {
        match self {
            Credentials::Platform => PLATFORM_KEY,
            Credentials::Workspaces(secrets) => &secrets[workspace],
        }
    }
}

/// Makes a key that may charge, uses it, and gives its secret.
async fn secret_of(app: &Arc<App>, workspace: u64) -> Result<String, Failure> {
    let path = path(&["v1", "workspaces", workspace_id(workspace).as_str(), "api-keys"]);
    let request = Request::write("POST", path, json!({"name": "benchmark", "scopes": ["charge"]}));
    let answer = local::ask(Arc::clone(app), PLATFORM_KEY, request).await?;
    let json: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let secret = json["secret"].as_str().ok_or_else(|| problem::failure(&answer))?;
    let used = local::ask(Arc::clone(app), secret, Request::get("/v1/price-book".to_owned())).await?;
    if used.status == 200 { Ok(secret.to_owned()) } else { Err(problem::failure(&used)) }
}
