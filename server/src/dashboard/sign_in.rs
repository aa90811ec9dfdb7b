//! The way into the dashboard: a link that signs a member in once, the session's cookie, and signing out. The pages are
//! whole by themselves: no script, no other host, no cache.
//!
//! What a member sees once inside is the dashboard's; here is only who is signed in. Links are made by the platform
//! (`POST /v1/workspaces/{workspace}/portal-sessions`), when somebody clicks "Billing" in its own product.

use askama::Template;
use axum::body::Body;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::Reads;
use tollkeeper_ledger::{
    Actor, Command, LinkRequest, MemberId, Micros, PortalSession, Role, Submission, Team, TeamChange,
    TeamCommand, WorkspaceId, bounds,
};
use utoipa::ToSchema;

use crate::access::cookie;
use crate::access::secret::{self, Kind};
use crate::access::{self, Caller, SignedIn};
use crate::http::call::{Call, answer, empty};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::wire::read::{WebUrl, maybe_word, word};
use crate::wire::write::{Time, Usd};

/// What the pages may load and where their forms lead: nothing and here.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; \
                      base-uri 'none'";

/// Whom a link is for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PortalSessionRequest)]
pub struct PortalSessionIn {
    /// Who signs in, with the role the member then has.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$", example = "ada")]
    member: MemberId,
    /// Where the dashboard leads back to.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, format = "uri", max_length = 2_000)]
    return_url: Option<WebUrl>,
}

/// A link into the dashboard.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PortalSession)]
pub struct PortalSessionJson<'a> {
    /// Signs in once; to be followed at once and by nobody else.
    url: String,
    member: &'a str,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub struct SignedInJson<'a> {
    workspace: &'a str,
    member: &'a str,
    name: &'a str,
    /// `admin` or `member`.
    role: &'static str,
    #[schema(required)]
    return_url: Option<&'a str>,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
}

/// `POST /v1/workspaces/{workspace}/portal-sessions`.
pub async fn make_link(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let PortalSessionIn { member, return_url } = call.json().await?;
    let secret = secret::make(Kind::Link, Some(&workspace)).map_err(|error| refusal::internal(&error))?;
    let request = LinkRequest {
        member,
        hash: secret::hash(secret.as_bytes()),
        return_url: return_url.map(|WebUrl(url)| url),
        lasts_seconds: bounds::PORTAL_LINK_SECONDS,
    };
    match call.run_team(&workspace, TeamCommand::MakeLink(request)).await? {
        Some(TeamChange::LinkMade(link)) => {
            let json = PortalSessionJson {
                url: format!("{}/portal/sign-in/{secret}", origin(&call)),
                member: link.member.as_str(),
                expires_at: Time(link.expires_at),
            };
            Ok(answer(StatusCode::CREATED, 384, &json))
        }
        _ => Err(refusal::internal(&"the engine did not answer with a link")),
    }
}

/// `DELETE /v1/workspaces/{workspace}/portal-sessions`: of one member, or of all.
pub async fn end_all(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let must = "must be 1 to 64 of A-Z a-z 0-9 . _ : @ -";
    let member = call.query.value("member", |text| MemberId::new(text).ok(), must)?;
    call.run_team(&workspace, TeamCommand::SignOutAll(member)).await?;
    Ok(empty())
}

/// Where this server is reached from outside, as far as it can know.
fn origin(call: &Call) -> String {
    match call.app.public_url() {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None if call.is_secure() => format!("https://{}", call.host()),
        None => format!("http://{}", call.host()),
    }
}

/// `GET /portal/sign-in/{link}`. Whoever only looks whether it is there (`HEAD`, a browser that fetches ahead) does not use
/// it up.
pub async fn sign_in(call: Call) -> Result<Response, Problem> {
    let link = call.param("link");
    let workspace = secret::workspace_of(Kind::Link, link).ok_or_else(refusal::portal_link_expired)?;
    let hash = secret::hash(link.as_bytes());
    let opens = |team: &Team| team.link(&hash, call.now).is_some();
    let team = call.app.teams.look_for(call.app.engine(), &workspace, opens).await;
    let team = team.map_err(|error| refusal::failed(&error))?.ok_or_else(refusal::portal_link_expired)?;
    let Some(PortalSession { member, .. }) = team.link(&hash, call.now) else {
        return already_in(&call, &workspace).await;
    };
    if call.is_head || fetches_ahead(&call) {
        return Ok(empty());
    }
    let secret = secret::make(Kind::Session, Some(&workspace)).map_err(|error| refusal::internal(&error))?;
    let lasts_seconds = call.app.portal_session_seconds();
    let session = secret::hash(secret.as_bytes());
    let submission = Submission {
        workspace: workspace.clone(),
        key: None,
        actor: Actor::Member(member.clone()),
        command: Command::Team(TeamCommand::SignIn { link: hash, session, lasts_seconds }),
    };
    match call.app.engine().run(submission, call.now).await {
        Ok(Ok(_)) => {}
        Ok(Err(refused)) => return Err(refusal::refused(&call.app, &workspace, refused)),
        Err(error) => return Err(refusal::failed(&error)),
    }
    let mut response = see_other("/portal");
    let cookie = cookie::set(&secret, lasts_seconds, call.is_secure());
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// Whoever followed the link before, and loads it again, is in.
async fn already_in(call: &Call, workspace: &WorkspaceId) -> Result<Response, Problem> {
    match access::session(&call.app, call.headers(), call.now).await? {
        Some(signed_in) if signed_in.workspace == *workspace => Ok(see_other("/portal")),
        _ => Err(refusal::portal_link_expired()),
    }
}

/// Browsers say in one of these headers that nobody has clicked yet.
fn fetches_ahead(call: &Call) -> bool {
    ["sec-purpose", "purpose", "x-moz"].iter().any(|name| {
        call.header(name).is_some_and(|purpose| purpose.contains("prefetch") || purpose.contains("preview"))
    })
}

/// `GET /portal/session`.
pub async fn session(call: Call) -> Result<Response, Problem> {
    let SignedIn { workspace, session, member, form_token: _ } = signed_in(&call)?;
    let json = SignedInJson {
        workspace: workspace.as_str(),
        member: member.id.as_str(),
        name: &member.name,
        role: member.role.as_str(),
        return_url: session.return_url.as_deref(),
        expires_at: Time(session.expires_at),
    };
    Ok(answer(StatusCode::OK, 384, &json))
}

/// `POST /portal/sign-out`.
pub async fn sign_out(call: Call) -> Result<Response, Problem> {
    let SignedIn { workspace, session, .. } = signed_in(&call)?;
    call.run_team(workspace, TeamCommand::SignOut(session.id)).await?;
    Ok(signed_out(&call, session.return_url.as_deref()))
}

/// `POST /portal/sign-out-all`: everybody of the workspace, the caller too.
pub async fn sign_out_all(call: Call) -> Result<Response, Problem> {
    let SignedIn { workspace, session, .. } = signed_in(&call)?;
    call.run_team(workspace, TeamCommand::SignOutAll(None)).await?;
    Ok(signed_out(&call, session.return_url.as_deref()))
}

fn signed_out(call: &Call, return_url: Option<&str>) -> Response {
    let mut response = page(
        StatusCode::OK,
        &Message {
            title: "You are signed out",
            text: "To come back, open your billing page from the product you came from.",
            return_url,
        },
    );
    response.headers_mut().insert(SET_COOKIE, cookie::set("", 0, call.is_secure()));
    response
}

/// `GET /portal`.
pub async fn home(call: Call) -> Result<Response, Problem> {
    let SignedIn { workspace, session, member, form_token } = signed_in(&call)?;
    let profile = call.app.engine().workspace(workspace).await.map_err(|error| refusal::failed(&error))?;
    let balance =
        call.app.engine().balance(workspace, None).await.map_err(|error| refusal::failed(&error))?;
    let (Some(profile), Some(balance)) = (profile, balance) else {
        return Err(refusal::workspace_not_found(workspace.as_str()));
    };
    let available = balance.balance.available;
    Ok(page(
        StatusCode::OK,
        &Home {
            workspace: &profile.name,
            name: &member.name,
            is_admin: member.role == Role::Admin,
            credits: grouped(available.get()),
            usd: grouped_usd(available),
            return_url: session.return_url.as_deref(),
            form_token,
        },
    ))
}

/// Digits in groups of three.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Dollars, with the whole ones in groups of three.
fn grouped_usd(amount: Micros) -> String {
    let text = Usd(amount).to_string();
    match text.split_once('.').and_then(|(whole, rest)| Some((whole.parse().ok()?, rest))) {
        Some((whole, rest)) => format!("{}.{rest}", grouped(whole)),
        None => text,
    }
}

fn signed_in(call: &Call) -> Result<&SignedIn, Problem> {
    match &call.caller {
        Caller::Member(signed_in) => Ok(signed_in),
        _ => Err(refusal::internal(&"a route of the dashboard let somebody in who is not signed in")),
    }
}

fn see_other(path: &'static str) -> Response {
    let mut response = empty();
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(path));
    response
}

/// Whether an answer is going to be looked at by a person.
pub fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// A problem as a page.
pub fn problem_page(problem: &Problem) -> Response {
    let (title, text) = match problem.code {
        Code::Unauthenticated => ("You are not signed in", problem.detail.as_ref()),
        code if code.status() >= 500 => (code.title(), "Please try again in a moment."),
        code => (code.title(), problem.detail.as_ref()),
    };
    let mut response = page(problem.code.http_status(), &Message { title, text, return_url: None });
    problem.say_when(response.headers_mut());
    response
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    let text = template.render().expect("the templates write to memory");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// What holds for every answer of the portal: its address may be a secret, and so may be what it shows.
pub fn protect(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    workspace: &'a str,
    name: &'a str,
    is_admin: bool,
    credits: String,
    usd: String,
    return_url: Option<&'a str>,
    form_token: &'a str,
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    title: &'a str,
    text: &'a str,
    return_url: Option<&'a str>,
}
