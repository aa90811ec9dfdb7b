//! jobs.

pub(crate) mod time_outs;
