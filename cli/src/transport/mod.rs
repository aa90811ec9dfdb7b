//! Sends a request of the HTTP API and shows the answer, the same way for a server and for a store
//! in this process.
//!
//! ```text
//! request      one request and its answer      target      --server, --data, --database-url, --json
//! local        answered in this process        store_args  --data and --database-url alone
//! remote       answered by a running server    problem     a refusal as a failure with cause and hint
//! ```
//!
//! Commands use this folder; it imports none of them.

pub(crate) mod local;
pub(crate) mod problem;
pub(crate) mod remote;
pub(crate) mod request;
pub(crate) mod store_args;
pub(crate) mod target;
