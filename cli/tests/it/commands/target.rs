//! Runs the same script of commands on a directory, on a database and against a server.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use tollkeeper_testkit::postgres::{is_missing, shared};

use crate::harness::{KEY, TestServer, printed, tollkeeper};

/// Where commands work.
pub enum Target<'a> {
    /// A data directory.
    Directory(&'a Path),
    /// A database, by its URL.
    Database(&'a str),
    /// A server, by its URL, and a key.
    Server(&'a str, &'a str),
}

impl Target<'_> {
    /// A command.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = tollkeeper();
        command.args(args);
        match self {
            Target::Directory(data) => command.arg("--data").arg(data),
            Target::Database(url) => command.args(["--database-url", url]),
            Target::Server(url, key) => command.args(["--server", url]).env("TOLLKEEPER_KEY", key),
        };
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary runs")
    }

    /// Runs a command, which must succeed; returns its JSON.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", printed(&output));
        serde_json::from_slice(&output.stdout).expect("the output is JSON")
    }

    /// Runs a command, which must succeed; returns its text for users.
    #[track_caller]
    pub fn text(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", printed(&output));
        String::from_utf8(output.stdout).expect("the output is text")
    }

    /// Runs a command, which must fail with this exit code; returns its stderr.
    #[track_caller]
    pub fn refused(&self, args: &[&str], exit: i32) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(exit), "{args:?}: {}", printed(&output));
        assert!(output.stdout.is_empty(), "{args:?}: no data");
        String::from_utf8(output.stderr).expect("the output is text")
    }
}

/// Runs a script on all three targets; without PostgreSQL, on the other two.
pub fn everywhere(script: impl Fn(&Target)) {
    let own = TempDir::new().expect("a temporary directory can be created");
    script(&Target::Directory(&own.path().join("data")));
    if !is_missing() {
        let database = shared().database();
        script(&Target::Database(&database.url()));
    }
    let server = TestServer::fresh();
    script(&Target::Server(&server.url, KEY));
}
