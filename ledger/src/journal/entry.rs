//! Entries: the lines of the journal. An entry says who did what when, moves an amount between two named accounts (i01),
//! carries its number and the hash of the entry before it (i02), and what the balance was afterwards.
//!
//! What an entry does to an account is in `account`, its bytes in `entry_code`.

use super::codec::coded;
use crate::account::charge::{ChargeDetails, ChargeState, Refund, Settlement};
use crate::{
    Actor, Balance, ChargeId, Draw, Grant, GrantId, Hash, IdempotencyKey, Limit, Micros, PriceVersion,
    Profile, TeamChange, Timestamp,
};

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// 1, 2, 3 … in its workspace, without gaps (i02).
    pub n: u64,
    /// When; never before the entry before.
    pub at: Timestamp,
    /// By whom.
    pub actor: Actor,
    /// The key under which the request may be repeated.
    pub key: Option<IdempotencyKey>,
    /// What the workspace had after it.
    pub balance: Balance,
    /// The hash of the entry before; zeros for the first (i02).
    pub previous: Hash,
    /// What happened.
    pub body: EntryBody,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryBody {
    /// A workspace was opened.
    WorkspaceCreated(Box<Profile>),
    /// A workspace is described anew.
    WorkspaceUpdated(Box<Profile>),
    /// Credit came in.
    Granted {
        /// The lot; `n` is this entry's number.
        grant: Grant,
        /// Why, for people.
        reason: Option<Box<str>>,
        /// The payment, or the subscription and its period.
        origin: Option<Box<str>>,
        /// What was paid for it, in cents.
        paid_cents: i64,
    },
    /// What was unspent of a grant was taken back by the platform.
    GrantVoided {
        /// Which.
        grant: GrantId,
        /// What was taken; nothing if it was spent.
        draws: Vec<Draw>,
        /// Why, for people.
        reason: Option<Box<str>>,
    },
    /// A lost payment was taken back, as far as there was credit.
    ClawedBack {
        /// What the payment had brought.
        grant: GrantId,
        /// The provider's name for the dispute.
        dispute: Box<str>,
        /// What was asked back.
        amount: Micros,
        /// What was taken.
        draws: Vec<Draw>,
    },
    /// A new grant repaid debt.
    DebtRepaid {
        /// From the grant, how much.
        draw: Draw,
    },
    /// A dispute was won: what was taken came back.
    ClawBackRestored {
        /// The provider's name for the dispute.
        dispute: Box<str>,
        /// What came back.
        returns: Vec<Draw>,
    },
    /// A charge was deducted.
    ChargeOpened(Box<ChargeDetails>),
    /// A charge was kept.
    ChargeSettled(Settlement),
    /// A charge went back, wholly or partly.
    ChargeRefunded(Box<Refund>),
    /// A pending charge got more time.
    ChargeExtended {
        /// Which.
        charge: ChargeId,
        /// The number of the entry that opened it.
        opened: u64,
        /// What is true of it now.
        state: ChargeState,
    },
    /// The spending limits were replaced.
    LimitsSet(Vec<Limit>),
    /// The low-balance thresholds were replaced.
    AlertsSet {
        /// The lines.
        thresholds: Vec<Micros>,
        /// Seconds of quiet after an alert.
        cooldown_seconds: i64,
    },
    /// The balance fell below a threshold.
    BalanceLow {
        /// The line.
        threshold: Micros,
    },
    /// The price book has a new version.
    PricesSet(PriceVersion),
    /// A platform key was made.
    PlatformKeySet {
        /// Its SHA-256.
        hash: Hash,
    },
    /// The members, API keys or portal sessions changed.
    Team(Box<TeamChange>),
}

/// The kinds of entries by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it; each is a variant of EntryBody")]
pub enum Kind {
    WorkspaceCreated,
    WorkspaceUpdated,
    Granted,
    GrantVoided,
    ClawedBack,
    DebtRepaid,
    ClawBackRestored,
    ChargeOpened,
    ChargeSettled,
    ChargeRefunded,
    ChargeExtended,
    LimitsSet,
    AlertsSet,
    BalanceLow,
    PricesSet,
    PlatformKeySet,
    MemberAdded,
    MemberChanged,
    MemberRemoved,
    ApiKeyCreated,
    ApiKeyRevoked,
    ApiKeyUsed,
    PortalLinkMade,
    PortalSignedIn,
    PortalSignedOut,
    PortalAllSignedOut,
}

coded!(Kind, "an entry's kind", {
    WorkspaceCreated = 1 "workspace.created",
    WorkspaceUpdated = 2 "workspace.updated",
    Granted = 3 "grant.created",
    GrantVoided = 4 "grant.voided",
    ClawedBack = 5 "claw_back.taken",
    DebtRepaid = 6 "claw_back.repaid",
    ClawBackRestored = 7 "claw_back.restored",
    ChargeOpened = 8 "charge.opened",
    ChargeSettled = 9 "charge.settled",
    ChargeRefunded = 10 "charge.refunded",
    ChargeExtended = 11 "charge.extended",
    LimitsSet = 12 "limits.set",
    AlertsSet = 13 "alerts.set",
    BalanceLow = 14 "balance.low",
    PricesSet = 15 "price_book.set",
    PlatformKeySet = 16 "platform_key.set",
    MemberAdded = 17 "member.added",
    MemberChanged = 18 "member.changed",
    MemberRemoved = 19 "member.removed",
    ApiKeyCreated = 20 "api_key.created",
    ApiKeyRevoked = 21 "api_key.revoked",
    ApiKeyUsed = 22 "api_key.used",
    PortalLinkMade = 23 "portal.link_made",
    PortalSignedIn = 24 "portal.signed_in",
    PortalSignedOut = 25 "portal.signed_out",
    PortalAllSignedOut = 26 "portal.all_signed_out",
});

/// The accounts of a workspace between which credit moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LedgerAccount {
    /// Outside: where grants come from.
    Funding,
    /// What can be spent.
    Available,
    /// Deducted, its outcome awaited.
    Pending,
    /// Spent for good.
    Consumed,
    /// Taken back.
    ClawedBack,
}

impl LedgerAccount {
    /// The name as it is spoken outside.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            LedgerAccount::Funding => "funding",
            LedgerAccount::Available => "available",
            LedgerAccount::Pending => "pending",
            LedgerAccount::Consumed => "consumed",
            LedgerAccount::ClawedBack => "clawed_back",
        }
    }
}

/// The two legs of an entry: `amount` leaves one account and enters the other, so they sum to zero (i01).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legs {
    /// What it leaves.
    pub from: LedgerAccount,
    /// What it enters.
    pub to: LedgerAccount,
    /// How much; never below zero.
    pub amount: Micros,
}

fn sum(draws: &[Draw]) -> Micros {
    draws.iter().map(|draw| draw.amount).sum()
}

impl EntryBody {
    /// The kind by name.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            EntryBody::WorkspaceCreated(_) => Kind::WorkspaceCreated,
            EntryBody::WorkspaceUpdated(_) => Kind::WorkspaceUpdated,
            EntryBody::Granted { .. } => Kind::Granted,
            EntryBody::GrantVoided { .. } => Kind::GrantVoided,
            EntryBody::ClawedBack { .. } => Kind::ClawedBack,
            EntryBody::DebtRepaid { .. } => Kind::DebtRepaid,
            EntryBody::ClawBackRestored { .. } => Kind::ClawBackRestored,
            EntryBody::ChargeOpened(_) => Kind::ChargeOpened,
            EntryBody::ChargeSettled(_) => Kind::ChargeSettled,
            EntryBody::ChargeRefunded(_) => Kind::ChargeRefunded,
            EntryBody::ChargeExtended { .. } => Kind::ChargeExtended,
            EntryBody::LimitsSet(_) => Kind::LimitsSet,
            EntryBody::AlertsSet { .. } => Kind::AlertsSet,
            EntryBody::BalanceLow { .. } => Kind::BalanceLow,
            EntryBody::PricesSet(_) => Kind::PricesSet,
            EntryBody::PlatformKeySet { .. } => Kind::PlatformKeySet,
            EntryBody::Team(change) => change.kind(),
        }
    }

    /// What moves between which accounts; `None` for entries that move no credit.
    #[must_use]
    pub fn legs(&self) -> Option<Legs> {
        use LedgerAccount::{Available, ClawedBack, Consumed, Funding, Pending};
        let legs = |from, to, amount| Some(Legs { from, to, amount });
        match self {
            EntryBody::Granted { grant, .. } => legs(Funding, Available, grant.amount),
            EntryBody::GrantVoided { draws, .. } | EntryBody::ClawedBack { draws, .. } => {
                legs(Available, ClawedBack, sum(draws))
            }
            EntryBody::DebtRepaid { draw } => legs(Available, ClawedBack, draw.amount),
            EntryBody::ClawBackRestored { returns, .. } => legs(ClawedBack, Available, sum(returns)),
            EntryBody::ChargeOpened(details) => {
                let to = if details.deadline.is_some() { Pending } else { Consumed };
                legs(Available, to, details.amount)
            }
            EntryBody::ChargeSettled(settlement) => legs(Pending, Consumed, settlement.amount),
            EntryBody::ChargeRefunded(refund) => {
                let from = if refund.from_pending { Pending } else { Consumed };
                legs(from, Available, refund.amount)
            }
            EntryBody::WorkspaceCreated(_)
            | EntryBody::WorkspaceUpdated(_)
            | EntryBody::ChargeExtended { .. }
            | EntryBody::LimitsSet(_)
            | EntryBody::AlertsSet { .. }
            | EntryBody::BalanceLow { .. }
            | EntryBody::PricesSet(_)
            | EntryBody::PlatformKeySet { .. }
            | EntryBody::Team(_) => None,
        }
    }

    /// The charge the entry is about, and the number of the entry that opened it if that is another one.
    #[must_use]
    pub fn charge(&self) -> Option<(ChargeId, Option<u64>)> {
        match self {
            EntryBody::ChargeOpened(details) => Some((details.id, None)),
            EntryBody::ChargeSettled(settlement) => Some((settlement.charge, Some(settlement.opened))),
            EntryBody::ChargeRefunded(refund) => Some((refund.charge, Some(refund.opened))),
            EntryBody::ChargeExtended { charge, opened, .. } => Some((*charge, Some(*opened))),
            _ => None,
        }
    }

    /// What is true of its charge after the entry, if it is about one.
    #[must_use]
    pub fn state(&self) -> Option<ChargeState> {
        match self {
            EntryBody::ChargeOpened(details) => Some(details.state()),
            EntryBody::ChargeSettled(settlement) => Some(settlement.state),
            EntryBody::ChargeRefunded(refund) => Some(refund.state),
            EntryBody::ChargeExtended { state, .. } => Some(*state),
            _ => None,
        }
    }

    /// The numbers of the grants that the entry takes from or gives to: they must be in memory when it is applied.
    pub fn draws(&self) -> &[Draw] {
        match self {
            EntryBody::GrantVoided { draws, .. } | EntryBody::ClawedBack { draws, .. } => draws,
            EntryBody::DebtRepaid { draw } => std::slice::from_ref(draw),
            EntryBody::ClawBackRestored { returns, .. } => returns,
            EntryBody::ChargeOpened(details) => &details.draws,
            EntryBody::ChargeRefunded(refund) => &refund.returns,
            _ => &[],
        }
    }
}
