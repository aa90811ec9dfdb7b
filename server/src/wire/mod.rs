//! wire.

pub(crate) mod metadata;
pub(crate) mod read;
pub(crate) mod write;
