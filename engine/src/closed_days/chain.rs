//! Proves that no closed day of a range is missing.
//!
//! Each closed day names the one before it, and the workspace names the last. So a row that was
//! lost is noticed, and so is a part of a day.

use std::ops::Range;

use tollkeeper_ledger::Timestamp;

use super::{ClosedUntil, DayPart};
use crate::Error;

/// The closed days of a range, taken in their order.
#[derive(Debug)]
pub(crate) struct DayChain {
    range: Range<Timestamp>,
    /// The last day that was taken, and the number of its parts that are still to come.
    last: Option<(Timestamp, u64)>,
}

impl DayChain {
    /// Begins with the first day of a range.
    pub(crate) fn new(range: Range<Timestamp>) -> DayChain {
        DayChain { range, last: None }
    }

    /// Takes the next part.
    ///
    /// # Errors
    /// [`Error::is_damaged`] if something before it is missing.
    pub(crate) fn note(&mut self, day: Timestamp, part: &DayPart) -> Result<(), Error> {
        let DayPart { before, part, parts, .. } = part;
        let follows = match self.last {
            Some((last, missing)) if last == day => missing > 0 && part + missing == *parts,
            Some((last, missing)) => missing == 0 && *part == 0 && *before == Some(last),
            None => *part == 0 && before.is_none_or(|before| before < self.range.start),
        };
        if !follows || !self.range.contains(&day) || part >= parts {
            return Err(missing());
        }
        self.last = Some((day, parts - part - 1));
        Ok(())
    }

    /// Ends behind the last day of the range. `next`: the first part of the closed day after the
    /// range, if there is one.
    ///
    /// # Errors
    /// [`Error::is_damaged`] if a day or a part is missing.
    pub(crate) fn finish(self, closed: &ClosedUntil, next: Option<&DayPart>) -> Result<(), Error> {
        let named = next.map_or(closed.last, |next| next.before);
        let named = named.filter(|day| *day >= self.range.start);
        let is_whole = match self.last {
            Some((last, missing)) => missing == 0 && named == Some(last),
            None => named.is_none(),
        };
        if is_whole { Ok(()) } else { Err(missing()) }
    }
}

fn missing() -> Error {
    Error::damaged("a closed day of usage is missing")
}
