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
mod account_code;
mod actor;
mod alert;
mod api_key;
pub mod bounds;
mod charge;
mod claw_back;
mod code;
mod command;
mod decide;
mod entry;
mod entry_code;
mod grant;
mod id;
pub mod invariants;
mod limit;
mod member;
mod micros;
mod name;
mod platform;
mod portal;
mod price_book;
mod quote;
mod refusal;
mod replay;
mod team;
mod text;
mod time;
mod usage;

#[cfg(test)]
mod tests;

pub use account::{Account, Balance, Chain, Disagreement, Profile, Totals};
pub use actor::Actor;
pub use alert::{Alerts, Threshold};
pub use api_key::{ApiKey, ApiKeyRequest, Scope, Scopes};
pub use charge::{Charge, ChargeDetails, ChargeState, Outcome, Refund, RefundReason, Settlement, Status};
pub use claw_back::{ClawBack, ClawBacks};
pub use code::Malformed;
pub use command::{
    ChargeRequest, Command, GrantRequest, OperationPrice, Recount, Submission, WorkspaceChanges,
};
pub use decide::{Change, Decision, View, decide};
pub use entry::{Entry, EntryBody, Kind, LedgerAccount, Legs};
pub use grant::{Draw, Draws, Grant, Grants, Source};
pub use id::{ApiKeyId, ChargeId, GrantId, Id, SessionId};
pub use limit::{Limit, Limits, Period, PeriodWindows, Subject};
pub use member::{Member, MemberChanges, MemberRequest, Role};
pub use micros::{AmountError, MICROS_PER_USD, Micros, Usd};
pub use name::{IdempotencyKey, MemberId, NameError, OperationId, WorkerId, WorkspaceId};
pub use platform::Platform;
pub use portal::{LinkRequest, PortalSession};
pub use price_book::{Operation, PriceBook, PriceVersion};
pub use quote::{Quote, quote};
pub use refusal::Refusal;
pub use team::{Team, TeamChange, TeamCommand};
pub use time::Timestamp;
pub use usage::{Usage, UsageKey, Used};

/// A link of the hash chain: the SHA-256 of an entry's canonical bytes, made by the caller.
pub type Hash = [u8; 32];
