//! The members of a workspace: who shares its pool (P14), and who of them may change what it spends (P15).

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_ledger::{
    Member, MemberChanges, MemberId, MemberRequest, Role, TeamChange, TeamCommand, WorkspaceId,
};
use utoipa::ToSchema;

use super::ListJson;
use crate::http::call::{Call, answer, empty};
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::wire::read::{DisplayName, Email, Word, maybe_word, one_of, word};
use crate::wire::write::Time;

/// About the size of one member in JSON.
const MEMBER_BYTES: usize = 256;

/// A person who joins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MemberRequest)]
pub struct MemberIn {
    /// The name that charges and limits bear.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$", example = "ada")]
    id: MemberId,
    /// Where messages go.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, format = "email", max_length = 254, example = "ada@example.com")]
    email: Email,
    /// The display name.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 255, pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f]+$", example = "Ada Lovelace")]
    name: DisplayName,
    /// `admin` changes everything of the workspace, `member` sees the balance and the usage.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = "^(admin|member)$", example = "member")]
    role: Role,
}

/// What is to change of a member; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MemberChanges)]
pub struct MemberChangesIn {
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, format = "email", max_length = 254)]
    email: Option<Email>,
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f]+$")]
    name: Option<DisplayName>,
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, pattern = "^(admin|member)$")]
    role: Option<Role>,
}

impl Word for Role {
    const EXPECTED: &'static str = "\"admin\" or \"member\"";
    fn read(text: &str) -> Result<Self, String> {
        one_of(&[Role::Admin, Role::Member], Role::as_str, text)
    }
}

/// A member.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub struct MemberJson<'a> {
    id: &'a str,
    email: &'a str,
    name: &'a str,
    /// `admin` or `member`.
    role: &'static str,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

impl<'a> From<&'a Member> for MemberJson<'a> {
    fn from(member: &'a Member) -> MemberJson<'a> {
        let Member { id, email, name, role, created_at } = member;
        MemberJson { id: id.as_str(), email, name, role: role.as_str(), created_at: Time(*created_at) }
    }
}

/// `POST /v1/workspaces/{workspace}/members`.
pub async fn add(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let MemberIn { id, email: Email(email), name: DisplayName(name), role } = call.json().await?;
    let request = MemberRequest { id, email, name, role };
    match call.run_team(&workspace, TeamCommand::AddMember(request)).await? {
        Some(TeamChange::MemberAdded(member)) => {
            Ok(answer(StatusCode::CREATED, MEMBER_BYTES, &MemberJson::from(&member)))
        }
        _ => Err(refusal::internal(&"the engine did not answer with a member")),
    }
}

/// `GET /v1/workspaces/{workspace}/members`.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let team = call.team(&workspace).await?;
    let listing = super::paged(&team.members, |member| member.created_at, &call.query.page()?)?;
    let json = ListJson::of(&listing, |member| MemberJson::from(*member));
    Ok(answer(StatusCode::OK, MEMBER_BYTES * listing.data.len() + 64, &json))
}

/// `GET /v1/workspaces/{workspace}/members/{member}`.
pub async fn get(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let id = named(&call, &workspace).await?;
    found(&call, &workspace, &id).await
}

/// `PATCH /v1/workspaces/{workspace}/members/{member}`.
pub async fn change(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let id = named(&call, &workspace).await?;
    let MemberChangesIn { email, name, role } = call.json().await?;
    let changes = MemberChanges {
        email: email.map(|Email(text)| text),
        name: name.map(|DisplayName(text)| text),
        role,
    };
    match call.run_team(&workspace, TeamCommand::ChangeMember(id.clone(), changes)).await? {
        Some(TeamChange::MemberChanged(member)) => {
            Ok(answer(StatusCode::OK, MEMBER_BYTES, &MemberJson::from(&member)))
        }
        // It was so already.
        _ => found(&call, &workspace, &id).await,
    }
}

/// `DELETE /v1/workspaces/{workspace}/members/{member}`.
pub async fn remove(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let id = named(&call, &workspace).await?;
    call.run_team(&workspace, TeamCommand::RemoveMember(id)).await?;
    Ok(empty())
}

/// The member of the path; when no member can have such a name, there is none.
async fn named(call: &Call, workspace: &WorkspaceId) -> Result<MemberId, Problem> {
    match MemberId::new(call.param("member")) {
        Ok(id) => Ok(id),
        Err(_) => Err(call.missing(workspace, refusal::member_not_found()).await),
    }
}

async fn found(call: &Call, workspace: &WorkspaceId, id: &MemberId) -> Result<Response, Problem> {
    let team = call.team(workspace).await?;
    let member = team.member(id).ok_or_else(refusal::member_not_found)?;
    Ok(answer(StatusCode::OK, MEMBER_BYTES, &MemberJson::from(member)))
}
