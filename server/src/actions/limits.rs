//! Reads and replaces the spending limits of a workspace.

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{Command, Limits, Micros, Period, PeriodWindows, Subject, WorkspaceId};

use crate::http::call::{Call, existing};
use crate::http::problem::Problem;

/// The limits of a workspace, and the current day and month.
///
/// # Errors
/// There is no such workspace, or the engine cannot read.
pub async fn read(call: &Call, workspace: &WorkspaceId) -> Result<(Limits, PeriodWindows), Problem> {
    existing(workspace, call.app.engine().limits(workspace, call.now).await?)
}

/// Replaces all limits; none removes them. What was spent in the current period counts.
///
/// # Errors
/// The refusal of the ledger or the error of the engine.
pub async fn replace(
    call: &Call,
    workspace: &WorkspaceId,
    limits: Vec<(Subject, Period, Micros)>,
) -> Result<(), Problem> {
    call.run(workspace, None, Command::SetLimits(limits)).await?;
    Ok(())
}
