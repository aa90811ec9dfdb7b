//! The HTTP server: the API and the dashboard over an engine.
//!
//! JSON becomes a command, and the engine's answer becomes JSON. Nothing here decides about credit,
//! and nothing here stores it. The folders, from the highest layer to the lowest; none imports one
//! above it:
//!
//! ```text
//! startup     builds the state and the table of routes, serves, ends
//! settings    one file and the environment, composed of the folders' own settings
//! api         the resources of the API: routes, JSON types, handlers; OpenAPI and /docs
//! actions     what both the API and the pages do for a caller
//! reports     figures of use that are shown in several places
//! dashboard   the pages for members, served under /portal: sign-in, overview
//! jobs        the polling job
//! notify      messages to webhook endpoints, and mails
//! http        the HTTP layer, which every request passes: router, body, query, problems
//! app         the state behind every route
//! access      who may do what: keys, sessions, rate limits
//! observe     metrics, log and traces
//! theme       how pages look: style, script, and the platform's name, logo and color
//! language    the languages of pages, and how values are written in them
//! tls         TLS of connections that this server opens
//! wire        JSON values in both directions
//! ```
//!
//! Reading order: `http/route.rs` (a line of the table), `http/router.rs` (the path of a request),
//! `access/admit.rs`, `api/charges.rs`.

mod access;
mod actions;
mod api;
mod app;
mod dashboard;
mod http;
mod jobs;
mod language;
mod notify;
mod observe;
mod payments;
mod reports;
pub mod settings;
mod startup;
mod theme;
mod tls;
mod wire;

#[cfg(test)]
mod tests;

pub use access::hash_password;
pub use api::{NewCharge, charge};
pub use app::{App, Clock};
pub use http::router::Router;
pub use http::serve::{HttpService, answer};
pub use notify::mail;
pub use observe::log::start_log;
pub use settings::{DatabaseUrl, Settings, SettingsError, Store};
pub use startup::{Error, check_secret, prepare, prepare_showing, router, serve};
