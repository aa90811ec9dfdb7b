//! The resources of the API, in the order in which they are described.
//!
//! A file per resource has its routes, its JSON types and its handlers. Here they are only
//! concatenated. `openapi` describes them, `docs` serves the description.

pub(crate) mod alert_details;
mod alerts;
mod api_keys;
mod auto_top_up;
mod batch;
mod charges;
mod clock;
pub(crate) mod docs;
mod entries;
mod follow;
mod grants;
mod health;
mod journal;
mod limits;
mod mail_events;
mod mail_recipients;
mod mails;
mod members;
pub(crate) mod openapi;
mod outcomes;
mod payment_method;
mod payment_refunds;
mod plans;
mod portal_sessions;
mod price_book;
mod quote;
mod report;
mod settings;
mod simulation;
pub mod stream;
mod subscriptions;
mod team_details;
mod top_ups;
mod unmatched;
mod usage;
mod webhook_endpoints;
mod workspaces;

pub use self::charges::{NewCharge, charge};
pub(crate) use self::entries::payment_details;
use crate::http::route::Resource;

/// Every resource of the API.
pub const RESOURCES: &[Resource] = &[
    Resource {
        name: "Workspaces",
        description: "A workspace is a customer of the platform. It owns one pool of credit, which all its members share.",
        routes: &[workspaces::ROUTES],
    },
    Resource {
        name: "Members",
        description: "The people of a workspace. An admin may change the workspace in the dashboard; a member may look.",
        routes: &[members::ROUTES],
    },
    Resource {
        name: "API keys",
        description: "The keys of one workspace. Scopes say what a key may do. The secret is shown once.",
        routes: &[api_keys::ROUTES],
    },
    Resource {
        name: "Portal sessions",
        description: "Links that sign a member in to the dashboard, and the end of the sessions made by them.",
        routes: &[portal_sessions::ROUTES],
    },
    Resource {
        name: "Charges",
        description: "A charge deducts credit before an operation runs. Its outcome keeps the credit or gives it back.",
        routes: &[charges::ROUTES, batch::ROUTES, outcomes::ROUTES, quote::ROUTES],
    },
    Resource {
        name: "Grants",
        description: "A grant is credit that came into a workspace. Charges draw from grants, and refunds return to them.",
        routes: &[grants::ROUTES],
    },
    Resource {
        name: "Top-ups",
        description: "A top-up is credit that is bought once. It is granted after its payment, and only then.",
        routes: &[top_ups::ROUTES, payment_refunds::ROUTES, unmatched::ROUTES],
    },
    Resource {
        name: "Automatic top-ups",
        description: "A saved card buys credit by itself when the balance is low, at most so much in a month.",
        routes: &[payment_method::ROUTES, auto_top_up::ROUTES],
    },
    Resource {
        name: "Subscriptions",
        description: "A subscription is a plan that runs. Each month brings its credit once, after its payment.",
        routes: &[subscriptions::ROUTES],
    },
    Resource {
        name: "Usage",
        description: "What a workspace used by operation, worker, member, API key and time, and how long its credit lasts.",
        routes: &[usage::ROUTES],
    },
    Resource {
        name: "Limits",
        description: "Spending limits per day or month: for the workspace, a member, a worker, an operation or an API key.",
        routes: &[limits::ROUTES],
    },
    Resource {
        name: "Alerts",
        description: "Low-balance thresholds: amounts of credit, or days that the credit is to last. And who gets e-mails.",
        routes: &[alerts::ROUTES, mails::ROUTES, mail_events::ROUTES],
    },
    Resource {
        name: "Journal",
        description: "Everything that happened in a workspace: an append-only list of entries, chained by hashes.",
        routes: &[entries::ROUTES, stream::ROUTES, journal::ROUTES],
    },
    Resource {
        name: "Report",
        description: "The month for finance: what was sold, what of it is earned, and what is owed to customers.",
        routes: &[report::ROUTES],
    },
    Resource {
        name: "Webhook endpoints",
        description: "Addresses of the platform that are sent a message about each entry of some types. Messages are signed.",
        routes: &[webhook_endpoints::ROUTES, webhook_endpoints::DELIVERY_ROUTES],
    },
    Resource {
        name: "Price book",
        description: "The operations and their unit prices, in versions. A charge records the version that priced it.",
        routes: &[price_book::ROUTES, simulation::ROUTES],
    },
    Resource {
        name: "Plans",
        description: "What a subscription costs and which credit it brings every month, in versions.",
        routes: &[plans::ROUTES],
    },
    Resource {
        name: "Settings",
        description: "What decides about money for all workspaces, on every server. Settings of one server are in its own configuration.",
        routes: &[settings::ROUTES],
    },
    Resource {
        name: "Clock",
        description: "The clock of a server on a data directory. Deadlines go by it.",
        routes: &[clock::ROUTES],
    },
    Resource {
        name: "Health",
        description: "The state of the server, for load balancers and monitoring. No key is needed.",
        routes: &[health::ROUTES],
    },
];

/// The query parameters of a list.
const PAGE: &[&str] = &["limit", "cursor"];
