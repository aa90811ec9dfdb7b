//! Compares reports of use by each of their keys with what the model finds by looking at every
//! charge and refund.

use tollkeeper_engine::{Engine, GroupBy, Named, Reads, TimeStep, UsageFilter, UsageReport, UsageRequest};
use tollkeeper_ledger::{Timestamp, WorkspaceId};

use super::{Difference, Differential};
use crate::model::Pool;

/// Time zones whose days begin with an hour, east and west, with and without summer time; and that
/// of the workspace, which may have changed.
const ZONES: [Option<&str>; 5] =
    [None, Some("UTC"), Some("Europe/Berlin"), Some("America/New_York"), Some("Pacific/Apia")];

const HOUR_MILLIS: i64 = 3_600_000;

/// The longest range of a question. A clock may have been ahead by years.
const RANGE_MAX_MILLIS: i64 = 3_000 * 24 * HOUR_MILLIS;

impl Differential {
    /// Compares reports of one workspace: of all its time and of the second half, by each key and
    /// by some together. API keys are left out, because the model has other ids for them.
    pub(super) fn compare_usage_reports(
        &self,
        engine: &dyn Engine,
        id: &WorkspaceId,
        pool: &Pool,
    ) -> Result<(), Difference> {
        let times = || pool.lines.iter().map(|line| line.decided_at);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(()) };
        let last = last.min(Timestamp::from_millis(first.millis().saturating_add(RANGE_MAX_MILLIS)));
        let middle = Timestamp::from_millis(first.millis() + (last.millis() - first.millis()) / 2);
        let none = GroupBy::default();
        let hours = Some(TimeStep::Hour);
        let asked = [
            (first, GroupBy { member: true, time: Some(TimeStep::Day), ..none }),
            (first, GroupBy { operation: true, time: Some(TimeStep::Day), ..none }),
            (first, GroupBy { worker: true, member: true, time: Some(TimeStep::Month), ..none }),
            (middle, GroupBy { member: true, operation: true, ..none }),
            (middle, GroupBy { time: hours, ..none }),
        ];
        for ((from, group_by), zone) in asked.into_iter().zip(ZONES) {
            let filter = UsageFilter {
                worker: if group_by.time == hours { Named::Absent } else { Named::Any },
                ..UsageFilter::default()
            };
            let to = Timestamp::from_millis(last.millis() + 1);
            let request = UsageRequest { from, to, timezone: zone.map(Into::into), group_by, filter };
            let what = format!("the use of {id} for {request:?}");
            let answer = self.existing(&what, engine.usage_report(id, request.clone()))?;
            // The sums are the same while days are being closed.
            let answer = answer.map(|report| UsageReport { rebuilding: false, ..report });
            self.expect_equal(&what, answer, pool.usage_report(&request))?;
        }
        Ok(())
    }
}
