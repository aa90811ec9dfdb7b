//! A PostgreSQL of the tests' own: a data directory among the temporary files, a port of its own, gone afterwards.
//!
//! Each cluster has a watchdog: a shell that waits until the pipe from this process closes, then stops the server and
//! removes its directory. A pipe closes when the cluster is dropped, when a test panics, and when the process ends or is
//! killed, so nothing is ever left behind, and one cluster can be shared by all tests of a process. Text is sorted as
//! people sort it, so that a column which has to be sorted by its bytes must say so.
//!
//! ```text
//! binaries   the system's PostgreSQL, and how it is run
//! cable      the network between a server and its database
//! pair       a primary and its synchronous standby
//! small_disk databases on a disk that can be filled
//! ```

mod binaries;
mod cable;
mod pair;
mod small_disk;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use binaries::{attempt, binary, command, run};
pub use cable::Cable;
pub use pair::{Pair, two_hosts};
use small_disk::with_disk;

/// A setting of `postgresql.conf`.
pub type Setting<'a> = (&'a str, &'a str);

/// For tests that crash no machine: nothing waits for the disk. Without it a cluster keeps what it acknowledged.
pub const NO_CRASH: &[Setting<'static>] = &[("fsync", "off"), ("full_page_writes", "off")];

/// Databases belong to somebody without further rights, as they should elsewhere.
const OWNER: &str = "CREATE ROLE tollkeeper LOGIN";

/// Below what the system hands out to outgoing connections, so that a server which comes back finds its port free.
const PORTS: std::ops::Range<u32> = 20_000..32_000;
/// How often another port is tried.
const PORTS_TRIED: usize = 20;

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are told and ended, everything is written: a restart in order.
    Fast,
    /// Sessions are cut, nothing more is written: the next start recovers from the log.
    Immediate,
    /// Every process is killed where it stands, and no session is told anything.
    Kill,
}

/// A server and its data directory.
#[derive(Debug)]
pub struct Cluster {
    home: PathBuf,
    /// The size of the disk that its databases lie on, when it is a small one.
    disk_mib: Option<u32>,
    port: u16,
    watchdog: Child,
}

/// A database that is dropped when this is.
#[derive(Debug)]
pub struct Database<'a> {
    cluster: &'a Cluster,
    name: String,
}

/// The cluster that the ordinary tests of this process share; started by the first who asks, gone with the process.
#[must_use]
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| Cluster::start(&[NO_CRASH, &[("max_connections", "300")]].concat()))
}

impl Cluster {
    /// Makes a cluster and starts it. Panics with what PostgreSQL says when it cannot: no test can go on without.
    #[must_use]
    #[track_caller]
    pub fn start(settings: &[Setting<'_>]) -> Cluster {
        let cluster = Cluster::initialised().first_start(settings);
        cluster.sql("postgres", OWNER);
        cluster
    }

    /// A data directory that was never started.
    #[track_caller]
    fn initialised() -> Cluster {
        let cluster = Cluster::home();
        let mut initdb = command(binary("initdb"));
        initdb.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync", "--no-instructions"]);
        initdb.args(["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"]);
        run(initdb.arg("-D").arg(cluster.data()));
        cluster
    }

    /// A directory with a watchdog, and nothing in it yet.
    fn home() -> Cluster {
        // Where there is an X, `mktemp` puts a letter or a digit of chance.
        let template = std::env::temp_dir().join(format!("tollkeeper-pg-{}", "X".repeat(8)));
        let home = PathBuf::from(run(command("mktemp").arg("-d").arg(template)).trim_end());
        // A server that a test holds still has to go on before it can stop.
        let watch = "trap '' INT HUP TERM; cat; \
                     if postmaster=$(head -n 1 \"$1/data/postmaster.pid\"); then \
                     kill -CONT $postmaster $(cat /proc/$postmaster/task/$postmaster/children); \
                     \"$2\" -D \"$1/data\" -m immediate stop; fi; rm -rf \"$1\"";
        let mut watchdog = command("sh");
        watchdog.args(["-c", watch, "watchdog"]).arg(&home).arg(binary("pg_ctl"));
        watchdog.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: what ends this process from a terminal must not end the one who tidies up.
        let watchdog = watchdog.process_group(0).spawn().expect("a shell can be started");
        Cluster { home, disk_mib: None, port: 0, watchdog }
    }

    /// Writes the settings and starts a data directory for the first time, on a port that is free.
    #[track_caller]
    fn first_start(mut self, settings: &[Setting<'_>]) -> Cluster {
        let mut lines =
            format!("listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n", self.home.display());
        for (name, value) in settings {
            writeln!(lines, "{name} = '{value}'").expect("a string takes everything");
        }
        let file = self.data().join("postgresql.conf");
        let given = fs::read_to_string(&file).expect("initdb wrote the settings");
        fs::write(&file, given + &lines).expect("the settings can be written");
        let mut said = String::new();
        for _ in 0..PORTS_TRIED {
            self.port = free_port();
            match self.try_start() {
                Ok(()) => return self,
                // Somebody else may have taken the port meanwhile.
                Err(error) if error.contains("could not bind") => said = error,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("{said}");
    }

    fn try_start(&self) -> Result<(), String> {
        let log = self.home.join("log");
        let mut start = self.pg_ctl("start");
        start.arg("-l").arg(&log).arg("-o").arg(format!("-p {}", self.port));
        if let Some(mib) = self.disk_mib {
            start = with_disk(&self.disk(), mib, &start);
        }
        // The server keeps what it inherits, and a pipe would be waited for until it ends.
        start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = start.status().map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(());
        }
        Err(format!("PostgreSQL does not start:\n{}", fs::read_to_string(log).unwrap_or_default()))
    }

    fn pg_ctl(&self, action: &str) -> Command {
        let mut pg_ctl = command(binary("pg_ctl"));
        pg_ctl.arg(action).arg("-w").arg("-D").arg(self.data());
        pg_ctl
    }

    /// Starts it again on its port, after [`Cluster::stop`].
    #[track_caller]
    pub fn start_again(&self) {
        self.try_start().expect("a server that ran before starts again");
    }

    /// Stops the server; returns when none of its processes is left.
    #[track_caller]
    pub fn stop(&self, how: Stop) {
        match how {
            Stop::Fast => drop(run(self.pg_ctl("stop").args(["-m", "fast"]))),
            Stop::Immediate => drop(run(self.pg_ctl("stop").args(["-m", "immediate"]))),
            Stop::Kill => self.kill(),
        }
    }

    /// Kills all processes at once, first the one that would notice, as when the machine loses power.
    fn kill(&self) {
        let postmaster = self.postmaster();
        // What has ended but was not yet asked about has a number still, so its locks are taken away as by a new start of
        // the machine.
        let script = "children=$(cat /proc/$1/task/$1/children); kill -9 $1 $children; \
                      for process in $1 $children; do \
                      while read -r _ _ state _ < /proc/$process/stat && [ $state != Z ]; do sleep 0.01; done; \
                      done; rm -f \"$2\"/data/postmaster.pid \"$2\"/.s.PGSQL.*";
        run(command("sh").args(["-c", script, "kill", &postmaster.to_string()]).arg(&self.home));
    }

    /// Holds every process of the server still: a machine that does not answer. The first process comes first: it starts no
    /// other then, and one that ends meanwhile stays where its number is until it is thawed.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal("kill -STOP $1; kill -STOP $(cat /proc/$1/task/$1/children)");
    }

    /// Lets a frozen server go on. The first process comes last: it clears away those that have ended.
    #[track_caller]
    pub fn thaw(&self) {
        self.signal("kill -CONT $(cat /proc/$1/task/$1/children); kill -CONT $1");
    }

    fn signal(&self, script: &str) {
        run(command("sh").args(["-ec", script, "signal", &self.postmaster().to_string()]));
    }

    /// The number of the server's first process.
    fn postmaster(&self) -> u32 {
        let file = fs::read_to_string(self.data().join("postmaster.pid"));
        let file = file.expect("a server that runs has written its number");
        file.lines().next().and_then(|line| line.parse().ok()).expect("the first line is the number")
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Where it is, with everything that belongs to it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.home
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a database, for its owner.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://tollkeeper@127.0.0.1:{}/{database}", self.port)
    }

    /// A database of one's own, empty.
    #[must_use]
    #[track_caller]
    pub fn database(&self) -> Database<'_> {
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let place = if self.disk_mib.is_some() { "TABLESPACE small" } else { "" };
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER tollkeeper {place}"));
        Database { cluster: self, name }
    }

    /// Runs SQL in a database as one who may do everything; gives the rows, columns parted by `|`. Panics with what PostgreSQL says when it fails.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        match self.try_sql(database, sql) {
            Ok(rows) => rows,
            Err(said) => panic!("{said}"),
        }
    }

    /// Runs SQL in a database; gives the rows, columns parted by `|`.
    ///
    /// # Errors
    /// What PostgreSQL said.
    pub fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        attempt(self.psql(database).args(["-c", sql])).map(|rows| rows.trim_end().to_owned())
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = self.client("psql", database);
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1"]);
        psql
    }

    /// One of PostgreSQL's own programs, for a database.
    fn client(&self, program: &str, database: &str) -> Command {
        let mut client = command(binary(program));
        client.arg("-h").arg(&self.home).arg("-p").arg(self.port.to_string());
        client.args(["-U", "postgres", "-d", database]);
        // A test that fails while the server is frozen has to end all the same.
        client.env("PGCONNECT_TIMEOUT", "10");
        client
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        // What the watchdog could not do is no reason to fail a test that passed.
        let _ = self.watchdog.wait();
    }
}

impl Database<'_> {
    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs SQL in it as one who may do everything; gives the rows, columns parted by `|`. Panics with what PostgreSQL says when it fails.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.name, sql)
    }

    /// A backup of it as SQL, as people make them.
    #[must_use]
    #[track_caller]
    pub fn dump(&self) -> String {
        run(&mut self.cluster.client("pg_dump", &self.name))
    }
}

/// A transaction that stays open until this is dropped.
#[derive(Debug)]
pub struct Held(Child);

impl Database<'_> {
    /// Ends all sessions in it, whatever they are doing; gives how many there were.
    #[track_caller]
    pub fn end_sessions(&self) -> usize {
        let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        self.sql(&format!("SELECT pg_terminate_backend(pid) {others}")).lines().count()
    }

    /// Runs SQL in a transaction that stays open, with all its locks, until it is dropped.
    #[must_use]
    #[track_caller]
    pub fn hold(&self, sql: &str) -> Held {
        let mut psql = self.cluster.psql(&self.name);
        let mut psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql starts");
        let (input, output) = (psql.stdin.as_mut(), psql.stdout.as_mut());
        let (Some(input), Some(output)) = (input, output) else { panic!("both are piped") };
        writeln!(input, "BEGIN; {sql};\n\\echo held").expect("psql reads");
        let mut said = String::new();
        BufReader::new(output).read_line(&mut said).expect("psql speaks");
        assert_eq!(said, "held\n");
        Held(psql)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Psql ends with what it reads, and the server ends its transaction.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // Its server may have been stopped by the test and goes with its directory anyway; a standby may be gone.
        let mut psql = self.cluster.psql("postgres");
        psql.env("PGOPTIONS", "-c synchronous_commit=local");
        let _ = attempt(psql.args(["-c", &format!("DROP DATABASE {} WITH (FORCE)", self.name)]));
    }
}

/// A port on which nobody listens at present; each process begins to look at another place.
fn free_port() -> u16 {
    static TRIES: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(37);
    let free = std::iter::repeat_with(|| begin.wrapping_add(TRIES.fetch_add(1, Ordering::Relaxed)))
        .map(|place| PORTS.start + place % (PORTS.end - PORTS.start))
        .filter_map(|port| u16::try_from(port).ok())
        .take(PORTS.len())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("one of thousands of ports is free")
}

#[cfg(test)]
mod tests {
    use super::{Cluster, NO_CRASH, Stop, shared};

    #[test]
    fn databases_of_a_cluster_are_apart_and_go_away() {
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

    #[test]
    fn a_cluster_comes_back_with_what_it_kept_and_leaves_nothing_behind() {
        let cluster = Cluster::start(&[]);
        let database = cluster.database();
        database.sql("CREATE TABLE paid (amount bigint)");
        for (rows, how) in [Stop::Fast, Stop::Immediate, Stop::Kill].into_iter().enumerate() {
            database.sql("INSERT INTO paid VALUES (500)");
            cluster.stop(how);
            assert!(cluster.try_sql("postgres", "SELECT 1").is_err(), "{how:?}: it is stopped");
            cluster.start_again();
            assert_eq!(database.sql("SELECT count(*) FROM paid"), (rows + 1).to_string(), "{how:?}");
        }
        drop(database);
        let home = cluster.path().to_owned();
        drop(cluster);
        assert!(!home.exists());
    }

    #[test]
    fn a_frozen_server_goes_on_or_goes_away() {
        let cluster = Cluster::start(NO_CRASH);
        cluster.freeze();
        cluster.thaw();
        assert_eq!(cluster.sql("postgres", "SELECT 1"), "1");
        cluster.freeze();
        let home = cluster.path().to_owned();
        drop(cluster);
        assert!(!home.exists());
    }

    #[test]
    fn a_server_goes_on_although_a_process_of_it_ended_while_it_was_frozen() {
        let cluster = Cluster::start(NO_CRASH);
        cluster.freeze();
        let end = "for process in $(cat /proc/$1/task/$1/children); do last=$process; done; kill -KILL $last";
        super::run(super::command("sh").args(["-c", end, "end", &cluster.postmaster().to_string()]));
        cluster.thaw();
    }

    #[test]
    fn two_clusters_stand_side_by_side() {
        let (one, other) = (Cluster::start(NO_CRASH), Cluster::start(NO_CRASH));
        assert_ne!(one.port(), other.port());
        assert_eq!(one.sql("postgres", "SHOW port"), one.port().to_string());
        assert_eq!(one.sql("postgres", "SHOW fsync"), "off");
    }
}
