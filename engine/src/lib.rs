//! The engines of Tollkeeper: they run the commands of [`tollkeeper_ledger`] durably and answer
//! queries.
//!
//! The ledger decides; an engine loads what a decision needs, records the entries that follow from
//! it, and brings them to disk before it answers. [`Embedded`] does so in a data directory of its
//! own, with SQLite as the file format. [`Postgres`] does so in a database that many servers share.
//! Both keep one contract, [`Engine`] with [`Reads`].
//!
//! Nothing here decides credit, and nothing here knows HTTP. No engine reads a clock to decide:
//! `now` is an argument.
//!
//! # Example
//!
//! ```
//! use tollkeeper_engine::{Embedded, Engine, Options, Output, Reads};
//! use tollkeeper_ledger::{
//!     Actor, ChargeRequest, Command, GrantRequest, Micros, OperationId, OperationPrice, Source,
//!     Submission, Timestamp, WorkspaceId,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! let engine = Embedded::open(directory.path(), Options::default())?;
//!
//! let now = Timestamp::from_millis(1_767_225_600_000);
//! let acme = WorkspaceId::new("acme")?;
//! let message = OperationId::new("message")?;
//! let run = async |workspace: &WorkspaceId, command: Command| {
//!     let (workspace, actor) = (workspace.clone(), Actor::Platform);
//!     engine.run(Submission { workspace, key: None, actor, command }, now).await
//! };
//!
//! let price = Micros::new(500).into();
//! let price = OperationPrice { id: message.clone(), price, timeout_seconds: None };
//! let prices = Command::SetPrices { operations: vec![price], effective_at: None };
//! run(&WorkspaceId::platform(), prices).await?.expect("the price list is valid");
//! run(&acme, Command::CreateWorkspace(Default::default())).await?.expect("the workspace is new");
//! let grant = GrantRequest::new(Source::Promotional, Micros::new(2_000));
//! run(&acme, Command::Grant(grant)).await?.expect("the workspace exists");
//!
//! let charge = ChargeRequest {
//!     operation: message,
//!     quantity: 3.into(),
//!     worker: None,
//!     member: None,
//!     await_outcome: false,
//!     outcome_by_platform: false,
//!     timeout_seconds: None,
//!     reference: None,
//!     metadata: None,
//! };
//! let answer = run(&acme, Command::Charge(charge)).await?.expect("there is enough credit");
//! let Output::Charge(charge, balance) = answer.output else { panic!("a charge is answered") };
//! assert_eq!((charge.details.amount, balance.available), (Micros::new(1_500), Micros::new(500)));
//!
//! // The balance is on disk, and so is the journal that explains it.
//! let current = engine.balance(&acme, None).await?.expect("the workspace exists");
//! assert_eq!(current.balance, balance);
//! engine.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Reading order
//!
//! ```text
//! contract       Engine, and the shapes of its answers
//! query          Query, Reads: what can be asked
//! follow         the entries of a workspace behind a number
//! watch          who waits for new entries, and how a commit wakes them
//! embedded       the default engine; its head has a diagram of threads and files
//! postgres       the engine for many servers on one database
//! request_queue  the queue in front of the embedded engine's thread
//! reply          how results reach the callers that wait, in both engines
//! delivery       what subscribers are sent of the journal, and what failed
//! answer         the answer that an entry stands for
//! transfer       a whole ledger as a stream, from any engine to any engine
//! audit          the report of an audit, and what all engines recompute alike
//! report         what was sold, used and is owed in a month, from the entries alone
//! restored       the next epoch, which begins with a restored copy
//! calendar       where a day and a month begin in a time zone
//! clock          which clock an engine trusts
//! rollups        rows of hourly usage
//! usage_report   usage added up by operation, worker, member, API key and local time
//! hash           SHA-256
//! personal       texts about a person, which are stored beside the journal
//! error          why an engine could not run a command or answer a query
//! vital_thread   threads whose end is the end of the process
//! workspace_search  the conditions of a list of workspaces, and what they are found by
//! ```

mod answer;
mod audit;
mod calendar;
mod clock;
mod closed_days;
mod contract;
mod delivery;
pub mod embedded;
mod error;
mod follow;
mod hash;
mod personal;
pub mod postgres;
mod query;
mod reply;
pub mod report;
mod request_queue;
mod restored;
mod rollups;
pub mod transfer;
mod usage_report;
mod vital_thread;
mod watch;
mod workspace_search;

pub use audit::{AuditDisagreement, AuditOptions, AuditReport, DisagreementKind, RuleFindings};
pub use calendar::{hour_part, is_known_timezone, period_windows};
pub use clock::TrustedClock;
pub use contract::{
    Answer, BalanceAt, BoxFuture, ChargeFilter, ChargeRecord, ClosedDays, CommandResult, DuePlace, Engine,
    EngineStats, EntryRecord, GrantRecord, JournalHead, Listing, Output, Page, Ran, RefundRecord,
};
pub use delivery::{
    ATTEMPTS_KEPT, Deliveries, DeliveryAttempt, DeliveryException, DeliveryNotes, DeliveryPortion,
    EXCEPTIONS_MAX, FollowedEntry, JournalPlace, SubscriberState, delivery_outcome, subscriber::Subscriber,
};
pub use embedded::{Embedded, Options};
pub use error::{Error, panic_message};
pub use follow::{Follow, Followed};
pub use hash::digest;
pub use personal::personal_text;
pub use postgres::Postgres;
pub use query::{Query, QueryResult, Reads};
pub use report::{Month, Report, ReportTime};
pub use usage_report::{
    GroupBy, Named, TimeStep, USAGE_DAYS_MAX, USAGE_ROWS_MAX, UsageAnswer, UsageFilter, UsageGroup,
    UsageRefusal, UsageReport, UsageRequest,
};
pub use watch::{Watch, Watchers};
pub use workspace_search::{NameQuery, WorkspaceFilter, WorkspaceRecord};

/// The Rust example of the README, compiled as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
