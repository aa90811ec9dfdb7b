//! The contract of the HTTP API, row by row: statuses, members, headers, lists, replays, the order of refusals. Bad input
//! has a file of its own.

mod charges;
mod credit;
mod keys;
mod lists;
mod service;
mod workspaces;

use super::{server, store};
