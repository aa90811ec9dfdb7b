//! Tests of the client against a running server.

mod generate;
mod server;
