//! Authenticates and authorizes a request, by the rule of its route.
//!
//! A platform key opens every route except the dashboard's. If the settings name a platform key, it
//! is the only one: setting a key also disables the one that the first start made. Otherwise the
//! keys whose hashes are in the platform's journal are accepted. An API key opens what its scopes
//! say, in its workspace. For any other workspace the answer is that of a workspace that does not
//! exist. A cookie opens the dashboard or the console, and no route of the API. Secrets are
//! compared by SHA-256.
//!
//! An API key is checked twice if the route submits a command. Admission may use the cached team,
//! because the ledger checks the key again when it decides. Another server may have revoked the key
//! since the team was cached; [`Access::recheck`] is for answers that no decision gave.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use subtle::{Choice, ConstantTimeEq};
use tollkeeper_engine::{Engine, Error};
use tollkeeper_ledger::{
    Actor, ApiKeyId, Command, Hash, Member, Role, Scope, Submission, Team, TeamCommand, Timestamp,
    WorkspaceId,
};

use super::caller::{Caller, KeyHolder, Rule};
use super::denied::Denied;
use super::operator::NO_OPERATOR;
use super::rate::{MonotonicNanos, RateLimit, RateStatus};
use super::secret::{self, Kind, Secret};
use super::session::NO_SESSION;
use super::settings::AccessSettings;
use super::team_cache::TeamCache;

/// A platform key with fewer bytes is called short.
const SHORT_KEY_BYTES: usize = 16;

/// The attempts to sign in to the console that a server takes in a second, of all browsers
/// together. Ten seconds' worth may come at once.
const SIGN_INS_PER_SECOND: u32 = 1;

/// The detail for a key that is unknown, revoked or expired.
const UNKNOWN_KEY: &str =
    "The key is not valid: it is unknown, was revoked or has expired. Check that it was copied whole.";

/// The state behind admission; one for all connections.
pub struct Access {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) teams: TeamCache,
    /// The hash of the platform key that the settings name.
    platform_key: Option<Hash>,
    has_short_key: bool,
    platform_rate: Option<RateLimit<()>>,
    key_rate: Option<RateLimit<ApiKeyId>>,
    workspace_rate: Option<RateLimit<WorkspaceId>>,
    session_seconds: i64,
    /// The hash of the password of operators.
    pub(super) operator_password: Option<Secret>,
    pub(super) operator_seconds: i64,
    /// The limit of attempts to sign in to the console.
    pub(super) operator_rate: Option<RateLimit<()>>,
    members_see_others_use: bool,
    /// The address of the server from outside; it decides whether cookies need HTTPS.
    pub(super) public_url: Option<String>,
    /// Keys whose use is being recorded in the background.
    recording_use: Mutex<HashSet<ApiKeyId>>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

/// What admission needs to know of a request and its route.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// Who may call the route.
    pub rule: Rule,
    /// Whether the ledger checks the caller again when it decides.
    pub rechecked_at_decision: bool,
    /// The headers of the request.
    pub headers: &'a HeaderMap,
    /// The workspace in the path, as the client wrote it.
    pub workspace: Option<&'a str>,
    /// The time of the request.
    pub now: Timestamp,
}

impl Access {
    /// Access to the workspaces of an engine. `public_url` is the address of the server from
    /// outside; `monotonic` is the clock of the rate limits.
    #[must_use]
    pub fn new(
        engine: Arc<dyn Engine>,
        settings: &AccessSettings,
        public_url: Option<String>,
        monotonic: &MonotonicNanos,
    ) -> Arc<Access> {
        let AccessSettings {
            platform_key,
            platform_key_requests_per_second,
            workspace_key_requests_per_second,
            workspace_requests_per_second,
            portal_session_hours,
            operator_session_minutes,
            operator_password_hash,
            members_see_others_use,
        } = settings;
        let clock = || Arc::clone(monotonic);
        Arc::new(Access {
            engine,
            teams: TeamCache::default(),
            platform_key: platform_key.as_ref().map(|key| secret::hash(key.expose().as_bytes())),
            has_short_key: platform_key.as_ref().is_some_and(|key| key.expose().len() < SHORT_KEY_BYTES),
            platform_rate: RateLimit::per_second("key", *platform_key_requests_per_second, clock()),
            key_rate: RateLimit::per_second("key", *workspace_key_requests_per_second, clock()),
            workspace_rate: RateLimit::per_second("workspace", *workspace_requests_per_second, clock()),
            session_seconds: i64::from(*portal_session_hours) * 3_600,
            operator_password: operator_password_hash.clone(),
            operator_seconds: i64::from(*operator_session_minutes) * 60,
            operator_rate: RateLimit::per_second("sign-in", SIGN_INS_PER_SECOND, clock()),
            members_see_others_use: *members_see_others_use,
            public_url,
            recording_use: Mutex::default(),
        })
    }

    /// How long a session in the dashboard lasts, in seconds.
    pub fn session_seconds(&self) -> i64 {
        self.session_seconds
    }

    /// Whether a signed-in member sees the use of others on the dashboard's pages. An admin always
    /// does.
    pub fn sees_others_use(&self, member: &Member) -> bool {
        self.members_see_others_use || member.role == Role::Admin
    }

    /// Whether the settings name a platform key that is short enough to be guessed.
    pub fn configured_key_is_short(&self) -> bool {
        self.has_short_key
    }

    /// Whether the settings name a platform key.
    pub fn has_configured_key(&self) -> bool {
        self.platform_key.is_some()
    }

    /// Authenticates and authorizes a request. `rate` is set to the state of the key's rate limit,
    /// if it has one, also if the request is then denied.
    ///
    /// # Errors
    /// No valid key or session (401), too many requests (429), not allowed (403), or a workspace
    /// that is not the key's (404). In this order.
    pub async fn admit(
        self: &Arc<Access>,
        admission: Admission<'_>,
        rate: &mut Option<RateStatus>,
    ) -> Result<Caller, Denied> {
        let scopes: &[Scope] = match admission.rule {
            Rule::Public => return Ok(Caller::Anonymous),
            Rule::SignedIn(role) => return self.signed_in(admission.headers, role, admission.now).await,
            Rule::Operator => return self.operator(admission.headers, admission.now).await,
            Rule::Platform => &[],
            Rule::Workspace(scopes) | Rule::AnyWorkspace(scopes) => scopes,
        };
        let caller = self.identify(&admission, scopes).await?;
        *rate = self.count_requests(&caller, 1);
        if let Some(status) = rate
            && status.is_exceeded()
        {
            return Err(Denied::RateLimited(*status));
        }
        if let Caller::Key(holder) = &caller {
            if !holder.has_any(scopes) {
                return Err(lacks_scope(scopes));
            }
            let other = admission.workspace.filter(|named| *named != holder.workspace.as_str());
            if let Some(workspace) = other {
                return Err(Denied::WorkspaceNotFound(workspace.to_owned()));
            }
            self.record_key_use(holder, admission.now);
        }
        Ok(caller)
    }

    /// Counts the further items of a request that asks for several things, beside the one that
    /// admission counted. The state of the limit belongs into the headers of the response.
    ///
    /// # Errors
    /// Too many requests (429).
    pub fn count_items(&self, caller: &Caller, items: usize) -> Result<Option<RateStatus>, Denied> {
        let more = u32::try_from(items.saturating_sub(1)).unwrap_or(u32::MAX);
        let status = if more == 0 { None } else { self.count_requests(caller, more) };
        match status {
            Some(status) if status.is_exceeded() => Err(Denied::RateLimited(status)),
            status => Ok(status),
        }
    }

    /// Checks once more that an API key or a session is valid. Needed where admission used the
    /// cached team and no decision of the ledger followed, and for what goes on for long.
    ///
    /// # Errors
    /// The key was revoked, the session was ended, or it has expired (401).
    pub async fn recheck(&self, caller: &Caller, now: Timestamp) -> Result<(), Denied> {
        let (is_valid, denied) = match caller {
            Caller::Anonymous | Caller::Platform => return Ok(()),
            Caller::Operator(operator) => {
                let is_valid = self.is_operator_valid(&operator.session.hash, now).await?;
                (is_valid, NO_OPERATOR)
            }
            Caller::Member(signed_in) if signed_in.viewer.is_some() => {
                (self.is_operator_valid(&signed_in.session.hash, now).await?, NO_SESSION)
            }
            Caller::Key(holder) => {
                let team = self.team(&holder.workspace).await?;
                let key = team.as_deref().and_then(|team| team.key(holder.api_key().id));
                (key.is_some_and(|key| key.is_valid_at(now)), UNKNOWN_KEY)
            }
            Caller::Member(signed_in) => {
                let team = self.team(&signed_in.workspace).await?;
                let session = team.as_deref().and_then(|team| team.session(&signed_in.session.hash, now));
                (session.is_some(), NO_SESSION)
            }
        };
        if is_valid { Ok(()) } else { Err(Denied::Unauthenticated(denied)) }
    }

    /// The current team of a workspace; `None` if there is no such workspace.
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn team(&self, workspace: &WorkspaceId) -> Result<Option<Arc<Team>>, Error> {
        self.teams.fetch(&*self.engine, workspace).await
    }

    /// The current team for a secret that was not seen before; see [`TeamCache::fetch_for`].
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn team_for(
        &self,
        workspace: &WorkspaceId,
        is_known: impl Fn(&Team) -> bool,
    ) -> Result<Option<Arc<Team>>, Error> {
        self.teams.fetch_for(&*self.engine, workspace, is_known).await
    }

    /// Removes a team from the cache, because one of its keys has ended.
    pub fn discard_cached_team(&self, workspace: &WorkspaceId) {
        self.teams.discard(workspace);
    }

    /// The cached team of a workspace, for tests of a cache that is out of date.
    #[cfg(test)]
    pub(crate) fn cached_team(&self, workspace: &WorkspaceId) -> Option<Arc<Team>> {
        self.teams.cached(workspace)
    }

    /// Puts a team into the cache, for tests of a cache that is out of date.
    #[cfg(test)]
    pub(crate) fn cache_team(&self, workspace: &WorkspaceId, team: &Arc<Team>) {
        self.teams.store(workspace, team);
    }

    /// Finds out whose key the request carries.
    async fn identify(&self, admission: &Admission<'_>, scopes: &[Scope]) -> Result<Caller, Denied> {
        if admission.headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
            return Err(Denied::Unauthenticated("The header `Authorization` is given twice."));
        }
        let Some(key) = bearer(admission.headers) else {
            return Err(Denied::Unauthenticated("Send a key in the header `Authorization: Bearer KEY`."));
        };
        let hash = secret::hash(key);
        if self.is_platform_key(&hash) {
            return Ok(Caller::Platform);
        }
        let text = std::str::from_utf8(key).ok();
        let Some(workspace) = text.and_then(|text| secret::workspace_of(Kind::ApiKey, text)) else {
            return Err(Denied::Unauthenticated(UNKNOWN_KEY));
        };
        if let Some(holder) = self.cached_holder(admission, scopes, &workspace, &hash) {
            return Ok(Caller::Key(holder));
        }
        let is_known = |team: &Team| team.key_index(&hash, admission.now).is_some();
        let team = self.team_for(&workspace, is_known).await?;
        let holder = team.and_then(|team| KeyHolder::find(workspace, team, &hash, admission.now));
        holder.map(Caller::Key).ok_or(Denied::Unauthenticated(UNKNOWN_KEY))
    }

    /// The holder by the cached team, if that is enough: the request would be admitted, and the
    /// ledger will check the key again. A denial always goes by the current team.
    fn cached_holder(
        &self,
        admission: &Admission<'_>,
        scopes: &[Scope],
        workspace: &WorkspaceId,
        hash: &Hash,
    ) -> Option<KeyHolder> {
        let is_own = admission.workspace.is_none_or(|named| named == workspace.as_str());
        if !admission.rechecked_at_decision || !is_own {
            return None;
        }
        let team = self.teams.cached(workspace)?;
        let holder = KeyHolder::find(workspace.clone(), team, hash, admission.now)?;
        holder.has_any(scopes).then_some(holder)
    }

    pub(super) fn is_platform_key(&self, presented: &Hash) -> bool {
        let is_any = |hashes: &[Hash]| {
            // Every hash is compared, so that the time does not tell which one is right.
            bool::from(hashes.iter().fold(Choice::from(0), |found, hash| found | hash.ct_eq(presented)))
        };
        match &self.platform_key {
            Some(hash) => is_any(std::slice::from_ref(hash)),
            None => is_any(&self.engine.platform().key_hashes),
        }
    }

    /// Counts requests of a key and of its workspace; `None` if neither has a rate limit. Requests
    /// that the limit of the key denies do not count for the workspace.
    fn count_requests(&self, caller: &Caller, requests: u32) -> Option<RateStatus> {
        match caller {
            // All platform keys share one limit.
            Caller::Platform => self.platform_rate.as_ref().map(|rate| rate.count(&(), requests)),
            Caller::Key(holder) => {
                let of_key = self.key_rate.as_ref().map(|rate| rate.count(&holder.api_key().id, requests));
                if of_key.is_some_and(|status| status.is_exceeded()) {
                    return of_key;
                }
                let of_workspace =
                    self.workspace_rate.as_ref().map(|rate| rate.count(&holder.workspace, requests));
                match (of_key, of_workspace) {
                    (Some(key), Some(workspace)) => Some(key.stricter(workspace)),
                    (one, other) => one.or(other),
                }
            }
            Caller::Anonymous | Caller::Member(_) | Caller::Operator(_) => None,
        }
    }

    /// Records that a key is in use, at most once an hour and in the background: the request does
    /// not wait for it. If recording fails, the next request tries again.
    fn record_key_use(self: &Arc<Access>, holder: &KeyHolder, now: Timestamp) {
        let key = holder.api_key();
        if !key.is_use_due(now) || !self.recording_use().insert(key.id) {
            return;
        }
        let (access, workspace, key) = (Arc::clone(self), holder.workspace.clone(), key.id);
        tokio::spawn(async move {
            let submission = Submission {
                workspace: workspace.clone(),
                key: None,
                actor: Actor::ApiKey(key),
                command: Command::Team(TeamCommand::RecordKeyUse(key)),
            };
            let recorded = access.engine.run(submission, now).await.map(|_| ());
            let refreshed = access.team(&workspace).await.map(|_| ());
            if let Err(error) = recorded.and(refreshed) {
                tracing::debug!(%error, "could not record the use of an API key; the next request retries");
            }
            access.recording_use().remove(&key);
        });
    }

    fn recording_use(&self) -> MutexGuard<'_, HashSet<ApiKeyId>> {
        self.recording_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(7)?;
    (scheme.eq_ignore_ascii_case(b"bearer ") && !key.is_empty()).then(|| key.trim_ascii())
}

fn lacks_scope(scopes: &[Scope]) -> Denied {
    let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    Denied::Forbidden(match names.as_slice() {
        [] => "Only a platform key may do this.".into(),
        names => format!("The key does not have the scope `{}`.", names.join("` or `")).into(),
    })
}
