//! The description, the pages to browse it, health and figures.

use super::*;
use crate::api::ROUTES;
use crate::http::problem::Code;

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

#[test]
fn every_route_is_described_with_its_problems() {
    let document = crate::api::openapi::document(Some("https://credits.example"));
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "https://credits.example");
    let mut names = Vec::new();
    for route in ROUTES {
        let described = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
        assert!(described["summary"].is_string(), "{} {}", route.method, route.path);
        names.push(described["operationId"].as_str().unwrap_or_default().to_owned());
        let takes_body = route.body.is_some() || crate::access::is_form(route);
        assert_eq!(described["requestBody"].is_object(), takes_body, "{} {}", route.method, route.path);
        for code in crate::api::openapi::codes(route) {
            let told = described["responses"][code.status().to_string()]["description"].as_str();
            assert!(
                told.is_some_and(|told| told.contains(code.as_str())),
                "{} {}",
                route.path,
                code.as_str()
            );
        }
    }
    let count = document["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    let count: usize = count.filter_map(Value::as_object).map(serde_json::Map::len).sum();
    assert_eq!(count, ROUTES.len(), "nothing is described that is not there");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), ROUTES.len(), "operation ids are unique");
    let mut found = Vec::new();
    references(&document, &mut found);
    for target in found {
        let pointer = target.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
    }
}

#[test]
fn every_code_keeps_its_word() {
    for code in Code::ALL {
        let response = Problem::new(*code, "x").into_response();
        assert_eq!(response.status().as_u16(), code.status());
        assert_eq!(code.retryable(), code.status() == 429 || code.status() >= 500, "{}", code.as_str());
        assert_eq!(response.headers().contains_key("retry-after"), code.status() == 503);
    }
    let mut texts: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), Code::ALL.len(), "codes are unique");
}

use crate::http::problem::Problem;

#[tokio::test]
async fn the_description_can_be_browsed_without_another_host() {
    let world = world().await;
    let ask = async |path: &str| world.ask("GET", path, &[], Body::empty()).await;
    assert_eq!(ask("/openapi.json").await.json()["info"]["title"], "Tollkeeper");
    let page = ask("/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text.contains("<base href=\"/docs/\">"), "{}", page.text);
    for part in page.text.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css")) {
        assert!(!part.contains("//"), "{part} is of another host");
        let file = part.trim_start_matches("./");
        assert_eq!(ask(&format!("/docs/{file}")).await.status, 200, "{part}");
    }
    let start = ask("/docs/swagger-initializer.js").await.text;
    assert!(start.contains("/openapi.json"), "{start}");
}

#[tokio::test]
async fn health_and_figures_are_open_and_count() {
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
