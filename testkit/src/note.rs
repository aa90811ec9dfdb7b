//! A line that says which tests do not run, and why.

use std::io::{self, Write};
use std::sync::OnceLock;

/// Writes a line to stderr unless `said` is filled. It bypasses the capture of test output, so the
/// line is visible in a run that passes.
pub(crate) fn note_once(said: &OnceLock<()>, note: &str) {
    said.get_or_init(|| {
        // `eprintln!` would be captured. If stderr is closed, the tests run all the same.
        let _ = writeln!(io::stderr(), "note: {note}");
    });
}
