//! PostgreSQL servers and databases of the tests' own.
//!
//! ```text
//! binaries     the installed PostgreSQL, and how its programs are run
//! citus        schemas in a cluster of Citus
//! cluster      one server with its data directory
//! database     one database of a server
//! pair         a primary and its synchronous standby
//! small_disk   databases on a disk that a test can fill
//! ```
//!
//! A machine without PostgreSQL runs the other tests all the same. Each test that needs PostgreSQL
//! begins with
//!
//! ```text
//! if postgres::is_missing() {
//!     return;
//! }
//! ```
//!
//! The first such test of a process says in one line that these tests do not run. With
//! `TOLLKEEPER_REQUIRE_POSTGRES=1` it fails instead; `./check` sets that. `TOLLKEEPER_POSTGRES_BIN`
//! names the directory of PostgreSQL's programs, if it is neither Debian's nor in PATH.

mod binaries;
pub mod citus;
mod cluster;
mod database;
mod pair;
mod small_disk;

use std::sync::OnceLock;

pub use binaries::is_missing;
pub use cluster::{Cluster, Setting, Stop};
pub use database::{Database, OpenTransaction};
pub use pair::{Pair, two_hosts};

/// Settings for tests that crash no machine: no write waits for the disk.
pub const NO_CRASH: &[Setting<'static>] = &[("fsync", "off"), ("full_page_writes", "off")];

/// The role that owns the databases of the tests; it has no further rights.
const OWNER: &str = "CREATE ROLE tollkeeper LOGIN";

/// The server that the ordinary tests of this process share.
///
/// The first caller starts it; it is removed with the process.
#[must_use]
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| Cluster::start(&[NO_CRASH, &[("max_connections", "300")]].concat()))
}
