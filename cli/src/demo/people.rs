//! The workspace of the demo with its members and API keys. They are created through the API, which
//! makes salts and secrets.

use std::sync::Arc;

use serde_json::{Value, json};
use tollkeeper_ledger::ApiKeyId;
use tollkeeper_server::App;

use crate::terminal::failure::{Exit, Failure};
use crate::transport::request::{Answer, Request, path};
use crate::transport::{local, problem};

/// The id of the workspace.
pub const WORKSPACE: &str = "acme";

/// Its members: id, name, role.
const MEMBERS: [(&str, &str, &str); 5] = [
    ("ada", "Ada Okafor", "admin"),
    ("lin", "Lin Zhao", "admin"),
    ("noor", "Noor Haddad", "member"),
    ("sam", "Sam Rivera", "member"),
    ("mia", "Mia Jansen", "member"),
];

/// The API keys of the workspace.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    pub storefront: ApiKeyId,
    pub back_office: ApiKeyId,
}

/// Creates the workspace.
pub async fn create_workspace(app: &Arc<App>, key: &str, metadata: &Value) -> Result<(), Failure> {
    let workspace = json!({"id": WORKSPACE, "name": "Acme Fashion", "metadata": metadata});
    post(app, key, &["v1", "workspaces"], workspace).await.map(drop)
}

/// Adds the first `count` members who have the role, or all of them.
pub async fn add_members(app: &Arc<App>, key: &str, role: &str, count: usize) -> Result<(), Failure> {
    for (id, name, role) in MEMBERS.iter().filter(|(_, _, its)| *its == role).take(count) {
        let member = json!({"id": id, "email": format!("{id}@example.com"), "name": name, "role": role});
        post(app, key, &["v1", "workspaces", WORKSPACE, "members"], member).await?;
    }
    Ok(())
}

/// Creates the keys. Their secrets are not kept: nobody uses them after the demo is filled.
pub async fn create_keys(app: &Arc<App>, key: &str) -> Result<Keys, Failure> {
    Ok(Keys {
        storefront: create_key(app, key, "storefront").await?,
        back_office: create_key(app, key, "back office").await?,
    })
}

async fn create_key(app: &Arc<App>, key: &str, name: &str) -> Result<ApiKeyId, Failure> {
    let body = json!({"name": name, "scopes": ["charge", "settle", "read"]});
    let created = post(app, key, &["v1", "workspaces", WORKSPACE, "api-keys"], body).await?;
    let id = created["id"].as_str().and_then(|id| id.parse().ok());
    id.ok_or_else(|| Failure::new(Exit::Unavailable, "the API returned a key without an id"))
}

/// Makes a link that signs a member in.
pub async fn sign_in_link(app: &Arc<App>, key: &str, member: &str) -> Result<String, Failure> {
    let body = json!({"member": member});
    let link = post(app, key, &["v1", "workspaces", WORKSPACE, "portal-sessions"], body).await?;
    Ok(link["url"].as_str().unwrap_or_default().to_owned())
}

/// The first member with a role: id and name.
pub async fn first_member(
    app: &Arc<App>,
    key: &str,
    role: &str,
) -> Result<Option<(String, String)>, Failure> {
    let members = get(app, key, &["v1", "workspaces", WORKSPACE, "members"]).await?;
    let text = |member: &Value, field: &str| member[field].as_str().unwrap_or_default().to_owned();
    let members = members["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    // The list begins with the newest.
    let found = members.iter().rfind(|member| member["role"] == role);
    Ok(found.map(|member| (text(member, "id"), text(member, "name"))))
}

/// What can be spent.
pub async fn available(app: &Arc<App>, key: &str) -> Result<i64, Failure> {
    let balance = get(app, key, &["v1", "workspaces", WORKSPACE, "balance"]).await?;
    Ok(balance["available"].as_i64().unwrap_or_default())
}

async fn post(app: &Arc<App>, key: &str, segments: &[&str], body: Value) -> Result<Value, Failure> {
    answered(&local::call(app.clone(), key, Request::write("POST", path(segments), body)).await?)
}

async fn get(app: &Arc<App>, key: &str, segments: &[&str]) -> Result<Value, Failure> {
    answered(&local::call(app.clone(), key, Request::get(path(segments))).await?)
}

fn answered(answer: &Answer) -> Result<Value, Failure> {
    if answer.status >= 300 {
        return Err(problem::failure(answer));
    }
    Ok(serde_json::from_str(&answer.text).unwrap_or_default())
}
