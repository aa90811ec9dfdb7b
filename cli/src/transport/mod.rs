//! Sends a request of the HTTP API and shows the answer, the same way for a server and for a store
//! in this process.
//!
//! ```text
//! request      one request and its answer
//! local        answers it in this process
//! remote       sends it to a running server
//! target       the options --server, --data, --database-url, --json, and paging
//! store_args   the options --data and --database-url alone
//! problem      turns a refusal into a failure with cause and hint
//! ```
//!
//! Commands use this folder; it imports none of them.

pub(crate) mod local;
pub(crate) mod problem;
pub(crate) mod remote;
pub(crate) mod request;
pub(crate) mod store_args;
pub(crate) mod target;
