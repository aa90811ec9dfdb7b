//! A schema of its own in a cluster of Citus, which the developer has set up.
//!
//! `TOLLKEEPER_TEST_CITUS_URL` is the address of a database on the coordinator, as a user who may
//! create schemas. Without it these tests do not run, and the first of a process says so in one
//! line.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::binaries::{program, run, try_run};
use crate::note::note_once;

/// The environment variable with the address.
const URL_VARIABLE: &str = "TOLLKEEPER_TEST_CITUS_URL";

/// True if no cluster is named, so that a test which needs it ends at once.
#[must_use]
pub fn is_missing() -> bool {
    static SAID: OnceLock<()> = OnceLock::new();
    if std::env::var_os(URL_VARIABLE).is_some() {
        return false;
    }
    note_once(&SAID, &format!("the tests on Citus do not run: {URL_VARIABLE} names no database"));
    true
}

/// A schema on all nodes, in which a ledger can be. It is dropped with its value.
#[derive(Debug)]
pub struct Schema {
    database: String,
    name: String,
}

impl Schema {
    /// Creates an empty schema.
    ///
    /// Panics if there is no cluster.
    #[must_use]
    #[track_caller]
    pub fn create() -> Schema {
        static SCHEMAS: AtomicU32 = AtomicU32::new(0);
        let database = std::env::var(URL_VARIABLE).expect("the test looked for the cluster first");
        let number = SCHEMAS.fetch_add(1, Ordering::Relaxed);
        let schema = Schema { database, name: format!("test_{}_{number}", std::process::id()) };
        schema.sql(&format!("CREATE SCHEMA {}", schema.name));
        schema
    }

    /// The address of the database, with this schema in its search path. Sessions have the name of
    /// the schema.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_with("")
    }

    /// The same for sessions whose statements Citus counts, in the view `citus_stat_counters`.
    #[must_use]
    pub fn counted_url(&self) -> String {
        self.url_with("%20-ccitus.enable_stat_counters%3Don")
    }

    fn url_with(&self, options: &str) -> String {
        let Schema { database, name } = self;
        let separator = if database.contains('?') { '&' } else { '?' };
        format!("{database}{separator}application_name={name}&options=-csearch_path%3D{name}{options}")
    }

    /// The name of the schema.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs SQL in the schema and returns the rows, with `|` between columns.
    ///
    /// Panics with PostgreSQL's message if it fails.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        run(&mut self.psql(sql)).trim_end().to_owned()
    }

    fn psql(&self, sql: &str) -> Command {
        let mut psql = Command::new(program("psql"));
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", &self.url(), "-c", sql]);
        psql
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        // What a test has left in a cluster that it has stopped stays there.
        let _ = try_run(&mut self.psql(&format!("DROP SCHEMA {} CASCADE", self.name)));
    }
}
