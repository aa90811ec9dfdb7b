//! batch.

pub(crate) mod accounts;
pub(crate) mod current_hour;
pub(crate) mod lane;
pub(crate) mod prefetch;
pub(crate) mod state_machine;
pub(crate) mod write;
