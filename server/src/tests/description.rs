//! The description of the API, the pages to browse it, health and metrics.

use super::*;
use crate::api::RESOURCES;
use crate::api::openapi::{document, example};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Resource, Route};
use crate::observe::metrics::STATUSES;
use crate::startup::site;

/// Every route of the API.
pub(super) fn api_routes() -> Vec<&'static Route> {
    RESOURCES.iter().flat_map(Resource::routes).collect()
}

/// Every `$ref` in a document.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get("$ref") {
                found.push(target.clone());
            }
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Whether a text is a sentence that a reader can use.
fn is_sentence(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() > 5 && text.contains('.') && !text.contains("  "))
}

#[test]
fn every_route_of_the_api_is_described_with_its_problems() {
    let document = document(Some("https://credits.example"));
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "https://credits.example");
    let mut names = Vec::new();
    for route in api_routes() {
        let at = format!("{} {}", route.method, route.path);
        let described = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
        assert!(described["summary"].is_string() && is_sentence(&described["description"]), "{at}");
        names.push(described["operationId"].as_str().unwrap_or_default().to_owned());
        assert_eq!(described["requestBody"].is_object(), route.body.is_some(), "{at}");
        for parameter in described["parameters"].as_array().expect("a list of parameters") {
            assert!(is_sentence(&parameter["description"]), "{at}: {parameter}");
        }
        for code in route.codes() {
            let lines = described["responses"][code.status().to_string()]["description"].as_str();
            assert!(lines.is_some_and(|lines| lines.contains(code.as_str())), "{at} {}", code.as_str());
        }
    }
    let count = document["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    let count: usize = count.filter_map(Value::as_object).map(serde_json::Map::len).sum();
    assert_eq!(count, api_routes().len(), "only the routes of the API are described");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), api_routes().len(), "operation ids are unique");
    let mut found = Vec::new();
    references(&document, &mut found);
    for target in found {
        let pointer = target.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
    }
}

#[test]
fn the_description_has_tags_in_order_and_no_route_of_the_pages() {
    let document = document(None);
    let tags: Vec<&str> =
        document["tags"].as_array().into_iter().flatten().filter_map(|tag| tag["name"].as_str()).collect();
    let expected: Vec<&str> = RESOURCES.iter().map(|resource| resource.name).collect();
    assert_eq!(tags, expected);
    assert_eq!((tags.first(), tags.last()), (Some(&"Workspaces"), Some(&"Health")));
    assert!(document["tags"].as_array().into_iter().flatten().all(|tag| is_sentence(&tag["description"])));
    for path in document["paths"].as_object().expect("paths").keys() {
        let is_api = path.starts_with("/v1/") || ["/healthz", "/readyz", "/metrics"].contains(&path.as_str());
        assert!(is_api, "{path} is not part of the API");
    }
    for methods in document["paths"].as_object().expect("paths").values() {
        for described in methods.as_object().expect("methods").values() {
            let tag = described["tags"][0].as_str();
            assert!(tag.is_some_and(|tag| expected.contains(&tag)), "{described}");
        }
    }
}

#[test]
fn every_field_of_every_schema_is_described() {
    let document = document(None);
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        assert!(is_sentence(&schema["description"]), "{name}");
        for (field, described) in schema["properties"].as_object().into_iter().flatten() {
            // An optional object is null or a reference, which has the description.
            let text = described.get("oneOf").map_or(&described["description"], |one| &one[0]["description"]);
            assert!(is_sentence(text), "{name}.{field}: {described}");
        }
    }
}

/// Asserts that an example has only fields of the schema, and all required ones.
fn assert_fits(document: &Value, schema: &Value, value: &Value, at: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(target) => document.pointer(target.trim_start_matches('#')).expect("references lead somewhere"),
        None => schema,
    };
    if let Some(choices) = schema["oneOf"].as_array() {
        // An optional object: null or a reference.
        let choice = choices.iter().find(|choice| choice["$ref"].is_string()).expect("a reference");
        if !value.is_null() {
            assert_fits(document, choice, value, at);
        }
        return;
    }
    match value {
        Value::Object(fields) => {
            let Some(properties) = schema["properties"].as_object() else { return };
            for (name, field) in fields {
                // The members of a problem depend on its code.
                if let Some(property) = properties.get(name) {
                    assert_fits(document, property, field, &format!("{at}.{name}"));
                } else {
                    assert!(properties.contains_key("retryable"), "{at}.{name} is not a field");
                }
            }
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert!(fields.contains_key(name), "{at}.{name} is missing");
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| assert_fits(document, &schema["items"], item, at));
        }
        _ => {}
    }
}

#[test]
fn every_request_and_every_json_response_has_an_example_that_fits_its_schema() {
    let document = document(None);
    for route in api_routes() {
        let at = format!("{} {}", route.method, route.path);
        let described = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
        if let Some(body) = route.body {
            let media = &described["requestBody"]["content"]["application/json"];
            assert_eq!(media["example"], example(&body.content, false), "{at}");
            assert_fits(&document, &media["schema"], &media["example"], &format!("{at} request"));
        }
        let media = &described["responses"][route.success.status.to_string()]["content"]["application/json"];
        let events = &described["responses"]["200"]["content"]["text/event-stream"]["example"];
        assert_eq!(events.as_str(), route.success.events, "{at}");
        let has_no_json = route.success.status == 204 || route.path == "/metrics" || events.is_string();
        let has_json = !has_no_json;
        assert_eq!(media["example"].is_object(), has_json, "{at}");
        if has_json {
            assert_fits(&document, &media["schema"], &media["example"], &format!("{at} response"));
        }
    }
}

#[test]
fn every_code_has_its_status_and_its_headers() {
    for code in Code::ALL {
        let response = Problem::new(*code, "x").into_response();
        assert_eq!(response.status().as_u16(), code.status());
        // What the provider is asked for is over in a moment, unlike every other conflict.
        let passes = matches!(code.status(), 408 | 429 | 500..) || *code == Code::SubscriptionExists;
        assert_eq!(code.retryable(), passes, "{}", code.as_str());
        assert_eq!(response.headers().contains_key("retry-after"), code.status() == 503);
        assert!(is_sentence(&code.when().into()), "{}", code.as_str());
    }
    let mut texts: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), Code::ALL.len(), "codes are unique");
}

#[test]
fn every_status_of_a_response_is_counted_under_its_number() {
    let routes = site().routes;
    let statuses = routes.iter().map(|route| route.success.status);
    let statuses = statuses.chain(Code::ALL.iter().map(|code| code.status()));
    let uncounted: Vec<u16> = statuses.filter(|status| !STATUSES.contains(status)).collect();
    assert_eq!(uncounted, Vec::<u16>::new());
}

#[tokio::test]
async fn the_description_can_be_browsed_without_another_host() {
    let world = world().await;
    let ask = async |path: &str| world.ask("GET", path, &[], Body::empty()).await;
    let described = ask("/openapi.json").await;
    assert_eq!(described.header("content-type"), Some("application/json"));
    assert_eq!(described.json()["info"]["title"], "Tollkeeper");
    let page = ask("/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text.contains("<base href=\"/docs/\">"), "{}", page.text);
    for part in page.text.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css")) {
        assert!(!part.contains("//"), "{part} is on another host");
        let file = part.trim_start_matches("./");
        assert_eq!(ask(&format!("/docs/{file}")).await.status, 200, "{part}");
    }
    let start = ask("/docs/swagger-initializer.js").await.text;
    assert!(start.contains("/openapi.json"), "{start}");
}

#[tokio::test]
async fn health_and_metrics_are_public_and_count() {
    let world = world_with(1_000).await;
    world.charge("k", r#"{"operation":"support_message"}"#).await;
    world.charge("l", r#"{"operation":"virtual_try_on"}"#).await;
    world.get("/nowhere").await;
    let ask = async |path: &str| world.ask("GET", path, &[], Body::empty()).await;
    for path in ["/healthz", "/readyz"] {
        let reply = ask(path).await;
        assert_eq!((reply.status, reply.text.as_str()), (200, r#"{"status":"ok"}"#));
    }
    let reply = ask("/metrics").await;
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let labels = r#"method="POST",route="/v1/workspaces/{workspace}/charges""#;
    for line in [
        &format!("tollkeeper_http_requests_total{{{labels},status=\"201\"}} 1"),
        &format!("tollkeeper_http_requests_total{{{labels},status=\"402\"}} 1"),
        &format!("tollkeeper_http_request_duration_seconds_count{{{labels}}} 2"),
        "tollkeeper_http_requests_total{method=\"\",route=\"\",status=\"404\"} 1",
        "tollkeeper_refusals_total{code=\"insufficient_credits\"} 1",
        "tollkeeper_refusals_total{code=\"overloaded\"} 0",
        "tollkeeper_store_writable 1",
        "# TYPE tollkeeper_http_request_duration_seconds histogram",
    ] {
        assert!(reply.text.lines().any(|found| found == line), "{line} is not in\n{}", reply.text);
    }
}
