//! threads.

pub(crate) mod checkpoint;
pub(crate) mod committer;
pub(crate) mod writer;
