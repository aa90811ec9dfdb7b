//! The API's description in OpenAPI 3.1, made from the table of routes and the JSON types: what is not in the code is not
//! in the description, and what is in the table cannot be missing from it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tollkeeper_ledger::bounds;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::{ROUTES, Route};
use crate::access::cookie;
use crate::access::{self, Rule};
use crate::http::body::{BODY_MAX_BYTES, Media};
use crate::http::problem::Code;

/// The schema of a JSON type, those it is made of, and how it is used.
pub struct Shape {
    name: String,
    schemas: Vec<(String, RefOr<Schema>)>,
    list: bool,
}

/// The shape of a type.
pub fn of<T: ToSchema>() -> Shape {
    let mut schemas = Vec::new();
    T::schemas(&mut schemas);
    schemas.push((T::name().into_owned(), T::schema()));
    Shape { name: T::name().into_owned(), schemas, list: false }
}

/// The shape of a page of a list of a type.
pub fn list_of<T: ToSchema>() -> Shape {
    Shape { list: true, ..of::<T>() }
}

/// A problem document (RFC 9457) with members of its own, depending on the code.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemJson {
    /// `urn:tollkeeper:problem:` and the code.
    r#type: Cow<'static, str>,
    title: Cow<'static, str>,
    status: u16,
    /// This case, in a sentence.
    detail: Cow<'static, str>,
    /// Stable; see the description of the status.
    code: Cow<'static, str>,
    /// Whether the same request may succeed a moment later, under the same key.
    retryable: bool,
}

/// The whole document.
pub fn document(public_url: Option<&str>) -> Value {
    let mut schemas = Map::new();
    add(&mut schemas, of::<ProblemJson>());
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        let method = route.method.as_str().to_ascii_lowercase();
        let described = operation(route, &mut schemas);
        paths.entry(route.path).or_default().insert(method, described);
    }
    let session = cookie::name(cookie::is_secure(public_url, &HeaderMap::new()));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollkeeper",
            "version": env!("CARGO_PKG_VERSION"),
            "description": introduction(),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": public_url.unwrap_or("/") }],
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": session },
            },
        },
    })
}

fn introduction() -> String {
    format!(
        "Prepaid credits for products that sell AI operations. Amounts are integers in micro-units; 100,000 are 1.00 USD, \
         and beside each stands the same in dollars as an exact decimal text. Times are RFC 3339 in UTC. Problems are \
         `application/problem+json` with a stable `code`.\n\n\
         Requests that move credit carry an `Idempotency-Key`, which never expires: repeated, they are answered as the \
         first time, with the header `Idempotent-Replayed: true`.\n\n\
         Limits: a body has at most {BODY_MAX_BYTES} bytes, a batch {} charges, a page {} rows (default {}), a name {} \
         characters, a text {} bytes, an idempotency key {} characters, metadata {} bytes, a quantity is 1 to {}, a unit \
         price at most {} micro-units, a price book has at most {} operations, and a balance stays at or below {} micro-units.",
        bounds::BATCH_MAX,
        bounds::PAGE_MAX,
        bounds::PAGE_DEFAULT,
        bounds::NAME_MAX_BYTES,
        bounds::TEXT_MAX_BYTES,
        bounds::IDEMPOTENCY_KEY_MAX_BYTES,
        bounds::METADATA_MAX_BYTES,
        bounds::QUANTITY_MAX,
        bounds::UNIT_PRICE_MAX_MICROS,
        bounds::OPERATIONS_MAX,
        bounds::BALANCE_MAX_MICROS,
    )
}

fn add(schemas: &mut Map<String, Value>, shape: Shape) -> Value {
    let Shape { name, schemas: found, list } = shape;
    for (name, schema) in found {
        let schema = serde_json::to_value(schema).expect("a schema is made of texts and numbers");
        schemas.insert(name, schema);
    }
    let one = json!({ "$ref": format!("#/components/schemas/{name}") });
    if !list {
        return one;
    }
    json!({
        "type": "object",
        "required": ["data", "next_cursor"],
        "properties": {
            "data": { "type": "array", "items": one, "maxItems": bounds::PAGE_MAX },
            "next_cursor": { "type": ["string", "null"], "description": "Where the next page begins; null at the end." },
        },
    })
}

fn operation(route: &Route, schemas: &mut Map<String, Value>) -> Value {
    let mut described = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": responses(route, schemas),
    });
    if let Some(body) = route.body {
        let schema = add(schemas, body());
        let required = !route.path.ends_with("/void");
        described["requestBody"] =
            json!({ "required": required, "content": { "application/json": { "schema": schema } } });
    }
    if access::is_form(route) {
        let token = json!({ "type": "string", "description": "What the page's forms carry." });
        let fields = json!({
            "type": "object", "required": [cookie::TOKEN_FIELD], "properties": { cookie::TOKEN_FIELD: token },
        });
        let content = json!({ Media::Form.as_str(): { "schema": fields } });
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    match route.rule {
        Rule::Public => described["security"] = json!([]),
        Rule::SignedIn(_) => described["security"] = json!([{ "session": [] }]),
        Rule::Platform | Rule::Workspace(_) | Rule::AnyWorkspace(_) => {}
    }
    described
}

/// `post_workspaces_charges`: the method and the fixed parts of the path.
fn operation_id(route: &Route) -> String {
    let fixed = route.path.split('/').filter(|part| !part.is_empty() && *part != "v1");
    let words = fixed.map(|part| match part.strip_prefix('{') {
        Some(name) => format!("_by_{}", name.trim_end_matches('}')),
        None => format!("_{}", part.replace(['-', '.'], "_")),
    });
    route.method.as_str().to_ascii_lowercase() + &words.collect::<String>()
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<Value> = in_path
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    all.extend(route.parameters.iter().map(|name| {
        let (schema, description) = query_parameter(name);
        json!({ "name": name, "in": "query", "schema": schema, "description": description })
    }));
    if route.keyed {
        all.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "Makes the request safe to repeat; printable characters.",
            "schema": { "type": "string", "minLength": 1, "maxLength": bounds::IDEMPOTENCY_KEY_MAX_BYTES },
        }));
    }
    all
}

fn query_parameter(name: &str) -> (Value, &'static str) {
    let text = json!({ "type": "string", "minLength": 1 });
    let time = json!({ "type": "string", "format": "date-time" });
    match name {
        "limit" => {
            let (most, default) = (bounds::PAGE_MAX, bounds::PAGE_DEFAULT);
            (
                json!({ "type": "integer", "minimum": 1, "maximum": most, "default": default }),
                "Rows of a page.",
            )
        }
        "cursor" => (text, "Where the page before ended, as its `next_cursor` said."),
        "at" => (time, "A past instant."),
        "from" => (time, "Made at or after."),
        "to" => (time, "Made before."),
        "status" => (
            json!({ "type": "string", "enum": ["pending", "settled", "refunded"] }),
            "Only in this state now.",
        ),
        _ => (text, "Only with this value."),
    }
}

fn responses(route: &Route, schemas: &mut Map<String, Value>) -> Value {
    let mut all = Map::new();
    let (status, shape) = &route.answer;
    let mut success = json!({ "description": route.summary });
    if let Some(shape) = shape {
        success["content"] = json!({ "application/json": { "schema": add(schemas, shape()) } });
    }
    if route.keyed {
        success["headers"] = json!({ "Idempotent-Replayed": {
            "description": "`true` when this is the first answer again.", "schema": { "type": "string" },
        } });
    }
    all.insert(status.to_string(), success);
    let mut by_status: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for code in codes(route) {
        by_status.entry(code.status()).or_default().push(format!("`{}`: {}.", code.as_str(), code.title()));
    }
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    for (status, lines) in by_status {
        let content = json!({ "application/problem+json": { "schema": schema } });
        all.insert(status.to_string(), json!({ "description": lines.join(" "), "content": content }));
    }
    Value::Object(all)
}

/// Which problems a route can answer with: its own, and those that follow from what it takes.
pub fn codes(route: &Route) -> Vec<Code> {
    let mut codes = vec![Code::InvalidParameter, Code::InternalError];
    match route.rule {
        Rule::Public => {}
        Rule::Platform | Rule::Workspace(_) | Rule::AnyWorkspace(_) => {
            codes.extend([Code::Unauthenticated, Code::Forbidden, Code::RateLimited]);
            codes.extend([Code::Overloaded, Code::StoreUnavailable]);
        }
        Rule::SignedIn(_) => codes.extend([Code::Unauthenticated, Code::Forbidden, Code::StoreUnavailable]),
    }
    for (part, code) in [
        ("{workspace}", Code::WorkspaceNotFound),
        ("{charge}", Code::ChargeNotFound),
        ("{grant}", Code::GrantNotFound),
        ("{member}", Code::MemberNotFound),
        ("{key}", Code::ApiKeyNotFound),
    ] {
        if route.path.contains(part) {
            codes.push(code);
        }
    }
    if route.keyed {
        codes.extend([Code::IdempotencyKeyRequired, Code::IdempotencyKeyReused]);
    }
    if access::is_form(route) {
        codes.extend([Code::MalformedJson, Code::BodyTooLarge, Code::UnsupportedMediaType]);
    }
    if route.body.is_some() {
        codes.extend([Code::MalformedJson, Code::UnknownField, Code::BodyTooLarge]);
        codes.extend([Code::UnsupportedMediaType, Code::InvalidField]);
    }
    codes.extend(route.codes);
    codes
}
