//! Paths that documents and comments name: each must exist.

use std::path::Path;

use super::{comment, complain, root, sources};

/// The directories of the workspace that a path can begin with.
const DIRECTORIES: [&str; 13] = [
    "ledger", "engine", "server", "cli", "client", "gate", "sim", "testkit", "docs", "examples", "fuzz",
    "sdk", ".cargo",
];

/// The texts between backticks that look like a path: letters, digits and `._-/` with a slash or
/// `.rs`.
fn paths_named(text: &str) -> Vec<&str> {
    let inside = text.split('`').skip(1).step_by(2);
    let plain = |part: &&str| part.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let file = |part: &str| !part.starts_with('.') && (part.ends_with(".rs") || part.ends_with(".sql"));
    let path = |part: &&str| part.contains('/') || file(part);
    inside.filter(plain).filter(path).map(|part| part.trim_end_matches('/')).collect()
}

/// Directories that a tool creates when it runs.
const GENERATED: [&str; 1] = ["fuzz/artifacts"];

fn begins_in_workspace(path: &str) -> bool {
    path.contains('/') && DIRECTORIES.contains(&path.split('/').next().unwrap_or_default())
}

#[test]
fn documents_name_what_exists() {
    let mut complaints = Vec::new();
    for (name, text) in sources(".md") {
        for path in paths_named(&text).into_iter().filter(|path| begins_in_workspace(path)) {
            if !root().join(path).exists() && !GENERATED.contains(&path) {
                complaints.push(format!("{name} names {path}, which does not exist"));
            }
        }
    }
    complain(complaints);
}

#[test]
fn comments_name_what_exists() {
    let mut complaints = Vec::new();
    let files = sources(".rs");
    for (name, text) in &files {
        let directory = Path::new(name).parent().expect("a file lies in a directory");
        let source = name.split("/src/").next().unwrap_or_default();
        for line in text.lines().filter_map(comment) {
            for path in paths_named(line) {
                let looks_like_file = path.ends_with(".rs") || path.ends_with(".sql");
                if !looks_like_file && !begins_in_workspace(path) {
                    continue;
                }
                let places = [root(), root().join(directory), root().join(source).join("src")];
                let parents = directory.ancestors().map(|parent| root().join(parent));
                let mut places = places.into_iter().chain(parents);
                if !places.any(|place| place.join(path).exists()) {
                    complaints.push(format!("{name} names {path}, which does not exist"));
                }
            }
        }
    }
    complain(complaints);
}
