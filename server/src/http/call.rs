//! A call: what a handler gets of a request after it was let in, and the few ways to look at it. The clock was read once,
//! at the edge; the body is read by the handler, because not every route has one.

use std::fmt;
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::RawPathParams;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sync_wrapper::SyncWrapper;
use tollkeeper_engine::{Answer, Output, Reads};
use tollkeeper_ledger::{
    ChargeId, Command, GrantId, IdempotencyKey, Submission, Team, TeamChange, TeamCommand, Timestamp,
    WorkspaceId,
};

use super::body::{self, Media};
use super::problem::{Code, Problem};
use super::query::Query;
use super::refusal;
use crate::access::Caller;
use crate::access::cookie;
use crate::app::App;
use crate::wire::read;

/// A request that was let in.
pub struct Call {
    /// The program.
    pub app: Arc<App>,
    /// When it came.
    pub now: Timestamp,
    /// Who calls.
    pub caller: Caller,
    /// Whether only the head of the answer is wanted.
    pub is_head: bool,
    /// Its parameters.
    pub query: Query,
    params: RawPathParams,
    headers: HeaderMap,
    /// Read by one handler only, so that the call can be shared with the engine meanwhile.
    body: SyncWrapper<Body>,
}

/// Without its headers and parameters: they hold secrets.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl Call {
    /// Puts together what was checked at the edge.
    pub fn new(
        app: Arc<App>,
        (caller, now): (Caller, Timestamp),
        is_head: bool,
        query: Query,
        params: RawPathParams,
        (headers, body): (HeaderMap, Body),
    ) -> Call {
        Call { app, now, caller, is_head, query, params, headers, body: SyncWrapper::new(body) }
    }

    /// A header of the request, if it is a text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All headers of the request.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether a browser comes by HTTPS, as far as is known.
    pub fn is_secure(&self) -> bool {
        cookie::is_secure(self.app.public_url(), &self.headers)
    }

    /// The host that was asked for.
    pub fn host(&self) -> &str {
        cookie::host(&self.headers).unwrap_or("localhost")
    }

    /// A part of the path by its name in the route.
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// The workspace of the path.
    ///
    /// # Errors
    /// When no workspace can have such a name: then there is none.
    pub fn workspace(&self) -> Result<WorkspaceId, Problem> {
        let name = self.param("workspace");
        WorkspaceId::new(name).map_err(|_| refusal::workspace_not_found(name))
    }

    /// The charge of the path.
    ///
    /// # Errors
    /// When it is spelled as no charge is: then there is none, in a workspace that may not exist either.
    pub async fn charge(&self, workspace: &WorkspaceId) -> Result<ChargeId, Problem> {
        match self.param("charge").parse() {
            Ok(charge) => Ok(charge),
            Err(()) => Err(self.missing(workspace, refusal::charge_not_found()).await),
        }
    }

    /// The grant of the path.
    ///
    /// # Errors
    /// As for [`Call::charge`].
    pub async fn grant(&self, workspace: &WorkspaceId) -> Result<GrantId, Problem> {
        match self.param("grant").parse() {
            Ok(grant) => Ok(grant),
            Err(()) => Err(self.missing(workspace, refusal::grant_not_found()).await),
        }
    }

    /// Something is not there: the workspace, if it is unknown, else what was looked for in it.
    pub async fn missing(&self, workspace: &WorkspaceId, otherwise: Problem) -> Problem {
        match self.app.engine().workspace(workspace).await {
            Ok(Some(_)) => otherwise,
            Ok(None) => refusal::workspace_not_found(workspace.as_str()),
            Err(error) => refusal::failed(&error),
        }
    }

    /// The key under which the request may be repeated.
    ///
    /// # Errors
    /// When there is none, more than one, or one that is not 1–255 printable characters.
    pub fn key(&self) -> Result<IdempotencyKey, Problem> {
        let mut values = self.headers.get_all("idempotency-key").iter();
        let value = values.next().ok_or_else(key_required)?;
        if values.next().is_some() {
            return Err(Problem::parameter("Idempotency-Key", "is given twice"));
        }
        let text = value.to_str().ok().and_then(|text| IdempotencyKey::new(text).ok());
        text.ok_or_else(|| Problem::parameter("Idempotency-Key", "must be 1 to 255 printable characters"))
    }

    /// The bytes of a JSON body.
    ///
    /// # Errors
    /// When it says to be something else, or is too large.
    pub async fn body(&mut self) -> Result<Bytes, Problem> {
        body::take(&self.headers, std::mem::take(self.body.get_mut()), Media::Json).await
    }

    /// The bytes of a form that a browser sends.
    ///
    /// # Errors
    /// As [`Call::body`].
    pub async fn form(&mut self) -> Result<Bytes, Problem> {
        body::take(&self.headers, std::mem::take(self.body.get_mut()), Media::Form).await
    }

    /// Reads the JSON body.
    ///
    /// # Errors
    /// The first fault in it.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        read::read(&self.body().await?)
    }

    /// Reads the JSON body; no body at all is the same as an empty object.
    ///
    /// # Errors
    /// The first fault in it.
    pub async fn json_if_any<T: DeserializeOwned + Default>(&mut self) -> Result<T, Problem> {
        if self.body.get_mut().is_end_stream() { Ok(T::default()) } else { self.json().await }
    }

    /// Runs a command for the caller; waits for room in the queue.
    ///
    /// # Errors
    /// The refusal of the ledger or the failure of the engine, as a problem.
    pub async fn run(
        &self,
        workspace: &WorkspaceId,
        key: Option<IdempotencyKey>,
        command: Command,
    ) -> Result<Answer, Problem> {
        let submission = self.submission(workspace.clone(), key, command);
        match self.app.engine().run(submission, self.now).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(refused)) => Err(refusal::refused(&self.app, workspace, refused)),
            Err(error) => Err(refusal::failed(&error)),
        }
    }

    /// Runs a command about the team for the caller; `None` when it was so already.
    ///
    /// # Errors
    /// As [`Call::run`].
    pub async fn run_team(
        &self,
        workspace: &WorkspaceId,
        command: TeamCommand,
    ) -> Result<Option<TeamChange>, Problem> {
        match self.run(workspace, None, Command::Team(command)).await?.output {
            Output::Team(change) => {
                // What was seen of a team still serves as long as no key of it has ended.
                if matches!(*change, TeamChange::KeyRevoked(_) | TeamChange::MemberRemoved(_)) {
                    self.app.teams.forget(workspace);
                }
                Ok(Some(*change))
            }
            _ => Ok(None),
        }
    }

    /// The team of a workspace as it is.
    ///
    /// # Errors
    /// When there is no such workspace, or the engine cannot read.
    pub async fn team(&self, workspace: &WorkspaceId) -> Result<Arc<Team>, Problem> {
        let team = self.app.teams.look(self.app.engine(), workspace).await;
        let team = team.map_err(|error| refusal::failed(&error))?;
        team.ok_or_else(|| refusal::workspace_not_found(workspace.as_str()))
    }

    /// A command in the caller's name.
    pub fn submission(
        &self,
        workspace: WorkspaceId,
        key: Option<IdempotencyKey>,
        command: Command,
    ) -> Submission {
        Submission { workspace, key, actor: self.caller.actor(), command }
    }
}

/// The problem of a request that moves credit and could not be repeated.
pub fn key_required() -> Problem {
    Problem::new(
        Code::IdempotencyKeyRequired,
        "Send a key of your own choice as `Idempotency-Key`, so that the request can be repeated without being done twice.",
    )
}

/// An answer of JSON, written into one buffer of about the size it will need.
pub fn answer(status: StatusCode, about_bytes: usize, value: &impl Serialize) -> Response<Body> {
    let mut bytes = Vec::with_capacity(about_bytes);
    serde_json::to_writer(&mut bytes, value).expect("answers have texts for keys and write to memory");
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer that says nothing beyond "done".
pub fn empty() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Marks an answer that was given before.
pub fn mark_replayed(response: &mut Response<Body>, replayed: bool) {
    if replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
}
