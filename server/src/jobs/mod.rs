//! Work that no request starts: one loop that runs at a fixed interval.

pub(crate) mod settings;
pub(crate) mod time_outs;
