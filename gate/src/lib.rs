//! The gate: a reverse proxy that charges each request before its upstream runs it (P3, P9).
//!
//! A request that cannot be paid never reaches the upstream. A request that fails because of the
//! upstream is refunded. A gate that dies leaves a pending charge, which its deadline refunds. The
//! gate knows the API of Tollkeeper through [`Charging`], and no engine.
//!
//! Reading order: `settings` (routes), `proxy` (the path of a request), `outcome` (what an answer
//! means for the charge), `exchange` (one request to an upstream, until its end).
//!
//! ```text
//! serve       accepts connections, and shuts down gracefully
//! shutdown    how far a shutdown is
//! proxy       match, charge, forward; metered routes and calls of tools have files of their own
//! exchange    a request to an upstream and its answer, which decides about the charge
//!             metered (pass on), settlement (by usage), heartbeat (the deadline of a charge),
//!             usage (read it), content and events (of a stream), tool_answer (MCP)
//! remote      the API of a server elsewhere
//! charging    what the gate needs of the API: open a charge, report its outcome
//! relay       an answer that is passed on while it arrives
//! quantity    how many units a request is charged for: hold (meters), tool_call (MCP), references
//!             (input that is not in the body), media_type (bodies that are read)
//! headers     what is passed on, and what is not
//! refusal     answers of the gate itself, in the dialect of a route
//! outcome     statuses and their outcomes
//! settings    the table `[gate]`; metering (what a metered route needs)
//! ```

mod charging;
mod exchange;
mod headers;
mod outcome;
mod proxy;
mod quantity;
mod refusal;
mod relay;
mod remote;
mod serve;
mod settings;
mod shutdown;
#[cfg(test)]
mod tests;

pub use charging::{
    BoxFuture, ChargedMeter, Charging, NotOpened, Opened, Quantities, ReportError, Unavailable,
};
pub use exchange::Counts;
pub use outcome::Outcome;
pub use proxy::Gate;
pub use remote::Remote;
pub use serve::serve;
pub use settings::{
    Dialect, InputHold, Meter, Metering, OnMissing, OutputHold, Quantity, Route, Settings, SettingsError,
    Tools,
};
