//! The rules of the source tree, as tests.
//!
//! ```text
//! crates    which crate may depend on which, and that every dependency is used
//! folders   which folder of a crate may import which
//! files     heads, sizes, and that every file is reached
//! code      what code must not contain
//! prose     banned words, and the width of comments
//! docs      paths named in documents and comments exist
//! ```
//!
//! Each test collects all its complaints and prints them together. The tests read text only, so
//! they need no parser: formatted code ends a function with a brace in the column in which its line
//! begins.

mod code;
mod crates;
mod docs;
mod files;
mod folders;
mod prose;

use std::fs;
use std::path::{Path, PathBuf};

/// The directory of the workspace.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the crate lies in the workspace").to_path_buf()
}

fn collect(directory: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if (name.starts_with('.') && name != ".cargo") || matches!(name, "target" | "node_modules") {
            continue;
        }
        if path.is_dir() {
            collect(&path, ending, found);
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

/// The files of the workspace with this ending, each with its path from the root and its text.
fn sources(ending: &str) -> Vec<(String, String)> {
    let (root, mut found) = (root(), Vec::new());
    collect(&root, ending, &mut found);
    found.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).expect("it was found below the root").display().to_string();
        (name, fs::read_to_string(&path).expect("a source file is text"))
    };
    found.into_iter().map(read).collect()
}

#[track_caller]
fn complain(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// The comment in a line of Rust that holds nothing else: the text after `//`, `///` or `//!`.
fn comment(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("//").map(|rest| rest.trim_start_matches(['/', '!']))
}
