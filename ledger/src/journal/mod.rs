//! journal.

pub(crate) mod account_codec;
pub(crate) mod codec;
pub(crate) mod entry;
pub(crate) mod entry_codec;
