//! The HTTP layer, which every request passes: connections, routing, bodies, queries, problems.
//!
//! It knows no resource. The table of routes and the look of pages are given to the router when it
//! is built (`startup`), so nothing here imports `api` or `dashboard`.

pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod connection;
pub(crate) mod connections;
pub(crate) mod csv;
pub(crate) mod form;
pub(crate) mod notices;
pub(crate) mod path;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod refusal;
pub(crate) mod route;
pub(crate) mod router;
pub(crate) mod serve;
pub(crate) mod settings;
