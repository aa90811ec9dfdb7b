//! Serves the files of pages. A browser may keep them for ever: a changed file has another name.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Method};
use axum::response::Response;

use crate::access::Rule;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::http::route::Route;

/// The routes.
pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/portal/assets/{file}", Rule::Public, "A file of the pages", |call| {
        Box::pin(get(call))
    })];

/// `GET /portal/assets/{file}`.
async fn get(call: Call) -> Result<Response, Problem> {
    let path = format!("/portal/assets/{}", call.param("file"));
    let asset = call.app.assets.find(&path).ok_or_else(refusal::no_such_path)?;
    let mut response = Response::new(Body::from(asset.bytes.clone()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    // A logo that is opened by itself runs nothing.
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    Ok(response)
}
