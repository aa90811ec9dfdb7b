//! The team of a workspace: its members, API keys and portal sessions, and what each entry does to them.
//!
//! Most charges need none of it and it can be large, so an engine keeps its bytes apart from the account's and writes
//! them when they change. Links and sessions that are over leave with the next entry about one; whoever looks one up is
//! told nothing of it before that already.

pub(crate) mod api_key;
pub(crate) mod member;
pub(crate) mod portal_session;

use std::sync::{Arc, LazyLock};

use crate::account::invariants::{Violation, holds};
use crate::decide::View;
use crate::journal::codec::{Malformed, Reader, Writer};
use crate::{
    ApiKey, ApiKeyId, ApiKeyRequest, Hash, Kind, LinkRequest, Member, MemberChanges, MemberId, MemberRequest,
    PortalSession, Refusal, Role, SessionId, Timestamp, bounds,
};

/// The format of the bytes; a reader refuses any other.
const FORMAT: u8 = 1;

/// What can be asked of a team.
#[derive(Clone, Debug)]
pub enum TeamCommand {
    /// Brings a person into the workspace.
    AddMember(MemberRequest),
    /// Describes a member anew.
    ChangeMember(MemberId, MemberChanges),
    /// Takes a member out, with the keys and sessions that act in that name.
    RemoveMember(MemberId),
    /// Makes an API key.
    CreateKey(ApiKeyRequest),
    /// Ends an API key.
    RevokeKey(ApiKeyId),
    /// Notes that an API key is in use; sent by the edge now and then.
    NoteKeyUse(ApiKeyId),
    /// Makes a link that signs a member in, once.
    MakeLink(LinkRequest),
    /// Follows such a link.
    SignIn {
        /// SHA-256 of the link's secret.
        link: Hash,
        /// SHA-256 of the session's secret.
        session: Hash,
        /// For how long the session holds, in seconds.
        lasts_seconds: i64,
    },
    /// Ends a session.
    SignOut(SessionId),
    /// Ends all sessions and links, of one member or of all.
    SignOutAll(Option<MemberId>),
}

/// What happened to a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TeamChange {
    /// A person came into the workspace.
    MemberAdded(Member),
    /// A member is described anew.
    MemberChanged(Member),
    /// A member left, and with the member the keys and sessions that acted in that name.
    MemberRemoved(MemberId),
    /// An API key was made.
    KeyCreated(ApiKey),
    /// An API key was ended.
    KeyRevoked(ApiKeyId),
    /// An API key was in use.
    KeyUsed(ApiKeyId),
    /// A link was made that signs a member in, once.
    LinkMade(PortalSession),
    /// A member followed a link.
    SignedIn(PortalSession),
    /// A member signed out.
    SignedOut(SessionId),
    /// All sessions and links were ended, of one member or of all.
    AllSignedOut(Option<MemberId>),
}

/// Decides a command about the team; `None` when it is so already. `now` is the account's clock, `asked_at` the server's.
pub(crate) fn decide(
    view: &View,
    command: TeamCommand,
    (now, asked_at): (Timestamp, Timestamp),
) -> Result<Option<TeamChange>, Refusal> {
    match command {
        TeamCommand::AddMember(request) => member::add(view, request, now).map(Some),
        TeamCommand::ChangeMember(id, changes) => member::change(view, &id, changes),
        TeamCommand::RemoveMember(id) => member::remove(view, id).map(Some),
        TeamCommand::CreateKey(request) => api_key::create(view, request, now).map(Some),
        TeamCommand::RevokeKey(id) => api_key::revoke(view, id).map(Some),
        TeamCommand::NoteKeyUse(id) => api_key::note_use(view, id, now),
        TeamCommand::MakeLink(request) => portal_session::make_link(view, request, asked_at).map(Some),
        TeamCommand::SignIn { link, session, lasts_seconds } => {
            portal_session::sign_in(view, (link, session), lasts_seconds, asked_at).map(Some)
        }
        TeamCommand::SignOut(id) => portal_session::sign_out(view, id),
        TeamCommand::SignOutAll(member) => portal_session::sign_out_all(view, member),
    }
}

impl TeamChange {
    /// The kind by name.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            TeamChange::MemberAdded(_) => Kind::MemberAdded,
            TeamChange::MemberChanged(_) => Kind::MemberChanged,
            TeamChange::MemberRemoved(_) => Kind::MemberRemoved,
            TeamChange::KeyCreated(_) => Kind::ApiKeyCreated,
            TeamChange::KeyRevoked(_) => Kind::ApiKeyRevoked,
            TeamChange::KeyUsed(_) => Kind::ApiKeyUsed,
            TeamChange::LinkMade(_) => Kind::PortalLinkMade,
            TeamChange::SignedIn(_) => Kind::PortalSignedIn,
            TeamChange::SignedOut(_) => Kind::PortalSignedOut,
            TeamChange::AllSignedOut(_) => Kind::PortalAllSignedOut,
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            TeamChange::MemberAdded(member) | TeamChange::MemberChanged(member) => member.write(w),
            TeamChange::MemberRemoved(member) => w.text(member.as_str()),
            TeamChange::KeyCreated(key) => key.write(w),
            TeamChange::KeyRevoked(key) | TeamChange::KeyUsed(key) => w.id(key.0),
            TeamChange::LinkMade(session) | TeamChange::SignedIn(session) => session.write(w),
            TeamChange::SignedOut(session) => w.id(session.0),
            TeamChange::AllSignedOut(member) => w.maybe_bytes(member.as_ref().map(MemberId::as_bytes)),
        }
    }

    /// Reads what [`TeamChange::write`] wrote of this kind.
    pub(crate) fn read(r: &mut Reader, kind: Kind) -> Result<TeamChange, Malformed> {
        Ok(match kind {
            Kind::MemberAdded => TeamChange::MemberAdded(Member::read(r)?),
            Kind::MemberChanged => TeamChange::MemberChanged(Member::read(r)?),
            Kind::MemberRemoved => TeamChange::MemberRemoved(MemberId::known(r.text("a member")?)),
            Kind::ApiKeyCreated => TeamChange::KeyCreated(ApiKey::read(r)?),
            Kind::ApiKeyRevoked => TeamChange::KeyRevoked(ApiKeyId(r.id("an API key")?)),
            Kind::ApiKeyUsed => TeamChange::KeyUsed(ApiKeyId(r.id("an API key")?)),
            Kind::PortalLinkMade => TeamChange::LinkMade(PortalSession::read(r)?),
            Kind::PortalSignedIn => TeamChange::SignedIn(PortalSession::read(r)?),
            Kind::PortalSignedOut => TeamChange::SignedOut(SessionId(r.id("a portal session")?)),
            Kind::PortalAllSignedOut => {
                TeamChange::AllSignedOut(r.maybe_text("a member")?.map(MemberId::known))
            }
            _ => return Err(Malformed("a team's change")),
        })
    }
}

/// Who belongs to a workspace and who may act in its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Team {
    /// Its members, the first to come first.
    pub members: Vec<Member>,
    /// Its API keys, the oldest first; those that were revoked are gone.
    pub keys: Vec<ApiKey>,
    /// Links that nobody has followed yet.
    pub links: Vec<PortalSession>,
    /// Sessions under way.
    pub sessions: Vec<PortalSession>,
}

impl Team {
    /// The team of a workspace that only the platform acts for: one for all of them.
    pub(crate) fn nobody() -> Arc<Team> {
        static NOBODY: LazyLock<Arc<Team>> = LazyLock::new(Arc::default);
        Arc::clone(&NOBODY)
    }

    /// Whether nobody but the platform acts for the workspace.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Team { members, keys, links, sessions } = self;
        members.is_empty() && keys.is_empty() && links.is_empty() && sessions.is_empty()
    }

    /// A member by name.
    #[must_use]
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == *id)
    }

    /// A key by id, whether or not it still holds.
    #[must_use]
    pub fn key(&self, id: ApiKeyId) -> Option<&ApiKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// Index in `keys` of the key with this secret, if it has not expired at `now`.
    #[must_use]
    pub fn key_index(&self, hash: &Hash, now: Timestamp) -> Option<usize> {
        self.keys.iter().position(|key| is_same(&key.hash, hash) && key.holds(now))
    }

    /// The link of this secret, if it holds.
    #[must_use]
    pub fn link(&self, hash: &Hash, now: Timestamp) -> Option<&PortalSession> {
        self.links.iter().find(|link| is_same(&link.hash, hash) && link.holds(now))
    }

    /// The session of this secret, if it holds.
    #[must_use]
    pub fn session(&self, hash: &Hash, now: Timestamp) -> Option<&PortalSession> {
        self.sessions.iter().find(|session| is_same(&session.hash, hash) && session.holds(now))
    }

    /// Appends the bytes.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let Team { members, keys, links, sessions } = self;
        let w = &mut Writer(bytes);
        w.byte(FORMAT);
        w.list(members, |w, member| member.write(w));
        w.list(keys, |w, key| key.write(w));
        w.list(links, |w, link| link.write(w));
        w.list(sessions, |w, session| session.write(w));
    }

    /// Reads the bytes; none at all are the team of a workspace that never had one.
    ///
    /// # Errors
    /// [`Malformed`] with the part that could not be read.
    pub fn decode(bytes: Option<&[u8]>) -> Result<Arc<Team>, Malformed> {
        let Some(bytes) = bytes else { return Ok(Team::nobody()) };
        let mut r = Reader(bytes);
        if r.byte("a team's format")? != FORMAT {
            return Err(Malformed("a team of another format"));
        }
        let team = Team {
            members: r.list("the members", Member::read)?,
            keys: r.list("the API keys", ApiKey::read)?,
            links: r.list("the portal links", PortalSession::read)?,
            sessions: r.list("the portal sessions", PortalSession::read)?,
        };
        r.end("a team")?;
        Ok(Arc::new(team))
    }

    /// What an entry about the team does to it.
    pub(crate) fn apply(&mut self, change: &TeamChange, at: Timestamp) -> Result<(), Violation> {
        match change {
            TeamChange::MemberAdded(member) => {
                holds(self.member(&member.id).is_none(), "a member comes who is there already")?;
                holds(self.members.len() < bounds::MEMBERS_MAX, "more members come than there may be")?;
                self.members.push(member.clone());
            }
            TeamChange::MemberChanged(changed) => {
                if changed.role != Role::Admin {
                    self.keeps_an_admin(&changed.id)?;
                }
                let member = self.members.iter_mut().find(|member| member.id == changed.id);
                member.ok_or(Violation("a member changes who is not there"))?.clone_from(changed);
            }
            TeamChange::MemberRemoved(member) => self.remove(member)?,
            TeamChange::KeyCreated(key) => {
                holds(self.key(key.id).is_none(), "a key is made that is there already")?;
                holds(self.keys.len() < bounds::API_KEYS_MAX, "more keys are made than there may be")?;
                self.keys.push(key.clone());
            }
            TeamChange::KeyRevoked(key) => {
                takes_out(&mut self.keys, |other| other.id == *key, "a key is revoked that is not there")?;
            }
            TeamChange::KeyUsed(key) => {
                let used = self.keys.iter_mut().find(|other| other.id == *key);
                used.ok_or(Violation("a key is used that is not there"))?.last_used_at = Some(at);
            }
            TeamChange::LinkMade(link) => {
                self.let_expire(link.created_at);
                push_bounded(&mut self.links, link);
            }
            TeamChange::SignedIn(session) => {
                self.let_expire(session.created_at);
                takes_out(
                    &mut self.links,
                    |link| link.id == session.id,
                    "a link is followed that is not there",
                )?;
                push_bounded(&mut self.sessions, session);
            }
            TeamChange::SignedOut(session) => {
                let is_it = |other: &PortalSession| other.id == *session;
                takes_out(&mut self.sessions, is_it, "a session ends that is not there")?;
            }
            TeamChange::AllSignedOut(None) => {
                self.links.clear();
                self.sessions.clear();
            }
            TeamChange::AllSignedOut(Some(member)) => self.sign_out(member),
        }
        Ok(())
    }

    /// A member leaves, and with the member whatever acts in that name.
    fn remove(&mut self, id: &MemberId) -> Result<(), Violation> {
        self.keeps_an_admin(id)?;
        takes_out(&mut self.members, |member| member.id == *id, "a member leaves who is not there")?;
        self.keys.retain(|key| key.member.as_ref() != Some(id));
        self.sign_out(id);
        Ok(())
    }

    fn keeps_an_admin(&self, leaving: &MemberId) -> Result<(), Violation> {
        let last = self.member(leaving).is_some_and(|member| member::is_last_admin(self, member));
        holds(!last, "the last admin goes")
    }

    fn sign_out(&mut self, member: &MemberId) {
        self.links.retain(|link| link.member != *member);
        self.sessions.retain(|session| session.member != *member);
    }

    /// Lets go what is over by the clock of whoever makes the next one.
    fn let_expire(&mut self, at: Timestamp) {
        self.links.retain(|link| link.holds(at));
        self.sessions.retain(|session| session.holds(at));
    }
}

/// Takes out the one that is there.
fn takes_out<T>(
    list: &mut Vec<T>,
    is_it: impl Fn(&T) -> bool,
    otherwise: &'static str,
) -> Result<(), Violation> {
    let place = list.iter().position(is_it).ok_or(Violation(otherwise))?;
    list.remove(place);
    Ok(())
}

/// Compares hashes in a time that says nothing of how far they are the same.
fn is_same(one: &Hash, other: &Hash) -> bool {
    one.iter().zip(other).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

/// The oldest gives way when there are too many.
fn push_bounded(sessions: &mut Vec<PortalSession>, session: &PortalSession) {
    if sessions.len() >= bounds::PORTAL_SESSIONS_MAX {
        sessions.remove(0);
    }
    sessions.push(session.clone());
}
