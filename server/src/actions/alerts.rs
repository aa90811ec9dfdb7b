//! Reads and sets the low-balance thresholds of a workspace (P13).
//!
//! Who gets the e-mails is in `recipients`.

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{AlertLine, Alerts, Command, WorkspaceId, bounds};

use crate::http::call::{Call, existing};
use crate::http::problem::Problem;
use crate::wire::ReadError;

const HOUR_SECONDS: i64 = 3_600;

/// The longest cooldown in hours.
pub const COOLDOWN_MAX_HOURS: i64 = bounds::ALERT_COOLDOWN_MAX_SECONDS / HOUR_SECONDS;

/// The thresholds of a workspace.
///
/// # Errors
/// There is no such workspace, or the engine cannot read.
pub async fn read(call: &Call, workspace: &WorkspaceId) -> Result<Alerts, Problem> {
    existing(workspace, call.app.engine().alerts(workspace).await?)
}

/// The cooldown in hours, rounded up.
pub fn cooldown_hours(alerts: &Alerts) -> i64 {
    (alerts.cooldown_seconds + HOUR_SECONDS - 1) / HOUR_SECONDS
}

/// Replaces the thresholds. Without a cooldown, the usual one is set.
///
/// # Errors
/// The cooldown is out of range; or the refusal of the ledger or the error of the engine.
pub async fn set(
    call: &Call,
    workspace: &WorkspaceId,
    thresholds: Vec<AlertLine>,
    cooldown_hours: Option<i64>,
) -> Result<(), Problem> {
    let cooldown_seconds = match cooldown_hours {
        None => bounds::ALERT_COOLDOWN_DEFAULT_SECONDS,
        Some(hours) if (0..=COOLDOWN_MAX_HOURS).contains(&hours) => hours * HOUR_SECONDS,
        Some(_) => return Err(ReadError::field("cooldown_hours", "must be 0 to 8784, a leap year").into()),
    };
    call.run(workspace, None, Command::SetAlerts { thresholds, cooldown_seconds }).await?;
    Ok(())
}
