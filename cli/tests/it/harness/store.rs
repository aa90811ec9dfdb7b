//! The store of a test: a data directory or a PostgreSQL database, removed when the test ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tollkeeper_testkit::postgres::{Database, shared};

use super::{KEY, TestServer, tollkeeper};

/// A data directory or a database that only one test uses.
pub struct TestStore {
    own: TempDir,
    database: Option<Database<'static>>,
    /// The name of PostgreSQL's WAL file when the database was created.
    first_wal_file: String,
}

impl TestStore {
    /// A data directory that does not exist yet.
    pub fn directory() -> TestStore {
        let own = TempDir::new().expect("a temporary directory can be created");
        TestStore { own, database: None, first_wal_file: String::new() }
    }

    /// An empty database in the cluster that all tests share.
    pub fn database() -> TestStore {
        let database = shared().database();
        let first_wal_file = database.sql("SELECT pg_walfile_name(pg_current_wal_lsn())");
        TestStore { database: Some(database), first_wal_file, ..TestStore::directory() }
    }

    /// The data directory. For a database, a path that does not exist; logs are written next to it.
    pub fn data(&self) -> PathBuf {
        self.own.path().join("data")
    }

    /// The URL of the database.
    pub fn url(&self) -> Option<String> {
        self.database.as_ref().map(Database::url)
    }

    /// Everything that is stored, each piece with a name: the files of the directory; for a
    /// database, the rows and files of its tables and indexes, the log and the WAL of PostgreSQL,
    /// and a dump.
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
        let directory =
            database.sql("SELECT 'base/' || oid FROM pg_database WHERE datname = current_database()");
        let log = fs::read(shared().path().join("log")).expect("PostgreSQL has a log");
        let data = shared().path().join("data");
        let mut contents: Vec<_> = rows.collect();
        contents.push(("the log of PostgreSQL".to_owned(), log));
        contents.push(("a dump".to_owned(), database.dump().into_bytes()));
        contents.extend(files(&data.join(directory)));
        let wal = files(&data.join("pg_wal")).into_iter();
        contents
            .extend(wal.filter(|(path, _)| path.rsplit('/').next() >= Some(self.first_wal_file.as_str())));
        contents
    }

    /// Adds the store to the options or the environment of a command.
    pub fn add_to(&self, command: &mut Command) {
        match self.url() {
            Some(url) => command.env("TOLLKEEPER_DATABASE_URL", url),
            None => command.arg("--data").arg(self.data()),
        };
    }

    /// The command that serves the store on a free port, without a platform key.
    pub fn command_without_key(&self) -> Command {
        let mut command = tollkeeper();
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        self.add_to(&mut command);
        command
    }

    /// The command that serves the store on a free port, with the platform key of the tests.
    pub fn command(&self) -> Command {
        let mut command = self.command_without_key();
        command.env("TOLLKEEPER_PLATFORM_KEY", KEY);
        command
    }

    /// Starts a server that owns the store: both end together.
    pub fn server(self) -> TestServer {
        let command = self.command();
        self.server_with(command)
    }

    /// Like [`TestStore::server`], with another command.
    pub fn server_with(self, command: Command) -> TestServer {
        let mut server = TestServer::spawned(command, &self.data());
        server.own = Some(self);
        server
    }

    /// Starts one of several servers on the store.
    pub fn start_server(&self, command: Command) -> TestServer {
        TestServer::spawned(command, &self.data())
    }
}

/// The files of a directory: path and content.
pub fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let listed = fs::read_dir(directory).unwrap_or_else(|why| panic!("{}: {why}", directory.display()));
    let paths = listed.map(|entry| entry.expect("an entry of a directory").path());
    // A file may be removed in the meantime.
    paths.filter_map(|path| Some((path.display().to_string(), fs::read(&path).ok()?))).collect()
}
