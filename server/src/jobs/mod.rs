//! Work that no request starts: the polling job, which runs at a fixed interval.
//!
//! It has one task: refunding pending charges whose deadline has passed (`time_outs`).

pub(crate) mod settings;
pub(crate) mod time_outs;
