//! Lists of a workspace: entries, charges, grants and usage.
//!
//! Entries and charges are read backwards by the primary key, a number of entries at a time. One
//! request examines a bounded number of entries; its cursor then says where to go on.

use std::collections::HashMap;
use std::ops::Range;

use tokio_postgres::Row;
use tollkeeper_ledger::{Charge, Entry, UsageKey, UsageSums, WorkspaceId};

use super::point::{LIMIT_MAX, account, last_entry_where};
use crate::contract::ENTRIES_MAX_BYTES;
use crate::hash::digest;
use crate::postgres::database::decode::{
    decode_account, decode_current_usage, decode_entry, decode_grant, decode_usage_row,
};
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{DbSession, column};
use crate::postgres::database::sql::Sql;
use crate::{ChargeFilter, EntryRecord, Error, GrantRecord, Listing, Page, answer, rollups};

/// The most entries that one request examines before it answers with what it has found.
const EXAMINED_MAX: usize = 20_000;

/// How many entries the first read fetches beyond the length of the page. Each further read fetches
/// twice as many as the one before.
const FIRST_READ_EXTRA: usize = 16;

/// The most entries that one read fetches.
const READ_MAX: usize = 2_048;

/// The entry number in a page's cursor. The page begins with the entry before it.
fn cursor_number(page: &Page) -> Result<Option<i64>, Error> {
    let Some(cursor) = &page.cursor else { return Ok(None) };
    let n: i64 = cursor.parse().map_err(|_| Error::bad_cursor())?;
    if n < 1 { Err(Error::bad_cursor()) } else { Ok(Some(n)) }
}

/// The number before which a list of entries begins: the cursor, or one after the last entry. A
/// cursor beyond that was never handed out.
fn start(cursor: Option<i64>, last: u64) -> Result<i64, Error> {
    let end = last as i64 + 1;
    match cursor {
        Some(cursor) if cursor > end => Err(Error::bad_cursor()),
        Some(cursor) => Ok(cursor),
        None => Ok(end),
    }
}

/// At most `limit` entries of a workspace with numbers below `before`, newest first.
pub(super) async fn entries_before(
    session: &DbSession,
    id: &WorkspaceId,
    before: i64,
    limit: usize,
) -> Result<Vec<Row>, Failure> {
    session.query_with_timeout(Sql::EntriesBefore, &[&id.as_str(), &before, &(limit as i64)]).await
}

/// The journal of a workspace, newest first.
pub(crate) async fn entries(
    session: &DbSession,
    id: &WorkspaceId,
    page: &Page,
) -> Result<Option<Listing<EntryRecord>>, Failure> {
    let cursor = cursor_number(page)?;
    let Some(account) = account(session, id).await? else { return Ok(None) };
    let before = start(cursor, account.chain.n)?;
    let rows = entries_before(session, id, before, page.limit.min(LIMIT_MAX)).await?;
    let mut data = Vec::with_capacity(rows.len());
    let mut read = 0;
    for row in &rows {
        let bytes: &[u8] = column(row, 0)?;
        data.push(EntryRecord { entry: decode_entry(bytes)?, hash: digest(bytes) });
        read += bytes.len();
        if read >= ENTRIES_MAX_BYTES {
            break;
        }
    }
    let oldest = data.last().map_or(0, |record| record.entry.n);
    Ok(Some(Listing { data, next: (oldest > 1).then(|| oldest.to_string()) }))
}

/// The charges of a workspace that match a filter, newest first.
pub(crate) async fn charges(
    session: &DbSession,
    id: &WorkspaceId,
    filter: &ChargeFilter,
    page: &Page,
) -> Result<Option<Listing<Charge>>, Failure> {
    let cursor = cursor_number(page)?;
    let Some(account) = account(session, id).await? else { return Ok(None) };
    let mut before = start(cursor, account.chain.n)?;
    if let (None, Some(to)) = (cursor, filter.to) {
        before = last_entry_where(session, id, before - 1, |at| at < to).await? + 1;
    }
    let mut scan = ChargeScan { session, id, filter, before, examined: 0 };
    let mut data = Vec::new();
    let mut read = FIRST_READ_EXTRA + page.limit.min(READ_MAX - FIRST_READ_EXTRA);
    while scan.before > 1 && data.len() < page.limit && scan.examined < EXAMINED_MAX {
        let opened = scan.read(read, page.limit - data.len()).await?;
        read = READ_MAX.min(2 * read);
        let charges = with_latest_state(session, id, opened).await?;
        let has_status = |charge: &Charge| filter.status.is_none_or(|status| charge.state.status == status);
        data.extend(charges.into_iter().filter(has_status));
    }
    assert!(data.len() <= page.limit, "a page holds no more than was asked for");
    Ok(Some(Listing { data, next: (scan.before > 1).then(|| scan.before.to_string()) }))
}

/// A scan of a journal for charges, from new to old.
struct ChargeScan<'a> {
    session: &'a DbSession,
    id: &'a WorkspaceId,
    filter: &'a ChargeFilter,
    /// The scan goes on below this entry number; 1 or less means that it is at the end.
    before: i64,
    /// How many entries were examined so far.
    examined: usize,
}

impl ChargeScan<'_> {
    /// Reads `read` entries and returns at most `wanted` charges that match the filter, as they
    /// were opened.
    async fn read(&mut self, read: usize, wanted: usize) -> Result<Vec<Charge>, Failure> {
        let rows = entries_before(self.session, self.id, self.before, read).await?;
        if rows.is_empty() {
            return Err(Error::damaged(format!("the journal of workspace {} has a gap", self.id)).into());
        }
        let mut found = Vec::new();
        for row in &rows {
            if found.len() == wanted {
                break;
            }
            let entry = decode_entry(column(row, 0)?)?;
            self.examined += 1;
            self.before = entry.n as i64;
            if self.filter.from.is_some_and(|from| entry.at < from) {
                self.before = 1;
                break;
            }
            found.extend(answer::charge_opened_by(entry).filter(|charge| self.filter.admits(charge)));
        }
        Ok(found)
    }
}

/// Brings charges from the state in which they were opened to their current state.
async fn with_latest_state(
    session: &DbSession,
    id: &WorkspaceId,
    mut charges: Vec<Charge>,
) -> Result<Vec<Charge>, Failure> {
    let opened: Vec<i64> = charges.iter().map(|charge| charge.opening_entry as i64).collect();
    if opened.is_empty() {
        return Ok(charges);
    }
    let rows = session.query_with_timeout(Sql::LatestChargeStates, &[&id.as_str(), &opened]).await?;
    let mut latest: HashMap<_, Entry> = HashMap::with_capacity(rows.len());
    for row in &rows {
        let entry = decode_entry(column(row, 0)?)?;
        if let Some((charge, _)) = entry.body.charge() {
            latest.insert(charge, entry);
        }
    }
    for charge in &mut charges {
        let state = latest.get(&charge.details.id).and_then(|entry| entry.body.state());
        charge.state = state.unwrap_or(charge.state);
    }
    Ok(charges)
}

/// The grants of a workspace, newest first. What remains of an unspent grant is in the account; a
/// spent grant is in the table `lot` only.
pub(crate) async fn grants(
    session: &DbSession,
    id: &WorkspaceId,
    page: &Page,
) -> Result<Option<Listing<GrantRecord>>, Failure> {
    let before = cursor_number(page)?.unwrap_or(i64::MAX);
    // One more row than wanted shows whether there is a next page.
    let limit = page.limit.min(LIMIT_MAX) as i64 + 1;
    let rows = session.query_with_timeout(Sql::GrantsBefore, &[&id.as_str(), &before, &limit]).await?;
    let Some((first, grant_rows)) = rows.split_first().filter(|_| !id.is_platform()) else { return Ok(None) };
    let account = decode_account(column(first, 0)?)?;
    let mut data = Vec::with_capacity(grant_rows.len());
    for row in grant_rows.iter().take(page.limit) {
        let stored = decode_grant(column(row, 0)?)?;
        let record = answer::granted_by(decode_entry(column(row, 1)?)?);
        let record = record.ok_or_else(|| Error::damaged(format!("grant {} has no entry", stored.id)))?;
        let grant = account.grants.get(stored.n).cloned().unwrap_or(stored);
        data.push(GrantRecord { grant, ..record });
    }
    let last = data.last().filter(|_| grant_rows.len() > page.limit);
    let next = last.map(|record| record.grant.n.to_string());
    Ok(Some(Listing { data, next }))
}

/// The usage of a workspace by hour: the rows of the usage table, and the current hour in the
/// account.
pub(crate) async fn usage(
    session: &DbSession,
    id: &WorkspaceId,
    hours: Range<i64>,
) -> Result<Vec<(UsageKey, UsageSums)>, Failure> {
    let rows = session.query_with_timeout(Sql::UsageOf, &[&id.as_str(), &hours.start, &hours.end]).await?;
    let mut usage = Vec::with_capacity(rows.len());
    for row in &rows {
        match decode_usage_row(row)? {
            Some(stored) => usage.push(stored),
            None => {
                let current = decode_current_usage(column(row, 0)?)?;
                usage.extend(current.into_iter().filter(|(key, _)| hours.contains(&key.hour)));
            }
        }
    }
    Ok(rollups::folded(usage))
}
