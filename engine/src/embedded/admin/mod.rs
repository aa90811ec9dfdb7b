//! What an operator does with a data directory as a whole: audit, back up, restore, export, import.
//!
//! All of them read the files themselves. Only an import goes through the core, because its entries
//! must be verified and indexed like new ones.

pub(crate) mod audit;
mod audit_index;
mod audit_state;
mod audit_texts;
mod audited_workspace;
pub(crate) mod backup;
pub(crate) mod export;
pub(crate) mod import;
