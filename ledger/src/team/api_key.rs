//! The API keys of a workspace: what each may do, until when, and for which member or worker.
//!
//! The secret never reaches the ledger, only its SHA-256. A key does not change: it is created,
//! used and revoked. Which routes a scope opens is in the server's table of routes. That a key is
//! still valid is checked in `decide::authority`.

use crate::journal::codec::{Malformed, Reader, Writer};
use crate::{ApiKeyId, Hash, MemberId, Timestamp, WorkerId, bounds};

/// A group of routes that a key may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Open charges, extend them, and report success or a failure of the user.
    Charge,
    /// Report a failure of the system, which refunds a pending charge. Only the platform grants it.
    Settle,
    /// Read everything of the workspace.
    Read,
    /// Change the workspace: members, keys, limits.
    Manage,
}

impl Scope {
    /// All scopes, in the order of the API.
    pub const ALL: [Scope; 4] = [Scope::Charge, Scope::Settle, Scope::Read, Scope::Manage];

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Charge => "charge",
            Scope::Settle => "settle",
            Scope::Read => "read",
            Scope::Manage => "manage",
        }
    }

    /// The bit of the scope in the stored byte.
    const fn bit(self) -> u8 {
        match self {
            Scope::Charge => 1,
            Scope::Read => 2,
            Scope::Manage => 4,
            Scope::Settle => 8,
        }
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

/// The byte with the bits of all scopes.
const ALL_BITS: u8 = Scope::Charge.bit() | Scope::Settle.bit() | Scope::Read.bit() | Scope::Manage.bit();

const _: () =
    assert!(ALL_BITS.count_ones() as usize == Scope::ALL.len(), "each scope must have a bit of its own");

impl Scopes {
    /// True if there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if the scope is one of them.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The scopes, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Scopes {
        let bits = scopes.into_iter().fold(0, |bits, scope| bits | scope.bit());
        assert!(bits & !ALL_BITS == 0, "a set of scopes must have no other bits");
        Scopes(bits)
    }
}

/// An API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The id in entries and limits; not the secret.
    pub id: ApiKeyId,
    /// The display name.
    pub name: Box<str>,
    /// The groups of routes that the key may call.
    pub scopes: Scopes,
    /// If set, the key opens and changes charges of this member only; what else its scopes allow is
    /// not restricted.
    pub member: Option<MemberId>,
    /// If set, the key opens and changes charges of this worker only; what else its scopes allow is
    /// not restricted.
    pub worker: Option<WorkerId>,
    /// The first instant at which the key is no longer valid; `None` if it does not expire.
    pub expires_at: Option<Timestamp>,
    /// The time at which the key was created.
    pub created_at: Timestamp,
    /// The last recorded use; exact to [`bounds::KEY_USE_INTERVAL_SECONDS`].
    pub last_used_at: Option<Timestamp>,
    /// SHA-256 of the secret.
    pub hash: Hash,
}

/// An API key to be created.
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
    /// True until the key expires.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// True if no use was recorded within the last [`bounds::KEY_USE_INTERVAL_SECONDS`], or one by
    /// a clock that was ahead.
    #[must_use]
    pub fn is_use_due(&self, now: Timestamp) -> bool {
        self.last_used_at.is_none_or(|last| {
            now >= last.plus_seconds(bounds::KEY_USE_INTERVAL_SECONDS) || last.is_ahead_of(now)
        })
    }

    /// True if the key may open or change a charge of this member and worker. A tied key may act
    /// only for its own.
    #[must_use]
    pub fn may_act_for(&self, member: Option<&MemberId>, worker: Option<&WorkerId>) -> bool {
        self.member.as_ref().is_none_or(|own| member == Some(own))
            && self.worker.as_ref().is_none_or(|own| worker == Some(own))
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        let ApiKey { id, name, scopes, member, worker, expires_at, created_at, last_used_at, hash } = self;
        assert!(!scopes.is_empty(), "an API key must have a scope");
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
                bits @ 1..=ALL_BITS => Scopes(bits),
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
