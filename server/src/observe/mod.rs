//! What an operator can observe: metrics for Prometheus, the log, traces, and whether the clock is
//! right.
//! `refusals` counts refused charges, for the admins of their workspaces.
//!
//! This folder knows no route and no problem code; it gets their labels when it is built.

pub(crate) mod clock_watch;
pub(crate) mod log;
pub(crate) mod message_counts;
pub(crate) mod metrics;
pub(crate) mod refusals;
pub(crate) mod settings;
pub(crate) mod traces;
