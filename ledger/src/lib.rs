//! The rules of prepaid credits, without I/O: what is decided, what it does to an account, and how
//! it is recorded.
//!
//! [`decide`] answers every command that touches credit with a [`Refusal`] or a [`Change`].
//! [`Account::record`] turns a change into journal entries, one after the other.
//! [`Account::replay`] rebuilds the account from the same entries, exactly: there is no second
//! way to change a balance.
//!
//! There is no I/O, no clock, no float and no SHA-256 here, and no result depends on randomness.
//! Times, ids and hashes are arguments, so the same commands give the same bytes on every engine.
//! Nothing here knows HTTP, SQL or JSON.
//!
//! P1 to P16 in comments are the product's rules, i01 to i15 the invariants; `docs/ARCHITECTURE.md`
//! lists both.
//!
//! # Reading order
//! 1. `decide/mod.rs`: the order of a decision. `decide/view.rs`: what it reads and answers.
//!    `decide/charge.rs`: the life of a charge. `decide/refusal.rs`: every refusal, in order.
//! 2. `account/mod.rs`: what an entry does to an account. `account/invariants.rs`: i01 to i15,
//!    checked before every commit.
//! 3. `journal/entry.rs`: the entries. `journal/entry_codec.rs`: their bytes.
//! 4. `team`, `prices`: who acts for a workspace, and what operations cost.
//!
//! A folder imports only the folders below it: `decide`, then `account`, `team`, `prices` and
//! `journal`, then the values (`micros`, `id`, `name`, `text`, `time`, `hash`, `bounds`).
//!
//! # Example
//! Creates a workspace, grants credit and pays for one run of an operation:
//!
//! ```
//! use tollkeeper_ledger::{
//!     Account, Actor, ChargeRequest, Command, Decision, Entry, GrantRequest, Id, Micros, OperationId,
//!     OperationPrice, PeriodWindow, PeriodWindows, Platform, Refusal, Source, Submission, TextsOfMember,
//!     Timestamp, View, WorkspaceChanges, WorkspaceId, decide,
//! };
//!
//! /// Decides a command at `now` and records what was decided.
//! fn run(
//!     account: &mut Account,
//!     platform: &mut Platform,
//!     command: Command,
//!     now: Timestamp,
//! ) -> Result<Vec<Entry>, Refusal> {
//!     let workspace = account.profile.id.clone();
//!     let never = PeriodWindow { start: Timestamp::ZERO, end: Timestamp::ZERO };
//!     let view = View {
//!         account: Some(account),
//!         platform,
//!         entry_under_key: None,
//!         charge: None,
//!         used_by_limit: &[],
//!         texts_of_member: TextsOfMember::Unknown,
//!         paid_cents: 0,
//!         windows: PeriodWindows { day: never, month: never },
//!         fresh_id: Id::v7(now.millis(), 0, account.chain.n),
//!     };
//!     let submission = Submission { workspace, key: None, actor: Actor::Platform, command };
//!     let Decision::Change(change) = decide(&view, submission, now)? else { return Ok(Vec::new()) };
//!     let mut key = change.key;
//!     let mut entries = Vec::new();
//!     for body in std::iter::once(change.first).chain(change.rest) {
//!         let entry = account.record(body, key.take(), Actor::Platform, now);
//!         // An engine writes the canonical bytes here and links their SHA-256.
//!         account.link([entry.n as u8; 32]);
//!         platform.apply(&entry).expect("the next price version");
//!         entries.push(entry);
//!     }
//!     Ok(entries)
//! }
//!
//! let now = Timestamp::from_millis(1_767_225_600_000);
//! let mut platform = Platform::default();
//! let mut prices = Account::new(WorkspaceId::platform());
//! let mut acme = Account::new(WorkspaceId::new("acme").expect("an allowed name"));
//! let message = OperationId::new("message").expect("an allowed name");
//!
//! let price = Micros::new(500).into();
//! let price = OperationPrice { id: message.clone(), price, timeout_seconds: None };
//! let set_prices = Command::SetPrices { operations: vec![price], effective_at: None };
//! run(&mut prices, &mut platform, set_prices, now)?;
//!
//! run(&mut acme, &mut platform, Command::CreateWorkspace(WorkspaceChanges::default()), now)?;
//! let welcome = GrantRequest::new(Source::Promotional, Micros::new(1_200));
//! run(&mut acme, &mut platform, Command::Grant(welcome), now)?;
//!
//! let charge = ChargeRequest::new(message, 2);
//! let entries = run(&mut acme, &mut platform, Command::Charge(charge.clone()), now)?;
//! assert_eq!(entries[0].balance.available, Micros::new(200));
//!
//! let refused = run(&mut acme, &mut platform, Command::Charge(charge), now);
//! assert_eq!(refused.map(|_| ()).map_err(|refusal| refusal.code()), Err("insufficient_credits"));
//! # Ok::<(), Refusal>(())
//! ```

#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::float_arithmetic)]

mod account;
pub mod bounds;
mod decide;
mod hash;
mod id;
mod journal;
mod micros;
mod name;
mod payments;
mod prices;
mod team;
mod text;
mod time;

#[cfg(test)]
mod tests;

pub use account::alert::{Alert, AlertLine, Alerts, Crossing, Threshold};
pub use account::balance::{Balance, Totals};
pub use account::charge::{
    Charge, ChargeDetails, ChargeState, MetersUsed, Outcome, Refund, RefundReason, Settlement, Status,
};
pub use account::claw_back::{ClawBack, ClawBacks};
pub use account::grant::{Draw, Draws, Grant, Grants, Source};
pub use account::invariants;
pub use account::limit::{Limit, Limits, Period, PeriodWindow, PeriodWindows, Subject};
pub use account::notice::{Notices, ReachedLimit, RefusedCharge};
pub use account::profile::Profile;
pub use account::spender::Spender;
pub use account::usage::{HourPart, METER_SEPARATOR, Usage, UsageKey, UsageSums};
pub use account::{Account, ChainEnd};
pub use decide::command::{
    ChargeCommand, ChargeRequest, Command, GrantRequest, OperationPrice, Recount, Submission,
    WorkspaceChanges,
};
pub use decide::decide;
pub use decide::implied::{Implied, implied};
pub use decide::quote::{Quote, QuoteBasis, quote};
pub use decide::refusal::Refusal;
pub use decide::subscriptions::{Preview, preview};
pub use decide::view::{Change, Decision, View};
pub use hash::{Hash, hex};
pub use id::{
    ApiKeyId, ChargeId, GrantId, Id, OperatorSessionId, PaymentRefundId, RecipientId, SessionId,
    SubscriptionId, TopUpId, WebhookEndpointId,
};
pub use journal::codec::Malformed;
pub use journal::disagreement::{Disagreement, Violation};
pub use journal::entry::{Entry, EntryBody, LedgerAccount, Legs, LostPart};
pub use journal::kind::Kind;
pub use micros::{AmountError, MICROS_PER_USD, Micros, Usd};
pub use name::{
    IdempotencyKey, MemberId, MeterId, NameError, OperationId, OperatorId, PlanId, WorkerId, WorkspaceId,
};
pub use payments::at_provider::{AtProvider, ProviderCall, ProviderChange, ProviderCommand};
pub use payments::auto_top_up::{AutoTopUp, AutoTopUpChange, AutoTopUpCommand, AutoTopUpState, StopReason};
pub use payments::card::{Card, CardChange, CardCommand, Customer, Provider};
pub use payments::collected::{Collected, CollectedCommand, Ends, Placement, Terms};
pub use payments::due::Work;
pub use payments::paid::Paid;
pub use payments::payment_refund::{
    GrantLoss, Loss, MoneyBack, PaymentRefund, PaymentRefundChange, PaymentRefundCommand, PaymentRefundStatus,
};
pub use payments::subscription::{Subscription, SubscriptionStatus, Upgrade};
pub use payments::subscription_change::{AtOnce, SubscriptionChange, SubscriptionCommand};
pub use payments::subscription_payment::SubscriptionPayment;
pub use payments::top_up::{TopUp, TopUpBounds, TopUpFailure, TopUpStatus, TopUpWay};
pub use payments::unmatched::UnmatchedPayment;
pub use payments::{PaidPart, PaymentChange, PaymentCommand, Payments};
pub use prices::message::{Kinds, MessageType, MessageTypes};
pub use prices::operator::{OperatorAct, OperatorCommand, OperatorSession, OperatorSessions};
pub use prices::plan::{Interval, Plan, PlanVersion, Plans};
pub use prices::platform::{NotedPayment, Platform};
pub use prices::price::{Meter, MeterQuantities, Price, Quantity, Rate};
pub use prices::price_book::{Operation, PriceBook, PriceVersion};
pub use prices::settings::PlatformSettings;
pub use prices::webhook_endpoint::{EndpointFault, WebhookEndpoint};
pub use team::actor::Actor;
pub use team::api_key::{ApiKey, ApiKeyRequest, Scope, Scopes};
pub use team::mail_topic::{MailFault, MailTopic, MailTopics};
pub use team::member::{Member, MemberChanges, MemberRequest, Role};
pub use team::personal::{PersonalText, Salt, TextsOfMember};
pub use team::portal_session::{LinkRequest, PortalSession};
pub use team::recipient::{
    MailTo, Recipient, RecipientChange, RecipientCommand, RecipientRequest, RecipientSubject,
};
pub use team::{Team, TeamChange, TeamCommand};
pub use time::Timestamp;
