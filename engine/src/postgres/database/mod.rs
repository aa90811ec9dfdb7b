//! database.

pub(crate) mod config;
pub(crate) mod distribute;
pub(crate) mod failure;
pub(crate) mod schema;
pub(crate) mod session;
pub(crate) mod sql;
pub(crate) mod tls;
