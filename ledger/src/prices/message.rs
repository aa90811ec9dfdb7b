//! The types of messages to webhook endpoints, and the entry that each one is about.
//!
//! One entry makes at most one message. Most types have the name of the entry's kind. A charge that
//! is born settled is `charge.settled`, one that is born pending `charge.opened`, so that both are
//! settled in the same way for a receiver.
//!
//! Guarantees: a type has one name and one code for ever, because journals keep the codes. The
//! content of a message is not here.

use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::{Entry, EntryBody, Kind, Micros};

/// A set of kinds of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u128);

impl Kinds {
    /// True if no kind is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if the kind with this code, the second byte of an entry, is in the set.
    #[must_use]
    pub const fn contains_code(self, code: u8) -> bool {
        code < 128 && self.0 & (1 << code) != 0
    }

    /// True if the kind is in the set.
    #[must_use]
    pub const fn contains(self, kind: Kind) -> bool {
        self.contains_code(kind.code())
    }

    /// All kinds that are in one of two sets.
    #[must_use]
    pub const fn union(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    /// The set of these kinds.
    #[must_use]
    pub const fn of(kinds: &[Kind]) -> Kinds {
        let (mut set, mut index) = (0, 0);
        while index < kinds.len() {
            let code = kinds[index].code();
            assert!(code < 128, "a kind that makes messages must fit the set");
            set |= 1 << code;
            index += 1;
        }
        Kinds(set)
    }
}

macro_rules! message_types {
    ($($variant:ident = $code:literal $name:literal of [$($kind:ident),+]),+ $(,)?) => {
        /// The type of a message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each is named in the API, and described in docs/WEBHOOKS.md")]
        pub enum MessageType {
            $($variant),+
        }

        coded!(MessageType, "a type of messages", { $($variant = $code $name),+ });

        impl MessageType {
            /// All types, by their codes.
            pub const ALL: &'static [MessageType] = &[$(MessageType::$variant),+];

            /// The kinds of entries that a message of this type is about.
            #[must_use]
            pub fn kinds(self) -> Kinds {
                match self { $(MessageType::$variant => Kinds::of(&[$(Kind::$kind),+])),+ }
            }
        }
    };
}

message_types! {
    WorkspaceCreated = 1 "workspace.created" of [WorkspaceCreated],
    WorkspaceUpdated = 2 "workspace.updated" of [WorkspaceUpdated],
    GrantCreated = 3 "grant.created" of [Granted],
    GrantVoided = 4 "grant.voided" of [GrantVoided],
    ChargeOpened = 5 "charge.opened" of [ChargeOpened],
    ChargeSettled = 6 "charge.settled" of [ChargeOpened, ChargeSettled],
    ChargeRefunded = 7 "charge.refunded" of [ChargeRefunded],
    BalanceLow = 8 "balance.low" of [BalanceLow],
    DebtOpened = 9 "debt.opened" of [ClawBackIncreased],
    DebtCleared = 10 "debt.cleared" of [DebtRepaid, ClawBackReduced],
    TopUpSucceeded = 11 "top_up.succeeded" of [TopUpSucceeded],
    TopUpFailed = 12 "top_up.failed" of [TopUpFailed],
    TopUpExpired = 13 "top_up.expired" of [TopUpExpired],
    AutoTopUpPaused = 14 "auto_top_up.paused" of [AutoTopUpPaused],
    AutoTopUpStopped = 15 "auto_top_up.stopped" of [AutoTopUpStopped],
    SubscriptionStarted = 16 "subscription.started" of [SubscriptionStarted],
    SubscriptionRenewed = 17 "subscription.renewed" of [SubscriptionRenewed],
    SubscriptionChanged = 18 "subscription.changed" of [SubscriptionChanged],
    SubscriptionPastDue = 19 "subscription.past_due" of [SubscriptionPastDue],
    SubscriptionEnded = 20 "subscription.ended" of [SubscriptionEnded],
    MemberAdded = 21 "member.added" of [MemberAdded],
    MemberChanged = 22 "member.changed" of [MemberChanged],
    MemberRemoved = 23 "member.removed" of [MemberRemoved],
    MemberErased = 24 "member.erased" of [MemberErased],
    ApiKeyCreated = 25 "api_key.created" of [ApiKeyCreated],
    ApiKeyRevoked = 26 "api_key.revoked" of [ApiKeyRevoked],
    PriceBookPublished = 27 "price_book.published" of [PricesSet],
    EndpointDisabled = 28 "endpoint.disabled" of [WebhookEndpointSet],
    LedgerRestored = 29 "ledger.restored" of [LedgerRestored],
    BalanceRecovered = 30 "balance.recovered" of [BalanceRecovered],
    BalanceRefused = 31 "balance.refused" of [BalanceRefused],
    LimitReached = 32 "limit.reached" of [LimitReached],
}

impl MessageType {
    /// The type with this name in the API.
    #[must_use]
    pub fn from_name(name: &str) -> Option<MessageType> {
        MessageType::ALL.iter().copied().find(|message| message.as_str() == name)
    }

    /// The type of the message about an entry; `None` if there is no message about it.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<MessageType> {
        let debt = entry.balance.debt;
        let by_content = match &entry.body {
            EntryBody::ChargeOpened(details) if details.deadline.is_none() => {
                Some(MessageType::ChargeSettled)
            }
            EntryBody::ChargeOpened(_) => Some(MessageType::ChargeOpened),
            EntryBody::ClawBackIncreased { owed, .. } => {
                (*owed > Micros::ZERO && debt == *owed).then_some(MessageType::DebtOpened)
            }
            EntryBody::ClawBackReduced { forgiven, .. } => {
                (*forgiven > Micros::ZERO && debt == Micros::ZERO).then_some(MessageType::DebtCleared)
            }
            EntryBody::DebtRepaid { .. } => (debt == Micros::ZERO).then_some(MessageType::DebtCleared),
            EntryBody::WebhookEndpointSet(endpoint) => {
                endpoint.fault.is_some().then_some(MessageType::EndpointDisabled)
            }
            // Every other type is the only one about its kinds.
            body => MessageType::ALL.iter().copied().find(|message| message.kinds().contains(body.kind())),
        };
        assert!(
            by_content.is_none_or(|message| message.kinds().contains(entry.body.kind())),
            "a message must be about an entry of its kinds"
        );
        by_content
    }
}

/// A set of types of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageTypes {
    /// All types, also those of later versions.
    All,
    /// These types, sorted, each once.
    These(Vec<MessageType>),
}

impl MessageTypes {
    /// True if messages of this type are in the set.
    #[must_use]
    pub fn contains(&self, message: MessageType) -> bool {
        match self {
            MessageTypes::All => true,
            MessageTypes::These(types) => types.contains(&message),
        }
    }

    /// The kinds of entries that messages of these types are about.
    #[must_use]
    pub fn kinds(&self) -> Kinds {
        let types = match self {
            MessageTypes::All => MessageType::ALL,
            MessageTypes::These(types) => types,
        };
        types.iter().fold(Kinds::default(), |kinds, message| kinds.union(message.kinds()))
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            MessageTypes::All => w.unsigned(0),
            MessageTypes::These(types) => {
                assert!(!types.is_empty(), "a list of types must name one");
                w.list(types, |w, message| w.byte(message.code()));
            }
        }
    }

    pub(crate) fn read(r: &mut Reader) -> Result<MessageTypes, Malformed> {
        let types =
            r.list("the types of messages", |r| MessageType::from_code(r.byte("a type of messages")?))?;
        if types.is_empty() {
            return Ok(MessageTypes::All);
        }
        if !types.is_sorted_by(|a, b| a < b) {
            return Err(Malformed("the types of messages"));
        }
        Ok(MessageTypes::These(types))
    }
}
