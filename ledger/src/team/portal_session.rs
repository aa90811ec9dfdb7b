//! How a member enters the dashboard: a link that signs in once, and the session that it begins.
//!
//! Both are known by the SHA-256 of a secret that only the browser has. Their times are those of
//! the servers' clocks (see `decide::team`). A session has the role that its member has now, not
//! the one at its beginning. Cookies and pages are not here.

use crate::journal::codec::{Malformed, Reader, Writer};
use crate::{Hash, MemberId, SessionId, Timestamp};

/// A link that signs a member in once, or the session that it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalSession {
    /// The id; a session has that of its link.
    pub id: SessionId,
    /// The member who signs in.
    pub member: MemberId,
    /// SHA-256 of the secret in the link or in the session's cookie.
    pub hash: Hash,
    /// The URL to which the dashboard links back.
    pub return_url: Option<Box<str>>,
    /// The time at which the link was created or the session began.
    pub created_at: Timestamp,
    /// The first instant at which it is no longer valid.
    pub expires_at: Timestamp,
}

impl PortalSession {
    /// True until it expires.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        let PortalSession { id, member, hash, return_url, created_at, expires_at } = self;
        w.id(id.0);
        w.text(member.as_str());
        w.raw(hash);
        w.maybe_text(return_url.as_deref());
        w.time(*created_at);
        w.time(*expires_at);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<PortalSession, Malformed> {
        Ok(PortalSession {
            id: SessionId(r.id("a portal session")?),
            member: MemberId::known(r.text("a portal session's member")?),
            hash: r.hash("a portal session's hash")?,
            return_url: r.maybe_text("a portal session's return URL")?.map(Into::into),
            created_at: r.time("a portal session's beginning")?,
            expires_at: r.time("a portal session's end")?,
        })
    }
}

/// A link to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRequest {
    /// See [`PortalSession::member`].
    pub member: MemberId,
    /// See [`PortalSession::hash`].
    pub hash: Hash,
    /// See [`PortalSession::return_url`].
    pub return_url: Option<Box<str>>,
    /// The seconds for which it is valid.
    pub valid_for_seconds: i64,
}
