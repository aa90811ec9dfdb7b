//! The API's description, as JSON and as pages to browse. The pages come with the program: no outside host is asked.

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use utoipa_swagger_ui::Config;

use super::openapi;
use crate::http::call::{Call, answer};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;

static PAGES: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").validator_url("none")));

/// What the pages may load: only themselves. Their library sets styles and draws its icons inline.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// `GET /openapi.json`.
pub async fn description(call: Call) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, 65_536, &openapi::document(call.app.public_url())))
}

/// `GET /docs`.
pub async fn page(_: Call) -> Result<Response, Problem> {
    let (bytes, _) = load("index.html")?;
    let text = String::from_utf8_lossy(&bytes);
    // The page names its parts relative to a folder, and is served without the slash at the end.
    let text = text.replacen("<head>", "<head><base href=\"/docs/\">", 1);
    Ok(served(text.into_bytes(), "text/html; charset=utf-8"))
}

/// `GET /docs/{file}`.
pub async fn file(call: Call) -> Result<Response, Problem> {
    let (bytes, kind) = load(call.param("file"))?;
    Ok(served(bytes, &kind))
}

fn load(name: &str) -> Result<(Vec<u8>, String), Problem> {
    let found =
        utoipa_swagger_ui::serve(name, Arc::clone(&PAGES)).map_err(|error| refusal::internal(&error))?;
    let file = found.ok_or_else(|| Problem::new(Code::NotFound, "The pages have no such part."))?;
    Ok((file.bytes.into_owned(), file.content_type))
}

fn served(bytes: Vec<u8>, kind: &str) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let kind = HeaderValue::from_str(kind).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}
