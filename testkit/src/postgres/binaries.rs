//! The installed PostgreSQL: where its programs are, whether there are any, and how they are run.
//!
//! PostgreSQL refuses to run as root, so root runs it as the user `postgres`, which Debian's
//! package creates.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::note::note_once;

/// The oldest version that the tests accept.
const MAJOR_VERSION_MIN: u32 = 15;
/// The directory in which Debian's packages install each version under its number.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The environment variable that names the directory of PostgreSQL's programs.
const DIRECTORY_VARIABLE: &str = "TOLLKEEPER_POSTGRES_BIN";
/// The environment variable that makes a missing PostgreSQL a failure, if it is `1`.
const REQUIRE_VARIABLE: &str = "TOLLKEEPER_REQUIRE_POSTGRES";

/// The PostgreSQL that this process uses.
#[derive(Debug)]
struct Installation {
    /// The directory of `initdb`, `pg_ctl`, `psql` and the other programs.
    programs: PathBuf,
    /// True if this process runs as root.
    root: bool,
}

/// Looks for PostgreSQL once per process.
fn installation() -> Option<&'static Installation> {
    static INSTALLATION: OnceLock<Option<Installation>> = OnceLock::new();
    let found = INSTALLATION.get_or_init(|| {
        let programs = match std::env::var_os(DIRECTORY_VARIABLE) {
            Some(directory) => Some(PathBuf::from(directory)).filter(|directory| is_new_enough(directory)),
            None => of_debian().or_else(in_path),
        }?;
        let user = Command::new("id").arg("-u").output().expect("every system has `id`");
        Some(Installation { programs, root: user.stdout == b"0\n" })
    });
    found.as_ref()
}

/// True if PostgreSQL is not installed, so that a test which needs it ends at once.
///
/// The first call of a process then writes one line to stderr. Panics if
/// `TOLLKEEPER_REQUIRE_POSTGRES=1`.
#[track_caller]
pub fn is_missing() -> bool {
    static SAID: OnceLock<()> = OnceLock::new();
    if installation().is_some() {
        return false;
    }
    assert!(std::env::var_os(REQUIRE_VARIABLE).is_none_or(|value| value != "1"), "{}", how_to_install());
    let note = format!(
        "the PostgreSQL tests of this binary do not run: PostgreSQL {MAJOR_VERSION_MIN} or newer is not \
         installed (Debian: apt-get install postgresql)"
    );
    note_once(&SAID, &note);
    true
}

fn how_to_install() -> String {
    format!(
        "this test needs PostgreSQL {MAJOR_VERSION_MIN} or newer in {DEBIAN}, in PATH or in the directory that \
         {DIRECTORY_VARIABLE} names; on Debian: apt-get install postgresql"
    )
}

/// The newest version among Debian's packages.
fn of_debian() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).ok()?.flatten().filter_map(|entry| {
        let major: u32 = entry.file_name().to_str()?.parse().ok()?;
        let programs = entry.path().join("bin");
        (major >= MAJOR_VERSION_MIN && programs.join("initdb").is_file()).then_some((major, programs))
    });
    versions.max().map(|(_, programs)| programs)
}

/// The first directory of PATH with a version that is new enough.
fn in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|directory| is_new_enough(directory))
}

fn is_new_enough(directory: &Path) -> bool {
    let version = Command::new(directory.join("initdb")).arg("--version").output();
    version.is_ok_and(|version| major(&version.stdout) >= Some(MAJOR_VERSION_MIN))
}

/// The major version in `initdb (PostgreSQL) 15.18 (Debian …)`.
fn major(version: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(version).ok()?;
    text.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok())
}

/// The path of one of PostgreSQL's programs. Panics if PostgreSQL is not installed.
#[track_caller]
pub(super) fn program(name: &str) -> PathBuf {
    let Some(installation) = installation() else { panic!("{}", how_to_install()) };
    installation.programs.join(name)
}

/// A command that runs as a user whom PostgreSQL accepts, in a directory that this user may enter.
pub(super) fn command(program: impl AsRef<Path>) -> Command {
    let mut command = if installation().is_some_and(|installation| installation.root) {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]);
        command.arg(program.as_ref());
        command
    } else {
        Command::new(program.as_ref())
    };
    // The developer's own PostgreSQL settings, such as PGHOST, do not apply to the tests.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    command.current_dir("/").env("LC_ALL", "C");
    command
}

/// Runs a command to its end and returns its stdout. Panics with all its output if it fails.
#[track_caller]
pub(super) fn run(command: &mut Command) -> String {
    match try_run(command) {
        Ok(printed) => printed,
        Err(error) => panic!("{error}"),
    }
}

/// Runs a command to its end and returns its stdout; the error is the command line with all its
/// output.
pub(super) fn try_run(command: &mut Command) -> Result<String, String> {
    let output: Output = command.output().map_err(|error| format!("{command:?} cannot be run: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    Err(format!("{command:?} failed\n{printed}{}", String::from_utf8_lossy(&output.stderr)))
}

#[cfg(test)]
mod tests {
    use super::{DIRECTORY_VARIABLE, REQUIRE_VARIABLE, is_missing, major};
    use std::process::{Command, Output};

    #[test]
    fn a_version_is_read_from_the_output_of_debian_and_others() {
        assert_eq!(major(b"initdb (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major(b"initdb (PostgreSQL) 9.6.24\n"), Some(9));
        assert_eq!(major(b"initdb (PostgreSQL) 18beta1\n"), None);
        assert_eq!(major(b""), None);
    }

    /// Runs the two tests below in a process that finds no PostgreSQL.
    fn without_postgres(required: &str) -> Output {
        let program = std::env::current_exe().expect("a test binary knows its path");
        let mut tests = Command::new(program);
        tests.args(["--test-threads=2", "this_test_is_skipped_without_postgres"]);
        tests.env(DIRECTORY_VARIABLE, "/nonexistent").env(REQUIRE_VARIABLE, required);
        tests.output().expect("a test binary can be run")
    }

    #[test]
    fn a_missing_postgres_is_said_in_one_visible_line() {
        let output = without_postgres("");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        assert_eq!(error.matches("the PostgreSQL tests of this binary do not run").count(), 1, "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }

    #[test]
    fn a_missing_postgres_fails_where_it_is_required() {
        let output = without_postgres("1");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{printed}");
        assert!(printed.contains("apt-get install postgresql"), "{printed}");
        assert!(printed.contains("2 failed"), "{printed}");
    }

    #[test]
    fn this_test_is_skipped_without_postgres() {
        is_missing();
    }

    #[test]
    fn and_this_test_is_skipped_without_postgres() {
        is_missing();
    }
}
