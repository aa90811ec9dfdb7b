//! The system's PostgreSQL: where its binaries are, and how they are run.
//!
//! PostgreSQL refuses to run as root, so root hands over to the user `postgres`, whom Debian's package makes. A machine
//! without PostgreSQL fails the test that asks for it and says what to install: what was not shown is not claimed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The oldest version that is taken.
const MAJOR_VERSION_MIN: u32 = 15;
/// Where Debian keeps each version, in a directory of its number.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Found once a process.
#[derive(Debug)]
struct Found {
    binaries: PathBuf,
    root: bool,
}

fn found() -> &'static Found {
    static FOUND: OnceLock<Found> = OnceLock::new();
    FOUND.get_or_init(|| {
        let binaries = of_debian().or_else(in_path).unwrap_or_else(|| {
            panic!(
                "this test needs PostgreSQL {MAJOR_VERSION_MIN} or newer, in {DEBIAN} or in PATH: \
                 on Debian `apt-get install postgresql`"
            )
        });
        let user = Command::new("id").arg("-u").output().expect("`id` is everywhere");
        Found { binaries, root: user.stdout == b"0\n" }
    })
}

/// The newest version of Debian's packages.
fn of_debian() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).ok()?.flatten().filter_map(|entry| {
        let major: u32 = entry.file_name().to_str()?.parse().ok()?;
        let binaries = entry.path().join("bin");
        (major >= MAJOR_VERSION_MIN && binaries.join("initdb").is_file()).then_some((major, binaries))
    });
    versions.max().map(|(_, binaries)| binaries)
}

/// What PATH leads to, if it is new enough.
fn in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|directory| {
        let version = Command::new(directory.join("initdb")).arg("--version").output();
        version.is_ok_and(|version| major(&version.stdout) >= Some(MAJOR_VERSION_MIN))
    })
}

/// The number in `initdb (PostgreSQL) 15.18 (Debian …)`.
fn major(version: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(version).ok()?;
    text.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok())
}

/// Where a binary of PostgreSQL is.
pub(super) fn binary(name: &str) -> PathBuf {
    found().binaries.join(name)
}

/// A command that runs as somebody whom PostgreSQL obeys, in a directory that such a one may enter.
pub(super) fn command(program: impl AsRef<Path>) -> Command {
    let mut command = if found().root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]);
        command.arg(program.as_ref());
        command
    } else {
        Command::new(program.as_ref())
    };
    // What the person who runs the tests has set for their own databases is none of ours.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    command.current_dir("/").env("LC_ALL", "C");
    command
}

/// Runs a command to its end and gives what it printed; panics with everything it said when it fails.
#[track_caller]
pub(super) fn run(command: &mut Command) -> String {
    match attempt(command) {
        Ok(printed) => printed,
        Err(said) => panic!("{said}"),
    }
}

/// Runs a command to its end; gives what it printed, or what it was and everything it said when it fails.
pub(super) fn attempt(command: &mut Command) -> Result<String, String> {
    let output: Output = command.output().map_err(|error| format!("{command:?} cannot be run: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    Err(format!("{command:?} failed\n{printed}{}", String::from_utf8_lossy(&output.stderr)))
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn a_version_is_read_from_what_debian_and_others_print() {
        assert_eq!(major(b"initdb (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major(b"initdb (PostgreSQL) 9.6.24\n"), Some(9));
        assert_eq!(major(b"initdb (PostgreSQL) 18beta1\n"), None);
        assert_eq!(major(b""), None);
    }
}
