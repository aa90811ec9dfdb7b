//! dashboard.

pub(crate) mod sign_in;
