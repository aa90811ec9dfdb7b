//! One PostgreSQL server with its data directory among the temporary files, on a port of its own.
//!
//! Each cluster has a watchdog: a shell that waits until the pipe from this process closes, then
//! stops the server and removes its directory. The pipe closes when the cluster is dropped, when a
//! test panics, and when the process ends or is killed. So no server is left behind, and the tests
//! of a process can share one cluster.
//!
//! The cluster sorts text by the rules of a language (ICU, en-US), not by bytes. A column of
//! Tollkeeper that must be sorted by bytes has to say so itself.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::binaries::{command, program, run, try_run};
use super::small_disk::with_disk;
use super::{Database, OWNER};

/// A setting of `postgresql.conf`: name and value.
pub type Setting<'a> = (&'a str, &'a str);

/// Below the range that the system uses for outgoing connections, so that a restarted server finds
/// its port free.
const PORTS: std::ops::Range<u32> = 20_000..32_000;
/// How many ports a start tries at most.
const PORTS_TRIED: usize = 20;

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ends the sessions with an error message and writes everything: an orderly restart.
    Fast,
    /// Cuts the sessions and writes nothing more: the next start recovers from the WAL.
    Immediate,
    /// Kills every process at once, without a message to any session.
    Kill,
}

/// A server and its data directory.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    /// The size of the small disk that holds the databases, if there is one.
    pub(super) disk_mib: Option<u32>,
    port: u16,
    watchdog: Child,
}

impl Cluster {
    /// Creates a cluster and starts it. Panics with PostgreSQL's message if that fails.
    #[must_use]
    #[track_caller]
    pub fn start(settings: &[Setting<'_>]) -> Cluster {
        let cluster = Cluster::init().first_start(settings);
        cluster.sql("postgres", OWNER);
        cluster
    }

    /// Runs `initdb`; the server is not started.
    #[track_caller]
    pub(super) fn init() -> Cluster {
        let cluster = Cluster::empty();
        let mut initdb = command(program("initdb"));
        initdb.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync", "--no-instructions"]);
        initdb.args(["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"]);
        run(initdb.arg("-D").arg(cluster.data()));
        cluster
    }

    /// An empty directory with its watchdog.
    #[track_caller]
    pub(super) fn empty() -> Cluster {
        // `mktemp` replaces each X by a random letter or digit.
        let template = std::env::temp_dir().join(format!("tollkeeper-pg-{}", "X".repeat(8)));
        let directory = PathBuf::from(run(command("mktemp").arg("-d").arg(template)).trim_end());
        // A server that a test has frozen must be thawed before it can stop.
        let watch = "trap '' INT HUP TERM; cat; \
                     if postmaster=$(head -n 1 \"$1/data/postmaster.pid\"); then \
                     kill -CONT $postmaster $(cat /proc/$postmaster/task/$postmaster/children); \
                     \"$2\" -D \"$1/data\" -m immediate stop; fi; rm -rf \"$1\"";
        let mut watchdog = command("sh");
        watchdog.args(["-c", watch, "watchdog"]).arg(&directory).arg(program("pg_ctl"));
        watchdog.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // In a process group of its own, so that Ctrl-C in a terminal does not end it with this
        // process.
        let watchdog = watchdog.process_group(0).spawn().expect("every system has a shell");
        Cluster { directory, disk_mib: None, port: 0, watchdog }
    }

    /// Writes the settings and starts the server for the first time, on a free port.
    #[track_caller]
    pub(super) fn first_start(mut self, settings: &[Setting<'_>]) -> Cluster {
        let mut lines = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n",
            self.directory.display()
        );
        for (name, value) in settings {
            writeln!(lines, "{name} = '{value}'").expect("a string takes everything");
        }
        let file = self.data().join("postgresql.conf");
        let defaults = fs::read_to_string(&file).expect("initdb wrote the settings");
        fs::write(&file, defaults + &lines).expect("the settings can be written");
        let mut last_error = String::new();
        for _ in 0..PORTS_TRIED {
            self.port = free_port();
            match self.try_start() {
                Ok(()) => return self,
                // Another process may have taken the port meanwhile.
                Err(error) if error.contains("could not bind") => last_error = error,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("{last_error}");
    }

    fn try_start(&self) -> Result<(), String> {
        let log = self.directory.join("log");
        let mut start = self.pg_ctl("start");
        start.arg("-l").arg(&log).arg("-o").arg(format!("-p {}", self.port));
        if let Some(mib) = self.disk_mib {
            start = with_disk(&self.disk(), mib, &start);
        }
        // The server inherits these; with a pipe, the caller would wait for the server to end.
        start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = start.status().map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(());
        }
        Err(format!("PostgreSQL does not start:\n{}", fs::read_to_string(log).unwrap_or_default()))
    }

    pub(super) fn pg_ctl(&self, action: &str) -> Command {
        let mut pg_ctl = command(program("pg_ctl"));
        pg_ctl.arg(action).arg("-w").arg("-D").arg(self.data());
        pg_ctl
    }

    /// Starts the server again on the same port, after [`Cluster::stop`].
    #[track_caller]
    pub fn restart(&self) {
        self.try_start().expect("a server that ran before starts again");
    }

    /// Stops the server and returns when none of its processes is left.
    #[track_caller]
    pub fn stop(&self, how: Stop) {
        match how {
            Stop::Fast => drop(run(self.pg_ctl("stop").args(["-m", "fast"]))),
            Stop::Immediate => drop(run(self.pg_ctl("stop").args(["-m", "immediate"]))),
            Stop::Kill => self.kill(),
        }
    }

    /// Kills all processes at once, as a power failure does. The postmaster comes first, because it
    /// would react.
    fn kill(&self) {
        let postmaster = self.postmaster();
        // A killed process that nobody has waited for still has its process id, so PostgreSQL would
        // take its lock files for those of a running server. The script removes them, as a restart
        // of the machine does.
        let script = "children=$(cat /proc/$1/task/$1/children); kill -9 $1 $children; \
                      for process in $1 $children; do \
                      while read -r _ _ state _ < /proc/$process/stat && [ $state != Z ]; do sleep 0.01; done; \
                      done; rm -f \"$2\"/data/postmaster.pid \"$2\"/.s.PGSQL.*";
        run(command("sh").args(["-c", script, "kill", &postmaster.to_string()]).arg(&self.directory));
    }

    /// Stops every process of the server with SIGSTOP: a machine that does not answer.
    ///
    /// The postmaster comes first. It then starts no other process, and the id of a process that
    /// ends stays taken until the postmaster is thawed.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal("kill -STOP $1; kill -STOP $(cat /proc/$1/task/$1/children)");
    }

    /// Continues a frozen server. The postmaster comes last, because it waits for the processes
    /// that have ended.
    #[track_caller]
    pub fn thaw(&self) {
        self.signal("kill -CONT $(cat /proc/$1/task/$1/children); kill -CONT $1");
    }

    fn signal(&self, script: &str) {
        run(command("sh").args(["-ec", script, "signal", &self.postmaster().to_string()]));
    }

    /// The process id of the postmaster, the server's first process.
    fn postmaster(&self) -> u32 {
        let file = fs::read_to_string(self.data().join("postmaster.pid"));
        let file = file.expect("a running server has a postmaster.pid");
        file.lines()
            .next()
            .and_then(|line| line.parse().ok())
            .expect("the first line of postmaster.pid is the process id")
    }

    /// The data directory of PostgreSQL.
    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The directory of the cluster: `data` and the server's `log`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database, for its owner.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://tollkeeper@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database.
    #[must_use]
    #[track_caller]
    pub fn database(&self) -> Database<'_> {
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let tablespace = if self.disk_mib.is_some() { "TABLESPACE small" } else { "" };
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER tollkeeper {tablespace}"));
        Database::new(self, name)
    }

    /// Runs SQL in a database as superuser and returns the rows, with `|` between columns.
    ///
    /// Panics with PostgreSQL's message if it fails.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        match self.try_sql(database, sql) {
            Ok(rows) => rows,
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs SQL in a database as superuser and returns the rows, with `|` between columns.
    ///
    /// # Errors
    /// PostgreSQL's message.
    pub fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        try_run(self.psql(database).args(["-c", sql])).map(|rows| rows.trim_end().to_owned())
    }

    pub(super) fn psql(&self, database: &str) -> Command {
        let mut psql = self.client("psql", database);
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1"]);
        psql
    }

    /// One of PostgreSQL's client programs, for a database.
    pub(super) fn client(&self, name: &str, database: &str) -> Command {
        let mut client = command(program(name));
        client.arg("-h").arg(&self.directory).arg("-p").arg(self.port.to_string());
        client.args(["-U", "postgres", "-d", database]);
        // So that a test which fails while the server is frozen ends.
        client.env("PGCONNECT_TIMEOUT", "10");
        client
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        // A watchdog that fails to clean up does not fail a test that passed.
        let _ = self.watchdog.wait();
    }
}

/// A port on which nothing listens now. Each process begins its search at another port.
fn free_port() -> u16 {
    static TRIES: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(37);
    let free = std::iter::repeat_with(|| begin.wrapping_add(TRIES.fetch_add(1, Ordering::Relaxed)))
        .map(|number| PORTS.start + number % (PORTS.end - PORTS.start))
        .filter_map(|port| u16::try_from(port).ok())
        .take(PORTS.len())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("one of thousands of ports is free")
}

#[cfg(test)]
mod tests {
    use super::super::binaries::{command, run};
    use super::super::{NO_CRASH, is_missing};
    use super::{Cluster, Stop};

    #[test]
    fn a_restarted_server_has_its_data_and_a_dropped_one_leaves_nothing_behind() {
        if is_missing() {
            return;
        }
        let cluster = Cluster::start(&[]);
        let database = cluster.database();
        database.sql("CREATE TABLE paid (amount bigint)");
        for (rows, how) in [Stop::Fast, Stop::Immediate, Stop::Kill].into_iter().enumerate() {
            database.sql("INSERT INTO paid VALUES (500)");
            cluster.stop(how);
            assert!(cluster.try_sql("postgres", "SELECT 1").is_err(), "{how:?}: the server is stopped");
            cluster.restart();
            assert_eq!(database.sql("SELECT count(*) FROM paid"), (rows + 1).to_string(), "{how:?}");
        }
        drop(database);
        let directory = cluster.path().to_owned();
        drop(cluster);
        assert!(!directory.exists());
    }

    #[test]
    fn a_frozen_server_is_thawed_or_removed() {
        if is_missing() {
            return;
        }
        let cluster = Cluster::start(NO_CRASH);
        cluster.freeze();
        cluster.thaw();
        assert_eq!(cluster.sql("postgres", "SELECT 1"), "1");
        cluster.freeze();
        let directory = cluster.path().to_owned();
        drop(cluster);
        assert!(!directory.exists());
    }

    #[test]
    fn a_server_is_thawed_although_one_of_its_processes_ended_while_it_was_frozen() {
        if is_missing() {
            return;
        }
        let cluster = Cluster::start(NO_CRASH);
        cluster.freeze();
        let end = "for process in $(cat /proc/$1/task/$1/children); do last=$process; done; kill -KILL $last";
        run(command("sh").args(["-c", end, "end", &cluster.postmaster().to_string()]));
        cluster.thaw();
    }

    #[test]
    fn two_clusters_run_side_by_side() {
        if is_missing() {
            return;
        }
        let (one, other) = (Cluster::start(NO_CRASH), Cluster::start(NO_CRASH));
        assert_ne!(one.port(), other.port());
        assert_eq!(one.sql("postgres", "SHOW port"), one.port().to_string());
        assert_eq!(one.sql("postgres", "SHOW fsync"), "off");
    }
}
