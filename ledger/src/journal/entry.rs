//! The lines of the journal: [`Entry`] and [`EntryBody`].
//!
//! An entry says who did what and when, moves an amount between two named accounts (i01), and
//! carries its number and the hash of the entry before (i02) and the balance after it. An entry
//! never changes. What an entry does to an account is in `account`, its bytes are in `entry_codec`.

use super::kind::Kind;
use crate::{
    Actor, Alert, AlertLine, Balance, ChargeDetails, ChargeId, ChargeState, Draw, Grant, GrantId, Hash,
    IdempotencyKey, Limit, Micros, OperatorSession, OperatorSessionId, PaymentChange, Payments, PlanVersion,
    PlatformSettings, PriceVersion, Profile, Refund, Settlement, TeamChange, Timestamp, UnmatchedPayment,
    WebhookEndpoint, WebhookEndpointId,
};

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number of the entry in its workspace: 1, 2, 3 … without gaps (i02).
    pub n: u64,
    /// The time of the entry; never earlier than that of the entry before.
    pub at: Timestamp,
    /// The time by which it was decided ([`Account::present`](crate::Account::present)). It is
    /// `at`, unless an earlier entry was made while a clock was ahead: then it is earlier.
    pub decided_at: Timestamp,
    /// The caller whose command wrote the entry.
    pub actor: Actor,
    /// The idempotency key of the command; only its first entry has one (i07).
    pub key: Option<IdempotencyKey>,
    /// The balance of the workspace after the entry.
    pub balance: Balance,
    /// The hash of the entry before; zeros in the first entry (i02).
    pub previous: Hash,
    /// What happened.
    pub body: EntryBody,
}

impl Entry {
    /// The balance after the whole change that this entry begins or answers for: less the debt that
    /// its credit repays, less what went back to voided grants, and less the credit of a payment
    /// refund. The entries that follow in the
    /// change say so; a replay of the first answer needs only this one.
    #[must_use]
    pub fn balance_after_change(&self) -> Balance {
        let Balance { available, pending, debt } = self.balance;
        let (taken, repays) = match &self.body {
            EntryBody::Granted { .. } => (Micros::ZERO, true),
            EntryBody::Payment(change) => (change.taken_at_once(), false),
            EntryBody::ChargeRefunded(refund) => (refund.taken, true),
            _ => (Micros::ZERO, false),
        };
        let available = available - taken;
        let repaid = if repays { available.min(debt) } else { Micros::ZERO };
        assert!(available >= Micros::ZERO && repaid >= Micros::ZERO, "i04: an answer must not be negative");
        Balance { available: available - repaid, pending, debt: debt - repaid }
    }
}

/// What an entry says has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryBody {
    /// A workspace was created.
    WorkspaceCreated(Box<Profile>),
    /// The profile of a workspace was changed; carries it whole.
    WorkspaceUpdated(Box<Profile>),
    /// Credit was granted.
    Granted {
        /// The grant, unspent; its `n` is the number of this entry.
        grant: Grant,
        /// The reason, for people.
        reason: Option<Box<str>>,
        /// The payment, or the subscription and its period (i11, i12).
        origin: Option<Box<str>>,
        /// What was paid for it, in cents.
        paid_cents: i64,
    },
    /// The platform took back what was unspent of a grant.
    GrantVoided {
        /// The grant.
        grant: GrantId,
        /// What was taken: one draw, of zero if the grant was spent.
        draws: Vec<Draw>,
        /// The reason, for people.
        reason: Option<Box<str>>,
    },
    /// A lost payment was taken back, as far as credit was available; the rest is owed. Only
    /// journals of earlier versions have it.
    ClawedBack {
        /// The grant that was paid for.
        grant: GrantId,
        /// The name of the dispute at the payment provider.
        dispute: Box<str>,
        /// The lost part of the grant.
        amount: Micros,
        /// What was taken, at most `amount`.
        draws: Vec<Draw>,
    },
    /// A new grant, or credit that went back to a grant, repaid debt.
    DebtRepaid {
        /// The amount, drawn from that grant.
        draw: Draw,
    },
    /// Credit that went back to voided grants was taken at once.
    ReturnTaken {
        /// What was taken, by grant.
        draws: Vec<Draw>,
    },
    /// Credit that went back to a disputed grant was taken, and as much was given back that had
    /// been taken from other grants.
    ClawBackExchanged {
        /// The name of the dispute at the payment provider.
        dispute: Box<str>,
        /// What was taken from the disputed grant.
        draw: Draw,
        /// What was given back, by grant; sums to the draw.
        returns: Vec<Draw>,
    },
    /// More was lost of a payment than before: credit was taken as far as it was available; the
    /// rest is owed.
    ClawBackIncreased {
        /// What is lost now.
        lost: LostPart,
        /// What is owed in addition.
        owed: Micros,
        /// What was taken in addition.
        draws: Vec<Draw>,
    },
    /// Less was lost of a payment than before: what is owed was forgiven, then credit was given
    /// back.
    ClawBackReduced {
        /// What is lost now.
        lost: LostPart,
        /// What is not owed any more.
        forgiven: Micros,
        /// What was given back, by grant: what was taken last comes first.
        returns: Vec<Draw>,
    },
    /// A dispute was won: what it took was given back, and what it was owed was forgiven. Only
    /// journals of earlier versions have it.
    ClawBackRestored {
        /// The name of the dispute at the payment provider.
        dispute: Box<str>,
        /// What was given back, by grant.
        returns: Vec<Draw>,
    },
    /// A charge was deducted.
    ChargeOpened(Box<ChargeDetails>),
    /// A charge was settled, or an outcome of a settled charge was reported.
    ChargeSettled(Settlement),
    /// A charge was refunded, wholly or partly.
    ChargeRefunded(Box<Refund>),
    /// The deadline of a pending charge was moved.
    ChargeExtended {
        /// The charge.
        charge: ChargeId,
        /// The number of the entry that opened the charge.
        opening_entry: u64,
        /// The state of the charge after the entry.
        state: ChargeState,
    },
    /// The spending limits were replaced.
    LimitsSet(Vec<Limit>),
    /// The low-balance thresholds were replaced.
    AlertsSet {
        /// The lines below which an alert fires, ascending.
        thresholds: Vec<AlertLine>,
        /// Seconds after an alert in which its threshold does not fire again.
        cooldown_seconds: i64,
    },
    /// Something that the admins are to know: a low balance, or a refusal (i09).
    Alert(Alert),
    /// The price book has a new version.
    PricesSet(PriceVersion),
    /// The plans have a new version.
    PlansSet(PlanVersion),
    /// A platform key was created.
    PlatformKeySet {
        /// SHA-256 of the key.
        hash: Hash,
    },
    /// The settings of the platform were changed; carries all of them.
    SettingsChanged(PlatformSettings),
    /// A webhook endpoint was created or changed; carries it whole.
    WebhookEndpointSet(Box<WebhookEndpoint>),
    /// A webhook endpoint was removed.
    WebhookEndpointRemoved(WebhookEndpointId),
    /// An operator signed in to the console.
    OperatorSignedIn(Box<OperatorSession>),
    /// A session of an operator was ended; all of them if none is named.
    OperatorSignedOut(Option<OperatorSessionId>),
    /// The ledger is a restored copy; the one that was copied may have gone on.
    LedgerRestored {
        /// The number of the epoch that begins.
        epoch: u64,
    },
    /// Members, API keys or portal sessions changed.
    Team(Box<TeamChange>),
    /// A payment was asked for, came in or went back.
    Payment(Box<PaymentChange>),
    /// Money came in that fits nothing.
    PaymentUnmatched(Box<UnmatchedPayment>),
}

/// What is lost of the payment for a grant: by refunds to the payer, and by disputes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostPart {
    /// The grant that was paid for.
    pub grant: GrantId,
    /// What is lost, 0 to `paid_cents`.
    pub lost_cents: i64,
    /// What was paid for the grant.
    pub paid_cents: i64,
    /// The part of the grant's credit that is lost: its amount × lost ÷ paid, rounded down.
    pub credit: Micros,
    /// What shows the loss, such as the refunds and disputes at the payment provider.
    pub evidence: Box<str>,
}

/// The accounts of a workspace between which credit moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LedgerAccount {
    /// Where grants come from, outside the balance.
    Funding,
    /// What can be spent.
    Available,
    /// What was deducted for pending charges.
    Pending,
    /// What was deducted for settled charges, outside the balance.
    Consumed,
    /// What was taken back from grants, outside the balance: by claw-backs, as repaid debt, and
    /// when a grant was voided.
    ClawedBack,
}

impl LedgerAccount {
    /// The name in the API.
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

/// The two legs of an entry: `amount` leaves one account and enters the other, so that they sum to
/// zero (i01).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legs {
    /// The account that the amount leaves.
    pub from: LedgerAccount,
    /// The account that the amount enters.
    pub to: LedgerAccount,
    /// The amount, never below zero.
    pub amount: Micros,
}

/// The sum of some draws.
pub(crate) fn sum(draws: &[Draw]) -> Micros {
    draws.iter().map(|draw| draw.amount).sum()
}

impl EntryBody {
    /// The kind of the entry.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            EntryBody::WorkspaceCreated(_) => Kind::WorkspaceCreated,
            EntryBody::WorkspaceUpdated(_) => Kind::WorkspaceUpdated,
            EntryBody::Granted { .. } => Kind::Granted,
            EntryBody::GrantVoided { .. } => Kind::GrantVoided,
            EntryBody::ClawedBack { .. } => Kind::ClawedBack,
            EntryBody::DebtRepaid { .. } => Kind::DebtRepaid,
            EntryBody::ReturnTaken { .. } => Kind::ReturnTaken,
            EntryBody::ClawBackExchanged { .. } => Kind::ClawBackExchanged,
            EntryBody::ClawBackIncreased { .. } => Kind::ClawBackIncreased,
            EntryBody::ClawBackReduced { .. } => Kind::ClawBackReduced,
            EntryBody::ClawBackRestored { .. } => Kind::ClawBackRestored,
            EntryBody::ChargeOpened(_) => Kind::ChargeOpened,
            EntryBody::ChargeSettled(_) => Kind::ChargeSettled,
            EntryBody::ChargeRefunded(_) => Kind::ChargeRefunded,
            EntryBody::ChargeExtended { .. } => Kind::ChargeExtended,
            EntryBody::LimitsSet(_) => Kind::LimitsSet,
            EntryBody::AlertsSet { .. } => Kind::AlertsSet,
            EntryBody::Alert(alert) => alert.kind(),
            EntryBody::PricesSet(_) => Kind::PricesSet,
            EntryBody::PlansSet(_) => Kind::PlansSet,
            EntryBody::PlatformKeySet { .. } => Kind::PlatformKeySet,
            EntryBody::SettingsChanged(_) => Kind::SettingsChanged,
            EntryBody::LedgerRestored { .. } => Kind::LedgerRestored,
            EntryBody::WebhookEndpointSet(_) => Kind::WebhookEndpointSet,
            EntryBody::WebhookEndpointRemoved(_) => Kind::WebhookEndpointRemoved,
            EntryBody::OperatorSignedIn(_) => Kind::OperatorSignedIn,
            EntryBody::OperatorSignedOut(_) => Kind::OperatorSignedOut,
            EntryBody::Team(change) => change.kind(),
            EntryBody::Payment(change) => change.kind(),
            EntryBody::PaymentUnmatched(_) => Kind::PaymentUnmatched,
        }
    }

    /// What moves between which accounts; `None` for an entry that moves no credit.
    #[must_use]
    pub fn legs(&self) -> Option<Legs> {
        use LedgerAccount::{Available, ClawedBack, Consumed, Funding, Pending};
        let legs = |from, to, amount| Some(Legs { from, to, amount });
        match self {
            EntryBody::Granted { grant, .. } => legs(Funding, Available, grant.amount),
            EntryBody::GrantVoided { draws, .. }
            | EntryBody::ClawedBack { draws, .. }
            | EntryBody::ClawBackIncreased { draws, .. }
            | EntryBody::ReturnTaken { draws } => legs(Available, ClawedBack, sum(draws)),
            EntryBody::DebtRepaid { draw } => legs(Available, ClawedBack, draw.amount),
            EntryBody::ClawBackRestored { returns, .. } | EntryBody::ClawBackReduced { returns, .. } => {
                legs(ClawedBack, Available, sum(returns))
            }
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
            | EntryBody::ClawBackExchanged { .. }
            | EntryBody::LimitsSet(_)
            | EntryBody::AlertsSet { .. }
            | EntryBody::Alert(_)
            | EntryBody::PricesSet(_)
            | EntryBody::PlansSet(_)
            | EntryBody::PlatformKeySet { .. }
            | EntryBody::SettingsChanged(_)
            | EntryBody::LedgerRestored { .. }
            | EntryBody::WebhookEndpointSet(_)
            | EntryBody::WebhookEndpointRemoved(_)
            | EntryBody::OperatorSignedIn(_)
            | EntryBody::OperatorSignedOut(_)
            | EntryBody::Team(_)
            | EntryBody::Payment(_)
            | EntryBody::PaymentUnmatched(_) => None,
        }
    }

    /// The charge that the entry is about, and the number of the entry that opened it if that is
    /// another entry.
    #[must_use]
    pub fn charge(&self) -> Option<(ChargeId, Option<u64>)> {
        match self {
            EntryBody::ChargeOpened(details) => Some((details.id, None)),
            EntryBody::ChargeSettled(settlement) => Some((settlement.charge, Some(settlement.opening_entry))),
            EntryBody::ChargeRefunded(refund) => Some((refund.charge, Some(refund.opening_entry))),
            EntryBody::ChargeExtended { charge, opening_entry, .. } => Some((*charge, Some(*opening_entry))),
            _ => None,
        }
    }

    /// The state of the charge after the entry, if it is about a charge.
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

    /// What the entry takes from grants or returns to them. The grants must be in memory when it is
    /// applied.
    pub fn draws(&self) -> impl Iterator<Item = &Draw> {
        let (draws, returns): (&[Draw], &[Draw]) = match self {
            EntryBody::GrantVoided { draws, .. }
            | EntryBody::ClawedBack { draws, .. }
            | EntryBody::ClawBackIncreased { draws, .. }
            | EntryBody::ReturnTaken { draws } => (draws, &[]),
            EntryBody::DebtRepaid { draw } => (std::slice::from_ref(draw), &[]),
            EntryBody::ClawBackExchanged { draw, returns, .. } => (std::slice::from_ref(draw), returns),
            EntryBody::ClawBackRestored { returns, .. } | EntryBody::ClawBackReduced { returns, .. } => {
                (&[], returns)
            }
            EntryBody::ChargeOpened(details) => (&details.draws, &[]),
            EntryBody::ChargeRefunded(refund) => (&[], &refund.returns),
            _ => (&[], &[]),
        };
        draws.iter().chain(returns)
    }

    /// The grant of which the entry says how much of its payment is lost.
    #[must_use]
    pub fn lost_grant(&self) -> Option<GrantId> {
        match self {
            EntryBody::ClawBackIncreased { lost, .. } | EntryBody::ClawBackReduced { lost, .. } => {
                Some(lost.grant)
            }
            EntryBody::ClawedBack { grant, .. } => Some(*grant),
            _ => None,
        }
    }

    /// The same body with what a decision takes from its request alone: the tax on a payment, as
    /// `stored` has it.
    #[must_use]
    pub fn with_words_of(mut self, stored: &EntryBody) -> EntryBody {
        if let (EntryBody::Payment(change), EntryBody::Payment(stored)) = (&mut self, stored) {
            match (&mut **change, &**stored) {
                (
                    PaymentChange::TopUpSucceeded { tax_cents, .. },
                    PaymentChange::TopUpSucceeded { tax_cents: paid, .. },
                ) => *tax_cents = *paid,
                (PaymentChange::Subscription(change), PaymentChange::Subscription(stored)) => {
                    change.take_tax_of(stored);
                }
                _ => {}
            }
        }
        self
    }

    /// True for an entry that begins no change any more; journals of earlier versions have it. What
    /// is lost of a grant whose payment the workspace keeps is reported for the payment.
    /// `payments`: those before the entry.
    #[must_use]
    pub fn is_retired(&self, payments: Option<&Payments>) -> bool {
        match self {
            EntryBody::ClawedBack { .. } | EntryBody::ClawBackRestored { .. } => true,
            EntryBody::ClawBackIncreased { lost, .. } | EntryBody::ClawBackReduced { lost, .. } => {
                payments.is_some_and(|payments| payments.payments_of(lost.grant).next().is_some())
            }
            _ => false,
        }
    }

    /// True for a kind that only ever follows another entry of its change. Every other kind may be
    /// the first of a change.
    #[must_use]
    pub const fn only_follows(&self) -> bool {
        let follows = match self {
            EntryBody::Payment(change) => {
                change.grant().is_some() || matches!(change.kind(), Kind::AutoTopUpPaused)
            }
            _ => false,
        };
        follows
            || matches!(
                self,
                EntryBody::DebtRepaid { .. }
                    | EntryBody::ReturnTaken { .. }
                    | EntryBody::ClawBackExchanged { .. }
            )
    }
}
