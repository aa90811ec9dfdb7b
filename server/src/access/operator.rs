//! Operators of the platform in the console: how they prove who they are, and their session.
//!
//! An operator signs in with a platform key. If the settings name the hash of a password, with that
//! password instead. The session is in the platform's journal, and a cookie of its own carries its
//! secret, so that it opens no page of a member and no route of the API.
//!
//! An operator may also look at the pages of a workspace as its admins see them. The cookie for it
//! is made of the session's secret, is good for one workspace, and changes nothing.

use axum::http::HeaderMap;
use tollkeeper_engine::{Error, Reads};
use tollkeeper_ledger::{
    Actor, Hash, Member, MemberId, OperatorAct, OperatorSession, PortalSession, Role, SessionId, Timestamp,
    WorkspaceId,
};

use super::admit::Access;
use super::caller::{Caller, SignedIn};
use super::cookie::{self, Place};
use super::denied::Denied;
use super::password;
use super::secret::{self, Kind};

/// The detail for a session of an operator that is unknown, was ended or has expired.
pub const NO_OPERATOR: &str =
    "You are not signed in to the console, or your session has ended. Sign in again.";

/// An operator who is signed in to the console.
#[derive(Clone, Debug)]
pub struct SignedInOperator {
    /// The session.
    pub session: OperatorSession,
    /// The token that the forms of the session's pages carry.
    pub form_token: String,
    /// Why the operator acts; `None` until the request has said it.
    reason: Option<Box<str>>,
    /// The digits of the session's secret.
    digits: String,
}

impl SignedInOperator {
    /// The actor of the operator's commands; `None` without a reason.
    #[must_use]
    pub fn actor(&self) -> Option<Actor> {
        let operator = self.session.operator.clone();
        let act = |reason| Actor::Operator(Box::new(OperatorAct { operator, reason }));
        self.reason.clone().map(act)
    }

    /// The same operator who acts for this reason.
    #[must_use]
    pub fn with_reason(self, reason: Box<str>) -> SignedInOperator {
        SignedInOperator { reason: Some(reason), ..self }
    }

    /// The secret of the cookie with which the operator looks at a workspace.
    #[must_use]
    pub fn view_secret(&self, workspace: &WorkspaceId) -> String {
        secret::of_digits(Kind::View, &self.digits, Some(workspace))
    }
}

impl Access {
    /// The operator who is signed in to the console.
    ///
    /// # Errors
    /// There is no valid session (401).
    pub(super) async fn operator(&self, headers: &HeaderMap, now: Timestamp) -> Result<Caller, Denied> {
        let operator = self.operator_session(headers, now).await?;
        let operator = operator.ok_or(Denied::Unauthenticated(NO_OPERATOR))?;
        Ok(Caller::Operator(Box::new(operator)))
    }

    /// The valid session of an operator's browser; `None` if it has none.
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn operator_session(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<SignedInOperator>, Denied> {
        let is_secure = cookie::is_secure(self.public_url.as_deref(), headers);
        for cookie in cookie::secrets(headers, Place::Console, is_secure) {
            let Some(digits) = secret::digits_of(Kind::Operator, cookie) else { continue };
            if let Some(session) = self.find_operator(digits, now).await? {
                let (form_token, digits) = (cookie::form_token(cookie), digits.to_owned());
                return Ok(Some(SignedInOperator { session, form_token, reason: None, digits }));
            }
        }
        Ok(None)
    }

    /// What a cookie shows of a workspace to an operator; `None` if the session has ended or there
    /// is no such workspace.
    pub(super) async fn view_of(
        &self,
        cookie: &str,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> Result<Option<SignedIn>, Denied> {
        let Some(digits) = secret::digits_of(Kind::View, cookie) else { return Ok(None) };
        let Some(session) = self.find_operator(digits, now).await? else { return Ok(None) };
        if self.team(&workspace).await?.is_none() {
            return Ok(None);
        }
        let OperatorSession { id, operator, hash, created_at, expires_at } = session;
        let Ok(member) = MemberId::new(operator.as_str()) else { return Ok(None) };
        // No text is stored under these digests. Pages show the id instead.
        let (email, name) = ([0; 32], [0; 32]);
        let id = SessionId(id.0);
        Ok(Some(SignedIn {
            workspace,
            session: PortalSession {
                id,
                member: member.clone(),
                hash,
                return_url: None,
                created_at,
                expires_at,
            },
            member: Member { id: member, email, name, role: Role::Admin, created_at },
            form_token: cookie::form_token(cookie),
            viewer: Some(operator),
        }))
    }

    /// The valid session with these digits in its secret. It is looked for in the store: what this
    /// server knows may be older by a second, and a session may have been ended on another one.
    async fn find_operator(&self, digits: &str, now: Timestamp) -> Result<Option<OperatorSession>, Error> {
        let hash = secret::hash(secret::of_digits(Kind::Operator, digits, None).as_bytes());
        let platform = self.engine.current_platform().await?;
        Ok(platform.operators.find(&hash, now).cloned())
    }

    /// Whether an operator's session is still valid.
    pub(super) async fn is_operator_valid(&self, hash: &Hash, now: Timestamp) -> Result<bool, Error> {
        let platform = self.engine.current_platform().await?;
        Ok(platform.operators.find(hash, now).is_some())
    }

    /// Whether the console takes a password instead of a platform key.
    #[must_use]
    pub fn takes_password(&self) -> bool {
        self.operator_password.is_some()
    }

    /// How long a session of an operator lasts, in seconds.
    #[must_use]
    pub fn operator_seconds(&self) -> i64 {
        self.operator_seconds
    }

    /// Whether a text opens the console: the password if the settings name its hash, else a
    /// platform key. Every call counts as an attempt.
    ///
    /// # Errors
    /// There were too many attempts (429).
    pub async fn opens_console(&self, text: &str) -> Result<bool, Denied> {
        if let Some(status) = self.operator_rate.as_ref().map(|rate| rate.count(&(), 1))
            && status.is_exceeded()
        {
            return Err(Denied::RateLimited(status));
        }
        match &self.operator_password {
            Some(hash) => Ok(password::is_password(hash, text).await),
            None => Ok(self.is_platform_key(&secret::hash(text.as_bytes()))),
        }
    }
}
