//! Portal sessions: the platform makes a link that signs a member in to the dashboard, and ends
//! sessions. Following the link is in `dashboard::sign_in`.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_ledger::Scope::Manage;
use tollkeeper_ledger::{LinkRequest, MemberId, TeamChange, TeamCommand, bounds};
use utoipa::ToSchema;

use crate::access::Rule::{Platform, Workspace};
use crate::access::secret::{self, Kind};
use crate::http::call::{Call, json, no_content, wrong_output};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::http::route::{Route, of};
use crate::wire::read::{ID_RULE, Locale, WebUrl, maybe_word, word};
use crate::wire::write::Time;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/portal-sessions",
        Platform,
        "Make a sign-in link",
        |call| Box::pin(create_link(call)),
    )
    .description(
        "Makes a link that signs a member in to the dashboard. It works once and for ten minutes. Make it when the \
         member clicks on \"Billing\" in your product, and redirect the browser to it at once.",
    )
    .keeps_no_key()
    .request(
        of::<PortalSessionIn>,
        r#"{"member": "ada", "return_url": "https://app.example.com/billing", "locale": "en"}"#,
    )
    .response(
        201,
        of::<PortalSessionJson>,
        r#"{"url": "https://credits.example.com/portal/sign-in/tk_link_5b1f…_acme", "member": "ada",
            "expires_at": "2026-11-23T15:14:05.678Z"}"#,
    )
    .problems(&[Code::MemberNotFound]),
    Route::new(
        Method::DELETE,
        "/v1/workspaces/{workspace}/portal-sessions",
        Workspace(&[Manage]),
        "End sessions and links",
        |call| Box::pin(end_all(call)),
    )
    .description("Ends all sessions in the dashboard and all unused links: of one member, or of the whole workspace.")
    .parameters(&["member"])
    .no_content()
    .problems(&[Code::MemberNotFound]),
];

/// The member who is to sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PortalSessionRequest)]
pub struct PortalSessionIn {
    /// The id of the member. The role counts that the member has at each request.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$", example = "ada")]
    member: MemberId,
    /// The page of your product that the dashboard leads back to. It stays in the journal for ever,
    /// so it is not for personal data.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, format = "uri", max_length = 2_000)]
    return_url: Option<WebUrl>,
    /// The language of the pages as a tag such as `de` or `en-GB`; that of the browser unless the
    /// pages are written in it.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, max_length = 35, pattern = r"^[A-Za-z0-9-]+$", example = "de")]
    locale: Option<Locale>,
}

/// A link into the dashboard.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PortalSession)]
pub struct PortalSessionJson<'a> {
    /// The link. Anyone who has it can use it once, so send it to the member only.
    url: String,
    /// The id of the member who will be signed in.
    member: &'a str,
    /// When the link ends if it is not used.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
}

/// `POST /v1/workspaces/{workspace}/portal-sessions`.
async fn create_link(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let PortalSessionIn { member, return_url, locale } = call.json().await?;
    let query = locale.map(|Locale(tag)| format!("?locale={tag}")).unwrap_or_default();
    let secret = secret::make(Kind::Link, Some(&workspace)).map_err(|error| refusal::internal(&error))?;
    let request = LinkRequest {
        member,
        hash: secret::hash(secret.as_bytes()),
        return_url: return_url.map(|WebUrl(url)| url),
        valid_for_seconds: bounds::PORTAL_LINK_SECONDS,
    };
    match call.run_team(&workspace, TeamCommand::CreateLink(request)).await? {
        Some(TeamChange::LinkCreated(link)) => {
            let link = PortalSessionJson {
                url: format!("{}/portal/sign-in/{secret}{query}", call.origin()),
                member: link.member.as_str(),
                expires_at: Time(link.expires_at),
            };
            Ok(json(StatusCode::CREATED, 384, &link))
        }
        _ => Err(wrong_output("a link")),
    }
}

/// `DELETE /v1/workspaces/{workspace}/portal-sessions`.
async fn end_all(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let member = call.query().value("member", |text| MemberId::new(text).ok(), ID_RULE)?;
    call.run_team(&workspace, TeamCommand::SignOutAll(member)).await?;
    Ok(no_content())
}
