//! The report: reads the whole journal, some blocks at a time, so that it holds no WAL back.
//!
//! The journal mixes all workspaces. Those that do not fit into memory together are read in another
//! pass, in which the entries of the others are skipped without decoding.

use super::lists::Reader;
use crate::report::{MEMORY_BYTES, Pass, Report, ReportTime};
use crate::Error;

impl Reader {
    /// Answers [`Query::Report`](crate::Query::Report).
    pub(crate) fn add_up(&self, time: ReportTime) -> Result<Report, Error> {
        self.add_up_within(time, MEMORY_BYTES)
    }

    fn add_up_within(&self, time: ReportTime, memory_bytes: usize) -> Result<Report, Error> {
        let mut report = Report::default();
        // Index 0 is the platform's own journal.
        let mut next = Some(Pass::new(time, 1, memory_bytes));
        while let Some(mut pass) = next {
            self.journal.read_from(1, |stored| {
                let index = stored.header.account_index;
                if pass.wants(index) { pass.add(index, &stored.entry()?) } else { Ok(()) }
            })?;
            next = pass.finish(&mut report)?;
        }
        Ok(report.finished())
    }
}
