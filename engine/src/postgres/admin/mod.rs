//! Administrative jobs on a whole database: audit, export and import.
//!
//! They run on the calling thread, with a connection of their own and without lanes or readers.

pub(crate) mod audit;
mod audit_rules;
mod audit_texts;
pub(crate) mod export;
pub(crate) mod import;
mod tables;
