//! House style as a test, where it can be one: which crate may see which, that every file says what
//! it is, how long files and functions may get, and that the documents name what exists.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines that a file, and a function, may have at most.
const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// Which crates of the workspace each may see. Nobody sees `sim`.
const ARROWS: [(&str, &[&str]); 5] = [
    ("ledger", &[]),
    ("engine", &["tollkeeper-ledger"]),
    ("server", &["tollkeeper-ledger", "tollkeeper-engine"]),
    ("cli", &["tollkeeper-ledger", "tollkeeper-engine", "tollkeeper-server"]),
    ("sim", &["tollkeeper-ledger", "tollkeeper-engine", "tollkeeper-server"]),
];

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the crate lies in the workspace").to_path_buf()
}

fn files(directory: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let listed = fs::read_dir(directory).into_iter().flatten().flatten();
    for path in listed.map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') || matches!(name, "target" | "node_modules") {
            continue;
        }
        if path.is_dir() {
            files(&path, ending, found);
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

/// The files of the workspace with this ending, each with its name from the root and its text.
fn sources(ending: &str) -> Vec<(String, String)> {
    let (root, mut found) = (root(), Vec::new());
    files(&root, ending, &mut found);
    found.sort();
    let named = |path: PathBuf| {
        let name = path.strip_prefix(&root).expect("found below the root").display().to_string();
        (name, fs::read_to_string(&path).expect("a source file is text"))
    };
    found.into_iter().map(named).collect()
}

#[track_caller]
fn nothing(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// The lines of a section of a manifest that name crates of this workspace.
fn seen(manifest: &str, section: &str) -> Vec<String> {
    let mut inside = false;
    let mut crates = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == section;
        } else if inside && line.starts_with("tollkeeper") {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            crates.push(line[..end].to_owned());
        }
    }
    crates
}

#[test]
fn arrows_go_one_way() {
    let mut complaints = Vec::new();
    for (name, allowed) in ARROWS {
        let manifest = root().join(name).join("Cargo.toml");
        let manifest = fs::read_to_string(manifest).expect("every crate has a manifest");
        for seen in seen(&manifest, "[dependencies]") {
            if !allowed.contains(&seen.as_str()) {
                complaints.push(format!("{name} must not see {seen}"));
            }
        }
    }
    let ledger = fs::read_to_string(root().join("ledger/Cargo.toml")).expect("a manifest");
    if ledger.lines().skip_while(|line| *line != "[dependencies]").skip(1).any(|line| line.contains('=')) {
        complaints.push("the ledger depends on the standard library alone".to_owned());
    }
    nothing(complaints);
}

#[test]
fn every_file_says_what_it_is_and_stays_a_room() {
    let mut complaints = Vec::new();
    for (name, text) in sources(".rs") {
        if !text.starts_with("//!") {
            complaints.push(format!("{name} does not open with //!"));
        }
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            complaints.push(format!("{name} has {lines} lines"));
        }
    }
    nothing(complaints);
}

#[test]
fn functions_fit_a_screen() {
    let mut complaints = Vec::new();
    for (name, text) in sources(".rs") {
        // Formatted code ends a function by a brace in the column in which its line begins.
        let lines: Vec<&str> = text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let indent = line.len() - code.len();
            let begins = ["fn ", "pub fn ", "async fn ", "pub async fn ", "const fn ", "pub const fn "];
            let scoped = code.starts_with("pub(") && code.contains(") fn ")
                || code.starts_with("pub(") && code.contains(") async fn ");
            if !scoped && !begins.iter().any(|begin| code.starts_with(begin)) {
                continue;
            }
            let closing = format!("{}}}", " ".repeat(indent));
            let length = lines[start..].iter().position(|line| *line == closing).map_or(1, |end| end + 1);
            if length > FUNCTION_LINES_MAX {
                complaints.push(format!("{name}:{} a function of {length} lines", start + 1));
            }
        }
    }
    nothing(complaints);
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let words = ["TO_DO", "FIX_ME", "X_XX", "dbg_!(", "to_do!(", "unimpl_emented!(", "#[ig_nore"];
    let mut complaints = Vec::new();
    for (name, text) in sources(".rs") {
        for (number, line) in text.lines().enumerate() {
            for word in words.map(|word| word.replacen('_', "", 1)) {
                if line.contains(&word) {
                    complaints.push(format!("{name}:{} {word}", number + 1));
                }
            }
        }
    }
    nothing(complaints);
}

#[test]
fn money_is_integers() {
    let floats = ["f32", "f64"];
    let mut complaints = Vec::new();
    for (name, text) in sources(".rs") {
        if !name.starts_with("ledger/") && !name.starts_with("engine/") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let mut words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            if words.any(|word| floats.contains(&word)) {
                complaints.push(format!("{name}:{} {}", number + 1, line.trim()));
            }
        }
    }
    nothing(complaints);
}

/// What stands in a document between backticks and looks like a file of this workspace.
fn paths_named(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (place, part) in text.split('`').enumerate() {
        let inside = place % 2 == 1;
        let plain = part.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
        let first = part.split('/').next().unwrap_or_default();
        let rooms = ["ledger", "engine", "server", "cli", "sim", "docs", ".ci", ".cargo", "client"];
        if inside && plain && part.contains('/') && rooms.contains(&first) {
            paths.push(part.trim_end_matches('/').to_owned());
        }
    }
    paths
}

#[test]
fn the_documents_name_what_exists() {
    let mut complaints = Vec::new();
    for (name, text) in sources(".md") {
        for path in paths_named(&text) {
            if !root().join(&path).exists() {
                complaints.push(format!("{name} names {path}, which is not there"));
            }
        }
    }
    nothing(complaints);
}
