//! What an operator can observe: metrics for Prometheus and the log.
//!
//! This folder knows no route and no problem code; it gets their labels when it is built.

pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod settings;
