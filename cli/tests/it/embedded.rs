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

/// Where a test keeps its ledger.
fn home() -> Home {
    Home::directory()
}
