//! The way of a member into the dashboard: a link that signs in once, and the session it begins.
//!
//! Both are known by the SHA-256 of a secret that only the browser has. How long they last goes by the clocks of the servers
//! and not by the account's: that stands still after a server's was ahead, and would end them at once, or late. A session has
//! the role its member has at the moment, not the one at its beginning. Cookies and pages are not here.

use crate::decide::View;
use crate::journal::codec::{Malformed, Reader, Writer};
use crate::{Hash, MemberId, Refusal, SessionId, TeamChange, Timestamp};

/// A link that signs a member in, once; or the session that it has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalSession {
    /// Its name; a session has that of its link.
    pub id: SessionId,
    /// Who signs in.
    pub member: MemberId,
    /// SHA-256 of the secret in the link, or in the cookie.
    pub hash: Hash,
    /// Where the dashboard leads back to.
    pub return_url: Option<Box<str>>,
    /// When the link was made, or the session begun.
    pub created_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

impl PortalSession {
    /// Whether it holds at an instant.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
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
            return_url: r.maybe_text("a portal session's way back")?.map(Into::into),
            created_at: r.time("a portal session's beginning")?,
            expires_at: r.time("a portal session's end")?,
        })
    }
}

/// A link to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRequest {
    /// See [`PortalSession::member`].
    pub member: MemberId,
    /// See [`PortalSession::hash`].
    pub hash: Hash,
    /// See [`PortalSession::return_url`].
    pub return_url: Option<Box<str>>,
    /// For how long it holds, in seconds.
    pub lasts_seconds: i64,
}

pub(crate) fn make_link(
    view: &View,
    request: LinkRequest,
    asked_at: Timestamp,
) -> Result<TeamChange, Refusal> {
    let team = &view.account()?.team;
    let LinkRequest { member, hash, return_url, lasts_seconds } = request;
    team.member(&member).ok_or(Refusal::MemberNotFound)?;
    let id = SessionId(view.fresh_id);
    let (created_at, expires_at) = (asked_at, asked_at.plus_seconds(lasts_seconds));
    let link = PortalSession { id, member, hash, return_url, created_at, expires_at };
    Ok(TeamChange::LinkMade(link))
}

/// Signs in: the link is gone with it, so that of two who follow it one comes in.
pub(crate) fn sign_in(
    view: &View,
    (link, session): (Hash, Hash),
    lasts_seconds: i64,
    asked_at: Timestamp,
) -> Result<TeamChange, Refusal> {
    let link = view.account()?.team.link(&link, asked_at).ok_or(Refusal::PortalLinkExpired)?;
    let (created_at, expires_at) = (asked_at, asked_at.plus_seconds(lasts_seconds));
    let session = PortalSession { hash: session, created_at, expires_at, ..link.clone() };
    Ok(TeamChange::SignedIn(session))
}

/// Ends a session; nothing if it has ended. One that is over is ended too: the clock of another server may be behind.
pub(crate) fn sign_out(view: &View, id: SessionId) -> Result<Option<TeamChange>, Refusal> {
    let there = view.account()?.team.sessions.iter().any(|session| session.id == id);
    Ok(there.then_some(TeamChange::SignedOut(id)))
}

/// Ends all sessions and links, of one member or of all; nothing if there are none.
pub(crate) fn sign_out_all(view: &View, member: Option<MemberId>) -> Result<Option<TeamChange>, Refusal> {
    let team = &view.account()?.team;
    if let Some(member) = &member {
        team.member(member).ok_or(Refusal::MemberNotFound)?;
    }
    let concerned = |session: &PortalSession| member.as_ref().is_none_or(|member| session.member == *member);
    let any = team.sessions.iter().chain(&team.links).any(concerned);
    Ok(any.then_some(TeamChange::AllSignedOut(member)))
}
