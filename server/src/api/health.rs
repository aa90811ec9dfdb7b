//! How the server is: alive, ready, and in figures. Open to everybody who reaches the address; nothing here names a
//! workspace.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::call::{Call, answer};
use crate::http::problem::{Code, Problem};

/// All is well.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthJson {
    /// `ok`
    status: &'static str,
}

/// `GET /healthz`.
pub async fn alive(_: Call) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, 16, &HealthJson { status: "ok" }))
}

/// `GET /readyz`.
pub async fn ready(call: Call) -> Result<Response, Problem> {
    if call.app.engine().stats().writable {
        Ok(answer(StatusCode::OK, 16, &HealthJson { status: "ok" }))
    } else {
        Err(Problem::new(Code::StoreUnavailable, "The store takes no writes at present."))
    }
}

/// `GET /metrics`.
pub async fn metrics(call: Call) -> Result<Response, Problem> {
    let text = call.app.metrics.text(call.app.engine().stats());
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
