//! Where the servers of a test keep their ledger: a directory or a database of the test's own, gone when it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tollkeeper_testkit::postgres::{Database, shared};

use super::{KEY, TestServer, tollkeeper};

/// A place of a test's own.
pub struct TestStore {
    own: TempDir,
    database: Option<Database<'static>>,
    /// The file of PostgreSQL's log of changes that was being written when the database was made.
    changes_since: String,
}

impl TestStore {
    /// A data directory that is not there yet.
    pub fn directory() -> TestStore {
        let own = TempDir::new().expect("a temporary directory");
        TestStore { own, database: None, changes_since: String::new() }
    }

    /// An empty database of the cluster that all tests share.
    pub fn database() -> TestStore {
        let database = shared().database();
        let changes_since = database.sql("SELECT pg_walfile_name(pg_current_wal_lsn())");
        TestStore { database: Some(database), changes_since, ..TestStore::directory() }
    }

    /// The data directory; for a database, a name beside which is room.
    pub fn data(&self) -> PathBuf {
        self.own.path().join("data")
    }

    /// The address of the database.
    pub fn url(&self) -> Option<String> {
        self.database.as_ref().map(Database::url)
    }

    /// All that is kept, byte by byte, each piece with its name: the files of the directory; of a database the rows of each
    /// table, the files that they and their indexes lie in, PostgreSQL's log, its log of changes, and a dump.
    pub fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let Some(database) = &self.database else {
            return files(&self.data());
        };
        let tables = database.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
        let rows = tables.lines().map(|table| {
            let rows = database.sql(&format!("SELECT t::text FROM {table} t"));
            (format!("table {table}"), rows.into_bytes())
        });
        database.sql("CHECKPOINT");
        let lies_at =
            database.sql("SELECT 'base/' || oid FROM pg_database WHERE datname = current_database()");
        let log = fs::read(shared().path().join("log")).expect("PostgreSQL has a log");
        let data = shared().path().join("data");
        let mut kept: Vec<_> = rows.collect();
        kept.push(("the database's log".to_owned(), log));
        kept.push(("a dump".to_owned(), database.dump().into_bytes()));
        kept.extend(files(&data.join(lies_at)));
        let changes = files(&data.join("pg_wal")).into_iter();
        kept.extend(changes.filter(|(path, _)| path.rsplit('/').next() >= Some(self.changes_since.as_str())));
        kept
    }

    /// Tells a command where to work.
    pub fn add_to(&self, command: &mut Command) {
        match self.url() {
            Some(url) => command.env("TOLLKEEPER_DATABASE_URL", url),
            None => command.arg("--data").arg(self.data()),
        };
    }

    /// The command that serves it on a free port, without a key of the test's.
    pub fn command_without_key(&self) -> Command {
        let mut command = tollkeeper();
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        self.add_to(&mut command);
        command
    }

    /// The command that serves it on a free port.
    pub fn command(&self) -> Command {
        let mut command = self.command_without_key();
        command.env("TOLLKEEPER_PLATFORM_KEY", KEY);
        command
    }

    /// A server on it, which takes it along.
    pub fn server(self) -> TestServer {
        let command = self.command();
        self.server_with(command)
    }

    /// The same by a command of the test's own.
    pub fn server_with(self, command: Command) -> TestServer {
        let mut server = TestServer::spawned(command, &self.data());
        server.own = Some(self);
        server
    }

    /// A server on it, which is one of several.
    pub fn start_server(&self, command: Command) -> TestServer {
        TestServer::spawned(command, &self.data())
    }
}

/// The files of a directory, by name, with what is in them.
pub fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let listed = fs::read_dir(directory).unwrap_or_else(|why| panic!("{}: {why}", directory.display()));
    let paths = listed.map(|entry| entry.expect("an entry of a directory").path());
    // One that is not needed any more may go meanwhile.
    paths.filter_map(|path| Some((path.display().to_string(), fs::read(&path).ok()?))).collect()
}
