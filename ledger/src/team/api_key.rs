//! The API keys of a workspace: who may do what in its name, until when, and under which member's or worker's name.
//!
//! The secret never reaches the ledger, only its SHA-256. A key does not change: it is made, used and revoked. What a
//! scope opens is not here but where the routes are; that a key still holds is confirmed in `actor`.

use crate::decide::View;
use crate::journal::codec::{Malformed, Reader, Writer};
use crate::{ApiKeyId, Hash, MemberId, Refusal, TeamChange, Timestamp, WorkerId, bounds};

/// One thing a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Pay for operations and say what became of them.
    Charge,
    /// See.
    Read,
    /// Change the workspace: members, keys, limits.
    Manage,
}

impl Scope {
    /// All of them, in the order in which they are told.
    pub const ALL: [Scope; 3] = [Scope::Charge, Scope::Read, Scope::Manage];

    /// The name as it is spoken outside.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Charge => "charge",
            Scope::Read => "read",
            Scope::Manage => "manage",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Scope::Charge => 1,
            Scope::Read => 2,
            Scope::Manage => 4,
        }
    }
}

/// What a key may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this is one of them.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Each of them, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Scopes {
        Scopes(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// An API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its name in entries and limits.
    pub id: ApiKeyId,
    /// Its display name.
    pub name: Box<str>,
    /// What it may do.
    pub scopes: Scopes,
    /// Whose name its charges bear.
    pub member: Option<MemberId>,
    /// Which worker's name its charges bear.
    pub worker: Option<WorkerId>,
    /// Until when it holds.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to within [`bounds::KEY_USE_NOTED_SECONDS`].
    pub last_used_at: Option<Timestamp>,
    /// SHA-256 of the secret.
    pub hash: Hash,
}

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRequest {
    /// See [`ApiKey::name`].
    pub name: Box<str>,
    /// See [`ApiKey::scopes`].
    pub scopes: Scopes,
    /// See [`ApiKey::member`].
    pub member: Option<MemberId>,
    /// See [`ApiKey::worker`].
    pub worker: Option<WorkerId>,
    /// See [`ApiKey::expires_at`].
    pub expires_at: Option<Timestamp>,
    /// See [`ApiKey::hash`].
    pub hash: Hash,
}

impl ApiKey {
    /// Whether it holds at an instant.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether its use is to be noted: it was not for a while.
    #[must_use]
    pub fn is_use_due(&self, now: Timestamp) -> bool {
        self.last_used_at.is_none_or(|last| now >= last.plus_seconds(bounds::KEY_USE_NOTED_SECONDS))
    }

    /// Whether what bears these names is this key's to touch: a tied key speaks for its own member and worker only.
    #[must_use]
    pub fn speaks_for(&self, member: Option<&MemberId>, worker: Option<&WorkerId>) -> bool {
        self.member.as_ref().is_none_or(|own| member == Some(own))
            && self.worker.as_ref().is_none_or(|own| worker == Some(own))
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        let ApiKey { id, name, scopes, member, worker, expires_at, created_at, last_used_at, hash } = self;
        w.id(id.0);
        w.text(name);
        w.byte(scopes.0);
        w.maybe_bytes(member.as_ref().map(MemberId::as_bytes));
        w.maybe_bytes(worker.as_ref().map(WorkerId::as_bytes));
        w.maybe_signed(expires_at.map(Timestamp::millis));
        w.time(*created_at);
        w.maybe_signed(last_used_at.map(Timestamp::millis));
        w.raw(hash);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<ApiKey, Malformed> {
        Ok(ApiKey {
            id: ApiKeyId(r.id("an API key")?),
            name: r.text("an API key's name")?.into(),
            scopes: match r.byte("an API key's scopes")? {
                bits @ 1..=7 => Scopes(bits),
                _ => return Err(Malformed("an API key's scopes")),
            },
            member: r.maybe_text("an API key's member")?.map(MemberId::known),
            worker: r.maybe_text("an API key's worker")?.map(WorkerId::known),
            expires_at: r.maybe_signed("an API key's end")?.map(Timestamp::from_millis),
            created_at: r.time("an API key's beginning")?,
            last_used_at: r.maybe_signed("an API key's use")?.map(Timestamp::from_millis),
            hash: r.hash("an API key's hash")?,
        })
    }
}

pub(crate) fn create(view: &View, request: ApiKeyRequest, now: Timestamp) -> Result<TeamChange, Refusal> {
    let team = &view.account()?.team;
    let ApiKeyRequest { name, scopes, member, worker, expires_at, hash } = request;
    if scopes.is_empty() {
        return Err(Refusal::InvalidField { field: "scopes", why: "must name at least one" });
    }
    if expires_at.is_some_and(|end| end <= now) {
        return Err(Refusal::InvalidField { field: "expires_at", why: "must be in the future" });
    }
    if team.keys.len() >= bounds::API_KEYS_MAX {
        return Err(Refusal::InvalidField { field: "api_keys", why: "are 100 already; revoke one first" });
    }
    let id = ApiKeyId(view.fresh_id);
    let (created_at, last_used_at) = (now, None);
    let key = ApiKey { id, name, scopes, member, worker, expires_at, created_at, last_used_at, hash };
    Ok(TeamChange::KeyCreated(key))
}

pub(crate) fn revoke(view: &View, id: ApiKeyId) -> Result<TeamChange, Refusal> {
    view.account()?.team.key(id).ok_or(Refusal::ApiKeyNotFound)?;
    Ok(TeamChange::KeyRevoked(id))
}

/// Notes that a key is in use; nothing if that was noted lately, by whichever server.
pub(crate) fn note_use(view: &View, id: ApiKeyId, now: Timestamp) -> Result<Option<TeamChange>, Refusal> {
    let key = view.account()?.team.key(id).ok_or(Refusal::ApiKeyNotFound)?;
    Ok(key.is_use_due(now).then_some(TeamChange::KeyUsed(id)))
}
