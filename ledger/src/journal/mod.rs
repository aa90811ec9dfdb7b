//! The journal of a workspace: its entries, their canonical bytes, and what can be wrong with them.
//!
//! `entry` has the entries, `kind` their kinds, `codec` the primitives of the encoding,
//! `entry_codec`, `charge_codec`, `payment_codec` and `account_codec` the bytes of entries and of
//! accounts, `disagreement` the errors. An entry refers to what it changes, so this folder knows
//! the types of
//! `account`, `team` and `prices`. What an entry does to them is in `account`. Files and tables
//! that store the bytes are in the engines.

pub(crate) mod account_codec;
mod charge_codec;
pub(crate) mod codec;
pub(crate) mod disagreement;
pub(crate) mod entry;
pub(crate) mod entry_codec;
pub(crate) mod kind;
mod payment_codec;
