//! Databases on a disk so small that a test can fill it: a file system in memory that only the
//! server sees.
//!
//! The server runs in a mount namespace of its own, in which a directory of the cluster is a small
//! tmpfs with the databases. The WAL lies elsewhere: if the disk below the tables is full,
//! PostgreSQL answers with an error and goes on; if the disk below the WAL is full, it stops as in
//! a crash. The tests need the first case. Mount namespaces need `unshare`, as root or on a system
//! that allows them to users. Otherwise the test fails and says what is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::binaries::{command, run};
use super::{Cluster, Database, OWNER, Setting};

/// Mounts a tmpfs, then runs a command. Arguments: the directory, the size in MiB, the command.
const MOUNT: &str = "mount -t tmpfs -o size=$2m,mode=1777 tmpfs \"$1\" && shift 2 && exec \"$@\"";

impl Cluster {
    /// Creates a cluster whose databases lie on a disk of `mib` MiB, and starts it.
    #[must_use]
    #[track_caller]
    pub fn start_on_small_disk(mib: u32, settings: &[Setting<'_>]) -> Cluster {
        let mut cluster = Cluster::init();
        cluster.disk_mib = Some(mib);
        run(command("mkdir").arg(cluster.disk()));
        let cluster = cluster.first_start(settings);
        cluster.sql("postgres", OWNER);
        let location = cluster.disk().join("tables").display().to_string();
        // Only the server sees the disk, so the server creates the directory.
        // The program reads what it is given: one that ends before would break the pipe.
        cluster.sql("postgres", &format!("COPY (SELECT) TO PROGRAM 'cat >&2 && mkdir {location}'"));
        cluster.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{location}'"));
        cluster
    }

    /// The directory at which the small disk is mounted.
    pub(super) fn disk(&self) -> PathBuf {
        self.path().join("disk")
    }
}

impl Database<'_> {
    /// Fills the disk of this database to the last page.
    #[track_caller]
    pub fn fill_disk(&self) {
        self.sql("CREATE TABLE ballast (bytes text) WITH (autovacuum_enabled = off)");
        self.sql("ALTER TABLE ballast ALTER bytes SET STORAGE PLAIN");
        let page = "INSERT INTO ballast VALUES (repeat('x', 8000))";
        self.sql(&format!("DO $$ BEGIN LOOP {page}; END LOOP; EXCEPTION WHEN disk_full THEN END $$"));
    }

    /// Frees the space that [`Database::fill_disk`] has taken.
    #[track_caller]
    pub fn free_disk(&self) {
        self.sql("DROP TABLE ballast");
    }
}

/// The command `inner` in a mount namespace in which `directory` is a disk of `mib` MiB.
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
    use super::super::{Cluster, NO_CRASH, is_missing};

    #[test]
    fn a_small_disk_is_filled_and_freed() {
        if is_missing() {
            return;
        }
        let cluster = Cluster::start_on_small_disk(24, NO_CRASH);
        let database = cluster.database();
        database.sql("CREATE TABLE paid (amount bigint)");
        let rows = "INSERT INTO paid SELECT generate_series(1, 100000)";
        database.fill_disk();
        let error = cluster.try_sql(database.name(), rows).expect_err("the disk is full");
        assert!(error.contains("No space left on device"), "{error}");
        database.free_disk();
        database.sql(rows);
        assert_eq!(database.sql("SELECT count(*) FROM paid"), "100000");
    }
}
