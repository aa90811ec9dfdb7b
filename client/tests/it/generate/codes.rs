//! Prints the codes of problems as an open enum.

use std::collections::BTreeMap;

use super::document::{Document, comment, pascal};

/// The codes with their meanings, as the descriptions of the responses list them.
fn codes(document: &Document) -> BTreeMap<String, String> {
    let mut codes = BTreeMap::new();
    for operation in document.operations() {
        let responses = operation.value["responses"].as_object().into_iter().flatten();
        for (_, response) in responses.filter(|(status, _)| status.as_str() >= "400") {
            let lines = response["description"].as_str().unwrap_or_default().lines();
            for (code, meaning) in lines.filter_map(|line| line.strip_prefix("- `")?.split_once("`: ")) {
                codes.insert(code.to_owned(), meaning.to_owned());
            }
        }
    }
    codes
}

pub fn file(document: &Document) -> String {
    let codes = codes(document);
    assert!(codes.contains_key("insufficient_credits"), "the descriptions list codes");
    let (mut variants, mut names, mut parsed) = (String::new(), String::new(), String::new());
    for (code, meaning) in &codes {
        let variant = pascal(code);
        variants.push_str(&comment("///", 4, meaning));
        variants.push_str(&format!("    {variant},\n"));
        names.push_str(&format!("            Code::{variant} => \"{code}\",\n"));
        parsed.push_str(&format!("            \"{code}\" => Code::{variant},\n"));
    }
    format!(
        "//! The codes of problems, which never change their meaning.\n//!\n//! Printed from the server's OpenAPI \
         document by a test; not to be edited.\n\n/// Why the server refuses a request. A code that this version \
         does not know is `Other`.\n#[derive(Clone, Debug, PartialEq, Eq, Hash)]\n#[non_exhaustive]\npub enum Code \
         {{\n{variants}    /// A code of a newer server.\n    Other(String),\n}}\n\nimpl Code {{\n    /// The code as \
         the server writes it.\n    #[must_use]\n    pub fn as_str(&self) -> &str {{\n        match self {{\n{names}\
         {blank}Code::Other(code) => code,\n        }}\n    }}\n}}\n\nimpl From<&str> for Code {{\n    fn from(code: \
         &str) -> Code {{\n        match code {{\n{parsed}{blank}other => Code::Other(other.to_owned()),\n        }}\n\
         \x20   }}\n}}\n",
        blank = " ".repeat(12)
    )
}
