//! How a call becomes requests, and answers become values or errors.
//!
//! ```text
//! route      method and path of a call      routes     all routes of the server (generated)
//! call       one call: its key, its deadline, its attempts
//! retry      when a request is sent again   transport  connections and TLS
//! pages      lists, page by page            events     the stream of a workspace
//! ```

pub mod call;
pub mod events;
pub mod pages;
pub mod retry;
pub mod route;
pub mod routes;
pub mod transport;

use retry::Limits;
use transport::Transport;

/// The server that a client calls, and the limits of its calls. All handles of a client share it.
#[derive(Debug)]
pub struct Connection {
    pub transport: Transport,
    pub limits: Limits,
}
