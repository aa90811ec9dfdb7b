//! Prints the types of requests, answers and queries: a file for each resource.
//!
//! A schema that refuses unknown fields is a request. It is only written, can be made with the
//! fields it must have, and leaves out what is not set. Every other schema is an answer: it ignores
//! fields it does not know, and later versions may add fields to it.

use serde_json::Value;

use super::Files;
use super::document::{Document, Operation, comment, pascal, schema_name};

/// Fields of changes where null differs from a field that is left out: it removes the value.
const NULL_REMOVES: [(&str, &str); 1] = [("WorkspaceChanges", "metadata")];

/// The schema that the client has by hand, as a part of its errors.
const BY_HAND: &str = "Problem";

/// The field that no log may show.
const SECRET: &str = "secret";

/// The most columns of a line of code.
const CODE_COLUMNS: usize = 110;

/// A field of a Rust struct.
struct Field {
    name: String,
    rust: String,
    is_optional: bool,
    description: String,
}

pub fn files(document: &Document) -> Files {
    let mut files = Files::new();
    let mut modules = Vec::new();
    for tag in document.tags() {
        let queries = document.operations().into_iter().filter(|operation| operation.tag() == tag);
        let queries: String = queries.filter_map(|operation| query(&operation)).collect();
        let schemas = document.schemas_of(&tag).into_iter().filter(|(name, _)| *name != BY_HAND);
        let structs: String = schemas.map(|(name, schema)| structure(name, schema)).collect();
        let body = format!("{structs}{queries}");
        if body.is_empty() {
            continue;
        }
        let module = tag.to_lowercase().replace([' ', '-'], "_");
        let head = format!(
            "//! {tag}: types of requests and answers.\n//!\n//! Printed from the server's OpenAPI document by \
             a test; not to be edited.\n\n{}\n",
            imports(document, &tag, &body)
        );
        files.insert(format!("types/{module}.rs"), format!("{head}{}", body.trim_start_matches('\n')));
        modules.push(module);
    }
    modules.sort();
    files.insert("types/mod.rs".to_owned(), index(&modules));
    files
}

fn index(modules: &[String]) -> String {
    let mut text = "//! The types of all requests and answers, printed from the server's OpenAPI document.\n\
                    //!\n"
        .to_owned();
    let detail = "A request is made with `new` and the fields it must have, or with `default`. Its other fields \
                  are set with struct update syntax. An answer may get further fields in later versions.";
    text.push_str(&comment("//!", 0, detail));
    text.push('\n');
    for module in modules {
        text.push_str(&format!("mod {module};\n"));
    }
    text.push('\n');
    for module in modules {
        text.push_str(&format!("pub use {module}::*;\n"));
    }
    text.push_str("\n/// A JSON object.\npub type Object = serde_json::Map<String, serde_json::Value>;\n");
    text
}

/// The `use` lines that a file needs.
fn imports(document: &Document, tag: &str, body: &str) -> String {
    let mut lines = Vec::new();
    let std = [("BTreeMap<", "use std::collections::BTreeMap;\n"), ("impl fmt::Debug", "use std::fmt;\n")];
    lines.extend(std.into_iter().filter(|(word, _)| body.contains(word)).map(|(_, line)| line.to_owned()));
    if !lines.is_empty() {
        lines.push("\n".to_owned());
    }
    let derives = (body.contains(" Deserialize,"), body.contains(" Serialize)"));
    lines.push(match derives {
        (true, _) => "use serde::{Deserialize, Serialize};\n".to_owned(),
        (false, _) => "use serde::Serialize;\n".to_owned(),
    });
    let own: Vec<&String> = document.schemas_of(tag).into_iter().map(|(name, _)| name).collect();
    let is_used = |name: &str| {
        body.lines().filter(|line| line.contains("pub ") || line.contains("..")).any(|line| {
            line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == name) && line.contains(':')
        })
    };
    let others = document.schemas().keys().filter(|name| !own.contains(name) && *name != BY_HAND);
    let mut names: Vec<&str> = others.map(String::as_str).filter(|name| is_used(name)).collect();
    if is_used("Object") {
        names.push("Object");
    }
    names.sort_unstable();
    match names.as_slice() {
        [] => {}
        [name] => lines.push(format!("use super::{name};\n")),
        names => lines.push(format!("use super::{{{}}};\n", names.join(", "))),
    }
    if is_used(BY_HAND) {
        lines.push(format!("use crate::error::{BY_HAND};\n"));
    }
    let (own, others): (Vec<String>, Vec<String>) =
        lines.into_iter().partition(|line| line.contains("super::") || line.contains("crate::"));
    let gap = if own.is_empty() { "" } else { "\n" };
    format!("{}{gap}{}", others.concat(), own.concat())
}

/// The Rust type of a schema, and whether it may be null.
fn rust_type(schema: &Value) -> (String, bool) {
    if let Some(reference) = schema["$ref"].as_str() {
        return (schema_name(reference), false);
    }
    if let Some(options) = schema["oneOf"].as_array() {
        let (rust, _) = rust_type(&options[0]);
        return (rust, options.iter().any(|option| option["type"] == "null"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let is_positive = schema["minimum"].as_i64().is_some_and(|minimum| minimum >= 0);
    let rust = match types.first().copied().unwrap_or_default() {
        "string" => "String".to_owned(),
        "boolean" => "bool".to_owned(),
        "integer" if schema["format"] == "int32" && is_positive => "u32".to_owned(),
        "integer" => "i64".to_owned(),
        "object" if schema["additionalProperties"].is_object() => {
            format!("BTreeMap<String, {}>", rust_type(&schema["additionalProperties"]).0)
        }
        "object" => "Object".to_owned(),
        "array" => format!("Vec<{}>", rust_type(&schema["items"]).0),
        other => panic!("the generator does not know the type {other:?} of {schema}"),
    };
    (rust, types.contains(&"null"))
}

fn fields(schema: &Value, removes_null: impl Fn(&str) -> bool) -> Vec<Field> {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let field = |(name, property): (&String, &Value)| {
        let (rust, is_null) = rust_type(property);
        let rust = if removes_null(name) { format!("Option<{rust}>") } else { rust };
        let description = property["description"].as_str();
        let description = description.or_else(|| property["oneOf"][0]["description"].as_str());
        let is_optional = is_null || !required.contains(&name.as_str());
        let description = description.unwrap_or(name).to_owned();
        Field { name: name.clone(), rust, is_optional, description }
    };
    properties.map(field).collect()
}

fn structure(name: &str, schema: &Value) -> String {
    let is_request = schema["additionalProperties"] == false;
    let fields = fields(schema, |field| NULL_REMOVES.contains(&(name, field)));
    let description = schema["description"].as_str().unwrap_or(name);
    let has_secret = fields.iter().any(|field| field.name == SECRET);
    let derives = match (is_request, has_secret) {
        (true, _) => "#[derive(Clone, Debug, Default, PartialEq, Serialize)]\n",
        (false, false) => "#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]\n#[non_exhaustive]\n",
        (false, true) => "#[derive(Clone, PartialEq, Deserialize, Serialize)]\n#[non_exhaustive]\n",
    };
    let made = match (is_request, has_secret) {
        (true, _) => constructor(name, schema, &fields),
        (false, false) => String::new(),
        (false, true) => debug(name),
    };
    format!("\n{}{derives}{}{made}", comment("///", 0, description), body(name, &fields))
}

/// `Debug` of an answer with a secret, which shows the id alone.
fn debug(name: &str) -> String {
    format!(
        "\nimpl fmt::Debug for {name} {{\n    /// Without the secret.\n    fn fmt(&self, f: &mut \
         fmt::Formatter<'_>) -> fmt::Result {{\n        f.debug_struct(\"{name}\").field(\"id\", \
         &self.id).finish_non_exhaustive()\n    }}\n}}\n"
    )
}

fn body(name: &str, fields: &[Field]) -> String {
    let mut text = format!("pub struct {name} {{\n");
    for field in fields {
        text.push_str(&comment("///", 4, &field.description));
        let Field { name, rust, is_optional, .. } = field;
        let name = identifier(name);
        if *is_optional {
            text.push_str("    #[serde(skip_serializing_if = \"Option::is_none\")]\n");
            text.push_str(&format!("    pub {name}: Option<{rust}>,\n"));
        } else {
            text.push_str(&format!("    pub {name}: {rust},\n"));
        }
    }
    text.push_str("}\n");
    text
}

fn identifier(name: &str) -> String {
    if name == "type" { format!("r#{name}") } else { name.to_owned() }
}

/// `new` with the fields that a request must have, in the order of the document.
fn constructor(name: &str, schema: &Value, fields: &[Field]) -> String {
    let order = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let needed = order.filter_map(|name| fields.iter().find(|field| field.name == name));
    let needed: Vec<&Field> = needed.filter(|field| !field.is_optional).collect();
    if needed.is_empty() {
        return String::new();
    }
    let mut arguments = Vec::new();
    let mut values = Vec::new();
    for field in &needed {
        let identifier = identifier(&field.name);
        if field.rust == "String" {
            arguments.push(format!("{identifier}: impl Into<String>"));
            values.push(format!("{identifier}: {identifier}.into()"));
        } else {
            arguments.push(format!("{identifier}: {}", field.rust));
            values.push(identifier);
        }
    }
    if needed.len() < fields.len() {
        values.push(format!("..{name}::default()"));
    }
    let head = listed(4, "pub fn new(", &arguments, &format!(") -> {name} {{"), true);
    let value = listed(8, &format!("{name} {{ "), &values, " }", needed.len() == fields.len());
    format!(
        "\nimpl {name} {{\n    /// The request with the fields it must have; the others are left out.\n    \
         #[must_use]\n{head}{value}    }}\n}}\n"
    )
}

/// A list in one line, or in a line for each part if it is too long, as the formatter prints it.
fn listed(indent: usize, begin: &str, parts: &[String], end: &str, ends_with_comma: bool) -> String {
    let space = " ".repeat(indent);
    let line = format!("{space}{begin}{}{end}\n", parts.join(", "));
    if line.trim_end().chars().count() <= CODE_COLUMNS {
        return line;
    }
    let mut text = format!("{space}{}\n", begin.trim_end());
    for (number, part) in parts.iter().enumerate() {
        let comma = if ends_with_comma || number + 1 < parts.len() { "," } else { "" };
        text.push_str(&format!("{space}    {part}{comma}\n"));
    }
    text.push_str(&format!("{space}{}\n", end.trim_start()));
    text
}

/// The query of an operation, without the parameters that turn pages.
fn query(operation: &Operation<'_>) -> Option<String> {
    let parameters = operation.parameters("query");
    let own = |parameter: &&Value| parameter["name"] != "cursor" && parameter["name"] != "limit";
    let fields: Vec<Field> = parameters.into_iter().filter(own).map(parameter).collect();
    let parts = operation.path.trim_start_matches("/v1/workspaces/{workspace}/");
    let name = format!("{}Query", pascal(parts.trim_start_matches("/v1")));
    let title = format!("The query of `{} {}`.", operation.method.to_uppercase(), operation.path);
    (!fields.is_empty()).then(|| {
        let derives = "#[derive(Clone, Debug, Default, PartialEq, Serialize)]\n";
        format!("\n{}{derives}{}", comment("///", 0, &title), body(&name, &fields))
    })
}

fn parameter(parameter: &Value) -> Field {
    let text = |field: &str| parameter[field].as_str().unwrap_or_default().to_owned();
    let (rust, _) = rust_type(&parameter["schema"]);
    let is_optional = parameter["required"] != true;
    Field { name: text("name"), rust, is_optional, description: text("description") }
}
