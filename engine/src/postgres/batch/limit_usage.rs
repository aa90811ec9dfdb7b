//! Loads the usage from which a batch counts limits anew.
//!
//! A busy workspace has many rows of usage, one for each hour, operation, worker, member and key. A
//! recount needs few sums of them. So the database adds up: names that no limit of the recount
//! names become one, and so do the hours in the middle. Those are after the beginning of the month
//! and before the current day, in every time zone.
//!
//! The database still reads each row, while the commands of other workspaces wait. So after a
//! recount of many rows, or one that took too long, its workspace has to wait for the next.

use std::collections::{BTreeMap, BTreeSet};

use tollkeeper_ledger::{Command, Limits, Subject, Submission, Timestamp, UsageKey, UsageSums, bounds};

use super::accounts::Accounts;
use crate::postgres::database::decode::decode_usage_row;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{DbSession, Uuid, column};
use crate::postgres::database::sql::Sql;
use crate::{calendar, rollups};

/// Hours from the earliest hour of a month, in any time zone, to one that is in the month in all of
/// them.
const INTO_THE_MONTH_HOURS: i64 = 72;

/// Hours from one that is before the current day, in all time zones, to now.
const BEFORE_THE_DAY_HOURS: i64 = 48;

/// The usage that the recounts of one workspace need.
struct Wanted<'a> {
    account_index: usize,
    from_hour: i64,
    /// The hours in the middle, whose sums may be one.
    middle: (i64, i64),
    operations: BTreeSet<&'a str>,
    workers: BTreeSet<&'a str>,
    members: BTreeSet<&'a str>,
    api_keys: BTreeSet<[u8; 16]>,
}

impl<'a> Wanted<'a> {
    fn new(account_index: usize) -> Wanted<'a> {
        Wanted {
            account_index,
            from_hour: i64::MAX,
            middle: (i64::MIN, i64::MAX),
            operations: BTreeSet::new(),
            workers: BTreeSet::new(),
            members: BTreeSet::new(),
            api_keys: BTreeSet::new(),
        }
    }

    /// Adds the hours that count at an instant.
    fn add_instant(&mut self, present: Timestamp) {
        let earliest = calendar::earliest_hour(present);
        self.from_hour = self.from_hour.min(earliest);
        let (from, to) = self.middle;
        self.middle =
            (from.max(earliest + INTO_THE_MONTH_HOURS), to.min(present.hour() - BEFORE_THE_DAY_HOURS));
    }

    fn add_subject(&mut self, subject: &'a Subject) {
        match subject {
            Subject::Workspace => {}
            Subject::Member(member) => drop(self.members.insert(member.as_str())),
            Subject::Worker(worker) => drop(self.workers.insert(worker.as_str())),
            Subject::Operation(operation) => drop(self.operations.insert(operation.as_str())),
            Subject::ApiKey(key) => drop(self.api_keys.insert(key.0.to_bytes())),
        }
    }

    /// An operation that no limit names; it stands for all those.
    fn other_operation(&self) -> String {
        let mut names = (0..=self.operations.len()).map(|number| format!("other{number}"));
        let name = names.find(|name| !self.operations.contains(name.as_str()));
        name.expect("there are more names than operations")
    }

    async fn load(
        &self,
        session: &DbSession,
        accounts: &Accounts,
        id: &str,
    ) -> Result<(Vec<(UsageKey, UsageSums)>, usize), Failure> {
        let (operations, workers): (Vec<&str>, Vec<&str>) =
            (self.operations.iter().copied().collect(), self.workers.iter().copied().collect());
        let members: Vec<&str> = self.members.iter().copied().collect();
        let api_keys: Vec<Uuid> = self.api_keys.iter().copied().map(Uuid).collect();
        let ((middle_from, middle_to), other) = (self.middle, self.other_operation());
        let rows = session
            .query_with_timeout(
                Sql::UsageForLimits,
                &[
                    &id,
                    &self.from_hour,
                    &middle_from,
                    &middle_to,
                    &operations,
                    &workers,
                    &members,
                    &api_keys,
                    &other,
                ],
            )
            .await?;
        let (mut usage, mut read) = (Vec::with_capacity(rows.len()), 0);
        for row in &rows {
            read += column::<Option<i64>>(row, 13)?.unwrap_or(0);
            match decode_usage_row(row).map_err(|error| Failure::of_workspace(id, error))? {
                Some(stored) => usage.push(stored),
                // Another server may have moved the hour that the account in memory still has.
                None => accounts.check_same_moment(self.account_index, column(row, 12)?)?,
            }
        }
        Ok((usage, usize::try_from(read).unwrap_or(usize::MAX)))
    }
}

/// Loads the usage for the commands of a batch that may recount limits, by account. An earlier
/// command of the batch may change the time zone, or set the limits that a later one recounts.
pub(super) async fn load(
    session: &DbSession,
    accounts: &mut Accounts,
    batch: &[(Submission, Timestamp)],
) -> Result<BTreeMap<usize, Vec<(UsageKey, UsageSums)>>, Failure> {
    let mut indexes: BTreeMap<&str, usize> = BTreeMap::new();
    for (submission, _) in batch.iter().filter(|(submission, _)| submission.command.may_recount()) {
        let id = submission.workspace.as_str();
        indexes.extend(accounts.touch(id).map(|account_index| (id, account_index)));
    }
    let mut loaded = BTreeMap::new();
    for (id, account_index) in indexes {
        let account = &accounts.get(account_index).account;
        let mut wanted = Wanted::new(account_index);
        let Limits(limits) = &account.limits;
        limits.iter().for_each(|limit| wanted.add_subject(&limit.subject));
        let own = batch.iter().filter(|(submission, _)| submission.workspace.as_str() == id);
        for (submission, now) in own.filter(|(submission, _)| submission.command.may_recount()) {
            wanted.add_instant(account.present(*now));
            match &submission.command {
                // More are refused.
                Command::SetLimits(lines) if lines.len() <= bounds::LIMITS_MAX => {
                    lines.iter().for_each(|(subject, ..)| wanted.add_subject(subject));
                }
                _ => {}
            }
        }
        let summed = wanted.load(session, accounts, id).await;
        let workspace = account.profile.id.clone();
        match summed {
            Ok((usage, read)) => {
                accounts.recount_pauses.note_rows(workspace, read);
                loaded.insert(account_index, usage);
            }
            Err(failure) => {
                if matches!(failure, Failure::TimedOut(_)) {
                    accounts.recount_pauses.pause(workspace, rollups::RECOUNT_PAUSE_MAX_SECONDS);
                }
                return Err(failure);
            }
        }
    }
    Ok(loaded)
}
