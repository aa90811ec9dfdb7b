//! What a mail says besides its event: the workspace, its credit and what it uses, as the reports
//! of the server show them.
//!
//! It is read once for all recipients of a mail. A workspace whose use cannot be reported has a
//! mail without these figures, because a warning without a forecast is better than none.

use tollkeeper_engine::{Error, Reads};
use tollkeeper_ledger::WorkspaceId;

use super::facts::Audience;
use crate::app::App;
use crate::notify::mail::context::{Burn, WorkspaceFacts};
use crate::reports::burn_rate::{BurnRate, BurnRateQuery};
use crate::reports::usage::UsageSource;

/// The workspace whose recipients get a mail; `None` for a mail to the platform.
///
/// # Errors
/// The engine cannot read what the mail says of it.
pub(super) async fn of_audience(app: &App, audience: &Audience) -> Result<Option<WorkspaceFacts>, Error> {
    match audience {
        Audience::Topic(workspace, _) | Audience::Owner(workspace, _) => of_workspace(app, workspace).await,
        Audience::Platform => Ok(None),
    }
}

/// The workspace and its credit now; `None` if there is no such workspace.
///
/// # Errors
/// The engine cannot read them.
pub(super) async fn of_workspace(app: &App, id: &WorkspaceId) -> Result<Option<WorkspaceFacts>, Error> {
    let engine = app.engine();
    let Some(profile) = engine.workspace(id).await? else { return Ok(None) };
    let Some(balance) = engine.balance(id, None).await? else { return Ok(None) };
    let rate = match BurnRateQuery::by_operation().run(&UsageSource::new(engine, id), app.now()).await {
        Ok(rate) => Some(rate),
        Err(problem) => {
            let why = problem.code.as_str();
            tracing::warn!(workspace = %id, why, "a mail is sent without what its workspace uses");
            None
        }
    };
    Ok(Some(WorkspaceFacts {
        id: id.clone(),
        name: profile.name.to_string(),
        timezone: profile.timezone.to_string(),
        balance: balance.balance,
        next_grant_on: rate.as_ref().and_then(BurnRate::next_grant_on),
        burn: rate.as_ref().map(burn),
        add_credits_url: app.add_credits_url(id),
    }))
}

fn burn(rate: &BurnRate) -> Burn {
    let runway = rate.runway().ok();
    Burn {
        daily_average: rate.daily_average(),
        runway_days: runway.map(|(days, _)| days),
        depletes_on: runway.map(|(_, date)| date),
        top: rate.operations(),
    }
}
