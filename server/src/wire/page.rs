//! Pages of lists: the JSON of a page, and paging through rows that are all in memory.
//!
//! Lists from an engine are paged there. Members, API keys and top-ups, which come whole, are paged
//! here.

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

/// The position of a row: its time, then the number of older rows with the same time. A row whose
/// time is before that of an older one, because a clock was ahead, counts with the older one's.
///
/// When another row is removed, the position of a newer row can only become lower. A row removed
/// between two pages can therefore repeat a row but never skip one.
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
        let same = positioned.last().map(|(last, _)| *last).filter(|last| last.at >= at);
        let position = match same {
            Some(last) => Position { older_at_same_time: last.older_at_same_time + 1, ..last },
            None => Position { at, older_at_same_time: 0 },
        };
        positioned.push((position, row));
    }
    let is_shown_already = |position: Position| before.is_some_and(|before| position >= before);
    let mut rest = positioned.into_iter().rev().skip_while(|(position, _)| is_shown_already(*position));
    let shown: Vec<_> = rest.by_ref().take(page.limit).collect();
    let last = shown.last().filter(|_| rest.next().is_some());
    let next = last.map(|(position, _)| position.cursor());
    Ok(Listing { data: shown.into_iter().map(|(_, row)| row).collect(), next })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of all pages of one row each.
    fn paged(times: &[i64]) -> Vec<i64> {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = Page { limit: 1, cursor };
            let listing = newest_first(times, |millis| Timestamp::from_millis(*millis), &page);
            let listing = listing.expect("the cursor is of this list");
            seen.extend(listing.data.into_iter().copied());
            cursor = listing.next;
            if cursor.is_none() {
                return seen;
            }
        }
    }

    #[test]
    fn no_row_is_skipped_or_repeated_when_times_are_equal_or_run_backwards() {
        for times in
            [&[][..], &[7], &[1, 2, 3], &[5, 5, 5], &[1_000, 100, 101], &[1_000, 100, 99, 1_000, 7, 2_000]]
        {
            let newest_first: Vec<i64> = times.iter().rev().copied().collect();
            assert_eq!(paged(times), newest_first);
        }
    }
}
