//! The report: reads the whole journal, some blocks at a time, so that it holds no WAL back.
//!
//! The journal mixes all workspaces. Those that do not fit into memory together are read in another
//! pass, in which the entries of the others are skipped without decoding.

use super::lists::Reader;
use crate::Error;
use crate::embedded::storage::journal::Journal;
use crate::report::{MEMORY_BYTES, Pass, Report, ReportTime};

impl Reader {
    /// Answers [`Query::Report`](crate::Query::Report).
    pub(crate) fn add_up(&self, time: ReportTime) -> Result<Report, Error> {
        add_up(&self.journal, time, MEMORY_BYTES)
    }
}

fn add_up(journal: &Journal, time: ReportTime, memory_bytes: usize) -> Result<Report, Error> {
    let mut report = Report::default();
    // Index 0 is the platform's own journal.
    let mut next = Some(Pass::new(time, 1, memory_bytes));
    let mut is_first = true;
    while let Some(mut pass) = next {
        journal.read_from(1, |stored| {
            let index = stored.header.account_index;
            if index == 0 && is_first {
                report.add_of_platform(time, &stored.entry()?);
            }
            if pass.wants(index) { pass.add(index, &stored.entry()?) } else { Ok(()) }
        })?;
        is_first = false;
        next = pass.finish(&mut report)?;
    }
    Ok(report.finished())
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{
        Actor, Command, GrantRequest, Micros, Source, Submission, Timestamp, WorkspaceId,
    };

    use super::*;
    use crate::embedded::storage::sqlite::Access;
    use crate::embedded::{Core, CoreOptions};

    #[test]
    fn a_report_in_many_passes_is_the_report_in_one() {
        let scratch = tempfile::tempdir().expect("a directory");
        let mut core = Core::open(scratch.path(), CoreOptions::default()).expect("an empty directory opens");
        let now = Timestamp::from_millis(1_767_225_600_000);
        let mut run = |workspace: &WorkspaceId, command: Command, now| {
            let (workspace, actor) = (workspace.clone(), Actor::Platform);
            let submission = Submission { workspace, key: None, actor, command };
            let ran = core.run_batch(vec![submission], now).expect("a healthy disk");
            ran.into_iter().next().expect("one answer").expect("it is accepted");
        };
        let workspaces = (1..=7).map(|n| WorkspaceId::new(format!("w{n}")).expect("the id is valid"));
        let workspaces: Vec<_> = workspaces.collect();
        for workspace in &workspaces {
            run(workspace, Command::CreateWorkspace(Default::default()), now);
        }
        let later = now.plus_seconds(60);
        for (at, amount) in [(now, 100), (later, 7)] {
            for workspace in &workspaces {
                run(
                    workspace,
                    Command::Grant(GrantRequest::new(Source::Promotional, Micros::new(amount))),
                    at,
                );
            }
        }
        let journal = Journal::open(scratch.path(), None, Access::Read).expect("it is there");
        let time = ReportTime { from: later, to: later.plus_seconds(1) };
        let report = add_up(&journal, time, MEMORY_BYTES).expect("a healthy disk");
        assert_eq!((report.opening.workspaces, report.opening.total().granted), (7, 700));
        assert_eq!((report.closing.workspaces, report.closing.total().granted), (7, 749));
        for memory_bytes in [1, 1_500, 4_000] {
            assert_eq!(add_up(&journal, time, memory_bytes).expect("a healthy disk"), report);
        }
    }
}
