//! The language of code, comments and documents: words that are not used, and the width of
//! comments.
//!
//! The words hide what a part of the program does, or turn a sentence into a riddle.
//! `docs/GLOSSARY.md` lists the words to use.

use super::{comment, complain, sources};

/// The most columns of a comment line.
const COMMENT_COLUMNS_MAX: usize = 100;

/// Words that occur nowhere, not even as a part of an identifier. `in flight` and `in doubt`
/// are permitted, `flight` and `doubt` alone are not.
const WORDS: [&str; 35] = [
    "aboard",
    "absorb",
    "absorbs",
    "absorbed",
    "cable",
    "cables",
    "desk",
    "doubt",
    "doubts",
    "doubted",
    "flight",
    "glance",
    "heart",
    "hearts",
    "impatient",
    "keeper",
    "keepers",
    "landed",
    "mind",
    "minds",
    "nudge",
    "nudged",
    "nudges",
    "patience",
    "patient",
    "scene",
    "scenes",
    "takeoff",
    "tend",
    "tended",
    "tending",
    "tends",
    "told",
    "whatever",
    "whoever",
];

/// Phrases that occur in no comment and in no document.
const PHRASES: [&str; 8] =
    ["any more)", "goes before", "let go", "lets go", "moving house", "of before", "so many", "what is told"];

/// Places where a listed word is right: the beginning of the path, and the word.
const ALLOWED: [(&str, &str); 2] = [
    // This list.
    ("sim/tests/it/tidy/prose.rs", ""),
    // A host name with an underscore.
    ("server/src/tests/portal.rs", "keeper"),
];

/// The words of a line in lower case, with identifiers taken apart: `InFlightBatch` gives `in`,
/// `flight`, `batch`.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for c in line.chars() {
        if c.is_ascii_alphabetic() {
            let begins =
                !before.is_ascii_alphabetic() || (c.is_ascii_uppercase() && before.is_ascii_lowercase());
            if begins {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.push(c.to_ascii_lowercase());
            }
        }
        before = c;
    }
    words
}

fn is_allowed(name: &str, word: &str) -> bool {
    ALLOWED.iter().any(|(path, allowed)| name.starts_with(path) && (allowed.is_empty() || *allowed == word))
}

#[test]
fn no_banned_word_is_used() {
    let mut complaints = Vec::new();
    let endings = [".rs", ".md", ".sql", ".toml", ".html"];
    for (name, text) in endings.iter().flat_map(|ending| sources(ending)) {
        let mut before = String::new();
        for (number, line) in text.lines().enumerate() {
            for word in words(line) {
                let is_term = before == "in" && matches!(word.as_str(), "flight" | "doubt");
                if WORDS.contains(&word.as_str()) && !is_term && !is_allowed(&name, &word) {
                    complaints.push(format!("{name}:{} {word}: {}", number + 1, line.trim()));
                }
                before = word;
            }
        }
    }
    complain(complaints);
}

#[test]
fn no_banned_phrase_is_used() {
    let mut complaints = Vec::new();
    for (name, text) in [".rs", ".md"].iter().flat_map(|ending| sources(ending)) {
        let is_rust = name.ends_with(".rs");
        for (number, line) in text.lines().enumerate() {
            let Some(prose) = (if is_rust { comment(line) } else { Some(line) }) else { continue };
            let prose = prose.to_lowercase();
            for phrase in
                PHRASES.iter().filter(|phrase| prose.contains(**phrase) && !is_allowed(&name, phrase))
            {
                complaints.push(format!("{name}:{} {phrase}: {}", number + 1, line.trim()));
            }
        }
    }
    complain(complaints);
}

#[test]
fn comments_fit_a_hundred_columns() {
    let mut complaints = Vec::new();
    for (ending, marker) in [(".rs", "//"), (".sql", "--"), (".toml", "#")] {
        for (name, text) in sources(ending) {
            // Dumps of databases are data.
            if name.starts_with("sim/tests/formats/") {
                continue;
            }
            // Code and tables in a comment keep the width of code.
            let mut in_block = false;
            for (number, line) in text.lines().enumerate() {
                let columns = line.chars().count();
                let is_comment = line.trim_start().starts_with(marker);
                in_block = is_comment && in_block != line.contains("```");
                let is_prose = is_comment && !in_block && !line.contains("://");
                if is_prose && columns > COMMENT_COLUMNS_MAX {
                    complaints.push(format!("{name}:{} {columns} columns", number + 1));
                }
            }
        }
    }
    complain(complaints);
}

#[test]
fn identifiers_are_taken_apart() {
    assert_eq!(
        words("fn begin_append(batch: InFlightBatch)"),
        ["fn", "begin", "append", "batch", "in", "flight", "batch"]
    );
}
