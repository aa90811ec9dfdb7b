//! The engines under test, each with the way to drive it beside the model.
//!
//! ```text
//! memory            the smallest engine: the ledger and vectors
//! embedded          the embedded engine, with maintenance and restarts between batches
//! postgres          the PostgreSQL engine, several engines on one database
//! retrying_client   several engines behind a client that retries until one answers
//! ```
//!
//! The options of the embedded and the PostgreSQL engine are so small here that a few hundred
//! entries reach every path. Not here: what a run compares (`differential`), crashes and faults
//! (`faults`).

pub mod embedded;
pub mod memory;
pub mod postgres;
pub mod retrying_client;
