//! Who may call: the rule of every route is checked here and nowhere else. The rules themselves stand in the table of
//! routes; what a key or session may do *there* follows from its scopes or its member's role.
//!
//! A platform key opens everything but the dashboard. When the settings name one, it is the only one, so that setting a
//! key also shuts out the one made at the first start; else the keys whose hashes the platform's journal keeps open it.
//! A workspace's key opens what its scopes say, in its workspace; everywhere else it finds what there is for a name that
//! nobody has. A cookie opens the dashboard and no route of the API. Keys are compared by their SHA-256.

use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, Method};
use subtle::{Choice, ConstantTimeEq};
use tollkeeper_ledger::{
    Actor, ApiKey, Hash, Member, PortalSession, Role, Scope, Team, Timestamp, WorkspaceId,
};

use crate::api::Route;
use crate::app::App;
use crate::problem::{Code, Problem};
use crate::rate::Standing;
use crate::refusal;
use crate::secret::{self, Kind};

/// The name of the dashboard's cookie.
pub const SESSION_COOKIE: &str = "tollkeeper_session";

/// So many cookies of this name are looked at.
const COOKIES_MAX: usize = 4;

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
    rate: &mut Option<Standing>,
) -> Result<Caller, Problem> {
    let scopes: &[Scope] = match route.rule {
        Rule::Public => return Ok(Caller::Anybody),
        Rule::SignedIn(role) => return signed_in(app, &route.method, headers, role, now).await,
        Rule::Platform => &[],
        Rule::Workspace(scopes) | Rule::AnyWorkspace(scopes) => scopes,
    };
    let caller = key_holder(app, bearer(headers), route.confirmed, now).await?;
    *rate = app.count_request(&caller);
    if let Some(standing) = rate {
        standing.check()?;
    }
    if let Caller::Key(holder) = &caller {
        if !scopes.iter().any(|scope| holder.key().scopes.contains(*scope)) {
            return Err(lacks(scopes));
        }
        if let Some(workspace) = workspace.filter(|workspace| *workspace != holder.workspace.as_str()) {
            return Err(refusal::workspace_not_found(workspace));
        }
        app.note_use(holder, now);
    }
    Ok(caller)
}

/// Finds out whose key it is. `confirmed`: the decision will look once more.
async fn key_holder(
    app: &App,
    bearer: Option<&[u8]>,
    confirmed: bool,
    now: Timestamp,
) -> Result<Caller, Problem> {
    let key = bearer.ok_or_else(|| unauthenticated("Send a key as `Authorization: Bearer KEY`."))?;
    let hash = secret::hash(key);
    if is_platform_key(app, &hash) {
        return Ok(Caller::Platform);
    }
    let workspace = std::str::from_utf8(key).ok().and_then(|text| secret::workspace_of(Kind::ApiKey, text));
    if let Some(workspace) = workspace {
        if confirmed
            && let Some(team) = app.teams.seen(&workspace)
            && let Some(holder) = holder(workspace.clone(), team, &hash, now)
        {
            return Ok(Caller::Key(holder));
        }
        let opens = |team: &Team| place(team, &hash, now).is_some();
        let team = app.teams.look_for(app.engine(), &workspace, opens).await;
        let team = team.map_err(|error| refusal::failed(&error))?;
        if let Some(holder) = team.and_then(|team| holder(workspace, team, &hash, now)) {
            return Ok(Caller::Key(holder));
        }
    }
    Err(unauthenticated("The key is not one that opens anything here."))
}

fn holder(workspace: WorkspaceId, team: Arc<Team>, hash: &Hash, now: Timestamp) -> Option<KeyHolder> {
    let place = place(&team, hash, now)?;
    Some(KeyHolder { workspace, team, place })
}

/// Where the key of this secret stands in its team, if it holds.
fn place(team: &Team, hash: &Hash, now: Timestamp) -> Option<usize> {
    team.keys.iter().position(|key| key.hash == *hash && key.holds(now))
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

/// Who is signed in. A request that changes something must come from a page of our own.
async fn signed_in(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    role: Role,
    now: Timestamp,
) -> Result<Caller, Problem> {
    if *method != Method::GET && is_from_elsewhere(app, headers) {
        return Err(forbidden("This request came from another site."));
    }
    // Another site under the same domain may have set one too, and browsers may send that first.
    for cookie in session_cookies(headers).take(COOKIES_MAX) {
        let Some(signed_in) = session_of(app, cookie, now).await? else { continue };
        if role == Role::Admin && signed_in.member.role != Role::Admin {
            return Err(forbidden("Only admins of the workspace may do this."));
        }
        return Ok(Caller::Member(signed_in));
    }
    Err(unauthenticated("Your session is over, or there was none; come again from where you came from."))
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
        Some(SignedIn { workspace, session, member })
    }))
}

/// Browsers say where a request comes from, in one header or an older one; the cookie's `SameSite` keeps out those that do
/// not.
fn is_from_elsewhere(app: &App, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let host = |url: &str| Some(url.split_once("://")?.1.split('/').next()?.to_owned());
    let own = match app.public_url() {
        Some(url) => host(url),
        None => headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned),
    };
    own.is_none() || origin.to_str().ok().and_then(host) != own
}

fn session_cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == SESSION_COOKIE).map(|(_, value)| value)
}

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
