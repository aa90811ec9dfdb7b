//! What is spoken: the HTTP API over an engine. JSON becomes a command here, and an answer becomes JSON; nothing here
//! decides credit, and nothing here keeps it.
//!
//! ```text
//! settings   one file and the environment; store: where the ledger is kept
//! app        what stands behind every route, and what is put in place before the first request
//! serve      the network; timers the one ticking job
//! router     the edge every request passes: auth (who may), rate (how often), query, call (what a handler gets)
//! secret     what opens: keys, links, sessions; teams: whose they are, as it was seen last; cookie: what a browser keeps
//! api        the table of routes and the handlers, a file per noun, each with its JSON types
//! body, json how bodies come in and are read; value, metadata: how single values are written and kept
//! problem    the shape of every "no"; refusal: which "no" it is
//! portal     signing in to the dashboard
//! openapi    the description of it all, from the same table; docs: to browse it
//! metrics    figures for Prometheus; log: lines for people
//! ```

mod access;
mod api;
mod app;
mod dashboard;
mod http;
mod jobs;
mod observe;
pub mod settings;
mod wire;

#[cfg(test)]
mod tests;

pub use app::{App, Clock, Error, prepare};
pub use http::router::router;
pub use http::serve::{answer, serve};
pub use observe::log::start_log;
pub use settings::store;
pub use settings::store::{DatabaseUrl, Store};
pub use settings::{Settings, SettingsError};
