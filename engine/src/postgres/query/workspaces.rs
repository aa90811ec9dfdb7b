//! Lists and searches of workspaces, newest first: by the time of creation, then by id.
//!
//! Which workspaces are looked at comes from the rows of the table `search`, by one of its indexes,
//! or from the words of names. What is listed is the account. One request looks at a bounded number
//! of rows.
//!
//! A cursor is `created_at/id` of the last workspace that was looked at.

use std::collections::HashMap;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use tollkeeper_ledger::WorkspaceId;

use crate::postgres::database::decode::decode_account;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{DbSession, column};
use crate::postgres::database::sql::Sql;
use crate::postgres::repairs::Repairs;
use crate::workspace_search::{Looks, NOMINATED_MAX, SearchRow, Walk};
use crate::{Error, Listing, Page, WorkspaceFilter, WorkspaceRecord};

/// The place of a workspace in the list: when it was created, in milliseconds since 1970, and its
/// id.
type Place = (i64, String);

/// Before the first page. Every workspace id sorts before this text.
fn beginning() -> Place {
    (i64::MAX, "\u{7f}".to_owned())
}

/// Where the rows come from.
enum Source {
    /// All of a walk.
    Walk(Walk),
    /// These workspaces, in the order of the list.
    Nominated(Vec<Place>),
}

/// The workspaces that meet some conditions.
pub(super) async fn list(
    session: &DbSession,
    repairs: &Repairs,
    filter: &WorkspaceFilter,
    page: &Page,
) -> Result<Listing<WorkspaceRecord>, Failure> {
    let mut before = match filter.position(page)? {
        None => beginning(),
        Some(position) => {
            let (millis, id) = position.split_once('/').ok_or_else(Error::bad_cursor)?;
            let id = WorkspaceId::new(id).map_err(|_| Error::bad_cursor())?;
            (millis.parse().map_err(|_| Error::bad_cursor())?, id.as_str().to_owned())
        }
    };
    let source = source(session, filter).await?;
    let mut looks = Looks::for_page(page.limit);
    let mut data = Vec::new();
    while let Some(read) = looks.next() {
        let rows = rows(session, &source, &before, read).await?;
        let is_end = rows.len() < read;
        let mut admitted = Vec::with_capacity(rows.len());
        for (place, row) in rows {
            if row.is_some_and(|row| filter.may_admit(&row)) {
                admitted.push(place.clone());
            }
            before = place;
        }
        looks.count_accounts(admitted.len());
        for some in admitted.chunks(page.limit.max(1)) {
            let mut records = records(session, repairs, some).await?;
            for place in some {
                let record = records.remove(&place.1);
                data.extend(record.filter(|record| filter.admits(record)));
                if data.len() == page.limit {
                    let is_last = is_end && admitted.last() == Some(place);
                    let next = (!is_last).then(|| cursor(filter, place));
                    return Ok(Listing { data, next });
                }
            }
        }
        if is_end {
            return Ok(Listing { data, next: None });
        }
    }
    Ok(Listing { data, next: Some(cursor(filter, &before)) })
}

fn cursor(filter: &WorkspaceFilter, (created_at, id): &Place) -> String {
    filter.cursor(format_args!("{created_at}/{id}"))
}

async fn source(session: &DbSession, filter: &WorkspaceFilter) -> Result<Source, Failure> {
    let most = NOMINATED_MAX as i64 + 1;
    let mut nominated = None;
    if let Some(name) = &filter.name {
        let (first, end) = name.range();
        let params: [&(dyn ToSql + Sync); 3] = [&first, &end, &most];
        nominated = places(&session.query_with_timeout(Sql::NominatedByName, &params).await?)?;
    }
    let walk = filter.walk();
    if let (None, Walk::All, Some(day)) = (&nominated, walk, filter.unused_up_to_day()) {
        nominated = places(&session.query_with_timeout(Sql::NominatedByUse, &[&day, &most]).await?)?;
    }
    Ok(nominated.map_or(Source::Walk(walk), Source::Nominated))
}

/// The nominated places in the order of the list; `None` if there are too many.
fn places(rows: &[Row]) -> Result<Option<Vec<Place>>, Error> {
    if rows.len() > NOMINATED_MAX {
        return Ok(None);
    }
    let place = |row| Ok((column(row, 0)?, column(row, 1)?));
    let mut places: Vec<Place> = rows.iter().map(place).collect::<Result<_, Error>>()?;
    places.sort_unstable_by(|a, b| b.cmp(a));
    places.dedup();
    Ok(Some(places))
}

/// The next `read` places with their rows; fewer at the end of the list. `None` for a workspace
/// that was nominated and has no row.
async fn rows(
    session: &DbSession,
    source: &Source,
    before: &Place,
    read: usize,
) -> Result<Vec<(Place, Option<SearchRow>)>, Failure> {
    let (created_at, id) = before;
    match source {
        Source::Walk(walk) => {
            let sql = match walk {
                Walk::All => Sql::SearchRows,
                Walk::Suspended => Sql::SuspendedSearchRows,
                Walk::Debt => Sql::DebtSearchRows,
            };
            let params: [&(dyn ToSql + Sync); 3] = [created_at, id, &(read as i64)];
            let rows = session.query_with_timeout(sql, &params).await?;
            let rows = rows.iter().map(|row| search_row(row).map(|(place, row)| (place, Some(row))));
            Ok(rows.collect::<Result<_, Error>>()?)
        }
        Source::Nominated(places) => {
            let next = places.partition_point(|place| place >= before);
            let some: Vec<&Place> = places[next..].iter().take(read).collect();
            let ids: Vec<&str> = some.iter().map(|(_, id)| id.as_str()).collect();
            let rows = session.query_with_timeout(Sql::SearchRowsOf, &[&ids]).await?;
            let rows = rows.iter().map(search_row).collect::<Result<HashMap<_, _>, Error>>()?;
            Ok(some.into_iter().map(|place| (place.clone(), rows.get(place).cloned())).collect())
        }
    }
}

/// Decodes a row of the table `search`.
fn search_row(row: &Row) -> Result<(Place, SearchRow), Error> {
    let place = (column(row, 0)?, column(row, 1)?);
    let name: &str = column(row, 2)?;
    let (suspended, has_debt, used_day) = (column(row, 3)?, column(row, 4)?, column(row, 5)?);
    Ok((place, SearchRow { name: name.into(), suspended, has_debt, used_day }))
}

/// What the accounts of these workspaces are now, by their ids. One whose account is damaged is
/// left out until it is rebuilt, so that it does not stop the list.
async fn records(
    session: &DbSession,
    repairs: &Repairs,
    places: &[Place],
) -> Result<HashMap<String, WorkspaceRecord>, Failure> {
    let ids: Vec<&str> = places.iter().map(|(_, id)| id.as_str()).collect();
    let rows = session.query_with_timeout(Sql::AccountsListed, &[&ids]).await?;
    let mut records = HashMap::with_capacity(rows.len());
    for row in &rows {
        let id: &str = column(row, 0)?;
        match decode_account(column(row, 1)?) {
            Ok(account) => _ = records.insert(id.to_owned(), WorkspaceRecord::of(&account)),
            Err(error) => {
                if let Ok(workspace) = WorkspaceId::new(id) {
                    // If a repair has just failed, that was logged.
                    let _ = repairs.ask(&workspace, &error);
                }
            }
        }
    }
    Ok(records)
}
