//! The types of all requests and answers, printed from the server's OpenAPI document.
//!
//! A request is made with `new` and the fields it must have, or with `default`. Its other fields
//! are set with struct update syntax. An answer may get further fields in later versions.

mod alerts;
mod api_keys;
mod automatic_top_ups;
mod charges;
mod clock;
mod grants;
mod health;
mod journal;
mod limits;
mod members;
mod plans;
mod portal_sessions;
mod price_book;
mod report;
mod settings;
mod subscriptions;
mod top_ups;
mod usage;
mod webhook_endpoints;
mod workspaces;

pub use alerts::*;
pub use api_keys::*;
pub use automatic_top_ups::*;
pub use charges::*;
pub use clock::*;
pub use grants::*;
pub use health::*;
pub use journal::*;
pub use limits::*;
pub use members::*;
pub use plans::*;
pub use portal_sessions::*;
pub use price_book::*;
pub use report::*;
pub use settings::*;
pub use subscriptions::*;
pub use top_ups::*;
pub use usage::*;
pub use webhook_endpoints::*;
pub use workspaces::*;

/// A JSON object.
pub type Object = serde_json::Map<String, serde_json::Value>;
