//! Who may call: the rule of every route is checked here and nowhere else. The rules themselves stand in the table of
//! routes; what a key or session may do *there* follows from its scopes or its member's role.
//!
//! A platform key opens everything but the dashboard. When the settings name one, it is the only one, so that setting a
//! key also shuts out the one made at the first start; else the keys whose hashes the platform's journal keeps open it.
//! A workspace's key opens what its scopes say, in its workspace; everywhere else it finds what there is for a name that
//! nobody has. A cookie opens the dashboard and no route of the API, and its forms carry a token too. Secrets are compared by
//! their SHA-256.

pub(crate) mod cookie;
pub(crate) mod rate;
pub(crate) mod secret;
pub(crate) mod team_cache;

use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use subtle::{Choice, ConstantTimeEq};
use tollkeeper_ledger::{
    Actor, ApiKey, Hash, Member, PortalSession, Role, Scope, Team, Timestamp, WorkspaceId,
};

use crate::api::Route;
use crate::app::App;

use self::rate::RateStatus;
use self::secret::Kind;
use crate::http::problem::{Code, Problem};
use crate::http::refusal;

/// Whom a route is open to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everybody, without a key.
    Public,
    /// The holder of a platform key.
    Platform,
    /// The holder of a platform key, or of a key of the path's workspace with one of these scopes.
    Workspace(&'static [Scope]),
    /// The same where the path names no workspace: a key of any, for its own.
    AnyWorkspace(&'static [Scope]),
    /// A member who has signed in to the dashboard, with this role or a higher one.
    SignedIn(Role),
}

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Somebody; the route is open to all.
    Anybody,
    /// The holder of a platform key.
    Platform,
    /// The holder of a workspace's key.
    Key(KeyHolder),
    /// A member in the dashboard.
    Member(SignedIn),
}

/// The holder of a workspace's key.
#[derive(Clone, Debug)]
pub struct KeyHolder {
    /// Whose key.
    pub workspace: WorkspaceId,
    team: Arc<Team>,
    place: usize,
}

impl KeyHolder {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &ApiKey {
        &self.team.keys[self.place]
    }

    fn may(&self, scopes: &[Scope]) -> bool {
        scopes.iter().any(|scope| self.key().scopes.contains(*scope))
    }
}

/// A member in the dashboard.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// The session.
    pub session: PortalSession,
    /// The member as the team has it now.
    pub member: Member,
    /// What the forms of the session's pages carry.
    pub form_token: String,
}

impl Caller {
    /// Under which name the journal keeps what the caller does.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self {
            Caller::Anybody => Actor::System,
            Caller::Platform => Actor::Platform,
            Caller::Key(holder) => Actor::ApiKey(holder.key().id),
            Caller::Member(signed_in) => Actor::Member(signed_in.member.id.clone()),
        }
    }

    /// The workspace's key, if the caller holds one.
    #[must_use]
    pub fn key(&self) -> Option<&ApiKey> {
        match self {
            Caller::Key(holder) => Some(holder.key()),
            Caller::Anybody | Caller::Platform | Caller::Member(_) => None,
        }
    }

    /// Whether a workspace that a request names in its body is the caller's to name.
    #[must_use]
    pub fn may_name(&self, workspace: &WorkspaceId) -> bool {
        match self {
            Caller::Platform => true,
            Caller::Key(holder) => holder.workspace == *workspace,
            Caller::Anybody | Caller::Member(_) => false,
        }
    }
}

/// Lets a request in, or says why not. `rate` is set to where the key stands, if it has a limit: also when it is refused.
///
/// # Errors
/// 401 without a key or session that holds, 429 when it asks too often, 403 when it may not do this, and 404 for a
/// workspace that is not the key's, as for one that does not exist.
pub async fn admit(
    app: &Arc<App>,
    route: &Route,
    (headers, workspace): (&HeaderMap, Option<&str>),
    now: Timestamp,
    rate: &mut Option<RateStatus>,
) -> Result<Caller, Problem> {
    let scopes: &[Scope] = match route.rule {
        Rule::Public => return Ok(Caller::Anybody),
        Rule::SignedIn(role) => return signed_in(app, headers, role, now).await,
        Rule::Platform => &[],
        Rule::Workspace(scopes) | Rule::AnyWorkspace(scopes) => scopes,
    };
    let caller = key_holder(app, bearer(headers), (scopes, workspace), (route.confirmed, now)).await?;
    *rate = app.count_request(&caller);
    if let Some(standing) = rate {
        standing.check()?;
    }
    if let Caller::Key(holder) = &caller {
        if !holder.may(scopes) {
            return Err(lacks(scopes));
        }
        if let Some(workspace) = workspace.filter(|workspace| *workspace != holder.workspace.as_str()) {
            return Err(refusal::workspace_not_found(workspace));
        }
        app.note_use(holder, now);
    }
    Ok(caller)
}

/// Looks once more whether a key holds that was let in because the decision would look; for answers that no decision gave.
///
/// # Errors
/// 401 when it does not (any more).
pub async fn confirm(app: &App, caller: &Caller, now: Timestamp) -> Result<(), Problem> {
    let Caller::Key(holder) = caller else { return Ok(()) };
    let team =
        app.teams.look(app.engine(), &holder.workspace).await.map_err(|error| refusal::failed(&error))?;
    let holds = team.is_some_and(|team| team.key(holder.key().id).is_some_and(|key| key.is_valid_at(now)));
    if holds { Ok(()) } else { Err(unauthenticated(NO_KEY)) }
}

/// Finds out whose key it is. `confirmed`: if the key may do this there, the decision will look once more whether it holds.
async fn key_holder(
    app: &App,
    bearer: Option<&[u8]>,
    (scopes, there): (&[Scope], Option<&str>),
    (confirmed, now): (bool, Timestamp),
) -> Result<Caller, Problem> {
    let key = bearer.ok_or_else(|| unauthenticated("Send a key as `Authorization: Bearer KEY`."))?;
    let hash = secret::hash(key);
    if is_platform_key(app, &hash) {
        return Ok(Caller::Platform);
    }
    let workspace = std::str::from_utf8(key).ok().and_then(|text| secret::workspace_of(Kind::ApiKey, text));
    if let Some(workspace) = workspace {
        if confirmed
            && there.is_none_or(|there| there == workspace.as_str())
            && let Some(team) = app.teams.seen(&workspace)
            && let Some(holder) =
                holder(workspace.clone(), team, &hash, now).filter(|holder| holder.may(scopes))
        {
            return Ok(Caller::Key(holder));
        }
        let opens = |team: &Team| team.key_index(&hash, now).is_some();
        let team = app.teams.look_for(app.engine(), &workspace, opens).await;
        let team = team.map_err(|error| refusal::failed(&error))?;
        if let Some(holder) = team.and_then(|team| holder(workspace, team, &hash, now)) {
            return Ok(Caller::Key(holder));
        }
    }
    Err(unauthenticated(NO_KEY))
}

fn holder(workspace: WorkspaceId, team: Arc<Team>, hash: &Hash, now: Timestamp) -> Option<KeyHolder> {
    let place = team.key_index(hash, now)?;
    Some(KeyHolder { workspace, team, place })
}

fn is_platform_key(app: &App, presented: &Hash) -> bool {
    let any = |hashes: &[Hash]| {
        // Every hash is compared, whichever is right, so that the time says nothing.
        bool::from(hashes.iter().fold(Choice::from(0), |found, hash| found | hash.ct_eq(presented)))
    };
    match app.configured_key() {
        Some(hash) => any(std::slice::from_ref(hash)),
        None => any(&app.engine().platform().key_hashes),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(7)?;
    (scheme.eq_ignore_ascii_case(b"bearer ") && !key.is_empty()).then(|| key.trim_ascii())
}

/// Whether a form comes from a page of our own; whatever changes something in the dashboard is one.
///
/// # Errors
/// 403 when another site sent it.
pub fn confirm_form(caller: &Caller, form: &[u8]) -> Result<(), Problem> {
    match caller {
        Caller::Member(signed_in) if cookie::is_own_form(form, &signed_in.form_token) => Ok(()),
        _ => Err(forbidden(
            "This form is not from a page of your session; go back, load it again and send it once more.",
        )),
    }
}

/// Whether a route is a form of the dashboard's pages.
pub fn is_form(route: &Route) -> bool {
    matches!(route.rule, Rule::SignedIn(_)) && route.method != Method::GET
}

/// Who is signed in, with the role that a route asks for.
async fn signed_in(app: &App, headers: &HeaderMap, role: Role, now: Timestamp) -> Result<Caller, Problem> {
    const COME_AGAIN: &str = "Your session is over, or there was none. Open your billing page again from the product you came from.";
    let signed_in = session(app, headers, now).await?.ok_or_else(|| unauthenticated(COME_AGAIN))?;
    if role == Role::Admin && signed_in.member.role != Role::Admin {
        return Err(forbidden("Only admins of the workspace may do this."));
    }
    Ok(Caller::Member(signed_in))
}

/// The session that a browser has, if it holds.
///
/// # Errors
/// When the engine cannot read.
pub async fn session(app: &App, headers: &HeaderMap, now: Timestamp) -> Result<Option<SignedIn>, Problem> {
    let is_secure = cookie::is_secure(app.public_url(), headers);
    // Another site under the same domain may have set one too, and browsers may send that first.
    for cookie in cookie::sessions(headers, is_secure) {
        if let Some(signed_in) = session_of(app, cookie, now).await? {
            return Ok(Some(signed_in));
        }
    }
    Ok(None)
}

/// The session of a cookie, if it holds.
async fn session_of(app: &App, cookie: &str, now: Timestamp) -> Result<Option<SignedIn>, Problem> {
    let Some(workspace) = secret::workspace_of(Kind::Session, cookie) else { return Ok(None) };
    let hash = secret::hash(cookie.as_bytes());
    let opens = |team: &Team| team.session(&hash, now).is_some();
    let team = app.teams.look_for(app.engine(), &workspace, opens).await;
    let team = team.map_err(|error| refusal::failed(&error))?;
    Ok(team.and_then(|team| {
        let session = team.session(&hash, now)?.clone();
        let member = team.member(&session.member)?.clone();
        Some(SignedIn { workspace, session, member, form_token: cookie::form_token(cookie) })
    }))
}

const NO_KEY: &str = "The key is not one that opens anything here.";

fn lacks(scopes: &[Scope]) -> Problem {
    let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    match names.as_slice() {
        [] => forbidden("This takes a platform key."),
        names => forbidden(format!("The key lacks the scope `{}`.", names.join("` or `"))),
    }
}

fn forbidden(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(Code::Forbidden, detail)
}

fn unauthenticated(detail: &'static str) -> Problem {
    Problem::new(Code::Unauthenticated, detail)
}
