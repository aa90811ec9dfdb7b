//! The clock of the server: an operator confirms it, so that held timers go on.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Rule::Platform;
use crate::http::call::{Call, json};
use crate::http::problem::Problem;
use crate::http::route::{Route, of};
use crate::wire::write::Time;

/// The routes.
pub const ROUTES: &[Route] = &[Route::new(
    Method::POST,
    "/v1/clock/confirm",
    Platform,
    "Confirm the clock",
    |call| Box::pin(confirm(call)),
)
.description(
    "Lets held timers go on. On a data directory no charge is timed out after the clock of the server has jumped by more than a day, or after a start at a time far from the newest entry, until the platform has looked at the clock and confirms it. On a database nothing is held.",
)
.response(200, of::<ClockJson>, EXAMPLE)];

const EXAMPLE: &str = r#"{"now": "2026-11-23T15:04:05.678Z", "was_held": true}"#;

/// The clock that was confirmed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Clock)]
pub struct ClockJson {
    /// The time that the clock of the server shows.
    #[schema(value_type = String, format = DateTime)]
    now: Time,
    /// True if the timers were held until now.
    was_held: bool,
}

/// `POST /v1/clock/confirm`.
async fn confirm(call: Call) -> Result<Response, Problem> {
    let reading = call.app.read_clocks();
    let was_held = call.app.clock_watch.confirm(reading);
    Ok(json(StatusCode::OK, 64, &ClockJson { now: Time(reading.now), was_held }))
}
