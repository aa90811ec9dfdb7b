//! Health, readiness and metrics. They are public and show nothing about a workspace.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Rule::Public;
use crate::http::call::{Call, json};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, of};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/healthz", Public, "Check that the process runs", |call| Box::pin(alive(call)))
        .description("Answers 200 while the process runs, also if the store is not available. Use it to restart a dead process.")
        .response(200, of::<HealthJson>, EXAMPLE),
    Route::new(Method::GET, "/readyz", Public, "Check that requests can be taken", |call| {
        Box::pin(ready(call))
    })
    .description("Answers 200 if the store takes writes, else 503. Use it to route requests to this server. `timers` says `held` if charges are decided but none is timed out, until the clock is confirmed.")
    .response(200, of::<HealthJson>, EXAMPLE)
    .problems(&[Code::StoreUnavailable]),
    Route::new(Method::GET, "/metrics", Public, "Read the metrics", |call| Box::pin(metrics(call)))
        .description("Counters and histograms in the text format of Prometheus."),
];

const EXAMPLE: &str = r#"{"status": "ok"}"#;

/// The server is healthy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthJson {
    /// Always `ok`; otherwise the response is a problem.
    status: &'static str,
    /// `held` if no charge is timed out until the clock is confirmed; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    timers: Option<&'static str>,
}

/// `GET /healthz`.
async fn alive(_: Call) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, 16, &HealthJson { status: "ok", timers: None }))
}

/// `GET /readyz`.
async fn ready(call: Call) -> Result<Response, Problem> {
    let stats = call.app.engine().stats();
    if stats.clock_is_wrong() {
        return Err(Problem::new(
            Code::StoreUnavailable,
            "The clock of this server deviates from the database's by more than five seconds. It decides nothing until its clock is right.",
        ));
    }
    if stats.writable {
        let timers = call.app.clock_watch.holds_timers().then_some("held");
        Ok(json(StatusCode::OK, 40, &HealthJson { status: "ok", timers }))
    } else {
        Err(Problem::new(Code::StoreUnavailable, "The store accepts no writes at the moment."))
    }
}

/// `GET /metrics`.
async fn metrics(call: Call) -> Result<Response, Problem> {
    call.app.metrics.set_followers(call.app.followers.count());
    let mut text = call.app.metrics.text(
        call.app.engine().stats(),
        call.app.clock_watch.holds_timers(),
        call.app.message_counts(),
    );
    if let Some(traces) = &call.app.traces {
        text += &traces.metrics();
    }
    let mut response = Response::new(Body::from(text));
    let media_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    Ok(response)
}
