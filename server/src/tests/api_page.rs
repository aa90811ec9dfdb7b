//! `docs/API.md` is printed from the table of routes, the JSON types and the codes of problems. The
//! test fails if the file differs; with `TOLLKEEPER_WRITE_DOCS=1` it writes the file instead.

use std::fmt::Write;

use super::*;
use crate::api::RESOURCES;
use crate::api::openapi::{callers, document, introduction, query_parameter};
use crate::http::problem::Code;
use crate::http::route::{Resource, Route};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/API.md");

#[test]
fn the_page_of_the_api_is_printed_from_the_table_of_routes() {
    let printed = page();
    if std::env::var_os("TOLLKEEPER_WRITE_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(FILE, &printed).expect("the docs folder is writable");
        return;
    }
    let kept = std::fs::read_to_string(FILE).unwrap_or_default();
    let line = printed.lines().zip(kept.lines()).position(|(printed, kept)| printed != kept);
    assert!(
        printed == kept,
        "docs/API.md differs from the code at line {}; run this test with TOLLKEEPER_WRITE_DOCS=1 to write it",
        line.map_or(kept.lines().count(), |line| line) + 1
    );
}

fn page() -> String {
    let mut text = String::from("# The HTTP API\n\n");
    text.push_str("<!-- Printed from the code by a test; see CONTRIBUTING.md. Do not edit. -->\n\n");
    text.push_str(&introduction());
    text.push_str(
        "\n\nA running server has the same as OpenAPI 3.1 at `/openapi.json`, and a page to browse it at `/docs`.\n\n",
    );
    for resource in RESOURCES {
        line(&mut text, &format!("- [{}](#{})", resource.name, anchor(resource.name)));
    }
    line(&mut text, "- [Objects](#objects)\n- [Problems](#problems)");
    RESOURCES.iter().for_each(|resource| print_resource(&mut text, resource));
    print_objects(&mut text);
    print_problems(&mut text);
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a String does not fail");
}

fn anchor(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}

fn print_resource(text: &mut String, resource: &Resource) {
    line(text, &format!("\n## {}\n\n{}", resource.name, resource.description));
    resource.routes().for_each(|route| print_route(text, route));
}

fn print_route(text: &mut String, route: &Route) {
    line(text, &format!("\n### {}\n\n`{} {}`\n", route.summary, route.method, route.path));
    line(text, &format!("{}\n\n{}\n", route.description, callers(route.rule)));
    if route.requires_idempotency_key {
        line(text, "- Header: `Idempotency-Key` is required.");
    }
    for name in route.parameters {
        line(text, &format!("- Query: `{name}`. {}", query_parameter(name).description));
    }
    let success = route.success;
    let shape = success.content.map(|content| (content.shape)());
    line(
        text,
        &match &shape {
            Some(shape) if shape.is_list => {
                format!("- Success: {} with a page of {}.", success.status, link(&shape.name))
            }
            Some(shape) => format!("- Success: {} with {}.", success.status, link(&shape.name)),
            None if success.status == 204 => "- Success: 204 without content.".to_owned(),
            None => format!("- Success: {} with text.", success.status),
        },
    );
    let codes: Vec<&str> = route.codes().into_iter().map(Code::as_str).collect();
    line(text, &format!("- Problems: {}.", quoted(&codes)));
    if let Some(body) = route.body {
        let name = (body.content.shape)().name;
        let is_optional = if body.is_required { "" } else { ", which may be left out" };
        line(
            text,
            &format!(
                "\nRequest, {}{is_optional}:\n\n```json\n{}\n```",
                link(&name),
                pretty(body.content.example)
            ),
        );
    }
    if let (Some(content), Some(shape)) = (success.content, shape) {
        let title = if shape.is_list { "A row of the response" } else { "Response" };
        line(text, &format!("\n{title}:\n\n```json\n{}\n```", pretty(content.example)));
    }
    if let Some(events) = success.events {
        line(text, &format!("\nThe beginning of a response:\n\n```text\n{}\n```", events.trim_end()));
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn link(name: &str) -> String {
    format!("[{name}](#{}-object)", name.to_lowercase())
}

fn print_objects(text: &mut String) {
    line(
        text,
        "\n## Objects\n\nThe JSON objects of requests and responses. A field with a question mark may be absent.",
    );
    let document = document(None);
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        let description = one_line(&schema["description"]);
        line(
            text,
            &format!("\n### {name} object\n\n{description}\n\n| field | type | meaning |\n|---|---|---|"),
        );
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (field, described) in schema["properties"].as_object().into_iter().flatten() {
            let mark = if required.contains(&field.as_str()) { "" } else { "?" };
            let (kind, meaning) = (kind(described), one_line(&described["description"]));
            line(text, &format!("| `{field}`{mark} | {kind} | {meaning} |"));
        }
    }
}

fn one_line(text: &Value) -> String {
    text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The type of a field in words.
fn kind(schema: &Value) -> String {
    if let Some(target) = schema["$ref"].as_str() {
        return link(target.rsplit('/').next().unwrap_or_default());
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let kinds: Vec<String> = choices.iter().filter(|choice| choice["type"] != "null").map(kind).collect();
        return kinds.join(" or ");
    }
    let one = |name: &str| match (name, schema["format"].as_str()) {
        ("array", _) => format!("list of {}", kind(&schema["items"])),
        ("string", Some("date-time")) => "time".to_owned(),
        (name, _) => name.to_owned(),
    };
    match &schema["type"] {
        Value::String(name) => one(name),
        Value::Array(names) => {
            let names: Vec<String> = names.iter().filter_map(Value::as_str).map(one).collect();
            names.join(" or ")
        }
        _ => "any".to_owned(),
    }
}

fn print_problems(text: &mut String) {
    line(text, "\n## Problems\n");
    line(
        text,
        "An error is `application/problem+json` with the fields of [Problem](#problem-object) and further ones that explain \
         the case. Programs compare `code`. If `retryable` is true, the same request under the same key may succeed a \
         moment later.\n",
    );
    line(text, "| code | status | title | retryable | when it occurs |\n|---|---|---|---|---|");
    for code in Code::ALL {
        let retryable = if code.retryable() { "yes" } else { "no" };
        line(
            text,
            &format!(
                "| `{}` | {} | {} | {retryable} | {} |",
                code.as_str(),
                code.status(),
                code.title(),
                code.when()
            ),
        );
    }
}

/// JSON with a line per value, in the order of the text. A parser would sort the fields.
fn pretty(json: &str) -> String {
    let (mut text, mut depth, mut in_string, mut escaped) = (String::new(), 0_usize, false, false);
    let new_line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    for c in json.chars() {
        if in_string {
            text.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                text.push(c);
            }
            '{' | '[' => {
                depth += 1;
                text.push(c);
                new_line(&mut text, depth);
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                new_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            c if c.is_whitespace() => {}
            c => text.push(c),
        }
    }
    text
}

#[test]
fn json_is_printed_in_the_order_of_its_text() {
    let expected = "{\n  \"b\": \"x, {y\\\"}\",\n  \"a\": [\n    1,\n    null\n  ]\n}";
    assert_eq!(pretty(r#"{"b": "x, {y\"}", "a": [1, null]}"#), expected);
}
