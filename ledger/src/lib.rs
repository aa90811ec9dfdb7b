//! What is true: the rules of prepaid credits, pure.
//!
//! `decide(view, command, now)` answers every request that touches credit: either a [`Refusal`] or a [`Change`],
//! which [`Account::record`] turns into journal entries, one after the other. The same entries, replayed by
//! [`Account::replay`], rebuild the account bit by bit: there is no second way to change a balance.
//!
//! No I/O, no async, no clock, no randomness, no hash function of its own, no floats: time, ids and the digest of the
//! hash chain are arguments. Nothing here knows HTTP, SQL or JSON.
//!
//! Read in this order: [`decide`] (who may do what, in which order it is refused), `charge` (the life of a charge),
//! `account` (what an entry does to the pool), `invariants` (i01–i12, asserted before every commit). Who may ask is in
//! `actor`, who belongs to a workspace in `team`.

mod account;
pub mod bounds;
mod decide;
mod id;
mod journal;
mod micros;
mod name;
mod prices;
mod team;
mod text;
mod time;

#[cfg(test)]
mod tests;

pub use account::alert::{Alerts, Threshold};
pub use account::charge::{
    Charge, ChargeDetails, ChargeState, Outcome, Refund, RefundReason, Settlement, Status,
};
pub use account::claw_back::{ClawBack, ClawBacks};
pub use account::grant::{Draw, Draws, Grant, Grants, Source};
pub use account::invariants;
pub use account::limit::{Limit, Limits, Period, PeriodWindow, PeriodWindows, Subject};
pub use account::spender::Spender;
pub use account::usage::{Usage, UsageKey, Used};
pub use account::{Account, Balance, Chain, Disagreement, Profile, Totals};
pub use decide::authority::Actor;
pub use decide::command::{
    ChargeCommand, ChargeRequest, Command, GrantRequest, OperationPrice, Recount, Submission,
    WorkspaceChanges,
};
pub use decide::quote::{Quote, quote};
pub use decide::refusal::Refusal;
pub use decide::{Change, Decision, View, decide};
pub use id::{ApiKeyId, ChargeId, GrantId, Id, SessionId};
pub use journal::codec::Malformed;
pub use journal::entry::{Entry, EntryBody, Kind, LedgerAccount, Legs};
pub use micros::{AmountError, MICROS_PER_USD, Micros, Usd};
pub use name::{IdempotencyKey, MemberId, NameError, OperationId, WorkerId, WorkspaceId};
pub use prices::platform::Platform;
pub use prices::price_book::{Operation, PriceBook, PriceVersion};
pub use team::api_key::{ApiKey, ApiKeyRequest, Scope, Scopes};
pub use team::member::{Member, MemberChanges, MemberRequest, Role};
pub use team::portal_session::{LinkRequest, PortalSession};
pub use team::{Team, TeamChange, TeamCommand};
pub use time::Timestamp;

/// A link of the hash chain: the SHA-256 of an entry's canonical bytes, made by the caller.
pub type Hash = [u8; 32];
