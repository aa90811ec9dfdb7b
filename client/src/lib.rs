//! The typed client of the HTTP API of Tollkeeper.
//!
//! Tollkeeper charges each run of an AI operation before it runs. [`Client::run`] does that for a
//! closure: it charges, runs the closure, and settles or refunds by its result. The whole program:
//!
//! ```no_run
#![doc = include_str!("../examples/quick_start.rs")]
//! ```
//!
//! **Calls.** Every resource is a method of [`Client`], and every call of it returns a [`Call`],
//! which is sent when it is awaited. A call that moves credit has an idempotency key. It is made
//! before the first attempt, and every attempt carries it, so nothing is charged twice.
//!
//! **Repetition.** A request is sent again if the server says that this may help, or if the
//! connection broke: a bounded number of times, after a random pause or the one that the server
//! asks for. A refusal for want of credit (402) is never repeated. A request that could be carried
//! out twice is sent again only if it was not carried out.
//!
//! **Errors** have the stable [`Code`] of the server, its status, and all fields of the
//! [`Problem`].
//!
//! **Amounts** are integers in micro-units: 100,000 are 1.00 USD. Times are texts (RFC 3339), so
//! that this crate chooses no library of times for its users. Fields and codes of a newer server do
//! not break a client.
//!
//! **Webhooks.** [`verify_webhook`] checks the signature of a message to an endpoint.
//!
//! **Services.** A [`ChargeLayer`] charges for the requests of a tower service, such as a route of
//! axum:
//!
//! ```no_run
#![doc = include_str!("../examples/layer.rs")]
//! ```

mod api;
mod client;
mod code;
mod error;
mod http;
mod run;
pub mod types;
mod webhook;

/// The resources: what the methods of a client return.
pub mod resources {
    pub use crate::api::alerts::{AlertSettings, Mails};
    pub use crate::api::api_keys::ApiKeys;
    pub use crate::api::auto_top_up::{AutoTopUps, PaymentMethods};
    pub use crate::api::charges::{ChargeBatches, Charges};
    pub use crate::api::grants::Grants;
    pub use crate::api::journal::Journal;
    pub use crate::api::limits::SpendingLimits;
    pub use crate::api::members::Members;
    pub use crate::api::operations::Operations;
    pub use crate::api::plans::PlanCatalog;
    pub use crate::api::portal_sessions::PortalSessions;
    pub use crate::api::price_book::PriceBooks;
    pub use crate::api::report::Reports;
    pub use crate::api::settings::PlatformSettings;
    pub use crate::api::subscriptions::Subscriptions;
    pub use crate::api::top_ups::{TopUps, UnmatchedPayments};
    pub use crate::api::usage::Usages;
    pub use crate::api::webhook_endpoints::WebhookEndpoints;
    pub use crate::api::workspaces::Workspaces;
}

pub use client::{Client, ClientBuilder};
pub use code::Code;
pub use error::{Error, Problem};
pub use http::call::{Answer, Call};
pub use http::events::{Event, Events};
pub use http::pages::{List, Page, Rows};
pub use run::charged::{ChargeError, Outcome, RunCharge, Running};
pub use run::fault::{Failure, Fault, OperationError};
pub use run::layer::{ChargeLayer, ChargePolicy, ChargeService, outcome_of_status};
pub use run::{Finished, RunError};
pub use webhook::{WebhookError, WebhookMessage, verify_webhook, verify_webhook_at};
