//! Reads what the user gives in a file or on stdin.

use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::failure::{Exit, Failure};

/// Reads a JSON file; `-` is stdin. `what` names its content in a message, and `help` is the
/// command that shows its format.
pub fn json(file: &Path, what: &str, help: &str) -> Result<Value, Failure> {
    let unreadable = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("the {what} cannot be read from {}", file.display())).because(why)
    };
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|why| unreadable(&why))?;
    serde_json::from_str(&text).map_err(|why| unreadable(&why).hint(format!("`{help}` shows the format")))
}
