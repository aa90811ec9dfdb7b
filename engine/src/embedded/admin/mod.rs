//! admin.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod export;
pub(crate) mod import;
