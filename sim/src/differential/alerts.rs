//! Compares the thresholds of a workspace and what was noted of refusals with the model.

use tollkeeper_engine::{Engine, Reads};
use tollkeeper_ledger::{Notices, WorkspaceId};

use super::{Difference, Differential};
use crate::model::Pool;

impl Differential {
    pub(super) fn compare_alerts(
        &mut self,
        engine: &dyn Engine,
        id: &WorkspaceId,
        pool: &Pool,
    ) -> Result<(), Difference> {
        let what = format!("the alerts of {id}");
        let alerts = self.existing(&what, engine.alerts(id))?;
        let cooldown_seconds = pool.alerts().map_or(86_400, |(_, seconds)| seconds);
        self.expect_equal(&what, alerts.thresholds, pool.thresholds())?;
        self.expect_equal(&what, alerts.cooldown_seconds, cooldown_seconds)?;
        let Notices { refused_at, mut reached } = alerts.notices.map(|noted| *noted).unwrap_or_default();
        self.expect_equal(&what, refused_at, pool.refused_at())?;
        for (subject, _, _) in &mut reached {
            self.names.subject_for_model(id, subject);
        }
        let mut reached: Vec<_> = reached.into_iter().map(|(of, per, end)| ((of, per), end)).collect();
        reached.sort();
        self.expect_equal(&what, reached, pool.reached().into_iter().collect())
    }
}
