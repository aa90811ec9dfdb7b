//! What users and scripts see and give: `output` prints data as tables, lines and JSON; `failure`
//! ends a command with a message and an exit code; `input` reads files.
//!
//! This is the lowest folder of the crate: it imports no other one. It emits no colors; the log of
//! the server crate is the only colored output.

pub(crate) mod failure;
pub(crate) mod input;
pub(crate) mod output;
