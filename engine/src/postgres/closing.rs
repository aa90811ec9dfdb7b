//! Closes days of usage in the database: one day of one workspace in each transaction.
//!
//! The transaction holds the lock of the account's row, as every transaction does that writes
//! usage. So the rows of the day stay as they are while they are added up. It is short, and the
//! commands of the workspace wait for it as they wait for another server's batch. Two servers that
//! close the same day do it one after the other, and the second finds it closed.

use std::sync::{Mutex, PoisonError};

use tollkeeper_ledger::Timestamp;

use super::database::config::Address;
use super::database::decode::{closed_until, decode_account, decode_usage_row};
use super::database::failure::Failure;
use super::database::schema::Admission;
use super::database::session::{DbSession, Params, column, with_timeout};
use super::database::sql::{self, Sql};
use crate::closed_days::{self, ClosedUntil, DaySums};
use crate::{ClosedDays, Error};

/// The most days that one step closes.
const DAYS_MAX: u64 = 64;

/// The workspace behind which the next step goes on.
#[derive(Debug, Default)]
pub(super) struct Closing(Mutex<String>);

impl Closing {
    /// Looks at the next workspaces, at most `most`, and closes days of theirs on a connection of
    /// its own: `reader` is shared with queries, which must not be part of a transaction.
    pub(super) async fn step(
        &self,
        reader: &DbSession,
        address: &Address,
        now: Timestamp,
        most: usize,
    ) -> Result<ClosedDays, Failure> {
        let limit = closed_days::closable_until(now);
        let after = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let most = most.clamp(1, 10_000) as i64;
        let end = limit.hour() + 1;
        let params: Params<'_> = &[&after, &most, &i64::MIN, &end];
        let rows = reader.query_with_timeout(Sql::UnclosedWorkspaces, params).await?;
        let (mut days, mut reached, mut session) = (0, after, None);
        for row in &rows {
            let workspace: &str = column(row, 0)?;
            let has_use: bool = column(row, 1)?;
            if has_use && session.is_none() {
                if !Admission::ask(reader).await?.may_write() {
                    return Ok(ClosedDays::default());
                }
                session = Some(DbSession::open(address).await?);
            }
            while let Some(session) = session.as_ref().filter(|_| has_use && days < DAYS_MAX)
                && close_next_day(session, workspace, limit).await?
            {
                days += 1;
            }
            if days >= DAYS_MAX {
                break;
            }
            workspace.clone_into(&mut reached);
        }
        let has_more = days >= DAYS_MAX || rows.len() as i64 == most;
        let next = if has_more { reached } else { String::new() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(ClosedDays { days, has_more })
    }
}

/// Closes the next day of a workspace that ended at `limit` or before; false if there is none.
async fn close_next_day(session: &DbSession, workspace: &str, limit: Timestamp) -> Result<bool, Failure> {
    with_timeout(session.batch_execute(sql::BEGIN)).await??;
    let closed = with_timeout(close_locked(session, workspace, limit)).await.flatten();
    let end = if matches!(closed, Ok(true)) { "COMMIT" } else { "ROLLBACK" };
    with_timeout(session.batch_execute(end)).await??;
    closed
}

async fn close_locked(session: &DbSession, workspace: &str, limit: Timestamp) -> Result<bool, Failure> {
    session.execute(Sql::LockAccount, &[&workspace]).await?;
    let Some(mut closed) = closed_or_nothing(session, workspace).await? else { return Ok(false) };
    let Some(first) = first_use(session, workspace, closed.until).await? else { return Ok(false) };
    let mut day = closed_days::day_of(&closed.timezone, first);
    // A clock that was set back over midnight shows a day twice.
    day.start = day.start.max(closed.until);
    if day.end > limit {
        return Ok(false);
    }
    let hours = closed_days::hours_of(&(day.start..day.end));
    let mut sums = DaySums::new(day);
    for row in session.query(Sql::UsageOf, &[&workspace, &hours.start, &hours.end]).await? {
        // The row of the account comes first. Its current hour is in no closed day.
        if let Some((key, used)) = decode_usage_row(&row)? {
            sums.add(key, used)?;
        }
    }
    let parts = sums.encode(closed.last);
    let Some(parts) = parts else {
        closed.begin_after(day);
        session.execute(Sql::ForgetDays, &[&workspace]).await?;
        let params: Params<'_> = &[&workspace, &&*closed.timezone, &closed.from.millis()];
        session.execute(Sql::BeginClosedDays, params).await?;
        return Ok(true);
    };
    closed.close(day);
    let (from, until) = (closed.from.millis(), closed.until.millis());
    let params: Params<'_> = &[&workspace, &day.start.millis(), &parts, &&*closed.timezone, &from, &until];
    session.execute(Sql::CloseDay, params).await?;
    Ok(true)
}

/// How far the days are closed; `None` for a workspace that has no account or no usage.
async fn closed_or_nothing(session: &DbSession, workspace: &str) -> Result<Option<ClosedUntil>, Failure> {
    if let Some(closed) = stored_closed_until(session, workspace).await? {
        return Ok(Some(closed));
    }
    let Some(first) = first_use(session, workspace, Timestamp::from_millis(i64::MIN)).await? else {
        return Ok(None);
    };
    let rows = session.query(Sql::Account, &[&workspace]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let account = decode_account(column(row, 0)?)?;
    Ok(Some(ClosedUntil::nothing(&account.profile.timezone, first)))
}

/// What the database says of how far the days of a workspace are closed.
async fn stored_closed_until(session: &DbSession, workspace: &str) -> Result<Option<ClosedUntil>, Failure> {
    let rows = session.query(Sql::ClosedUntil, &[&workspace]).await?;
    Ok(rows.first().map(|row| closed_until(row, 0)).transpose()?)
}

/// Where the first row of usage at an instant or later begins.
async fn first_use(
    session: &DbSession,
    workspace: &str,
    from: Timestamp,
) -> Result<Option<Timestamp>, Failure> {
    let (hour, minute) = (from.hour(), i16::from(from.minute()));
    let rows = session.query(Sql::FirstUse, &[&workspace, &hour, &minute]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let minute = u8::try_from(column::<i16>(row, 1)?);
    let minute = minute.map_err(|_| Error::damaged("a row of the usage table covers no part of an hour"))?;
    Ok(Some(Timestamp::of_minute(column(row, 0)?, minute)))
}
