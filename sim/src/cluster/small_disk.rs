//! A disk so small that it can be filled: databases in memory that the server alone sees.
//!
//! The server runs in a mount namespace of its own, where a directory of its cluster is a small file system in memory, and
//! its databases lie there. Its log of writes does not: PostgreSQL answers a full disk below its tables with an error and
//! goes on, which is what clients have to live with, while a full disk below its log stops it as a crash does. Mount
//! namespaces need `unshare`: as root, or where users may have them. Elsewhere the test fails and says what is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::binaries::{command, run};
use super::{Cluster, Database, OWNER, Setting};

/// What is mounted before the server starts: the directory and the size in MiB, then the command.
const MOUNT: &str = "mount -t tmpfs -o size=$2m,mode=1777 tmpfs \"$1\" && shift 2 && exec \"$@\"";

impl Cluster {
    /// Makes a cluster whose databases lie on a disk of so many MiB, and starts it.
    #[must_use]
    #[track_caller]
    pub fn start_on_small_disk(mib: u32, settings: &[Setting<'_>]) -> Cluster {
        let mut cluster = Cluster::initialised();
        cluster.disk_mib = Some(mib);
        run(command("mkdir").arg(cluster.disk()));
        let cluster = cluster.first_start(settings);
        cluster.sql("postgres", OWNER);
        let place = cluster.disk().join("tables").display().to_string();
        // Only the server sees the disk, so it makes the directory itself.
        cluster.sql("postgres", &format!("COPY (SELECT) TO PROGRAM 'mkdir {place}'"));
        cluster.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{place}'"));
        cluster
    }

    /// Where the small disk is mounted.
    pub(super) fn disk(&self) -> PathBuf {
        self.path().join("disk")
    }
}

impl Database<'_> {
    /// Fills the disk on which this database lies, to the last page.
    #[track_caller]
    pub fn fill_disk(&self) {
        self.sql("CREATE TABLE ballast (bytes text) WITH (autovacuum_enabled = off)");
        self.sql("ALTER TABLE ballast ALTER bytes SET STORAGE PLAIN");
        let page = "INSERT INTO ballast VALUES (repeat('x', 8000))";
        self.sql(&format!("DO $$ BEGIN LOOP {page}; END LOOP; EXCEPTION WHEN disk_full THEN END $$"));
    }

    /// Makes room again.
    #[track_caller]
    pub fn make_room(&self) {
        self.sql("DROP TABLE ballast");
    }
}

/// The same command, in a namespace where `directory` is a small disk.
#[track_caller]
pub(super) fn with_disk(directory: &Path, mib: u32, inner: &Command) -> Command {
    let root: &[&str] = &["-m", "--propagation", "private"];
    let user: &[&str] = &["--map-current-user", "--keep-caps", "-m", "--propagation", "private"];
    let allowed = |options: &&&[&str]| {
        let probe = ["mount", "-t", "tmpfs", "tmpfs", "/mnt"];
        let probe = Command::new("unshare").args(**options).args(probe).output();
        probe.is_ok_and(|output| output.status.success())
    };
    let Some(options) = [root, user].iter().find(allowed).copied() else {
        panic!(
            "this test needs mount namespaces: `unshare` of util-linux, as root or where users may have them"
        );
    };
    let mut outer = Command::new("unshare");
    outer.args(options).args(["sh", "-c", MOUNT, "mounted"]).arg(directory).arg(mib.to_string());
    outer.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer.current_dir("/");
    outer
}

#[cfg(test)]
mod tests {
    use crate::cluster::{Cluster, NO_CRASH};

    #[test]
    fn a_small_disk_is_filled_and_cleared() {
        let cluster = Cluster::start_on_small_disk(24, NO_CRASH);
        let database = cluster.database();
        database.sql("CREATE TABLE paid (amount bigint)");
        let rows = "INSERT INTO paid SELECT generate_series(1, 100000)";
        database.fill_disk();
        let said = cluster.try_sql(database.name(), rows).expect_err("the disk is full");
        assert!(said.contains("No space left on device"), "{said}");
        database.make_room();
        database.sql(rows);
        assert_eq!(database.sql("SELECT count(*) FROM paid"), "100000");
    }
}
