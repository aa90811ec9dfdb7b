//! Pages of lists: the JSON of a page, and paging through rows that are all in memory.
//!
//! Lists from an engine are paged there; only members and API keys, which come with the whole team,
//! are paged here.

use serde::Serialize;
use tollkeeper_engine::{Listing, Page};
use tollkeeper_ledger::Timestamp;

use super::ReadError;

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct ListJson<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> ListJson<T> {
    /// The page with every row converted by `row`.
    pub fn of<'a, R>(listing: &'a Listing<R>, row: impl Fn(&'a R) -> T) -> ListJson<T> {
        ListJson { data: listing.data.iter().map(row).collect(), next_cursor: listing.next.clone() }
    }
}

/// The position of a row: its time, then the number of older rows with the same time.
///
/// The position does not change when another row is removed, except of rows that are newer and have
/// the same time. A row removed between two pages can therefore repeat a row but never skip one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    /// Milliseconds since 1970.
    at: i64,
    older_at_same_time: u32,
}

impl Position {
    /// Reads the text of a cursor: `AT.OLDER`, two decimal numbers.
    fn parse(cursor: &str) -> Option<Position> {
        let (at, older) = cursor.split_once('.')?;
        Some(Position { at: at.parse().ok()?, older_at_same_time: older.parse().ok()? })
    }

    fn cursor(self) -> String {
        format!("{}.{}", self.at, self.older_at_same_time)
    }
}

/// A page of `rows`, which are in order from the oldest; the page begins with the newest.
///
/// # Errors
/// [`ReadError::InvalidCursor`] if the cursor is not one of such a list.
pub fn newest_first<'a, T>(
    rows: &'a [T],
    created_at: impl Fn(&T) -> Timestamp,
    page: &Page,
) -> Result<Listing<&'a T>, ReadError> {
    let before = match page.cursor.as_deref() {
        None => None,
        Some(cursor) => Some(Position::parse(cursor).ok_or(ReadError::InvalidCursor)?),
    };
    let mut positioned: Vec<(Position, &T)> = Vec::with_capacity(rows.len());
    for row in rows {
        let at = created_at(row).millis();
        let same = positioned.last().filter(|(last, _)| last.at == at);
        let older_at_same_time = same.map_or(0, |(last, _)| last.older_at_same_time + 1);
        positioned.push((Position { at, older_at_same_time }, row));
    }
    let is_shown_already = |position: Position| before.is_some_and(|before| position >= before);
    let mut rest = positioned.into_iter().rev().skip_while(|(position, _)| is_shown_already(*position));
    let shown: Vec<_> = rest.by_ref().take(page.limit).collect();
    let last = shown.last().filter(|_| rest.next().is_some());
    let next = last.map(|(position, _)| position.cursor());
    Ok(Listing { data: shown.into_iter().map(|(_, row)| row).collect(), next })
}
