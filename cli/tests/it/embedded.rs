//! The suite that both engines keep, on a data directory.

use crate::harness::Home;

#[path = "bad_input.rs"]
mod bad_input;
#[path = "contract/mod.rs"]
mod contract;
#[path = "limits.rs"]
mod limits;
#[path = "portal.rs"]
mod portal;
#[path = "race.rs"]
mod race;
#[path = "reference.rs"]
mod reference;
#[path = "secrets.rs"]
mod secrets;

/// Where a test keeps its ledger; the other suite has none without PostgreSQL.
#[expect(clippy::unnecessary_wraps, reason = "the tests are shared with a suite that may have no database")]
fn home() -> Option<Home> {
    Some(Home::directory())
}
