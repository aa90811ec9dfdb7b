//! The text of a statement as a database gets it: on several nodes of Citus, or on one server.
//!
//! The statements are in `sql`, whose head says what their marks mean.

use super::sql::{ALL, Sql, VERSION};

/// The text of a statement for a database.
pub(crate) fn text_for(text: &str, is_distributed: bool) -> String {
    let text = text.replace("$VERSION", &VERSION.to_string());
    if is_distributed {
        let of_owners = "JOIN account AS a ON a.workspace = v.workspace WHERE a.workspace = ANY($1::text[])";
        let text = text.replace("$OWNER", "a.workspace").replace("$OF_OWNERS", of_owners);
        text.replace("/*nodes ", "").replace("*/", "")
    } else {
        text.replace("$OWNER", "v.workspace").replace("$OF_OWNERS", "")
    }
}

/// The SQL of a statement that does not name the version of the tables.
pub(crate) fn text(name: Sql) -> &'static str {
    let (found, text) = ALL[name as usize];
    let is_plain = !["$VERSION", "$OWNER", "/*nodes"].iter().any(|mark| text.contains(mark));
    assert!(found == name && is_plain, "{name:?} is sent as it is written");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_mark_is_left_in_a_text() {
        for (name, text) in ALL {
            for is_distributed in [false, true] {
                let text = text_for(text, is_distributed);
                let marks = ["$VERSION", "$OWNER", "$OF_OWNERS"];
                assert!(!marks.iter().any(|mark| text.contains(mark)), "{name:?}: {text}");
                assert!(!is_distributed || !(text.contains("/*") || text.contains("*/")), "{name:?}: {text}");
            }
        }
    }
}
