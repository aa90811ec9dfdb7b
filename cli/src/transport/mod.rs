//! transport.

pub(crate) mod local;
pub(crate) mod problem;
pub(crate) mod remote;
pub(crate) mod request;
pub(crate) mod store_args;
pub(crate) mod target;
