//! The description of the API as JSON, and the pages to browse it (Swagger UI). The pages are part
//! of the program: the browser asks no other host.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::response::Response;
use utoipa_swagger_ui::Config;

use super::openapi;
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
    let app = &call.app;
    let text =
        app.description.get_or_init(|| openapi::document(app.public_url.as_deref()).to_string().into());
    let mut response = Response::new(Body::from(text.clone()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The name under which the page itself is kept; no file of Swagger UI has it.
const PAGE: &str = "";

/// `GET /docs`.
async fn page(_: Call) -> Result<Response, Problem> {
    respond(PAGE)
}

/// `GET /docs/{file}`.
async fn file(call: Call) -> Result<Response, Problem> {
    respond(call.param("file"))
}

/// A file as it is sent: its bytes, which all responses share, and its media type.
type Loaded = (Bytes, HeaderValue);

/// The files that were asked for. No key is needed to ask for them, so each is built once.
static LOADED: Mutex<BTreeMap<String, Loaded>> = Mutex::new(BTreeMap::new());

/// The bytes and the media type of a file.
fn load(name: &str) -> Result<Loaded, Problem> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = loaded.get(name) {
        return Ok(file.clone());
    }
    let file = if name == PAGE { "index.html" } else { name };
    let found =
        utoipa_swagger_ui::serve(file, Arc::clone(&FILES)).map_err(|error| refusal::internal(&error))?;
    let file = found.ok_or_else(|| Problem::new(Code::NotFound, "There is no such file."))?;
    let file = if name == PAGE {
        let text = String::from_utf8_lossy(&file.bytes);
        // The page names its files relative to a folder, and its own path has no slash at the end.
        let text = text.replacen("<head>", "<head><base href=\"/docs/\">", 1);
        (Bytes::from(text), HeaderValue::from_static("text/html; charset=utf-8"))
    } else {
        let media_type = HeaderValue::from_str(&file.content_type);
        let unknown = HeaderValue::from_static("application/octet-stream");
        (Bytes::from(file.bytes.into_owned()), media_type.unwrap_or(unknown))
    };
    loaded.insert(name.to_owned(), file.clone());
    Ok(file)
}

fn respond(name: &str) -> Result<Response, Problem> {
    let (bytes, media_type) = load(name)?;
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    Ok(response)
}
