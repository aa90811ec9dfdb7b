//! The description of the API in OpenAPI 3.1, made from the table of routes and the JSON types.
//!
//! Everything in the table is described, and nothing else: only the routes of [`RESOURCES`], so
//! neither the dashboard nor the pages of this description.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use tollkeeper_ledger::{Scope, bounds};

use super::RESOURCES;
use crate::access::Rule;
use crate::http::body::BODY_MAX_BYTES;
use crate::http::problem::ProblemJson;
use crate::http::route::{Content, Resource, Route, Shape, of};
use crate::language::{Format, Language};

/// The whole document. `public_url` is the address of the server from outside.
pub fn document(public_url: Option<&str>) -> Value {
    let mut schemas = Map::new();
    add(&mut schemas, of::<ProblemJson>());
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for resource in RESOURCES {
        for route in resource.routes() {
            let method = route.method.as_str().to_ascii_lowercase();
            let described = operation(resource, route, &mut schemas);
            paths.entry(route.path).or_default().insert(method, described);
        }
    }
    let tag = |resource: &Resource| json!({ "name": resource.name, "description": resource.description });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollkeeper",
            "version": env!("CARGO_PKG_VERSION"),
            "description": introduction(),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": public_url.unwrap_or("/") }],
        "tags": RESOURCES.iter().map(tag).collect::<Vec<_>>(),
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {
                    "type": "http", "scheme": "bearer",
                    "description": "A platform key, or an API key of a workspace, as `Authorization: Bearer KEY`.",
                },
            },
        },
    })
}

/// What a new user of the API needs to know before the first request.
pub fn introduction() -> String {
    let english = Format { language: Language::English, zone: TimeZone::UTC };
    let count = |number: usize| english.number(i64::try_from(number).unwrap_or(i64::MAX));
    format!(
        "Prepaid credit for products that sell AI operations. A workspace owns credit; every run of an operation is \
         charged before it runs, or refused with 402.\n\n\
         **Amounts** are integers in micro-units: 100,000 are 1.00 USD. Beside each stands the same amount in dollars, as \
         an exact decimal text. Requests may give either. **Times** are RFC 3339 in UTC. **Errors** are \
         `application/problem+json` with a stable `code`.\n\n\
         **Repeating requests.** Requests that move credit carry an `Idempotency-Key`, which never expires. If such a \
         request is repeated, the first answer is returned again with the header `Idempotent-Replayed: true`. \
         If it is about a charge, `Tollkeeper-Charge-Status` says the status that the charge has now. In a batch, \
         `replayed` says the first, and the charge has to be read for the second.\n\n\
         **Lists** are newest first. `next_cursor` is passed as `cursor` to get the next page. A page may have fewer \
         rows than `limit`, or none, although there is a next one: only a `next_cursor` of null is the end.\n\n\
         **Bounds.** A body has at most {} bytes, a batch {} charges, a page {} rows (default {}), an id {} \
         characters, a text {} characters, an idempotency key {} characters, metadata {} bytes. A quantity is 1 to {}, a unit \
         price at most {} micro-units. A price book has at most {} operations. A balance is at most {} micro-units.",
        count(BODY_MAX_BYTES),
        count(bounds::BATCH_MAX),
        bounds::PAGE_MAX,
        bounds::PAGE_DEFAULT,
        bounds::NAME_MAX_BYTES,
        bounds::TEXT_MAX_CHARS,
        bounds::IDEMPOTENCY_KEY_MAX_BYTES,
        count(bounds::METADATA_MAX_BYTES),
        english.number(bounds::QUANTITY_MAX),
        english.number(bounds::UNIT_PRICE_MAX_MICROS),
        count(bounds::OPERATIONS_MAX),
        english.number(bounds::BALANCE_MAX_MICROS),
    )
}

/// Adds the schemas of a shape; returns the schema that refers to it.
fn add(schemas: &mut Map<String, Value>, shape: Shape) -> Value {
    let Shape { name, schemas: found, is_list, is_followed } = shape;
    for (name, schema) in found {
        let schema = serde_json::to_value(schema).expect("a schema has string keys");
        schemas.insert(name, schema);
    }
    let one = json!({ "$ref": format!("#/components/schemas/{name}") });
    if !is_list {
        return one;
    }
    let order = if is_followed { "newest first; oldest first with `after`" } else { "newest first" };
    let mut list = json!({
        "type": "object",
        "required": ["data", "next_cursor"],
        "properties": {
            "data": {
                "type": "array", "items": one, "maxItems": bounds::PAGE_MAX, "description": format!("The rows, {order}."),
            },
            "next_cursor": {
                "type": ["string", "null"],
                "description": "The `cursor` of the next page; null if this is the last one.",
            },
        },
    });
    if is_followed {
        list["properties"]["after"] = json!({
            "type": "string", "example": "1-42",
            "description": "Only with the parameter `after`: the position up to which rows were looked at, to be sent \
                            as `after` with the next request.",
        });
    }
    list
}

/// The schema and the example of a JSON body.
fn media(content: Content, schemas: &mut Map<String, Value>) -> Value {
    let shape = (content.shape)();
    let example = example(&content, shape.is_list);
    json!({ "application/json": { "schema": add(schemas, shape), "example": example } })
}

/// The example of a JSON body; for a list, a page with one row.
pub fn example(content: &Content, is_list: bool) -> Value {
    let one: Value = serde_json::from_str(content.example).expect("a test reads every example");
    if is_list { json!({ "data": [one], "next_cursor": null }) } else { one }
}

fn operation(resource: &Resource, route: &Route, schemas: &mut Map<String, Value>) -> Value {
    let mut described = json!({
        "operationId": operation_id(route),
        "tags": [resource.name],
        "summary": route.summary,
        "description": format!("{}\n\n{}", route.description, callers(route.rule)),
        "parameters": parameters(route),
        "responses": responses(route, schemas),
    });
    if let Some(body) = route.body {
        described["requestBody"] =
            json!({ "required": body.is_required, "content": media(body.content, schemas) });
    }
    if route.rule == Rule::Public {
        described["security"] = json!([]);
    }
    described
}

/// Who may call a route, in a sentence.
pub fn callers(rule: Rule) -> String {
    let with_scopes = |scopes: &[Scope], of: &str| {
        let names: Vec<String> = scopes.iter().map(|scope| format!("`{}`", scope.as_str())).collect();
        format!(
            "May be called with a platform key, or with an API key of {of} with the scope {}.",
            names.join(" or ")
        )
    };
    match rule {
        Rule::Public => "May be called without a key.".to_owned(),
        Rule::Platform => "May be called with a platform key only.".to_owned(),
        Rule::Workspace(scopes) => with_scopes(scopes, "the workspace"),
        Rule::AnyWorkspace(scopes) => with_scopes(scopes, "any workspace"),
        Rule::SignedIn(role) => format!("May be called by a signed-in {}.", role.as_str()),
        Rule::Operator => "May be called by an operator who is signed in to the console.".to_owned(),
    }
}

/// The stable id: the method and the parts of the path, such as
/// `post_workspaces_by_workspace_charges`.
fn operation_id(route: &Route) -> String {
    let parts = route.path.split('/').filter(|part| !part.is_empty() && *part != "v1");
    let words = parts.map(|part| match part.strip_prefix('{') {
        Some(name) => format!("_by_{}", name.trim_end_matches('}')),
        None => format!("_{}", part.replace(['-', '.'], "_")),
    });
    route.method.as_str().to_ascii_lowercase() + &words.collect::<String>()
}

fn parameters(route: &Route) -> Vec<Value> {
    let mut all: Vec<Value> = route.path_parameters().map(path_parameter).collect();
    all.extend(route.parameters.iter().map(|name| {
        let Parameter { schema, description } = query_parameter(name);
        json!({ "name": name, "in": "query", "schema": schema, "description": description })
    }));
    if route.requires_idempotency_key {
        all.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": true, "example": "order-4711",
            "description": "A unique key, 1–255 printable characters, that makes the request safe to repeat.",
            "schema": { "type": "string", "minLength": 1, "maxLength": bounds::IDEMPOTENCY_KEY_MAX_BYTES },
        }));
    }
    all
}

fn path_parameter(name: &str) -> Value {
    let (description, example) = match name {
        "workspace" => ("The id of the workspace.", "acme"),
        "charge" => ("The id of the charge.", "ch_01991234-5678-7abc-bfff-0123456789ab"),
        "grant" => ("The id of the grant.", "gr_01991234-5678-7abc-bfff-0123456789ab"),
        "top_up" => ("The id of the top-up.", "tu_01991234-5678-7abc-bfff-0123456789ab"),
        "member" => ("The id of the member.", "ada"),
        "recipient" => {
            ("The id of the recipient, `member:` and the id of a member or that of an address.", "member:ada")
        }
        "endpoint" => ("The id of the webhook endpoint.", "we_01991234-5678-7abc-bfff-0123456789ab"),
        "delivery" => ("The id of the message.", "msg_3b0c44298fc1c149afbf4c8996fb9242"),
        "key" => ("The id of the API key.", "ak_01991234-5678-7abc-bfff-0123456789ab"),
        _ => ("", ""),
    };
    json!({
        "name": name, "in": "path", "required": true, "schema": { "type": "string" },
        "description": description, "example": example,
    })
}

/// A query parameter.
pub struct Parameter {
    /// The schema of its value.
    pub schema: Value,
    /// What it does, in a sentence.
    pub description: &'static str,
}

/// The query parameter with this name. A name has the same meaning on every route.
pub fn query_parameter(name: &str) -> Parameter {
    let text = json!({ "type": "string", "minLength": 1 });
    let time = json!({ "type": "string", "format": "date-time" });
    let count = json!({
        "type": "integer", "minimum": 1, "maximum": bounds::PAGE_MAX, "default": bounds::PAGE_DEFAULT,
    });
    let status = json!({ "type": "string", "enum": ["pending", "settled", "refunded"] });
    let flag = json!({ "type": "boolean" });
    let (schema, description) = match name {
        "limit" => (count, "The most rows on a page."),
        "cursor" => (text, "The `next_cursor` of the page before; absent for the first page."),
        "at" => (time, "A past time. If it is absent or in the future, the current balance is returned."),
        "from" => (
            time,
            "Only what happened at this time or later. The use of a workspace also takes a date, the beginning of its day.",
        ),
        "to" => (
            time,
            "Only what happened before this time. The use of a workspace also takes a date, the beginning of its day.",
        ),
        "status" => (status, "Only charges that have this status now."),
        "operation" => (text, "Only charges of this operation."),
        "worker" => (
            json!({ "type": "string" }),
            "Only charges by this worker. The use of a workspace also takes an empty text: without a worker.",
        ),
        "member" => (
            json!({ "type": "string" }),
            "Only those of this member. The use of a workspace also takes an empty text: without a member.",
        ),
        "api_key" => (
            json!({ "type": "string" }),
            "Only charges that this API key opened; an empty text: those that none opened.",
        ),
        "reference" => (text, "Only charges with this reference."),
        "name" => (
            text,
            "Only workspaces with a name in which a word begins with this text, in upper or lower case.",
        ),
        "suspended" => (flag, "`true`: only suspended workspaces; `false`: only the others."),
        "debt" => (flag, "`true`: only workspaces that owe credit; `false`: only the others."),
        "month" => (
            json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$", "example": "2026-11" }),
            "The month in UTC; the current one if it is absent.",
        ),
        "unused_since" => (
            time,
            "Only workspaces without a charge at this time or later; one that was never charged counts from its creation.",
        ),
        _ => parameter_of_use(name),
    };
    Parameter { schema, description }
}

/// The schema and the description of a query parameter of questions about use; those of another one
/// if it is none.
fn parameter_of_use(name: &str) -> (Value, &'static str) {
    match name {
        "group_by" => (
            json!({ "type": "string", "example": "operation,day" }),
            "The keys of the rows, separated by commas: `operation`, `worker`, `member`, `api_key`; for use also one of the times `hour`, `day` and `month`.",
        ),
        "before_from" => (
            json!({ "type": "string", "format": "date", "example": "2026-10-23" }),
            "The day with which the earlier range begins; it ends where the later one begins if it is absent.",
        ),
        "timezone" => (
            json!({ "type": "string", "example": "Europe/Berlin" }),
            "The IANA time zone of dates, days and months; the workspace's if it is absent.",
        ),
        "raw" => (
            json!({ "type": "boolean" }),
            "`true`: texts in comma-separated values are not guarded against spreadsheets, which would run some as formulas.",
        ),
        "window_days" => (
            json!({ "type": "integer", "minimum": 1, "maximum": 90, "default": 30 }),
            "The most complete days that the average counts.",
        ),
        _ => parameter_of_journal(name),
    }
}

/// The schema and the description of a query parameter of those who follow a journal; a text if it
/// is another one.
fn parameter_of_journal(name: &str) -> (Value, &'static str) {
    match name {
        "after" => (
            json!({ "type": "string", "pattern": "^([0-9]{1,16}-)?[0-9]{1,16}$", "example": "1-42" }),
            "Only entries behind this position, oldest first: the number of an entry, or its epoch and number. 0 begins with the first.",
        ),
        "kinds" => (
            json!({ "type": "string", "minLength": 1, "example": "charge.opened,balance.low" }),
            "Only entries of these kinds, separated by commas. In the list, it is taken with `after` only.",
        ),
        "wait" => (
            json!({ "type": "integer", "minimum": 0, "maximum": super::follow::WAIT_MAX_SECONDS, "default": 0 }),
            "The seconds to wait for an entry if there is none; taken with `after` only.",
        ),
        _ => (json!({ "type": "string", "minLength": 1 }), ""),
    }
}

fn responses(route: &Route, schemas: &mut Map<String, Value>) -> Value {
    let mut all = Map::new();
    let mut success = json!({ "description": success_title(route) });
    if let Some(content) = route.success.content {
        success["content"] = media(content, schemas);
    }
    if let Some(example) = route.success.events {
        success["content"] =
            json!({ "text/event-stream": { "schema": { "type": "string" }, "example": example } });
    }
    if route.requires_idempotency_key {
        success["headers"] = json!({ "Idempotent-Replayed": {
            "description": "`true` if this is the first answer again; else absent.",
            "schema": { "type": "string" },
        } });
    }
    if route.says_charge_status {
        success["headers"]["Tollkeeper-Charge-Status"] = json!({
            "description": "With the first answer again: the status that the charge has now.",
            "schema": { "type": "string", "enum": ["pending", "settled", "refunded"] },
        });
    }
    all.insert(route.success.status.to_string(), success);
    let mut by_status: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for code in route.codes() {
        by_status.entry(code.status()).or_default().push(format!("- `{}`: {}", code.as_str(), code.when()));
    }
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    for (status, lines) in by_status {
        let content = json!({ "application/problem+json": { "schema": schema } });
        all.insert(status.to_string(), json!({ "description": lines.join("\n"), "content": content }));
    }
    Value::Object(all)
}

fn success_title(route: &Route) -> &'static str {
    match route.success.status {
        201 => "Created.",
        204 => "Done; there is no content.",
        _ => "Success.",
    }
}
