//! The settings that decide money: the same for every server of a ledger, because they are entries
//! of the platform's journal.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::Output;
use tollkeeper_ledger::{Command, PlatformSettings, WorkspaceId};
use utoipa::ToSchema;

use crate::access::Rule::Platform;
use crate::http::call::{Call, json, wrong_output};
use crate::http::problem::Problem;
use crate::http::route::{Route, of};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/v1/settings", Platform, "Get the settings", |call| Box::pin(get(call)))
        .description("Returns the settings that decide money. They hold for all workspaces and all servers.")
        .response(200, of::<SettingsJson>, EXAMPLE),
    Route::new(Method::PUT, "/v1/settings", Platform, "Change the settings", |call| Box::pin(put(call)))
        .description(
            "Replaces the settings, from now on and on every server. The change is an entry of the platform's journal. The same settings again change nothing.",
        )
        .request(of::<SettingsIn>, EXAMPLE)
        .response(200, of::<SettingsJson>, EXAMPLE),
];

const EXAMPLE: &str = r#"{"refund_window_days": 30}"#;

/// All settings that decide money.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SettingsRequest)]
pub struct SettingsIn {
    /// The days after its creation in which a settled charge is still refunded by a late failure of
    /// the system.
    #[schema(minimum = 0, maximum = 3_650)]
    refund_window_days: u32,
}

/// The settings that decide money.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Settings)]
pub struct SettingsJson {
    /// The days after its creation in which a settled charge is still refunded by a late failure of
    /// the system.
    refund_window_days: u32,
}

/// `GET /v1/settings`.
async fn get(call: Call) -> Result<Response, Problem> {
    Ok(respond(call.app.engine().platform().settings))
}

/// `PUT /v1/settings`.
async fn put(mut call: Call) -> Result<Response, Problem> {
    let SettingsIn { refund_window_days } = call.json().await?;
    let command = Command::SetSettings(PlatformSettings { refund_window_days });
    match call.run(&WorkspaceId::platform(), None, command).await?.output {
        Output::Settings(settings) => Ok(respond(settings)),
        _ => Err(wrong_output("settings")),
    }
}

fn respond(PlatformSettings { refund_window_days }: PlatformSettings) -> Response {
    json(StatusCode::OK, 64, &SettingsJson { refund_window_days })
}
