//! One file per subcommand. A subcommand defines its options, sends its request, and says which
//! fields of the answer are shown.
//!
//! ```text
//! data commands   workspace, member, key, limits, alerts, portal, grant, top_up, auto_top_up,
//!                 payment_method, subscription, charge, balance, usage, burn_rate, entries, report,
//!                 prices, plans, webhooks, settings, clock
//!                 one request of the HTTP API each, sent by `transport::target`
//! whole ledgers   audit, backup (and restore), mark_restored, repair, transfer (export and
//!                 import), migrate
//!                 call the engine crate on a store, without the API
//! server, gate    serve, gate
//! mails, console  mail, operator_password
//!                 call the server crate; need neither a ledger nor a server
//! this program    completions, man
//! ```
//!
//! `demo` and `bench` have folders of their own.

mod alert_emails;
pub(crate) mod alerts;
pub(crate) mod audit;
pub(crate) mod auto_top_up;
pub(crate) mod backup;
pub(crate) mod balance;
pub(crate) mod burn_rate;
pub(crate) mod charge;
pub(crate) mod clock;
pub(crate) mod completions;
pub(crate) mod entries;
pub(crate) mod gate;
pub(crate) mod grant;
pub(crate) mod key;
pub(crate) mod limits;
pub(crate) mod mail;
pub(crate) mod man;
pub(crate) mod mark_restored;
pub(crate) mod member;
pub(crate) mod migrate;
pub(crate) mod operator_password;
pub(crate) mod payment_method;
pub(crate) mod plans;
pub(crate) mod portal;
pub(crate) mod prices;
pub(crate) mod repair;
pub(crate) mod report;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod subscription;
pub(crate) mod top_up;
pub(crate) mod transfer;
pub(crate) mod usage;
pub(crate) mod webhooks;
pub(crate) mod workspace;
