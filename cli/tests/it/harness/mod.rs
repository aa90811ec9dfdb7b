//! What all tests share: stores, servers, clients, and how the binary is run.
//!
//! ```text
//! store      a data directory or a database of one test
//! server     a server process; killed when its test ends, and a test fails if it panicked
//! client     the HTTP API: requests, replies, and the calls that most tests need
//! calendar   days and months of a time zone
//! ```

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tollkeeper_testkit::retry::retry_for;

mod calendar;
mod client;
mod server;
mod store;

pub use calendar::{next_midnight, next_month, zone_at};
pub use client::{Reply, TestClient, assert_members, form_token};
pub use server::TestServer;
pub use store::{TestStore, files};

/// The platform key of the test servers.
pub const KEY: &str = "tk_test_0123456789abcdef0123456789abcdef";

/// How long a test waits for anything before it fails; much longer than anything takes.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// A command that runs the binary, with a clean environment.
pub fn tollkeeper() -> Command {
    cleaned(Command::new(env!("CARGO_BIN_EXE_tollkeeper")))
}

/// Removes the settings of this process from the environment of a command.
pub fn cleaned(mut command: Command) -> Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TOLLKEEPER_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub fn run(args: &[&str]) -> Output {
    tollkeeper().args(args).output().expect("the binary runs")
}

/// Repeats `ask` until it returns an answer; fails after [`TIMEOUT`].
#[track_caller]
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    retry_for(TIMEOUT, what, ask)
}

/// What a command printed to stdout and stderr.
pub fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
