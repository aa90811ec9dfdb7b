//! The contract of the HTTP API: statuses, members, headers, lists, repeated requests, the order of
//! refusals. Invalid requests are in `bad_input`.

mod charges;
mod credit;
mod keys;
mod lists;
mod service;
mod subscriptions;
mod top_ups;
mod workspaces;

use super::{server, store};
