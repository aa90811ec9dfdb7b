//! http.

pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod refusal;
pub(crate) mod router;
pub(crate) mod serve;
