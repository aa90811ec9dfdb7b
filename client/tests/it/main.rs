//! Tests of the client against a running server.

mod axum_layer;
mod cutting_proxy;
mod examples;
mod generate;
mod repeating;
mod resources;
mod running;
mod server;
mod streams;
mod webhooks;
