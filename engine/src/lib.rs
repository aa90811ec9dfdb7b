//! What is kept: commands run durably, each decided by `tollkeeper_ledger::decide`.
//!
//! [`Engine`] is the contract; [`Embedded`] keeps it in a directory of its own with SQLite, [`Postgres`] in a database
//! that many servers share. An answer means that what it says is on disk. Nothing here decides credit, and nothing here
//! knows HTTP.
//!
//! ```text
//! contract   the trait every engine keeps, and the shapes of its answers
//! error      "not now", as opposed to the ledger's "no"
//! embedded   the default engine
//! postgres   the engine for many servers on one database
//! told       what an entry answers
//! audit      what every audit finds, and what all recompute alike
//! rollups    what engines do alike with rows of usage
//! waiting    who waits for the answers of a batch
//! moving     a whole ledger as a stream, from any engine to any engine
//! calendar   where a day and a month begin in a time zone
//! ```

mod answer;
mod audit;
mod calendar;
mod contract;
pub mod embedded;
mod error;
mod hash;
pub mod postgres;
mod query;
mod reply;
mod rollups;
pub mod transfer;

pub use audit::{AuditDisagreement, AuditReport};
pub use calendar::{is_known_timezone, period_windows};
pub use contract::{
    Answer, BalanceAt, BoxFuture, ChargeFilter, ChargeRecord, CommandResult, Engine, EngineStats,
    EntryRecord, GrantRecord, Listing, Output, Page, RefundRecord,
};
pub use embedded::{Embedded, Options};
pub use error::{Error, panic_message};
pub use hash::digest;
pub use postgres::Postgres;
pub use query::{Query, QueryResult, Reads};

/// The Rust example of the README, compiled as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
