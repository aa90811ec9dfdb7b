//! The tests that must hold on both engines, on a data directory.

use crate::harness::{TestServer, TestStore};

#[path = "both_engines/mod.rs"]
mod both_engines;

/// An empty store for a test. The suite on PostgreSQL has none where PostgreSQL is missing.
#[expect(clippy::unnecessary_wraps, reason = "the tests are shared with a suite that may have no database")]
fn store() -> Option<TestStore> {
    Some(TestStore::directory())
}

/// A server on an empty store.
fn server() -> Option<TestServer> {
    store().map(TestStore::server)
}
