//! query.

pub(crate) mod lists;
pub(crate) mod point;
pub(crate) mod readers;
