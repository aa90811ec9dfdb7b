//! What is doubted: the ledger beside a slow model, the embedded engine across crashes and faults, all by seed.
//!
//! ```text
//! random     chance that can be repeated
//! disk       a disk that remembers, to crash and to break
//! step       one thing asked of an engine and of the model alike
//! workload   what is asked, by seed
//! model      what has to be answered
//! history    an engine beside the model, step by step and at the end
//! memory     the smallest engine: the ledger and vectors
//! embedded   the embedded engine, restarted in between
//! postgres   the PostgreSQL engine, several on one database
//! bank       many callers at once
//! contract   what every engine keeps, clause by clause
//! persistent a client who asks until one of several servers answers
//! crash      the embedded engine when power or disk fails
//! damage     files that are not what was written
//! ```
//! Everything here is driven by a seed; nothing asks a clock or the system for chance. Not here: the server over HTTP and
//! processes that are killed, which are tested where they are started.

pub mod bank;
pub mod contract;
pub mod crash;
pub mod damage;
pub mod disk;
pub mod embedded;
pub mod history;
pub mod memory;
pub mod model;
pub mod persistent;
pub mod postgres;
pub mod random;
pub mod step;
pub mod workload;
