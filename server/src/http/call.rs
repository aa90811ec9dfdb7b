//! A call: what a handler gets of an admitted request, and the helpers that handlers share.
//!
//! The clock was read once, when the request arrived. The body is read by the handler, because not
//! every route has one.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sync_wrapper::SyncWrapper;
use tollkeeper_engine::{Answer, Output, Reads};
use tollkeeper_ledger::{
    ChargeId, Command, GrantId, Hash, IdempotencyKey, Member, MemberId, Refusal, Submission, Team,
    TeamChange, TeamCommand, Timestamp, TopUpId, WorkspaceId,
};

use super::body::{self, Media};
use super::form::Form;
use super::path::PathParams;
use super::problem::Problem;
use super::query::Query;
use super::refusal;
use crate::access::large::{Share, Tenant};
use crate::access::{Caller, cookie};
use crate::app::App;
use crate::observe::traces::SpanContext;
use crate::wire::read;

/// The head of an admitted request.
pub struct Head {
    /// The query parameters.
    pub query: Query,
    /// The parameters of the path, decoded.
    pub params: PathParams,
    /// The headers.
    pub headers: HeaderMap,
}

/// An admitted request.
pub struct Call {
    /// The state of the server.
    pub app: Arc<App>,
    /// Who calls.
    pub caller: Caller,
    /// The time of the request.
    pub now: Timestamp,
    head: Head,
    /// In a wrapper, because a body is not `Sync` and the call is shared across awaits.
    body: SyncWrapper<Body>,
    /// The fields of the form that was sent; empty on a route that is no form.
    form: Form,
    /// The share of the body that was read, until the call is answered.
    share: Option<Share>,
    /// The span of the request, if it is recorded.
    span: Option<SpanContext>,
}

/// Headers and parameters are left out: they contain secrets.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl Call {
    /// A call of an admitted caller.
    pub fn new(app: Arc<App>, caller: Caller, now: Timestamp, head: Head, body: Body) -> Call {
        Call {
            app,
            caller,
            now,
            head,
            body: SyncWrapper::new(body),
            form: Form::default(),
            share: None,
            span: None,
        }
    }

    /// The same call, of which what the engine does is recorded below the span of its request.
    pub fn in_span(self, span: Option<SpanContext>) -> Call {
        Call { span, ..self }
    }

    /// Waits for commands in the engine, as a span of its own if the request is recorded.
    pub async fn in_engine<T>(&self, commands: usize, work: impl Future<Output = T>) -> T {
        match (&self.app.traces, self.span) {
            (Some(traces), Some(span)) => traces.in_engine(span, commands, work).await,
            _ => work.await,
        }
    }

    /// The same call of an operator who acts for this reason.
    pub fn with_reason(self, reason: Box<str>) -> Call {
        let caller = match self.caller {
            Caller::Operator(operator) => Caller::Operator(Box::new(operator.with_reason(reason))),
            other => other,
        };
        Call { caller, ..self }
    }

    /// The query parameters.
    pub fn query(&self) -> &Query {
        &self.head.query
    }

    /// The headers of the request.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Whether the browser uses HTTPS, as far as settings and proxies say.
    pub fn is_secure(&self) -> bool {
        cookie::is_secure(self.app.public_url.as_deref(), &self.head.headers)
    }

    /// The address of this server from outside, without a slash at the end: `public_url`, else the
    /// host that the request asked for.
    pub fn origin(&self) -> String {
        if let Some(url) = &self.app.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        let scheme = if self.is_secure() { "https" } else { "http" };
        format!("{scheme}://{}", cookie::host(&self.head.headers).unwrap_or("localhost"))
    }

    /// A parameter of the path, by its name in the route; empty if the route has no such parameter.
    pub fn param(&self, name: &str) -> &str {
        self.head.params.get(name).unwrap_or("")
    }

    /// The workspace in the path.
    ///
    /// # Errors
    /// The text cannot be the id of a workspace, so there is no such workspace.
    pub fn workspace(&self) -> Result<WorkspaceId, Problem> {
        let id = self.param("workspace");
        WorkspaceId::new(id).map_err(|_| refusal::workspace_not_found(id))
    }

    /// The charge in the path.
    ///
    /// # Errors
    /// The text cannot be the id of a charge, so there is no such charge; or there is no such
    /// workspace.
    pub async fn charge(&self, workspace: &WorkspaceId) -> Result<ChargeId, Problem> {
        match self.param("charge").parse() {
            Ok(charge) => Ok(charge),
            Err(()) => Err(self.missing(workspace, refusal::charge_not_found()).await),
        }
    }

    /// The grant in the path.
    ///
    /// # Errors
    /// As for [`Call::charge`].
    pub async fn grant(&self, workspace: &WorkspaceId) -> Result<GrantId, Problem> {
        match self.param("grant").parse() {
            Ok(grant) => Ok(grant),
            Err(()) => Err(self.missing(workspace, refusal::grant_not_found()).await),
        }
    }

    /// The top-up in the path.
    ///
    /// # Errors
    /// As for [`Call::charge`].
    pub async fn top_up(&self, workspace: &WorkspaceId) -> Result<TopUpId, Problem> {
        match self.param("top_up").parse() {
            Ok(top_up) => Ok(top_up),
            Err(()) => Err(self.missing(workspace, refusal::top_up_not_found()).await),
        }
    }

    /// The problem if something is not found in a workspace: `otherwise`, unless the workspace
    /// itself does not exist.
    pub async fn missing(&self, workspace: &WorkspaceId, otherwise: Problem) -> Problem {
        match self.app.engine().workspace(workspace).await {
            Ok(Some(_)) => otherwise,
            Ok(None) => refusal::workspace_not_found(workspace.as_str()),
            Err(error) => error.into(),
        }
    }

    /// The key in the header `Idempotency-Key`.
    ///
    /// # Errors
    /// The header is absent, is given twice, or is not 1–255 printable characters.
    pub fn idempotency_key(&self) -> Result<IdempotencyKey, Problem> {
        const NAME: &str = "Idempotency-Key";
        let mut values = self.head.headers.get_all(NAME).iter();
        let value = values.next().ok_or_else(refusal::idempotency_key_required)?;
        if values.next().is_some() {
            return Err(Problem::parameter(NAME, "is given twice"));
        }
        let text = value.to_str().ok().and_then(|text| IdempotencyKey::new(text).ok());
        text.ok_or_else(|| {
            Problem::parameter(NAME, "must be 1 to 255 printable characters without a blank at either end")
        })
    }

    /// The bytes of a JSON body.
    ///
    /// # Errors
    /// The media type is another one, the body is too large, or it ends early.
    pub async fn body(&mut self) -> Result<Bytes, Problem> {
        self.collect(Media::Json).await
    }

    /// Reads the form that a browser sends; returns its bytes. Its fields are then in
    /// [`Call::form`].
    ///
    /// # Errors
    /// As for [`Call::body`].
    pub async fn read_form(&mut self) -> Result<Bytes, Problem> {
        let bytes = self.collect(Media::Form).await?;
        self.form = Form::read(&bytes);
        Ok(bytes)
    }

    /// The fields of the form that was sent.
    pub fn form(&self) -> &Form {
        &self.form
    }

    async fn collect(&mut self, media: Media) -> Result<Bytes, Problem> {
        let body = std::mem::take(self.body.get_mut());
        let tenant = Tenant::of(&self.caller);
        let bounds = (&self.app.large_bodies, &tenant);
        let (bytes, share) = body::collect(&self.head.headers, body, media, bounds).await?;
        self.share = share;
        Ok(bytes)
    }

    /// Reads the JSON body.
    ///
    /// # Errors
    /// The first error in it.
    pub async fn json<T: DeserializeOwned + Send + 'static>(&mut self) -> Result<T, Problem> {
        let bytes = self.body().await?;
        Ok(self.work(bytes.len(), move || read::read(&bytes)).await?)
    }

    /// Does work on a body or an answer of `bytes` bytes: if it is large, not on the threads of the
    /// network.
    pub async fn work<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        self.app.large_bodies.work(&Tenant::of(&self.caller), bytes, work).await
    }

    /// Reads the JSON body; an absent body is read as an empty object.
    ///
    /// # Errors
    /// The first error in it.
    pub async fn optional_json<T: DeserializeOwned + Default + Send + 'static>(
        &mut self,
    ) -> Result<T, Problem> {
        if self.body.get_mut().is_end_stream() { Ok(T::default()) } else { self.json().await }
    }

    /// Runs a command in the caller's name; waits for room in the engine's queue.
    ///
    /// # Errors
    /// The refusal of the ledger or the error of the engine.
    pub async fn run(
        &self,
        workspace: &WorkspaceId,
        key: Option<IdempotencyKey>,
        command: Command,
    ) -> Result<Answer, Problem> {
        let submission = self.submission(workspace.clone(), key, command)?;
        let result = self.in_engine(1, self.app.engine().run(submission, self.now)).await?;
        result.map_err(|refused| self.refused(workspace, refused))
    }

    /// Runs a command about the team in the caller's name; `None` if nothing had to change.
    ///
    /// # Errors
    /// As for [`Call::run`].
    pub async fn run_team(
        &self,
        workspace: &WorkspaceId,
        command: TeamCommand,
    ) -> Result<Option<TeamChange>, Problem> {
        match self.run(workspace, None, Command::Team(command)).await?.output {
            Output::Team(change) => {
                // The cached team stays good until one of its keys ends.
                if matches!(*change, TeamChange::KeyRevoked(_) | TeamChange::MemberRemoved(_)) {
                    self.app.access.discard_cached_team(workspace);
                }
                Ok(Some(*change))
            }
            _ => Ok(None),
        }
    }

    /// The current team of a workspace.
    ///
    /// # Errors
    /// There is no such workspace, or the engine cannot read.
    pub async fn team(&self, workspace: &WorkspaceId) -> Result<Arc<Team>, Problem> {
        existing(workspace, self.app.access.team(workspace).await?)
    }

    /// The names and e-mail addresses of members by their digests, without erased ones.
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn personal_texts<'m>(
        &self,
        workspace: &WorkspaceId,
        members: impl Iterator<Item = &'m Member>,
    ) -> Result<PersonalTexts, Problem> {
        let texts = members.flat_map(|member| [member.email, member.name].map(|text| (&member.id, text)));
        let wanted = texts.map(|(member, digest)| (member.clone(), digest)).collect();
        personal_texts(&self.app, workspace, wanted).await
    }

    /// A command in the caller's name.
    ///
    /// # Errors
    /// The caller is anonymous, only looks, or gives no reason. Such a route must not submit
    /// commands: this is a bug (500).
    pub fn submission(
        &self,
        workspace: WorkspaceId,
        key: Option<IdempotencyKey>,
        command: Command,
    ) -> Result<Submission, Problem> {
        match self.caller.actor() {
            Some(actor) => Ok(Submission { workspace, key, actor, command }),
            None => Err(refusal::internal(&"a route submitted a command for a caller who may submit none")),
        }
    }

    /// The problem for a refusal of the ledger.
    pub fn refused(&self, workspace: &WorkspaceId, refused: Refusal) -> Problem {
        refusal::into_problem(refused, workspace, self.app.add_credits_url(workspace))
    }
}

/// Texts about persons by their digests.
pub type PersonalTexts = HashMap<Hash, Box<str>>;

/// The texts with these digests, each with the member under whose id it is stored; without erased
/// ones.
///
/// # Errors
/// The engine cannot read.
pub async fn personal_texts(
    app: &App,
    workspace: &WorkspaceId,
    wanted: Vec<(MemberId, Hash)>,
) -> Result<PersonalTexts, Problem> {
    if wanted.is_empty() {
        return Ok(PersonalTexts::new());
    }
    let digests: Vec<Hash> = wanted.iter().map(|(_, digest)| *digest).collect();
    let found = app.engine().personal_texts(workspace, wanted).await?;
    let found = digests.into_iter().zip(found);
    Ok(found.filter_map(|(digest, text)| Some((digest, text?))).collect())
}

/// The value that was read of a workspace.
///
/// # Errors
/// It is `None`: there is no such workspace.
pub fn existing<T>(workspace: &WorkspaceId, found: Option<T>) -> Result<T, Problem> {
    found.ok_or_else(|| refusal::workspace_not_found(workspace.as_str()))
}

/// A response of JSON. `capacity` is about the size of the text in bytes.
pub fn json(status: StatusCode, capacity: usize, value: &impl Serialize) -> Response<Body> {
    let mut bytes = Vec::with_capacity(capacity);
    serde_json::to_writer(&mut bytes, value).expect("responses have string keys and are written to memory");
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A response without content, 204.
pub fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Adds the header `Idempotent-Replayed` if the answer is the first answer again.
pub fn mark_replayed(response: &mut Response<Body>, is_replayed: bool) {
    if is_replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
}

/// The problem if the engine's answer is not of the kind that the command answers: a bug.
pub fn wrong_output(expected: &str) -> Problem {
    refusal::internal(&format_args!("the engine did not answer with {expected}"))
}
