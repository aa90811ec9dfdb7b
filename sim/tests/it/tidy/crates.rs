//! The arrows between crates, and that each declared dependency is used.

use std::fs;

use super::{complain, root, sources};

/// A crate, and the crates of this workspace that it may depend on.
struct Arrows {
    directory: &'static str,
    normal: &'static [&'static str],
    /// Beyond the normal ones, for its tests.
    dev: &'static [&'static str],
}

/// All crates of the workspace. No crate depends on the simulator, and the simulator knows no
/// server.
const CRATES: [Arrows; 10] = [
    Arrows { directory: "ledger", normal: &[], dev: &[] },
    Arrows { directory: "engine", normal: &["ledger"], dev: &["testkit"] },
    Arrows { directory: "server", normal: &["ledger", "engine"], dev: &["testkit"] },
    Arrows { directory: "gate", normal: &[], dev: &[] },
    Arrows { directory: "cli", normal: &["ledger", "engine", "server", "gate"], dev: &["testkit"] },
    Arrows { directory: "client", normal: &[], dev: &[] },
    Arrows { directory: "testkit", normal: &[], dev: &[] },
    Arrows { directory: "sim", normal: &["ledger", "engine", "testkit"], dev: &[] },
    Arrows { directory: "examples/embed", normal: &["ledger", "engine"], dev: &[] },
    Arrows { directory: "examples/worker", normal: &[], dev: &[] },
];

fn manifest(directory: &str) -> String {
    let path = root().join(directory).join("Cargo.toml");
    fs::read_to_string(path).expect("every crate has a manifest")
}

/// The names in a section of a manifest.
fn names(manifest: &str, section: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == section;
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            names.push(line[..end].to_owned());
        }
    }
    names
}

#[test]
fn every_crate_is_listed_and_described() {
    let workspace = manifest("");
    let members = workspace.lines().find_map(|line| line.strip_prefix("members = ["));
    let members = members.expect("the workspace lists its members").trim_end_matches(']');
    let members: Vec<&str> = members.split(',').map(|name| name.trim().trim_matches('"')).collect();
    let mut complaints = Vec::new();
    for member in &members {
        if !CRATES.iter().any(|arrows| arrows.directory == *member) {
            complaints.push(format!("{member} is not in the table of crates"));
        }
        if !manifest(member).lines().any(|line| line.starts_with("description = \"")) {
            complaints.push(format!("{member} has no description"));
        }
    }
    complain(complaints);
}

#[test]
fn arrows_go_one_way() {
    let mut complaints = Vec::new();
    for Arrows { directory, normal, dev } in CRATES {
        let manifest = manifest(directory);
        let tests: Vec<&str> = [normal, dev].concat();
        for (section, allowed) in [("[dependencies]", normal), ("[dev-dependencies]", tests.as_slice())] {
            for name in names(&manifest, section) {
                let Some(other) = name.strip_prefix("tollkeeper-") else { continue };
                if !allowed.contains(&other) {
                    complaints.push(format!("{directory} must not depend on {name} in {section}"));
                }
            }
        }
    }
    if !names(&manifest("ledger"), "[dependencies]").is_empty() {
        complaints.push("the ledger depends on the standard library alone".to_owned());
    }
    complain(complaints);
}

#[test]
fn every_dependency_is_used() {
    let mut complaints = Vec::new();
    let files = sources(".rs");
    let mut declared = Vec::new();
    for Arrows { directory, .. } in CRATES {
        let manifest = manifest(directory);
        for section in ["[dependencies]", "[dev-dependencies]", "[build-dependencies]"] {
            for name in names(&manifest, section) {
                let word = name.replace('-', "_");
                let prefix = format!("{directory}/");
                let mut own = files.iter().filter(|(path, _)| path.starts_with(&prefix));
                if !own.any(|(_, text)| text.contains(&word)) {
                    complaints.push(format!("{directory} does not use {name} of {section}"));
                }
                declared.push(name);
            }
        }
    }
    for name in names(&manifest(""), "[workspace.dependencies]") {
        if !declared.contains(&name) {
            complaints.push(format!("no crate declares {name} of the workspace"));
        }
    }
    complain(complaints);
}
