//! Where the reports about the use of a workspace come from: the engine, or days that were read
//! before.
//!
//! A page that shows the same days in several ways reads them once, by day and operation. A report
//! that is a part of these days is added up here; the engine is asked for every other report. Both
//! are the same rows.

use std::collections::BTreeMap;

use tollkeeper_engine::{
    Engine, GroupBy, Reads, TimeStep, UsageFilter, UsageGroup, UsageReport, UsageRequest,
};
use tollkeeper_ledger::{Timestamp, UsageSums, WorkspaceId};

use super::{UsageQuery, refused};
use crate::http::call::existing;
use crate::http::problem::Problem;
use crate::reports::local_time::{date_of, start_of, zone};

/// The keys of the rows that are kept.
const KEPT_BY: GroupBy = GroupBy {
    operation: true,
    worker: false,
    member: false,
    api_key: false,
    meter: false,
    time: Some(TimeStep::Day),
};

/// The use of a workspace, as reports read it.
pub struct UsageSource<'a> {
    pub engine: &'a dyn Engine,
    pub workspace: &'a WorkspaceId,
    kept: Option<Kept>,
}

/// Days that were read: the question, and its answer.
struct Kept {
    request: UsageRequest,
    report: UsageReport,
}

impl<'a> UsageSource<'a> {
    /// The source that asks the engine for each report.
    pub fn new(engine: &'a dyn Engine, workspace: &'a WorkspaceId) -> UsageSource<'a> {
        UsageSource { engine, workspace, kept: None }
    }

    /// The source that has read today and this many days before it, with the use that a filter
    /// names.
    ///
    /// # Errors
    /// There is no such workspace, or the engine cannot read.
    pub async fn with_last_days(
        engine: &'a dyn Engine,
        workspace: &'a WorkspaceId,
        days: u32,
        filter: UsageFilter,
        now: Timestamp,
    ) -> Result<UsageSource<'a>, Problem> {
        let source = UsageSource::new(engine, workspace);
        let request = UsageQuery::last_days(days, KEPT_BY, filter).request(&source, now).await?;
        let report = source.report(request.clone()).await?;
        Ok(UsageSource { kept: Some(Kept { request, report }), ..source })
    }

    /// The answer to a question.
    ///
    /// # Errors
    /// There is no such workspace, the question has no answer, or the engine cannot read.
    pub async fn report(&self, request: UsageRequest) -> Result<UsageReport, Problem> {
        if let Some(report) = self.kept_part(&request) {
            return Ok(report);
        }
        let answer = existing(self.workspace, self.engine.usage_report(self.workspace, request).await?)?;
        answer.map_err(refused)
    }

    /// The answer to a question about days that were read; `None` if only the engine has it.
    pub fn kept_part(&self, request: &UsageRequest) -> Option<UsageReport> {
        self.kept.as_ref().and_then(|kept| kept.part(request))
    }
}

impl Kept {
    /// The answer to a question about whole days among these, by keys that these have.
    fn part(&self, request: &UsageRequest) -> Option<UsageReport> {
        let UsageRequest { from, to, timezone, group_by, filter } = request;
        let Kept { request: kept, report } = self;
        let GroupBy { operation, worker, member, api_key, meter, time } = *group_by;
        let has_others = worker || member || api_key || meter;
        let has_keys = !has_others && matches!(time, None | Some(TimeStep::Day));
        let zone = zone(&report.timezone);
        let begins_day = |at: Timestamp| start_of(&zone, date_of(&zone, at)) == at;
        let is_within = kept.from <= *from && from < to && *to <= kept.to;
        let of_days = begins_day(*from) && (*to == kept.to || begins_day(*to));
        let is_alike = *filter == kept.filter && timezone.as_ref() == Some(&report.timezone);
        if !(has_keys && is_within && of_days && is_alike) {
            return None;
        }
        // A report ends with the row that contains the last instant, so it may end later than
        // asked.
        let to = if *to == kept.to { report.to } else { *to };
        let mut rows: BTreeMap<UsageGroup, UsageSums> = BTreeMap::new();
        let mut total = UsageSums::default();
        for (group, sums) in &report.rows {
            let day = group.time.filter(|day| from <= day && *day < to);
            let Some(day) = day else { continue };
            let key = UsageGroup {
                time: time.map(|_| day),
                operation: group.operation.clone().filter(|_| operation),
                ..UsageGroup::default()
            };
            rows.entry(key).or_default().add(*sums);
            total.add(*sums);
        }
        let rows = rows.into_iter().collect();
        let (timezone, rebuilding) = (report.timezone.clone(), report.rebuilding);
        Some(UsageReport { timezone, from: *from, to, rebuilding, rows, total })
    }
}
