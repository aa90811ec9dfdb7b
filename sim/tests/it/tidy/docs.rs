//! Paths that documents and comments name: each must exist. Pictures of a document must be small.

use std::fs;
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

/// The most bytes of the pictures of a document together. A repository page loads all of them.
const PICTURES_BYTES_MAX: u64 = 200_000;

/// The paths of pictures in a document, as it writes them.
fn pictures(text: &str) -> Vec<&str> {
    let parts = text.split(['"', '(', ')']);
    parts.filter(|part| part.ends_with(".png") && !part.contains(char::is_whitespace)).collect()
}

#[test]
fn pictures_exist_and_are_small() {
    let mut complaints = Vec::new();
    for (name, text) in sources(".md") {
        let document = root().join(&name);
        let directory = document.parent().expect("a file lies in a directory");
        let mut bytes = 0;
        for picture in pictures(&text) {
            match fs::metadata(directory.join(picture)) {
                Ok(file) => bytes += file.len(),
                Err(_) => complaints.push(format!("{name} shows {picture}, which does not exist")),
            }
        }
        if bytes > PICTURES_BYTES_MAX {
            complaints.push(format!("the pictures of {name} have {bytes} bytes, not {PICTURES_BYTES_MAX}"));
        }
    }
    complain(complaints);
}
