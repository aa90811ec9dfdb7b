//! admin.

pub(crate) mod audit;
pub(crate) mod export;
pub(crate) mod import;
