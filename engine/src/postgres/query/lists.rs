//! Long reads: the journal, charges, grants, usage. They walk a workspace's entries backwards by the primary key, some at a
//! time. One request looks at a bounded number of entries and then says where to go on.

use std::collections::HashMap;

use tokio_postgres::Row;
use tollkeeper_ledger::{Charge, Entry, Micros, UsageKey, Used, WorkspaceId};

use super::point::{LIMIT_MAX, account, last_at};
use crate::postgres::batch::current_hour::{OpenHour, usage_key};
use crate::postgres::batch::prefetch::{decoded, decoded_account, decoded_grant};
use crate::postgres::batch::state_machine::digest;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{Session, Uuid, column};
use crate::postgres::database::sql::Sql;
use crate::{ChargeFilter, EntryRecord, Error, GrantRecord, Listing, Page, answer, rollups};

/// Entries that one request looks at before it answers with what it has.
const LOOKS_MAX: usize = 20_000;

/// Entries that are read at once: a few more than the page is long at first, then more and more where little is found.
const READ_FIRST: usize = 16;
/// See [`READ_FIRST`].
const READ_AT_ONCE: usize = 2_048;

/// The number before which a page begins.
fn before(page: &Page) -> Result<Option<i64>, Error> {
    let before = page.cursor.as_ref().map(|cursor| cursor.parse::<i64>().map_err(|_| Error::bad_cursor()));
    let before = before.transpose()?;
    if before.is_some_and(|before| before < 1) { Err(Error::bad_cursor()) } else { Ok(before) }
}

/// Entries of a workspace before a number, newest first.
async fn entries_before(
    session: &Session,
    id: &WorkspaceId,
    before: i64,
    most: usize,
) -> Result<Vec<Row>, Failure> {
    session.ask(Sql::EntriesBefore, &[&id.as_str(), &before, &(most as i64)]).await
}

/// The journal of a workspace, newest first.
pub(crate) async fn entries(
    session: &Session,
    id: &WorkspaceId,
    page: &Page,
) -> Result<Option<Listing<EntryRecord>>, Failure> {
    let cursor = before(page)?;
    let Some(account) = account(session, id).await? else { return Ok(None) };
    let rows =
        entries_before(session, id, begin(cursor, account.chain.n)?, page.limit.min(LIMIT_MAX)).await?;
    let mut data = Vec::with_capacity(rows.len());
    for row in &rows {
        let bytes: &[u8] = column(row, 0)?;
        data.push(EntryRecord { entry: decoded(bytes)?, hash: digest(bytes) });
    }
    let oldest = data.last().map_or(0, |record| record.entry.n);
    Ok(Some(Listing { data, next: (oldest > 1).then(|| oldest.to_string()) }))
}

/// Where a walk begins. A cursor beyond the newest entry was never handed out.
fn begin(cursor: Option<i64>, last: u64) -> Result<i64, Error> {
    let end = last as i64 + 1;
    if cursor.is_some_and(|cursor| cursor > end) {
        Err(Error::bad_cursor())
    } else {
        Ok(cursor.unwrap_or(end))
    }
}

/// The charges of a workspace, newest first.
pub(crate) async fn charges(
    session: &Session,
    id: &WorkspaceId,
    filter: &ChargeFilter,
    page: &Page,
) -> Result<Option<Listing<Charge>>, Failure> {
    let cursor = before(page)?;
    let Some(account) = account(session, id).await? else { return Ok(None) };
    let mut place = begin(cursor, account.chain.n)?;
    if let (None, Some(to)) = (cursor, filter.to) {
        place = last_at(session, id, place - 1, |at| at < to).await? + 1;
    }
    let (mut data, mut looks, mut read) =
        (Vec::new(), 0, READ_FIRST + page.limit.min(READ_AT_ONCE - READ_FIRST));
    while place > 1 && data.len() < page.limit && looks < LOOKS_MAX {
        let rows = entries_before(session, id, place, read).await?;
        read = READ_AT_ONCE.min(2 * read);
        let mut found = Vec::new();
        for row in &rows {
            if found.len() + data.len() == page.limit {
                break;
            }
            let entry = decoded(column(row, 0)?)?;
            looks += 1;
            place = entry.n as i64;
            if filter.from.is_some_and(|from| entry.at < from) {
                place = 1;
                break;
            }
            found.extend(answer::charge_of(entry).filter(|charge| filter.admits(charge)));
        }
        if rows.is_empty() {
            return Err(Error::damaged(format!("the journal of workspace {id} has a gap")).into());
        }
        let stand = as_they_stand(session, id, found).await?;
        data.extend(
            stand
                .into_iter()
                .filter(|charge| filter.status.is_none_or(|status| charge.state.status == status)),
        );
    }
    Ok(Some(Listing { data, next: (place > 1).then(|| place.to_string()) }))
}

/// Brings charges from their opening to their present state.
async fn as_they_stand(
    session: &Session,
    id: &WorkspaceId,
    mut charges: Vec<Charge>,
) -> Result<Vec<Charge>, Failure> {
    let opened: Vec<i64> = charges.iter().map(|charge| charge.opened as i64).collect();
    if opened.is_empty() {
        return Ok(charges);
    }
    let rows = session.ask(Sql::Standings, &[&id.as_str(), &opened]).await?;
    let mut last: HashMap<_, Entry> = HashMap::with_capacity(rows.len());
    for row in &rows {
        let entry = decoded(column(row, 0)?)?;
        if let Some((charge, _)) = entry.body.charge() {
            last.insert(charge, entry);
        }
    }
    for charge in &mut charges {
        let state = last.get(&charge.details.id).and_then(|entry| entry.body.state());
        charge.state = state.unwrap_or(charge.state);
    }
    Ok(charges)
}

/// The grants of a workspace, newest first. Those with something left stand in the account, the others in their rows.
pub(crate) async fn grants(
    session: &Session,
    id: &WorkspaceId,
    page: &Page,
) -> Result<Option<Listing<GrantRecord>>, Failure> {
    let before = before(page)?.unwrap_or(i64::MAX);
    let most = page.limit.min(LIMIT_MAX) as i64 + 1;
    let rows = session.ask(Sql::GrantsBefore, &[&id.as_str(), &before, &most]).await?;
    let Some((first, lots)) = rows.split_first().filter(|_| !id.is_platform()) else { return Ok(None) };
    let account = decoded_account(column(first, 0)?, None)?;
    let mut data = Vec::with_capacity(lots.len());
    for row in lots.iter().take(page.limit) {
        let lot = decoded_grant(column(row, 0)?)?;
        let record = answer::record_of(decoded(column(row, 1)?)?);
        let record = record.ok_or_else(|| Error::damaged(format!("grant {} has no entry", lot.id)))?;
        let grant = account.grants.get(lot.n).cloned().unwrap_or(lot);
        data.push(GrantRecord { grant, ..record });
    }
    let last = data.last().filter(|_| lots.len() > page.limit);
    let next = last.map(|record| record.grant.n.to_string());
    Ok(Some(Listing { data, next }))
}

/// The usage of a workspace by hour: what is kept, and the present hour of the account.
pub(crate) async fn usage(
    session: &Session,
    id: &WorkspaceId,
    (from, to): (i64, i64),
) -> Result<Vec<(UsageKey, Used)>, Failure> {
    let rows = session.ask(Sql::UsageOf, &[&id.as_str(), &from, &to]).await?;
    let mut usage = Vec::with_capacity(rows.len());
    for row in &rows {
        match usage_row(row)? {
            Some(kept) => usage.push(kept),
            None => {
                let hour = OpenHour::decode(column(row, 0)?)?;
                let rows = hour.rows().iter().filter(|(key, _)| key.hour >= from && key.hour < to);
                usage.extend(rows.cloned());
            }
        }
    }
    Ok(rollups::folded(usage))
}

/// A row of usage as it is kept; `None` for the row that is the account's.
pub(crate) fn usage_row(row: &Row) -> Result<Option<(UsageKey, Used)>, Error> {
    let Some(operation) = column::<Option<&str>>(row, 2)? else { return Ok(None) };
    let names = [operation, column(row, 3)?, column(row, 4)?];
    let key = usage_key(column(row, 1)?, names, column::<Uuid>(row, 5)?.api_key());
    let key = key.ok_or_else(|| Error::damaged("a row of usage is counted under no name"))?;
    let used = Used {
        runs: column(row, 6)?,
        quantity: column(row, 7)?,
        charged: Micros::new(column(row, 8)?),
        refunded: Micros::new(column(row, 9)?),
    };
    Ok(Some((key, used)))
}
