//! The session of a member in the dashboard: found by its cookie, and the token of its forms.

use axum::http::HeaderMap;
use tollkeeper_ledger::{Role, Team, Timestamp};

use super::admit::Access;
use super::caller::{Caller, SignedIn};
use super::cookie::{self, Place};
use super::denied::Denied;
use super::secret::{self, Kind};

/// The detail for a session that is unknown, was ended or has expired.
pub(super) const NO_SESSION: &str =
    "You have no session, or it has ended. Open the billing page from your product again.";

/// The detail for an operator who sends a form of a workspace.
const VIEWER: &str = "You look at this workspace as its admins do. Operators act in the console.";

impl Access {
    /// The signed-in member, if the role is enough.
    ///
    /// # Errors
    /// There is no valid session (401), or the role is not enough (403).
    pub(super) async fn signed_in(
        &self,
        headers: &HeaderMap,
        role: Role,
        now: Timestamp,
    ) -> Result<Caller, Denied> {
        let signed_in = self.session(headers, now).await?;
        let signed_in = signed_in.ok_or(Denied::Unauthenticated(NO_SESSION))?;
        if role == Role::Admin && signed_in.member.role != Role::Admin {
            return Err(Denied::Forbidden("Only admins of the workspace may do this.".into()));
        }
        Ok(Caller::Member(Box::new(signed_in)))
    }

    /// The valid session of a browser; `None` if it has none.
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn session(&self, headers: &HeaderMap, now: Timestamp) -> Result<Option<SignedIn>, Denied> {
        let is_secure = cookie::is_secure(self.public_url.as_deref(), headers);
        // Another site under the same domain can set a cookie of this name, and browsers may send
        // that one first.
        for cookie in cookie::secrets(headers, Place::Portal, is_secure) {
            if let Some(signed_in) = self.session_of(cookie, now).await? {
                return Ok(Some(signed_in));
            }
        }
        Ok(None)
    }

    async fn session_of(&self, cookie: &str, now: Timestamp) -> Result<Option<SignedIn>, Denied> {
        if let Some(workspace) = secret::workspace_of(Kind::View, cookie) {
            return self.view_of(cookie, workspace, now).await;
        }
        let Some(workspace) = secret::workspace_of(Kind::Session, cookie) else { return Ok(None) };
        let hash = secret::hash(cookie.as_bytes());
        let is_known = |team: &Team| team.session(&hash, now).is_some();
        let team = self.team_for(&workspace, is_known).await?;
        Ok(team.and_then(|team| {
            let session = team.session(&hash, now)?.clone();
            let member = team.member(&session.member)?.clone();
            Some(SignedIn {
                workspace,
                session,
                member,
                form_token: cookie::form_token(cookie),
                viewer: None,
            })
        }))
    }
}

/// Checks that a form comes from a page of the caller's session. Every request that changes
/// something in the dashboard is such a form.
///
/// # Errors
/// The form has no token, or another one: another site may have sent it (403). An operator
/// who looks at the pages of a workspace changes nothing there (403).
pub fn check_form_token(caller: &Caller, form: &[u8]) -> Result<(), Denied> {
    match caller {
        Caller::Member(signed_in) if signed_in.viewer.is_some() => Err(Denied::Forbidden(VIEWER.into())),
        Caller::Member(signed_in) if cookie::is_own_form(form, &signed_in.form_token) => Ok(()),
        Caller::Operator(operator) if cookie::is_own_form(form, &operator.form_token) => Ok(()),
        _ => Err(Denied::Forbidden(
            "This form does not belong to your session. Go back, reload the page and send it again.".into(),
        )),
    }
}
