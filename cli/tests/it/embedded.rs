//! The tests that must hold on both engines, on a data directory.

use crate::harness::{TestServer, TestStore};

#[path = "bad_input.rs"]
mod bad_input;
#[path = "concurrency.rs"]
mod concurrency;
#[path = "contract/mod.rs"]
mod contract;
#[path = "limits.rs"]
mod limits;
#[path = "portal.rs"]
mod portal;
#[path = "reference.rs"]
mod reference;
#[path = "secrets.rs"]
mod secrets;

/// An empty store for a test. The suite on PostgreSQL has none where PostgreSQL is missing.
#[expect(clippy::unnecessary_wraps, reason = "the tests are shared with a suite that may have no database")]
fn store() -> Option<TestStore> {
    Some(TestStore::directory())
}

/// A server on an empty store.
fn server() -> Option<TestServer> {
    store().map(TestStore::server)
}
