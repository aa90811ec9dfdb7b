//! The tests that must hold on both engines. `embedded` and `postgres` each include this module and
//! provide `store` and `server`, which are `None` where PostgreSQL is missing.

mod bad_input;
pub mod concurrency;
mod contract;
mod limits;
mod personal;
mod portal;
mod reference;
mod secrets;

use super::{server, store};
