//! Reads an OpenAPI document: its schemas, its operations, and which resource a schema belongs to.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Map, Value};

/// The most columns of a comment.
const COMMENT_COLUMNS: usize = 100;

/// A document, with the resource of each schema.
pub struct Document {
    value: Value,
    /// The tag whose operation first refers to a schema, by the name of the schema.
    owners: BTreeMap<String, String>,
}

/// One method of one path.
pub struct Operation<'a> {
    pub path: &'a str,
    pub method: &'a str,
    pub value: &'a Value,
}

impl Operation<'_> {
    /// The parameters that are in `place`: `query` or `header`.
    pub fn parameters(&self, place: &str) -> Vec<&Value> {
        let all = self.value["parameters"].as_array().into_iter().flatten();
        all.filter(|parameter| parameter["in"] == place).collect()
    }

    pub fn text(&self, field: &str) -> &str {
        self.value[field].as_str().expect("an operation has an id and a summary")
    }

    pub fn tag(&self) -> &str {
        self.value["tags"][0].as_str().expect("an operation has a tag")
    }
}

/// The names of the schemas that a value refers to, outermost first.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str) {
                found.push(schema_name(name));
            }
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// The name of the schema that a reference names.
pub fn schema_name(reference: &str) -> String {
    reference.rsplit('/').next().unwrap_or_default().to_owned()
}

impl Document {
    pub fn new(value: Value) -> Document {
        let mut document = Document { value, owners: BTreeMap::new() };
        let mut owners = BTreeMap::new();
        for tag in document.tags() {
            let operations = document.operations().into_iter().filter(|one| one.tag() == tag);
            let mut names = Vec::new();
            operations.for_each(|operation| references(operation.value, &mut names));
            while let Some(name) = names.pop() {
                if let Entry::Vacant(place) = owners.entry(name) {
                    references(&document.schemas()[place.key()], &mut names);
                    place.insert(tag.clone());
                }
            }
        }
        document.owners = owners;
        document
    }

    /// The names of the resources, in the order of the document.
    pub fn tags(&self) -> Vec<String> {
        let tags = self.value["tags"].as_array().expect("the document has tags").iter();
        tags.filter_map(|tag| Some(tag["name"].as_str()?.to_owned())).collect()
    }

    pub fn schemas(&self) -> &Map<String, Value> {
        self.value["components"]["schemas"].as_object().expect("the document has schemas")
    }

    /// The schemas of a resource, by name.
    pub fn schemas_of(&self, tag: &str) -> Vec<(&String, &Value)> {
        let owned = |name: &String| self.owners.get(name).is_some_and(|owner| owner == tag);
        self.schemas().iter().filter(|(name, _)| owned(name)).collect()
    }

    /// All operations, by path and method.
    pub fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.value["paths"].as_object().expect("the document has paths");
        let mut operations = Vec::new();
        for (path, methods) in paths {
            for (method, value) in methods.as_object().expect("a path has methods") {
                operations.push(Operation { path, method, value });
            }
        }
        operations
    }
}

/// Lines of a comment: the paragraphs of a text behind a marker such as `///`, wrapped.
pub fn comment(marker: &str, indent: usize, text: &str) -> String {
    let begin = format!("{}{marker}", " ".repeat(indent));
    let mut lines = String::new();
    for (number, paragraph) in text.split("\n\n").enumerate() {
        if number > 0 {
            lines.push_str(&format!("{begin}\n"));
        }
        let mut line = begin.clone();
        for word in paragraph.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > COMMENT_COLUMNS && line != begin {
                lines.push_str(&format!("{line}\n"));
                line.clone_from(&begin);
            }
            line.push(' ');
            line.push_str(word);
        }
        lines.push_str(&format!("{line}\n"));
    }
    lines
}

/// `insufficient_credits` and `price-book` as `InsufficientCredits` and `PriceBook`.
pub fn pascal(words: &str) -> String {
    let words = words.split(['_', '-', '/', ' ']).filter(|word| !word.is_empty());
    let capital = |word: &str| {
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_uppercase())
    };
    words.map(capital).collect()
}
