//! Checks the thresholds of all workspaces each hour, for alerts that no change brings about.
//!
//! A threshold by days of runway needs more credit when more is used, and less when less is used.
//! The credit that it needs comes from the forecast that the burn rate shows. A fall that a
//! cooldown silenced is found too. The ledger decides, and writes nothing if nothing has changed,
//! so two servers may check at the same time. Workspaces without thresholds cost one look.

use std::time::Instant;

use tollkeeper_engine::{Error, Reads};
use tollkeeper_ledger::{Actor, Alerts, Command, Micros, Submission, Timestamp, WorkspaceId};

use super::polling::Polling;
use super::refused;
use super::rounds::Rounds;
use crate::app::App;
use crate::reports::burn_rate::BurnRateQuery;
use crate::reports::usage::UsageSource;

/// From the beginning of one round over all workspaces to that of the next.
const ROUND_SECONDS: i64 = 60 * 60;

/// How many times as long as it works the job rests.
const REST_FACTOR: u32 = 10;

/// The job with how far it came.
#[derive(Debug)]
pub struct AlertChecks(Rounds);

impl Default for AlertChecks {
    fn default() -> AlertChecks {
        AlertChecks(Rounds::new(ROUND_SECONDS, REST_FACTOR))
    }
}

impl Polling for AlertChecks {
    const WHAT: &'static str = "checks of low-balance thresholds";

    /// Checks the thresholds of one workspace.
    async fn do_batch(&mut self, app: &App) -> Result<bool, Error> {
        let reading = app.read_clocks();
        if !app.clock_watch.lets_timers_run(reading) {
            return Ok(false);
        }
        let started = Instant::now();
        let Some(workspace) = self.0.next(app, reading.now).await? else { return Ok(false) };
        if let Some(alerts) = app.engine().alerts(&workspace).await?
            && !alerts.thresholds.is_empty()
        {
            check(app, workspace, &alerts, reading.now).await?;
        }
        self.0.rest_after(started).await;
        Ok(true)
    }

    fn note_failing(&self, _: &App) {}
}

impl AlertChecks {
    /// The same without rests.
    #[cfg(test)]
    pub(crate) fn without_rests() -> AlertChecks {
        AlertChecks(AlertChecks::default().0.without_rests())
    }
}

async fn check(app: &App, workspace: WorkspaceId, alerts: &Alerts, now: Timestamp) -> Result<(), Error> {
    let days: Vec<u16> = alerts.thresholds.iter().filter_map(|threshold| threshold.line.days()).collect();
    let lines = match days.is_empty() {
        true => Vec::new(),
        false => match BurnRateQuery::default().run(&UsageSource::new(app.engine(), &workspace), now).await {
            Ok(rate) => {
                let needed = |days: u16| rate.forecast.use_of_next_days(days.into()).min(Micros::MAX);
                days.into_iter().map(|days| (days, needed(days))).collect()
            }
            Err(problem) => {
                let why = problem.code.as_str();
                tracing::warn!(%workspace, why, "the use of a workspace could not be forecast");
                return Ok(());
            }
        },
    };
    let command = Command::CheckAlerts { lines };
    let submission = Submission { workspace: workspace.clone(), key: None, actor: Actor::System, command };
    match app.engine().run(submission, now).await {
        Ok(Ok(_)) => {}
        Ok(Err(refusal)) => {
            let why = refused(&refusal);
            tracing::warn!(%workspace, why, "the thresholds of a workspace could not be checked");
        }
        Err(error) if error.is_of_one_command() => {
            tracing::warn!(%workspace, %error, "the thresholds of a workspace could not be checked");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
