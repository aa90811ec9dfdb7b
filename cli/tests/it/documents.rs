//! The documents are true: the tour of the README works when it is pasted, and every setting and
//! metric is described.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tollkeeper_server::settings::SETTINGS;

use crate::harness::{TestServer, cleaned, printed};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the workspace").to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

#[test]
fn the_tour_of_the_readme_works_when_it_is_pasted() {
    let readme = read("README.md");
    let after = readme.split("## Five minutes").nth(1).expect("the tour has a heading");
    let block =
        after.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of shell");
    // The build of the test has built the binary already.
    let (build, tour) = block.split_once('\n').expect("the output has lines");
    assert!(build.starts_with("cargo build --release && export PATH="), "{build}");
    let programs = Path::new(env!("CARGO_BIN_EXE_tollkeeper")).parent().expect("it is in a directory");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let own = TempDir::new().expect("a temporary directory can be created");
    let mut shell = cleaned(Command::new("bash"));
    shell.args(["-e", "-u", "-o", "pipefail", "-c", tour]).env("PATH", path).env("TMPDIR", own.path());
    let output = shell.output().expect("bash is installed");
    assert!(output.status.success(), "{}", printed(&output));
    let shown = String::from_utf8(output.stdout).expect("the output is text");
    for expected in [
        "amount             37,000 (0.37 USD)",
        "available  943,000 (9.43 USD)",
        "outcome            failed_system",
        "exit code 1",
        "every number agrees with the journal",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("replayed: "),
        "the repeated charge gets its first answer"
    );
}

#[test]
fn every_setting_is_described() {
    let operating = read("docs/OPERATING.md");
    for setting in SETTINGS {
        let row = format!("| `{}` | `{}` | ", setting.name, setting.variable());
        assert!(operating.contains(&row), "docs/OPERATING.md has no row that begins {row}");
    }
    let rows = operating.lines().filter(|line| line.contains("| `TOLLKEEPER_")).count();
    assert_eq!(rows, SETTINGS.len(), "a row describes a setting that does not exist");
}

#[test]
fn every_metric_of_the_operating_manual_exists() {
    let scratch = TempDir::new().expect("a temporary directory can be created");
    let data = scratch.path().join("data");
    let mut command = TestServer::command(&data);
    // Traces have metrics once a collector is named. None listens there.
    command.env("TOLLKEEPER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let server = TestServer::spawned(command, &data);
    let metrics = server.get("/metrics").expect(200).text;
    let operating = read("docs/OPERATING.md");
    let named = operating.split('`').filter(|word| word.starts_with("tollkeeper_"));
    for metric in named.map(|word| word.split('{').next().unwrap_or(word)) {
        assert!(metrics.contains(&format!("# TYPE {metric} ")), "{metric}");
    }
}
