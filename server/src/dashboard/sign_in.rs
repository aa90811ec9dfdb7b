//! Signing in to the dashboard by a link, and signing out.
//!
//! A link works once. It shows a button, which makes a session, whose secret is in a cookie. So a
//! request that only looks at the link (a scanner of e-mails, a link preview, a prefetching
//! browser) does not use it up.

use askama::Template;
use axum::http::header::SET_COOKIE;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Serialize;
use tollkeeper_ledger::{
    Actor, Command, Hash, MemberId, PortalSession, Role, Submission, Team, TeamCommand, WorkspaceId,
};

use super::frame::{Frame, keep_language, language_of};
use super::page::{Message, ROOT, page, see_other, signed_in};
use crate::access::secret::{self, Kind};
use crate::access::{Rule, SignedIn, cookie};
use crate::http::call::{Call, json};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::http::route::Route;
use crate::language::Language;
use crate::wire::write::Time;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/portal/sign-in/{link}", Rule::Public, "Follow a sign-in link", |call| {
        Box::pin(show_button(call))
    })
    .page()
    .parameters(LOCALE)
    .problems(&[Code::PortalLinkExpired, Code::StoreUnavailable]),
    Route::new(Method::POST, "/portal/sign-in/{link}", Rule::Public, "Sign in by a link", |call| {
        Box::pin(sign_in(call))
    })
    .page()
    .redirects()
    .parameters(LOCALE)
    .problems(&[Code::PortalLinkExpired, Code::StoreUnavailable]),
    Route::new(Method::GET, "/portal/session", Rule::SignedIn(Role::Member), "The session", |call| {
        Box::pin(session(call))
    })
    .private(),
    Route::new(Method::POST, "/portal/language", Rule::SignedIn(Role::Member), "Choose a language", |call| {
        Box::pin(choose_language(call))
    })
    .page()
    .redirects(),
    Route::new(Method::POST, "/portal/sign-out", Rule::SignedIn(Role::Member), "Sign out", |call| {
        Box::pin(sign_out(call))
    })
    .page(),
    Route::new(
        Method::POST,
        "/portal/sign-out-all",
        Rule::SignedIn(Role::Admin),
        "Sign out all members of the workspace",
        |call| Box::pin(sign_out_all(call)),
    )
    .page(),
];

/// The parameter of a link with the language of its reader.
const LOCALE: &[&str] = &["locale"];

/// The session of the browser.
#[derive(Debug, Serialize)]
struct SessionJson<'a> {
    workspace: &'a str,
    member: &'a str,
    /// Null if it was erased.
    name: Option<&'a str>,
    /// `admin` or `member`.
    role: &'static str,
    return_url: Option<&'a str>,
    expires_at: Time,
}

/// The page with the button.
#[derive(Template)]
#[template(path = "dashboard/sign_in.html")]
struct Button<'a> {
    frame: Frame<'a>,
}

/// A link that was not used and has not expired.
struct Link {
    workspace: WorkspaceId,
    member: MemberId,
    hash: Hash,
}

impl Link {
    /// The link in the path. An error holds the response: a member who opens a used link and still
    /// has the session is redirected, not refused.
    async fn find(call: &Call) -> Result<Result<Link, Response>, Problem> {
        let link = call.param("link");
        let workspace = secret::workspace_of(Kind::Link, link).ok_or_else(refusal::portal_link_expired)?;
        let hash = secret::hash(link.as_bytes());
        let is_known = |team: &Team| team.link(&hash, call.now).is_some();
        let team = call.app.access.team_for(&workspace, is_known).await?;
        let team = team.ok_or_else(refusal::portal_link_expired)?;
        if let Some(PortalSession { member, .. }) = team.link(&hash, call.now) {
            return Ok(Ok(Link { workspace, member: member.clone(), hash }));
        }
        match call.app.access.session(call.headers(), call.now).await? {
            Some(signed_in) if signed_in.workspace == workspace => Ok(Err(see_other(ROOT))),
            _ => Err(refusal::portal_link_expired()),
        }
    }
}

/// The language that the platform asked for, if the pages are written in it.
fn asked_language(call: &Call) -> Option<Language> {
    call.query().get("locale").and_then(Language::of_tag)
}

/// `GET /portal/sign-in/{link}`.
async fn show_button(call: Call) -> Result<Response, Problem> {
    match Link::find(&call).await? {
        Ok(_) => {
            let language = asked_language(&call).unwrap_or_else(|| language_of(call.headers()));
            Ok(page(StatusCode::OK, &Button { frame: Frame::in_language(&call.app, language) }))
        }
        Err(response) => Ok(response),
    }
}

/// `POST /portal/sign-in/{link}`.
async fn sign_in(call: Call) -> Result<Response, Problem> {
    let Link { workspace, member, hash } = match Link::find(&call).await? {
        Ok(link) => link,
        Err(response) => return Ok(response),
    };
    let secret = secret::make(Kind::Session, Some(&workspace)).map_err(|error| refusal::internal(&error))?;
    let valid_for_seconds = call.app.access.session_seconds();
    let session = secret::hash(secret.as_bytes());
    // The caller is anonymous; the link proves which member acts.
    let submission = Submission {
        workspace: workspace.clone(),
        key: None,
        actor: Actor::Member(member),
        command: Command::Team(TeamCommand::SignIn { link: hash, session, valid_for_seconds }),
    };
    let result = call.app.engine().run(submission, call.now).await?;
    result.map_err(|refused| call.refused(&workspace, refused))?;
    let mut response = see_other(ROOT);
    let cookie = cookie::set(&secret, valid_for_seconds, call.is_secure());
    response.headers_mut().insert(SET_COOKIE, cookie);
    if let Some(language) = asked_language(&call) {
        response.headers_mut().append(SET_COOKIE, keep_language(language, call.is_secure()));
    }
    Ok(response)
}

/// `POST /portal/language`. It leads back to the first page, because a form has no address of its
/// own.
async fn choose_language(call: Call) -> Result<Response, Problem> {
    let language = call.form().get("language").and_then(Language::of_tag).unwrap_or_default();
    let mut response = see_other(ROOT);
    response.headers_mut().insert(SET_COOKIE, keep_language(language, call.is_secure()));
    Ok(response)
}

/// `GET /portal/session`.
async fn session(call: Call) -> Result<Response, Problem> {
    let SignedIn { workspace, session, member, form_token: _ } = signed_in(&call)?;
    let texts = call.personal_texts(workspace, std::iter::once(member)).await?;
    let session = SessionJson {
        workspace: workspace.as_str(),
        member: member.id.as_str(),
        name: texts.get(&member.name).map(|name| &**name),
        role: member.role.as_str(),
        return_url: session.return_url.as_deref(),
        expires_at: Time(session.expires_at),
    };
    Ok(json(StatusCode::OK, 384, &session))
}

/// `POST /portal/sign-out`.
async fn sign_out(call: Call) -> Result<Response, Problem> {
    let SignedIn { workspace, session, .. } = signed_in(&call)?;
    call.run_team(workspace, TeamCommand::SignOut(session.id)).await?;
    Ok(signed_out(&call, session.return_url.as_deref()))
}

/// `POST /portal/sign-out-all`. It ends the caller's session too.
async fn sign_out_all(call: Call) -> Result<Response, Problem> {
    let SignedIn { workspace, session, .. } = signed_in(&call)?;
    call.run_team(workspace, TeamCommand::SignOutAll(None)).await?;
    Ok(signed_out(&call, session.return_url.as_deref()))
}

/// The page after signing out; it also removes the cookie.
fn signed_out(call: &Call, return_url: Option<&str>) -> Response {
    let frame = Frame::public(&call.app, call.headers());
    let words = frame.words;
    let (title, text) = (words.signed_out, words.signed_out_text);
    let mut response =
        page(StatusCode::OK, &Message { frame, title, text, note: "", return_url, leads_inside: false });
    response.headers_mut().insert(SET_COOKIE, cookie::set("", 0, call.is_secure()));
    response
}
