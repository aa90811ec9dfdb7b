//! The suite that both engines keep, on a PostgreSQL database.

use crate::harness::Home;

#[path = "bad_input.rs"]
mod bad_input;
#[path = "contract/mod.rs"]
mod contract;
#[path = "race.rs"]
mod race;
#[path = "reference.rs"]
mod reference;

/// Where a test keeps its ledger.
fn home() -> Home {
    Home::database()
}
