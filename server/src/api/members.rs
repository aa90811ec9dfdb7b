//! The members of a workspace: who shares its credit (P14), and who may change what it spends
//! (P15).

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::personal_text;
use tollkeeper_ledger::Scope::Manage;
use tollkeeper_ledger::{
    Hash, Member, MemberChanges, MemberId, MemberRequest, PersonalText, Role, TeamChange, TeamCommand,
    WorkspaceId,
};
use utoipa::ToSchema;

use super::PAGE;
use crate::access::Rule::Workspace;
use crate::access::secret;
use crate::http::call::{Call, PersonalTexts, json, no_content, wrong_output};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::http::route::{Route, list_of, of};
use crate::wire::page::{ListJson, newest_first};
use crate::wire::read::{DisplayName, Email, Word, given_word, one_of, word};
use crate::wire::write::Time;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/members",
        Workspace(&[Manage]),
        "Add a member",
        |call| Box::pin(add(call)),
    )
    .description(
        "Adds a person to a workspace. Charges and limits may name the member by its id. Name and e-mail address are stored \
         beside the journal and can be erased; the id stays in the journal for ever, so it should not name the person.",
    )
    .keeps_no_key()
    .request(
        of::<MemberIn>,
        r#"{"id": "ada", "email": "ada@example.com", "name": "Ada Lovelace", "role": "admin"}"#,
    )
    .response(201, of::<MemberJson>, EXAMPLE)
    .problems(&[Code::MemberExists]),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/members",
        Workspace(&[Manage]),
        "List members",
        |call| Box::pin(list(call)),
    )
    .description("Lists the members of a workspace, newest first.")
    .parameters(PAGE)
    .response(200, list_of::<MemberJson>, EXAMPLE),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/members/{member}",
        Workspace(&[Manage]),
        "Get a member",
        |call| Box::pin(get(call)),
    )
    .description("Returns the name, e-mail address and role of a member.")
    .response(200, of::<MemberJson>, EXAMPLE),
    Route::new(
        Method::PATCH,
        "/v1/workspaces/{workspace}/members/{member}",
        Workspace(&[Manage]),
        "Change a member",
        |call| Box::pin(change(call)),
    )
    .description("Changes the given fields; absent fields keep their values. The last admin must stay an admin.")
    .request(of::<MemberChangesIn>, r#"{"role": "admin"}"#)
    .response(200, of::<MemberJson>, EXAMPLE)
    .problems(&[Code::LastAdmin]),
    Route::new(
        Method::DELETE,
        "/v1/workspaces/{workspace}/members/{member}",
        Workspace(&[Manage]),
        "Remove a member",
        |call| Box::pin(remove(call)),
    )
    .description(
        "Removes a member. The API keys that are tied to the member and the member's sessions end too. Charges keep the \
         member's id. The last admin cannot be removed.",
    )
    .no_content()
    .problems(&[Code::LastAdmin]),
    Route::new(
        Method::DELETE,
        "/v1/workspaces/{workspace}/members/{member}/personal-data",
        Workspace(&[Manage]),
        "Erase a member's personal data",
        |call| Box::pin(erase(call)),
    )
    .description(
        "Erases all names and e-mail addresses that were ever stored of a member, also of one who was removed. This cannot \
         be undone. The journal keeps the member's id and digests from which nothing can be recovered. A member who was \
         not removed keeps role, keys and sessions; `email` and `name` are null until they are set again.",
    )
    .no_content(),
];

const EXAMPLE: &str = r#"{"id": "ada", "email": "ada@example.com", "name": "Ada Lovelace", "role": "admin",
    "created_at": "2026-11-23T15:04:05.678Z"}"#;

/// About the size of one member in JSON.
const MEMBER_BYTES: usize = 256;

/// The person to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MemberRequest)]
pub struct MemberIn {
    /// The id by which charges and limits name the member; your product chooses it. It is never
    /// erased.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$", example = "ada")]
    id: MemberId,
    /// The e-mail address that messages are sent to.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, format = "email", max_length = 254, example = "ada@example.com")]
    email: Email,
    /// The display name, 1–255 characters.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 255, pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+$", example = "Ada Lovelace")]
    name: DisplayName,
    /// `admin` may change the workspace in the dashboard; `member` may look at the balance and
    /// usage.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = "^(admin|member)$", example = "member")]
    role: Role,
}

/// The fields to be changed; absent fields keep their values.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MemberChanges)]
pub struct MemberChangesIn {
    /// The new e-mail address.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, format = "email", max_length = 254)]
    email: Option<Email>,
    /// The new display name, 1–255 characters.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 255, pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+$")]
    name: Option<DisplayName>,
    /// The new role, `admin` or `member`. It counts from the next request on.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, pattern = "^(admin|member)$")]
    role: Option<Role>,
}

impl Word for Role {
    const EXPECTED: &'static str = "\"admin\" or \"member\"";
    fn read(text: &str) -> Result<Self, String> {
        one_of(&[Role::Admin, Role::Member], Role::as_str, text)
    }
}

/// A member of a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub struct MemberJson<'a> {
    /// The id by which charges and limits name the member.
    id: &'a str,
    /// The e-mail address that messages are sent to; null if it was erased.
    #[schema(required)]
    email: Option<&'a str>,
    /// The display name; null if it was erased.
    #[schema(required)]
    name: Option<&'a str>,
    /// `admin` or `member`.
    role: &'static str,
    /// When the member was added.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

impl<'a> MemberJson<'a> {
    /// A member with the texts that its digests stand for.
    pub fn of(member: &'a Member, texts: &'a PersonalTexts) -> MemberJson<'a> {
        let Member { id, email, name, role, created_at } = member;
        let [email, name] = [email, name].map(|digest| texts.get(digest).map(|text| &**text));
        MemberJson { id: id.as_str(), email, name, role: role.as_str(), created_at: Time(*created_at) }
    }
}

/// A text about a person, with a salt of its own.
fn salted(text: &str) -> Result<PersonalText, Problem> {
    let salt = secret::random().map_err(|error| refusal::internal(&error))?;
    Ok(personal_text(text, salt))
}

/// A text with the digest that stands for it.
fn by_digest(text: &PersonalText) -> (Hash, Box<str>) {
    (text.digest, text.text.clone())
}

/// `POST /v1/workspaces/{workspace}/members`.
async fn add(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let MemberIn { id, email: Email(email), name: DisplayName(name), role } = call.json().await?;
    let request = MemberRequest { id, email: salted(&email)?, name: salted(&name)?, role };
    let texts = [&request.email, &request.name].map(by_digest);
    match call.run_team(&workspace, TeamCommand::AddMember(Box::new(request))).await? {
        Some(TeamChange::MemberAdded(member)) => {
            Ok(shown(StatusCode::CREATED, &member, &PersonalTexts::from(texts)))
        }
        _ => Err(wrong_output("a member")),
    }
}

/// `GET /v1/workspaces/{workspace}/members`.
async fn list(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let team = call.team(&workspace).await?;
    let listing = newest_first(&team.members, |member| member.created_at, &call.query().page()?)?;
    let texts = call.personal_texts(&workspace, listing.data.iter().copied()).await?;
    let rows = ListJson::of(&listing, |member| MemberJson::of(member, &texts));
    Ok(json(StatusCode::OK, MEMBER_BYTES * listing.data.len() + 64, &rows))
}

/// `GET /v1/workspaces/{workspace}/members/{member}`.
async fn get(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let id = member_id(&call, &workspace).await?;
    respond(&call, &workspace, &id).await
}

/// `PATCH /v1/workspaces/{workspace}/members/{member}`.
async fn change(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let id = member_id(&call, &workspace).await?;
    let MemberChangesIn { email, name, role } = call.json().await?;
    let changes = MemberChanges {
        email: email.map(|Email(text)| salted(&text)).transpose()?,
        name: name.map(|DisplayName(text)| salted(&text)).transpose()?,
        role,
    };
    let team = call.team(&workspace).await?;
    let old = team.member(&id).ok_or_else(refusal::member_not_found)?;
    // Read before the change, so that nothing can fail after it. An equal text keeps its digest.
    let mut texts = call.personal_texts(&workspace, std::iter::once(old)).await?;
    texts.extend([&changes.email, &changes.name].into_iter().flatten().map(by_digest));
    match call.run_team(&workspace, TeamCommand::ChangeMember(id.clone(), Box::new(changes))).await? {
        Some(TeamChange::MemberChanged(member)) => {
            let is_known = |digest| texts.contains_key(digest) || [&old.email, &old.name].contains(&digest);
            if is_known(&member.email) && is_known(&member.name) {
                return Ok(shown(StatusCode::OK, &member, &texts));
            }
            // Another request has changed the member meanwhile.
            show(&call, &workspace, &member).await
        }
        // Nothing had to change.
        _ => respond(&call, &workspace, &id).await,
    }
}

/// `DELETE /v1/workspaces/{workspace}/members/{member}`.
async fn remove(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let id = member_id(&call, &workspace).await?;
    call.run_team(&workspace, TeamCommand::RemoveMember(id)).await?;
    Ok(no_content())
}

/// `DELETE /v1/workspaces/{workspace}/members/{member}/personal-data`.
async fn erase(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let id = member_id(&call, &workspace).await?;
    call.run_team(&workspace, TeamCommand::EraseMember(id)).await?;
    Ok(no_content())
}

/// The id of the member in the path. If the text cannot be the id of a member, there is no such
/// member.
async fn member_id(call: &Call, workspace: &WorkspaceId) -> Result<MemberId, Problem> {
    match MemberId::new(call.param("member")) {
        Ok(id) => Ok(id),
        Err(_) => Err(call.missing(workspace, refusal::member_not_found()).await),
    }
}

/// The response with a member as it is now.
async fn respond(call: &Call, workspace: &WorkspaceId, id: &MemberId) -> Result<Response, Problem> {
    let team = call.team(workspace).await?;
    let member = team.member(id).ok_or_else(refusal::member_not_found)?;
    show(call, workspace, member).await
}

/// The response with a member whose texts are read first.
async fn show(call: &Call, workspace: &WorkspaceId, member: &Member) -> Result<Response, Problem> {
    let texts = call.personal_texts(workspace, std::iter::once(member)).await?;
    Ok(shown(StatusCode::OK, member, &texts))
}

/// The response with a member and the texts that its digests stand for.
fn shown(status: StatusCode, member: &Member, texts: &PersonalTexts) -> Response {
    json(status, MEMBER_BYTES, &MemberJson::of(member, texts))
}
