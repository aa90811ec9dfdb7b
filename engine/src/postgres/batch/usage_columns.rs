//! The columns of rows of usage that leave the account's row, and what they take back of closed
//! days.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tollkeeper_ledger::{MemberId, Profile, Spender, Timestamp, UsageKey, UsageSums, WorkerId};

use super::columns::Param;
use super::search_columns::assert_lengths;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{DbSession, Uuid};
use crate::postgres::database::sql::Sql;

/// Rows of the table `usage`.
#[derive(Default)]
pub(crate) struct UsageColumns<'a> {
    workspace: Vec<&'a str>,
    hour: Vec<i64>,
    /// Operation with its meter, worker, member.
    names: [Vec<Cow<'a, str>>; 3],
    api_key: Vec<Uuid>,
    /// Runs, quantity, charged, refunded.
    numbers: [Vec<i64>; 4],
    /// At which the row begins in its hour, and until which it goes.
    minutes: [Vec<i16>; 2],
}

/// The time zones of workspaces whose profile changed. Closed days of other zones are taken back.
#[derive(Default)]
pub(super) struct TimezoneColumns<'a> {
    workspace: Vec<&'a str>,
    timezone: Vec<&'a str>,
}

impl<'a> UsageColumns<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.workspace.is_empty()
    }

    pub(super) fn assert_lengths(&self) {
        let UsageColumns { workspace, hour, names: [a, b, c], api_key, numbers, minutes } = self;
        let names = [workspace.len(), hour.len(), a.len(), b.len(), c.len(), api_key.len()];
        assert_lengths("usage", names);
        let ([p, q, r, s], [begin, end]) = (numbers, minutes);
        assert_lengths(
            "usage",
            [workspace.len(), p.len(), q.len(), r.len(), s.len(), begin.len(), end.len()],
        );
    }

    pub(crate) fn push(&mut self, workspace: &'a str, key: &'a UsageKey, used: &UsageSums) {
        let UsageKey { hour, part, spender: Spender { worker, member, api_key, .. }, .. } = key;
        let UsageSums { runs, quantity, charged, refunded } = used;
        self.workspace.push(workspace);
        self.hour.push(*hour);
        for (column, minute) in self.minutes.iter_mut().zip([part.begin, part.end]) {
            column.push(minute.into());
        }
        let worker = worker.as_ref().map_or("", WorkerId::as_str);
        let member = member.as_ref().map_or("", MemberId::as_str);
        let names = [key.operation_and_meter(), worker.into(), member.into()];
        for (column, name) in self.names.iter_mut().zip(names) {
            column.push(name);
        }
        self.api_key.push(Uuid::of_api_key(*api_key));
        let numbers = [*runs, *quantity, charged.get(), refunded.get()];
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.push(number);
        }
    }
}

impl<'a> TimezoneColumns<'a> {
    pub(super) fn push(&mut self, profile: &'a Profile) {
        self.workspace.push(profile.id.as_str());
        self.timezone.push(&profile.timezone);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.workspace.is_empty()
    }

    pub(super) async fn forget_others(&self, session: &DbSession) -> Result<(), Failure> {
        session.execute(Sql::ForgetOtherZones, &[&self.workspace, &self.timezone]).await
    }
}

impl UsageColumns<'_> {
    /// Takes back closed days into which the rows fall.
    pub(crate) async fn reopen_days(&self, session: &DbSession) -> Result<(), Failure> {
        let mut begins: BTreeMap<&str, i64> = BTreeMap::new();
        for ((workspace, hour), minute) in self.workspace.iter().zip(&self.hour).zip(&self.minutes[0]) {
            let begin = Timestamp::of_minute(*hour, u8::try_from(*minute).unwrap_or_default()).millis();
            begins.entry(workspace).and_modify(|least| *least = begin.min(*least)).or_insert(begin);
        }
        let (workspaces, begins): (Vec<&str>, Vec<i64>) = begins.into_iter().unzip();
        session.execute(Sql::ReopenDays, &[&workspaces, &begins]).await
    }

    pub(crate) async fn add(&self, session: &DbSession) -> Result<(), Failure> {
        let UsageColumns { workspace, hour, names, api_key, numbers, minutes } = self;
        let ([operation, worker, member], [runs, quantity, charged, refunded]) = (names, numbers);
        let [minute, until] = minutes;
        let params: [Param<'_>; 12] = [
            workspace, hour, operation, worker, member, api_key, runs, quantity, charged, refunded, minute,
            until,
        ];
        session.execute(Sql::AddUsage, &params).await
    }
}
