//! What goes wrong around the engines, and the checks that nothing is lost and nothing happens
//! twice.
//!
//! ```text
//! crash       the embedded engine after a power failure, and on a disk that refuses writes
//! damage      the embedded engine on files that were damaged from outside
//! deliveries  deliveries of the embedded engine while their file fails
//! poison      accounts whose numbers in memory become wrong
//! bank        many callers at once on few workspaces
//! ```
//!
//! Not here: the failures of a PostgreSQL server, which the tests produce with real servers
//! (`sim/tests/it/postgres/failures.rs`).

pub mod bank;
pub mod crash;
pub mod damage;
pub mod deliveries;
mod poison;
