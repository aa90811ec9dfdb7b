//! The description of the API as JSON, and the pages to browse it (Swagger UI). The pages are part
//! of the program: the browser asks no other host.

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::response::Response;
use utoipa_swagger_ui::Config;

use crate::access::Rule::Public;
use crate::http::call::Call;
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::http::route::Route;

/// The routes. They are not part of the API, so they are not in its description.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/openapi.json", Public, "The description of the API", |call| {
        Box::pin(description(call))
    }),
    Route::new(Method::GET, "/docs", Public, "The page to browse the API", |call| Box::pin(page(call))),
    Route::new(Method::GET, "/docs/{file}", Public, "A script or style of that page", |call| {
        Box::pin(file(call))
    })
    .problems(&[Code::NotFound]),
];

static FILES: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").validator_url("none")));

/// The page may load files of this server only. Swagger UI has inline styles and inline images.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// `GET /openapi.json`.
async fn description(call: Call) -> Result<Response, Problem> {
    let mut response = Response::new(Body::from(call.app.description.clone()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// `GET /docs`.
async fn page(_: Call) -> Result<Response, Problem> {
    let (bytes, _) = load("index.html")?;
    let text = String::from_utf8_lossy(&bytes);
    // The page names its files relative to a folder, and its own path has no slash at the end.
    let text = text.replacen("<head>", "<head><base href=\"/docs/\">", 1);
    Ok(respond(text.into_bytes(), "text/html; charset=utf-8"))
}

/// `GET /docs/{file}`.
async fn file(call: Call) -> Result<Response, Problem> {
    let (bytes, media_type) = load(call.param("file"))?;
    Ok(respond(bytes, &media_type))
}

/// The bytes and the media type of a file.
fn load(name: &str) -> Result<(Vec<u8>, String), Problem> {
    let found =
        utoipa_swagger_ui::serve(name, Arc::clone(&FILES)).map_err(|error| refusal::internal(&error))?;
    let file = found.ok_or_else(|| Problem::new(Code::NotFound, "There is no such file."))?;
    Ok((file.bytes.into_owned(), file.content_type))
}

fn respond(bytes: Vec<u8>, media_type: &str) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let media_type =
        HeaderValue::from_str(media_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}
