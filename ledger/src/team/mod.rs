//! The team of a workspace: its members, API keys, portal sessions and recipients of mails, and
//! what each entry does to them.
//!
//! A team can be large and most charges do not need it, so an engine stores its bytes apart from
//! the account's and writes them when they change. An expired link or session is skipped by lookups
//! and removed by the next link or sign-in entry. What is accepted is decided in `decide::team`.

pub(crate) mod actor;
pub(crate) mod api_key;
pub(crate) mod mail_topic;
pub(crate) mod member;
pub(crate) mod personal;
pub(crate) mod portal_session;
pub(crate) mod recipient;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use crate::hash::constant_time_eq;
use crate::journal::codec::{Malformed, Reader, Writer};
use crate::journal::disagreement::{Violation, ensure};
use crate::{
    ApiKey, ApiKeyId, ApiKeyRequest, Hash, Kind, LinkRequest, Member, MemberChanges, MemberId, MemberRequest,
    PersonalText, PortalSession, Recipient, RecipientChange, RecipientCommand, RecipientRequest,
    RecipientSubject, Role, SessionId, Timestamp, bounds,
};

/// The format of the bytes.
const FORMAT: u8 = 3;

/// The format before it, without recipients; a reader refuses any other.
const WITHOUT_RECIPIENTS: u8 = 2;

/// What can be asked of a team.
#[derive(Clone, Debug)]
pub enum TeamCommand {
    /// Adds a member. Boxed, because every command that is moved is as large as the largest.
    AddMember(Box<MemberRequest>),
    /// Changes the given fields of a member.
    ChangeMember(MemberId, Box<MemberChanges>),
    /// Removes a member, and the keys, links and sessions that act in that name.
    RemoveMember(MemberId),
    /// Erases all stored names and e-mail addresses of a member, who may have been removed.
    EraseMember(MemberId),
    /// Creates an API key.
    CreateKey(ApiKeyRequest),
    /// Revokes an API key.
    RevokeKey(ApiKeyId),
    /// Records that an API key is in use; sent by the server at most once per
    /// [`bounds::KEY_USE_INTERVAL_SECONDS`].
    RecordKeyUse(ApiKeyId),
    /// Creates a link that signs a member in once.
    CreateLink(LinkRequest),
    /// Follows a link and begins a session.
    SignIn {
        /// SHA-256 of the link's secret.
        link: Hash,
        /// SHA-256 of the new session's secret.
        session: Hash,
        /// The seconds for which the session is valid.
        valid_for_seconds: i64,
    },
    /// Ends a session.
    SignOut(SessionId),
    /// Ends all sessions and links of one member, or of all if `None`.
    SignOutAll(Option<MemberId>),
    /// Changes who gets mails, or notes what became of one.
    Recipient(RecipientCommand),
}

/// What happened to a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TeamChange {
    /// A member was added.
    MemberAdded(Member),
    /// A member was changed; carries it whole.
    MemberChanged(Member),
    /// A member was removed, and the keys, links and sessions that acted in that name.
    MemberRemoved(MemberId),
    /// The names and e-mail addresses of a member in all entries before were erased.
    MemberErased(MemberId),
    /// An API key was created.
    KeyCreated(ApiKey),
    /// An API key was revoked.
    KeyRevoked(ApiKeyId),
    /// An API key was in use.
    KeyUsed(ApiKeyId),
    /// A link was created that signs a member in once.
    LinkCreated(PortalSession),
    /// A member followed a link.
    SignedIn(PortalSession),
    /// A member signed out.
    SignedOut(SessionId),
    /// All sessions and links of one member were ended, or of all if `None`.
    AllSignedOut(Option<MemberId>),
    /// Who gets mails was changed, or what became of one was noted.
    Recipient(RecipientChange),
}

impl TeamCommand {
    /// The texts about a person that the command brings.
    #[must_use]
    pub fn texts(&self) -> Vec<PersonalText> {
        match self {
            TeamCommand::AddMember(request) => vec![request.email.clone(), request.name.clone()],
            TeamCommand::ChangeMember(_, changes) => {
                changes.email.iter().chain(&changes.name).cloned().collect()
            }
            TeamCommand::Recipient(RecipientCommand::Choose(RecipientRequest::Address(address))) => {
                vec![address.clone()]
            }
            _ => Vec::new(),
        }
    }
}

impl TeamChange {
    /// The member whose texts the entry names by their digests, and the digests: of the e-mail
    /// address, then of the name. A typed address has an owner of its own and no name.
    #[must_use]
    pub fn texts(&self) -> Option<(Cow<'_, MemberId>, Vec<Hash>)> {
        match self {
            TeamChange::MemberAdded(member) | TeamChange::MemberChanged(member) => {
                Some((Cow::Borrowed(&member.id), vec![member.email, member.name]))
            }
            TeamChange::Recipient(RecipientChange::AddressAdded { id, address }) => {
                Some((Cow::Owned(id.owner()), vec![*address]))
            }
            _ => None,
        }
    }

    /// The member whose texts the entry erased.
    #[must_use]
    pub fn erased_texts(&self) -> Option<Cow<'_, MemberId>> {
        match self {
            TeamChange::MemberErased(member) => Some(Cow::Borrowed(member)),
            TeamChange::Recipient(RecipientChange::Removed(RecipientSubject::Address(id))) => {
                Some(Cow::Owned(id.owner()))
            }
            _ => None,
        }
    }
}

/// The people, keys and sessions that act for a workspace besides the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Team {
    /// The members, in the order in which they were added.
    pub members: Vec<Member>,
    /// The API keys that were not revoked, oldest first.
    pub keys: Vec<ApiKey>,
    /// The links that were not followed, oldest first.
    pub links: Vec<PortalSession>,
    /// The sessions that were not ended, oldest first.
    pub sessions: Vec<PortalSession>,
    /// The recipients of mails, oldest first. A member has a row only if it says something.
    pub recipients: Vec<Recipient>,
}

impl Team {
    /// The empty team, shared by all workspaces for which only the platform acts.
    pub(crate) fn empty() -> Arc<Team> {
        static EMPTY: LazyLock<Arc<Team>> = LazyLock::new(Arc::default);
        assert!(EMPTY.is_empty(), "the shared team of workspaces without one must stay empty");
        Arc::clone(&EMPTY)
    }

    /// True if only the platform acts for the workspace.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Team { members, keys, links, sessions, recipients } = self;
        members.is_empty()
            && keys.is_empty()
            && links.is_empty()
            && sessions.is_empty()
            && recipients.is_empty()
    }

    /// A member by id.
    #[must_use]
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == *id)
    }

    /// A key by id, valid or expired.
    #[must_use]
    pub fn key(&self, id: ApiKeyId) -> Option<&ApiKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// Index in `keys` of the key with this secret, if it has not expired at `now`.
    #[must_use]
    pub fn key_index(&self, hash: &Hash, now: Timestamp) -> Option<usize> {
        self.keys.iter().position(|key| constant_time_eq(&key.hash, hash) && key.is_valid_at(now))
    }

    /// The link with this secret, if it has not expired at `now`.
    #[must_use]
    pub fn link(&self, hash: &Hash, now: Timestamp) -> Option<&PortalSession> {
        self.links.iter().find(|link| constant_time_eq(&link.hash, hash) && link.is_valid_at(now))
    }

    /// The session with this secret, if it has not expired at `now`.
    #[must_use]
    pub fn session(&self, hash: &Hash, now: Timestamp) -> Option<&PortalSession> {
        let is_it =
            |session: &&PortalSession| constant_time_eq(&session.hash, hash) && session.is_valid_at(now);
        self.sessions.iter().find(is_it)
    }

    /// True if the member is an admin and there is no other.
    pub(crate) fn is_last_admin(&self, member: &Member) -> bool {
        let mut admins = self.members.iter().filter(|member| member.role == Role::Admin);
        member.role == Role::Admin && admins.nth(1).is_none()
    }

    /// Appends the bytes.
    ///
    /// # Panics
    /// If the team is too large or does not read back as it is: a team that is wrong must not be
    /// stored.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let Team { members, keys, links, sessions, recipients } = self;
        assert!(self.is_within_bounds(), "a team must be within its bounds");
        let start = bytes.len();
        let w = &mut Writer(bytes);
        w.byte(FORMAT);
        w.list(members, |w, member| member.write(w));
        w.list(keys, |w, key| key.write(w));
        w.list(links, |w, link| link.write(w));
        w.list(sessions, |w, session| session.write(w));
        w.list(recipients, |w, recipient| recipient.write(w));
        assert!(
            Team::decode(Some(&bytes[start..])).is_ok_and(|team| *team == *self),
            "a team must read back as it is"
        );
    }

    /// True if the team is no larger than it may be.
    pub(crate) fn is_within_bounds(&self) -> bool {
        let Team { members, keys, links, sessions, recipients } = self;
        members.len() <= bounds::MEMBERS_MAX
            && keys.len() <= bounds::API_KEYS_MAX
            && links.len() <= bounds::PORTAL_SESSIONS_MAX
            && sessions.len() <= bounds::PORTAL_SESSIONS_MAX
            && recipients.len() <= bounds::MEMBERS_MAX + bounds::RECIPIENTS_MAX
            && self.chosen_count() <= bounds::RECIPIENTS_MAX
    }

    /// Reads the bytes; `None` is the team of a workspace that never had one.
    ///
    /// # Errors
    /// [`Malformed`] with the part that could not be read.
    pub fn decode(bytes: Option<&[u8]>) -> Result<Arc<Team>, Malformed> {
        let Some(bytes) = bytes else { return Ok(Team::empty()) };
        let mut r = Reader(bytes);
        let format = r.byte("a team's format")?;
        if !matches!(format, FORMAT | WITHOUT_RECIPIENTS) {
            return Err(Malformed("a team of another format"));
        }
        let team = Team {
            members: r.list("the members", Member::read)?,
            keys: r.list("the API keys", ApiKey::read)?,
            links: r.list("the portal links", PortalSession::read)?,
            sessions: r.list("the portal sessions", PortalSession::read)?,
            recipients: match format {
                FORMAT => r.list("the recipients", Recipient::read)?,
                _ => Vec::new(),
            },
        };
        r.end("a team")?;
        if !team.is_within_bounds() {
            return Err(Malformed("a team that is too large"));
        }
        Ok(Arc::new(team))
    }

    /// Applies an entry about the team.
    ///
    /// # Errors
    /// [`Violation`] if the change does not follow from the team as it is.
    pub(crate) fn apply(&mut self, change: &TeamChange, decided_at: Timestamp) -> Result<(), Violation> {
        match change {
            TeamChange::MemberAdded(member) => {
                ensure(self.member(&member.id).is_none(), "a member is added who is in the team already")?;
                ensure(self.members.len() < bounds::MEMBERS_MAX, "a team has more members than it may have")?;
                self.members.push(member.clone());
            }
            TeamChange::MemberChanged(changed) => {
                if changed.role != Role::Admin {
                    self.keeps_an_admin(&changed.id)?;
                }
                let member = self.members.iter_mut().find(|member| member.id == changed.id);
                let member = member.ok_or(Violation("a member is changed who is not in the team"))?;
                let has_new_address = member.email != changed.email;
                member.clone_from(changed);
                if has_new_address {
                    self.clear_fault(&changed.id);
                }
            }
            TeamChange::MemberRemoved(member) => self.remove(member)?,
            // The digests stay: what they stand for is stored beside the journal.
            TeamChange::MemberErased(_) => {}
            TeamChange::KeyCreated(key) => {
                ensure(self.key(key.id).is_none(), "an API key is created that exists already")?;
                ensure(self.keys.len() < bounds::API_KEYS_MAX, "a team has more API keys than it may have")?;
                self.keys.push(key.clone());
            }
            TeamChange::KeyRevoked(key) => {
                remove_first(
                    &mut self.keys,
                    |other| other.id == *key,
                    "an API key is revoked that does not exist",
                )?;
            }
            TeamChange::KeyUsed(key) => {
                let used = self.keys.iter_mut().find(|other| other.id == *key);
                used.ok_or(Violation("an API key is used that does not exist"))?.last_used_at =
                    Some(decided_at);
            }
            TeamChange::LinkCreated(link) => {
                self.remove_expired(link.created_at);
                push_bounded(&mut self.links, link);
            }
            TeamChange::SignedIn(session) => {
                self.remove_expired(session.created_at);
                let is_its = |link: &PortalSession| link.id == session.id;
                remove_first(&mut self.links, is_its, "a link is followed that does not exist")?;
                push_bounded(&mut self.sessions, session);
            }
            TeamChange::SignedOut(session) => {
                let is_it = |other: &PortalSession| other.id == *session;
                remove_first(&mut self.sessions, is_it, "a session is ended that does not exist")?;
            }
            TeamChange::AllSignedOut(None) => {
                self.links.clear();
                self.sessions.clear();
            }
            TeamChange::AllSignedOut(Some(member)) => self.sign_out(member),
            TeamChange::Recipient(change) => self.apply_to_recipients(change, decided_at)?,
        }
        Ok(())
    }

    /// Removes a member, and the keys, links and sessions that act in that name.
    fn remove(&mut self, id: &MemberId) -> Result<(), Violation> {
        self.keeps_an_admin(id)?;
        remove_first(
            &mut self.members,
            |member| member.id == *id,
            "a member is removed who is not in the team",
        )?;
        self.keys.retain(|key| key.member.as_ref() != Some(id));
        self.sign_out(id);
        self.remove_recipient(id);
        Ok(())
    }

    fn keeps_an_admin(&self, leaving: &MemberId) -> Result<(), Violation> {
        let last = self.member(leaving).is_some_and(|member| self.is_last_admin(member));
        ensure(!last, "the last admin is removed or demoted")
    }

    fn sign_out(&mut self, member: &MemberId) {
        self.links.retain(|link| link.member != *member);
        self.sessions.retain(|session| session.member != *member);
    }

    /// Removes the links and sessions that have expired at `at`, a server's time.
    fn remove_expired(&mut self, at: Timestamp) {
        self.links.retain(|link| link.is_valid_at(at));
        self.sessions.retain(|session| session.is_valid_at(at));
    }
}

/// Removes the first item for which `is_it` is true.
///
/// # Errors
/// [`Violation`] with `missing`, if there is none.
fn remove_first<T>(
    list: &mut Vec<T>,
    is_it: impl Fn(&T) -> bool,
    missing: &'static str,
) -> Result<(), Violation> {
    let index = list.iter().position(is_it).ok_or(Violation(missing))?;
    list.remove(index);
    Ok(())
}

/// Adds a link or session; removes the oldest if there are too many.
fn push_bounded(sessions: &mut Vec<PortalSession>, session: &PortalSession) {
    if sessions.len() >= bounds::PORTAL_SESSIONS_MAX {
        sessions.remove(0);
    }
    sessions.push(session.clone());
    assert!(sessions.len() <= bounds::PORTAL_SESSIONS_MAX, "links and sessions must stay within their bound");
}

impl TeamChange {
    /// The kind of the entry that carries the change.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            TeamChange::MemberAdded(_) => Kind::MemberAdded,
            TeamChange::MemberChanged(_) => Kind::MemberChanged,
            TeamChange::MemberRemoved(_) => Kind::MemberRemoved,
            TeamChange::MemberErased(_) => Kind::MemberErased,
            TeamChange::KeyCreated(_) => Kind::ApiKeyCreated,
            TeamChange::KeyRevoked(_) => Kind::ApiKeyRevoked,
            TeamChange::KeyUsed(_) => Kind::ApiKeyUsed,
            TeamChange::LinkCreated(_) => Kind::PortalLinkCreated,
            TeamChange::SignedIn(_) => Kind::PortalSignedIn,
            TeamChange::SignedOut(_) => Kind::PortalSignedOut,
            TeamChange::AllSignedOut(_) => Kind::PortalAllSignedOut,
            TeamChange::Recipient(change) => change.kind(),
        }
    }
}
