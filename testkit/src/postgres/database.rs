//! One database of a cluster, dropped with its value, and what a test does to it: end sessions,
//! hold locks.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::time::Duration;

use super::Cluster;
use super::binaries::{run, try_run};
use crate::retry::retry_for;

/// How long a session may take until it waits for a lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// A database. It is dropped when this value is.
#[derive(Debug)]
pub struct Database<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl<'a> Database<'a> {
    pub(super) fn new(cluster: &'a Cluster, name: String) -> Database<'a> {
        Database { cluster, name }
    }
}

impl Database<'_> {
    /// The URL, for the owner of the database.
    #[must_use]
    pub fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    /// The name in the cluster.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs SQL as superuser and returns the rows, with `|` between columns.
    ///
    /// Panics with PostgreSQL's message if it fails.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.name, sql)
    }

    /// Runs a script of any length as superuser, such as the output of `pg_dump`.
    ///
    /// Panics with PostgreSQL's message if it fails.
    #[track_caller]
    pub fn load(&self, script: &str) {
        let mut psql = self.cluster.psql(&self.name);
        let psql = psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut psql = psql.spawn().expect("psql starts");
        let mut input = psql.stdin.take().expect("its stdin is piped");
        // If psql ends early, its message says why.
        let _ = input.write_all(script.as_bytes());
        drop(input);
        let output = psql.wait_with_output().expect("psql ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The output of `pg_dump`.
    #[must_use]
    #[track_caller]
    pub fn dump(&self) -> String {
        run(&mut self.cluster.client("pg_dump", &self.name))
    }

    /// Ends all sessions in this database, also while they run a statement, and returns how many
    /// there were.
    #[track_caller]
    pub fn end_sessions(&self) -> usize {
        let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        self.sql(&format!("SELECT pg_terminate_backend(pid) {others}")).lines().count()
    }

    /// Waits until a session of this database waits for a lock.
    #[track_caller]
    pub fn wait_for_lock(&self) {
        let waits =
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        retry_for(LOCK_TIMEOUT, "a session waits for a lock", || (!self.sql(waits).is_empty()).then_some(()));
    }

    /// Runs SQL in a transaction that stays open, with its locks, until the returned value is
    /// dropped.
    #[must_use]
    #[track_caller]
    pub fn open_transaction(&self, sql: &str) -> OpenTransaction {
        let mut psql = self.cluster.psql(&self.name);
        let mut psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql starts");
        let (input, output) = (psql.stdin.as_mut(), psql.stdout.as_mut());
        let (Some(input), Some(output)) = (input, output) else { panic!("both are piped") };
        writeln!(input, "BEGIN; {sql};\n\\echo open").expect("psql reads its stdin");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("psql prints a line");
        assert_eq!(line, "open\n");
        OpenTransaction(psql)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // This fails if the test has stopped the server, and the directory is removed anyway. The
        // local commit does not wait for a standby that the test may have stopped.
        let mut psql = self.cluster.psql("postgres");
        psql.env("PGOPTIONS", "-c synchronous_commit=local");
        let _ = try_run(psql.args(["-c", &format!("DROP DATABASE {} WITH (FORCE)", self.name)]));
    }
}

/// A transaction that stays open until this value is dropped.
#[derive(Debug)]
pub struct OpenTransaction(Child);

impl Drop for OpenTransaction {
    fn drop(&mut self) {
        // At the end of its stdin psql exits, and the server rolls the transaction back.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{is_missing, shared};

    #[test]
    fn databases_of_a_cluster_are_separate_and_are_dropped() {
        if is_missing() {
            return;
        }
        let (one, other) = (shared().database(), shared().database());
        one.sql("CREATE TABLE paid (amount bigint); INSERT INTO paid VALUES (500)");
        assert_eq!(one.sql("SELECT amount, amount * 2 FROM paid"), "500|1000");
        assert_eq!(other.sql("SELECT to_regclass('paid') IS NULL"), "t");
        let name = one.name().to_owned();
        drop(one);
        assert_eq!(
            shared().sql("postgres", &format!("SELECT 1 FROM pg_database WHERE datname = '{name}'")),
            ""
        );
    }
}
