//! scan.

pub(crate) mod lists;
pub(crate) mod readers;
