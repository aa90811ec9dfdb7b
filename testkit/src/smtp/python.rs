//! Python with the packages of the partners: a virtual environment in `target/partners`.
//!
//! It is shared with `testkit/partners/run`, and made at the first use. Many tests may want it at
//! once, so a lock file lets one of them make it. A machine without Python, or without a network at
//! the first use, runs the other tests all the same; with `TOLLKEEPER_REQUIRE_SMTP=1` these tests
//! fail there instead. `./check` sets that.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::note::note_once;

/// The package, with its version.
const PACKAGE: &str = "aiosmtpd==1.4.6";
/// The environment variable that makes a missing Python or package a failure, if it is `1`.
const REQUIRE_VARIABLE: &str = "TOLLKEEPER_REQUIRE_SMTP";

/// The folder of this workspace's partners.
fn partners() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("partners")
}

/// The interpreter, once the package is there; or why there is none.
fn python() -> &'static Result<PathBuf, String> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PYTHON.get_or_init(|| prepare(&partners()))
}

/// True if the server cannot run here, so that a test which needs it ends at once.
///
/// The first call of a process then writes one line to stderr. Panics if
/// `TOLLKEEPER_REQUIRE_SMTP=1`.
#[track_caller]
pub fn is_missing() -> bool {
    static SAID: OnceLock<()> = OnceLock::new();
    let Err(why) = python() else { return false };
    let is_required = std::env::var_os(REQUIRE_VARIABLE).is_some_and(|value| value == "1");
    assert!(!is_required, "this test needs Python 3 with venv, and {PACKAGE} from PyPI: {why}");
    let needs = format!("Python 3 with venv, and {PACKAGE} from PyPI");
    note_once(&SAID, &format!("the tests with an SMTP server do not run: they need {needs}: {why}"));
    true
}

/// A command that runs a program of `testkit/partners`. Panics if Python is missing.
#[track_caller]
pub(super) fn command(program: &str) -> Command {
    let python = python().as_ref().unwrap_or_else(|why| panic!("{why}"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("partners").join(program);
    let mut command = Command::new(python);
    command.arg(path).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn prepare(kept: &Path) -> Result<PathBuf, String> {
    let (python, mark) = (kept.join("venv/bin/python"), kept.join("smtp.done"));
    let failed = |error: io::Error| error.to_string();
    fs::create_dir_all(kept).map_err(failed)?;
    let lock = File::create(kept.join("venv.lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let is_done = fs::read_to_string(&mark).is_ok_and(|words| words == PACKAGE);
    if is_done && python.exists() {
        return Ok(python);
    }
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(kept.join("venv")))?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--timeout", "15", PACKAGE];
    run(Command::new(&python).args(pip))?;
    fs::write(mark, PACKAGE).map_err(failed)?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().last().unwrap_or_default();
    if output.status.success() { Ok(()) } else { Err(last.to_owned()) }
}
