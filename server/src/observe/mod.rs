//! observe.

pub(crate) mod log;
pub(crate) mod metrics;
