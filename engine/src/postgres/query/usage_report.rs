//! The use of a workspace, added up by the database, and the current hour in the account.
//!
//! One statement reads both in one snapshot. The database groups the rows of the table, which may
//! be millions, so that no more than the groups of the answer come to the server. An hour that was
//! counted whole, and is to be divided, is read from the journal.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use tollkeeper_ledger::{
    Account, MemberId, Micros, OperationId, Timestamp, UsageSums, WorkerId, WorkspaceId,
};

use super::lists::entries_before;
use super::point::{account, last_entry_where};
use crate::Error;
use crate::closed_days::{self, ClosedUntil, DayChain, DayPart};
use crate::postgres::database::decode::{decode_current_usage, decode_entry};
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{DbSession, Uuid, column};
use crate::postgres::database::sql::Sql;
use crate::usage_report::{
    ENTRIES_MAX, Fold, GROUPS_MAX, Names, Slots, UsageAnswer, UsageFilter, UsageRefusal, UsageReport,
    UsageRequest, Used, used_by,
};

const MINUTE_MILLIS: i64 = 60_000;

/// The most entries that one statement reads.
const READ_MAX: usize = 2_048;

/// Answers [`Query::UsageReport`](crate::Query::UsageReport).
pub(crate) async fn usage_report(
    session: &DbSession,
    id: &WorkspaceId,
    request: &UsageRequest,
) -> Result<Option<UsageAnswer>, Failure> {
    let Some(account) = account(session, id).await? else { return Ok(None) };
    let slots = match Slots::of(request, &account.profile.timezone) {
        Ok(slots) => slots,
        Err(refusal) => return Ok(Some(Err(refusal))),
    };
    let mut fold = Fold::new(&slots, request);
    let rows = rows(session, &account, &slots, request).await?;
    let rebuilding = add_rows(&mut fold, &slots, &rows)?;
    Ok(Some(match divide(session, &mut fold, &account).await? {
        Ok(()) => fold.finish()?.map(|report| UsageReport { rebuilding, ..report }),
        Err(refusal) => Err(refusal),
    }))
}

/// Adds the rows of the statement. True if days that should be closed are not.
fn add_rows(fold: &mut Fold, slots: &Slots, rows: &[Row]) -> Result<bool, Error> {
    let (mut is_late, mut closed, mut next) = (false, None, None);
    let mut days = Vec::new();
    for row in rows {
        match column::<Option<i32>>(row, 1)? {
            None => {
                for (key, sums) in decode_current_usage(column(row, 0)?)? {
                    fold.add_row(&key, sums);
                }
                is_late = column::<i64>(row, 7)? > 0;
            }
            Some(-3) => {
                let at = |index: usize| column(row, index).map(Timestamp::from_millis);
                let last = column::<Option<i64>>(row, 10)?.map(Timestamp::from_millis);
                let range = at(7)?..at(8)?;
                let (timezone, from) = (slots.timezone.clone(), range.start);
                closed = Some((range, ClosedUntil { timezone, from, until: at(9)?, last }));
            }
            Some(-1) => days.push(((column::<i64>(row, 7)?, column::<i64>(row, 8)?), column(row, 0)?)),
            Some(-2) => next = Some(DayPart::decode(column(row, 0)?)?),
            Some(first) => add_sum(fold, slots, first, row)?,
        }
    }
    let Some((range, closed)) = closed else { return Ok(is_late) };
    let mut chain = DayChain::new(range);
    days.sort_unstable_by_key(|(place, _)| *place);
    for ((day, _), data) in days {
        let (day, part) = (Timestamp::from_millis(day), DayPart::decode(data)?);
        chain.note(day, &part)?;
        closed_days::add_to_fold(fold, slots, day, &part)?;
    }
    chain.finish(&closed, next.as_ref())?;
    Ok(is_late)
}

/// Adds a sum of the database, whose rows begin in the slot `first`.
fn add_sum(fold: &mut Fold, slots: &Slots, first: i32, row: &Row) -> Result<(), Error> {
    let names = [column(row, 3)?, column(row, 4)?, column(row, 5)?];
    let names = Names::read(names, column::<Uuid>(row, 6)?.api_key());
    let sums = UsageSums {
        runs: column(row, 7)?,
        quantity: column(row, 8)?,
        charged: Micros::new(column(row, 9)?),
        refunded: Micros::new(column(row, 10)?),
    };
    let slot = |number: i32| {
        let slot = usize::try_from(number - 1).ok().filter(|slot| *slot < slots.starts().len());
        slot.ok_or_else(|| Error::damaged("the database gave a sum of no slot"))
    };
    fold.add(slot(first)?..=slot(column(row, 2)?)?, names, sums);
    Ok(())
}

/// The account's row and the sums of the table.
async fn rows(
    session: &DbSession,
    account: &Account,
    slots: &Slots,
    request: &UsageRequest,
) -> Result<Vec<Row>, Failure> {
    let UsageRequest { group_by, filter, .. } = request;
    let UsageFilter { operation, worker, member, api_key } = filter;
    let starts = slots.starts().iter().map(|start| start.millis().div_euclid(MINUTE_MILLIS));
    let starts: Vec<i64> = starts.collect();
    let operation = operation.required("", OperationId::as_str);
    let worker = worker.required("", WorkerId::as_str);
    let member = member.required("", MemberId::as_str);
    let api_key = api_key.required(None, |key| Some(*key)).map(Uuid::of_api_key);
    let hours = slots.hours();
    let most = GROUPS_MAX as i64 + 1;
    let days = closed_days::days_of_report(slots, request.group_by);
    let timezone = days.as_ref().map(|_| &*slots.timezone);
    let days = days.unwrap_or(slots.from..slots.from);
    let (first_day, end_day) = (days.start.millis(), days.end.millis());
    let late = closed_days::should_be_closed_until(&slots.timezone, account.chain.at).millis();
    let params: [&(dyn ToSql + Sync); 18] = [
        &account.profile.id.as_str(),
        &hours.start,
        &hours.end,
        &starts,
        &group_by.operation,
        &group_by.worker,
        &group_by.member,
        &group_by.api_key,
        &operation,
        &worker,
        &member,
        &api_key,
        &most,
        &timezone,
        &first_day,
        &end_day,
        &late,
        &group_by.meter,
    ];
    session.query_with_timeout(Sql::UsageBySlot, &params).await
}

/// Divides the hours that were counted whole.
async fn divide(
    session: &DbSession,
    fold: &mut Fold<'_>,
    account: &Account,
) -> Result<Result<(), UsageRefusal>, Failure> {
    let (id, workspace) = (&account.profile.id, &account.profile.timezone);
    let hours = match fold.undivided_hours(workspace) {
        Ok(hours) => hours,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let last = account.chain.n as i64;
    let mut left = ENTRIES_MAX;
    for hour in hours {
        let of_hour = last_entry_where(session, id, last, |at| at.hour() <= hour).await?;
        let used = used_in(session, id, hour, of_hour, &mut left).await?;
        if !fold.divide(hour, &used) {
            // Entries that were made while a clock was ahead have later times.
            let used = used_in(session, id, hour, last, &mut left).await?;
            fold.divide(hour, &used);
        }
        if left == 0 {
            return Ok(Err(fold.not_counted(workspace)));
        }
    }
    Ok(Ok(()))
}

/// What was used in an hour by the entries of a workspace from the entry `last` back to the hour.
/// At most `left` are read, and subtracted from it.
async fn used_in(
    session: &DbSession,
    id: &WorkspaceId,
    hour: i64,
    last: i64,
    left: &mut usize,
) -> Result<Vec<Used>, Failure> {
    let (mut found, mut before) = (Vec::new(), last + 1);
    while before > 1 && *left > 0 {
        let rows = entries_before(session, id, before, READ_MAX.min(*left)).await?;
        if rows.is_empty() {
            return Err(Error::damaged(format!("the journal of workspace {id} has a gap")).into());
        }
        for row in rows {
            let entry = decode_entry(column(&row, 0)?)?;
            if entry.at.hour() < hour {
                return Ok(found);
            }
            *left -= 1;
            before = entry.n as i64;
            found.extend(used_by(&entry).into_iter().filter(|(at, _, _)| at.hour() == hour));
        }
    }
    Ok(found)
}
