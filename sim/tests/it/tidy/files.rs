//! Files and functions: every file says what it is, none is too long, and none is left over.

use std::collections::BTreeSet;
use std::path::Path;

use super::{complain, sources};

/// The most lines of a file.
const FILE_LINES_MAX: usize = 600;
/// The most lines of a function.
const FUNCTION_LINES_MAX: usize = 70;
/// The least words in the first line of a file.
const HEAD_WORDS_MIN: usize = 4;

#[test]
fn every_file_says_what_it_is() {
    let mut complaints = Vec::new();
    for (name, text) in sources(".rs") {
        match text.strip_prefix("//! ") {
            None => complaints.push(format!("{name} does not open with //!")),
            Some(head) => {
                let words = head.lines().next().unwrap_or_default().split_whitespace().count();
                if words < HEAD_WORDS_MIN {
                    complaints.push(format!("{name} opens with {words} words"));
                }
            }
        }
    }
    complain(complaints);
}

#[test]
fn files_are_short() {
    let long = |(name, text): (String, String)| {
        let lines = text.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{name} has {lines} lines"))
    };
    complain(sources(".rs").into_iter().filter_map(long).collect());
}

#[test]
fn functions_fit_a_screen() {
    let mut complaints = Vec::new();
    for (name, text) in sources(".rs") {
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
            let mut ends = lines[start..].iter().filter(|line| line.ends_with(['{', ';', '}']));
            if ends.next().is_some_and(|line| line.ends_with(';')) {
                // A declaration in a trait has no body.
                continue;
            }
            let closing = format!("{}}}", " ".repeat(indent));
            let length = lines[start..].iter().position(|line| *line == closing).map_or(1, |end| end + 1);
            if length > FUNCTION_LINES_MAX {
                complaints.push(format!("{name}:{} a function of {length} lines", start + 1));
            }
        }
    }
    complain(complaints);
}

/// True for a file that Cargo compiles by itself: the root of a library, a program, a test or an
/// example.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [.., "src", "lib.rs" | "main.rs"] | [.., "build.rs"] => true,
        [.., "tests" | "examples" | "benches" | "fuzz_targets", _] => !path.contains("/src/"),
        [_, "tests" | "examples", _, "main.rs"] => true,
        _ => false,
    }
}

/// The files that a file names by `mod`, from the root.
fn modules(path: &str, text: &str) -> Vec<String> {
    let directory = Path::new(path).parent().expect("a file lies in a directory");
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).expect("a file has a name");
    let inside = match stem {
        "mod" | "lib" | "main" => directory.to_path_buf(),
        _ if is_root(path) => directory.to_path_buf(),
        _ => directory.join(stem),
    };
    let mut found = Vec::new();
    let mut given: Option<&str> = None;
    for line in text.lines().map(str::trim) {
        if let Some(attribute) = line.strip_prefix("#[path = \"") {
            given = attribute.split('"').next();
            continue;
        }
        let declaration =
            line.split_once("mod ").filter(|(before, _)| before.is_empty() || before.starts_with("pub"));
        if let Some(name) = declaration.and_then(|(_, name)| name.strip_suffix(';')) {
            match given.take() {
                Some(path) => found.push(directory.join(path)),
                None => found.extend([inside.join(format!("{name}.rs")), inside.join(name).join("mod.rs")]),
            }
        }
    }
    found.into_iter().map(|path| path.display().to_string()).collect()
}

#[test]
fn every_rust_file_is_compiled() {
    let files = sources(".rs");
    let mut reached: BTreeSet<String> =
        files.iter().filter(|(path, _)| is_root(path)).map(|(path, _)| path.clone()).collect();
    let mut next: Vec<String> = reached.iter().cloned().collect();
    while let Some(path) = next.pop() {
        let Some((_, text)) = files.iter().find(|(name, _)| *name == path) else { continue };
        let new = modules(&path, text).into_iter().filter(|path| reached.insert(path.clone()));
        next.extend(new.collect::<Vec<_>>());
    }
    let unreached = files.into_iter().filter(|(path, _)| !reached.contains(path));
    complain(unreached.map(|(path, _)| format!("{path} is in no crate")).collect());
}

#[test]
fn every_other_source_file_is_used() {
    let endings = [".html", ".css", ".js", ".svg", ".sql", ".txt"];
    let mut naming: Vec<(String, String)> = sources(".rs");
    naming.extend(sources(".html"));
    let mut complaints = Vec::new();
    for (path, _) in endings.iter().flat_map(|ending| sources(ending)) {
        if !path.contains("/src/") {
            continue;
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        if !naming.iter().any(|(other, text)| *other != path && text.contains(name)) {
            complaints.push(format!("{path} is named nowhere"));
        }
    }
    complain(complaints);
}
