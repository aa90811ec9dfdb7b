//! terminal.

pub(crate) mod failure;
pub(crate) mod output;
