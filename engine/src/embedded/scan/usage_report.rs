//! The use of a workspace, added up from the rows of the state file and those that are not in it
//! yet.
//!
//! The rows are read in one snapshot and folded one by one, so that a workspace with millions of
//! them takes no memory for each. Sums of an hour whose rows are not complete are not answered. An
//! hour that was counted whole, and is to be divided, is read from the journal. Days that are
//! closed are read instead of their rows.

use tollkeeper_ledger::{Timestamp, WorkspaceId};

use super::lists::Reader;
use crate::embedded::core::delta::{AccountDelta, Wanted};
use crate::usage_report::{
    ENTRIES_MAX, Fold, Slots, UsageAnswer, UsageRefusal, UsageReport, UsageRequest, Used, used_by,
};
use crate::{Error, closed_days};

impl Reader {
    /// Answers [`Query::UsageReport`](crate::Query::UsageReport).
    pub(crate) fn usage_report(
        &self,
        id: &WorkspaceId,
        request: &UsageRequest,
    ) -> Result<Option<UsageAnswer>, Error> {
        let asked = id.clone();
        let Some(profile) = self.core.blocking_read(move |core| core.workspace(&asked))? else {
            return Ok(None);
        };
        let slots = match Slots::of(request, &profile.timezone) {
            Ok(slots) => slots,
            Err(refusal) => return Ok(Some(Err(refusal))),
        };
        let look = |_: &Self, _| Ok((Wanted::Usage { hours: slots.hours() }, ()));
        self.with_delta(id, look, |reader, mut delta, ()| {
            let mut fold = Fold::new(&slots, request);
            let unpersisted = std::mem::take(&mut delta.usage);
            let is_late = reader.add_persisted(&mut fold, (&slots, request), delta.account_index)?;
            for (key, sums) in unpersisted.of(slots.hours()) {
                fold.add_row(&key, sums);
            }
            let answer = match reader.divide(&mut fold, &delta, &profile.timezone)? {
                Ok(()) => fold.finish()?,
                Err(refusal) => return Ok(Err(refusal)),
            };
            Ok(answer.map(|report| UsageReport { rebuilding: is_late, ..report }))
        })
    }

    /// Adds what the state file holds: closed days where there are some, and rows for the rest.
    /// True if days that should be closed are not.
    fn add_persisted(
        &self,
        fold: &mut Fold,
        (slots, request): (&Slots, &UsageRequest),
        account_index: u32,
    ) -> Result<bool, Error> {
        let hours = slots.hours();
        let Some(days) = closed_days::days_of_report(slots, request.group_by) else {
            self.state.each_usage(account_index, hours, |key, sums| fold.add_row(&key, sums))?;
            return Ok(false);
        };
        let closed = self.state.closed_until(account_index)?;
        let closed = closed.and_then(|closed| {
            let range = closed_days::closed_days_of(&days, &slots.timezone, &closed)?;
            Some((closed, range))
        });
        let last_entry = self.state.account_head(account_index)?.linked.last_hour.map_or(0, |last| last.hour);
        let late = closed_days::should_be_closed_until(&slots.timezone, Timestamp::of_minute(last_entry, 0));
        let mut is_late = false;
        let (mut before, mut after) = (hours.clone(), hours.end..hours.end);
        let mut range = days.end..days.end;
        if let Some((closed, closed_range)) = closed {
            range = closed_range;
            let covered = closed_days::hours_of(&range);
            (before, after) = (hours.start..range.start.hour() + 1, covered.end - 1..hours.end);
            self.state.each_closed_day(account_index, &closed, range.clone(), |day, part| {
                closed_days::add_to_fold(fold, slots, day, part)
            })?;
        }
        for hours in [before, after] {
            self.state.each_usage(account_index, hours, |key, sums| {
                let begin = key.begin();
                if !range.contains(&begin) {
                    is_late |= days.contains(&begin) && begin < late;
                    fold.add_row(&key, sums);
                }
            })?;
        }
        Ok(is_late)
    }

    /// Divides the hours that were counted whole.
    fn divide(
        &self,
        fold: &mut Fold,
        delta: &AccountDelta,
        workspace: &str,
    ) -> Result<Result<(), UsageRefusal>, Error> {
        let hours = match fold.undivided_hours(workspace) {
            Ok(hours) => hours,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut left = ENTRIES_MAX;
        for hour in hours {
            let last = self.state.hour(delta.account_index, hour)?.map_or(0, |(_, seq)| seq);
            let used = self.used_in(hour, last, &mut left)?;
            if !fold.divide(hour, &used) {
                // Entries that were made while a clock was ahead have later times.
                let used = self.used_in(hour, delta.head, &mut left)?;
                fold.divide(hour, &used);
            }
            if left == 0 {
                return Ok(Err(fold.not_counted(workspace)));
            }
        }
        Ok(Ok(()))
    }

    /// What was used in an hour by the entries of a workspace from `seq` back to the hour. At most
    /// `left` are read, and subtracted from it.
    fn used_in(&self, hour: i64, mut seq: u64, left: &mut usize) -> Result<Vec<Used>, Error> {
        let mut found = Vec::new();
        while seq != 0 && *left > 0 {
            *left -= 1;
            let (entry, previous) =
                self.stored(seq, |stored| Ok((stored.entry()?, stored.header.previous)))?;
            if entry.at.hour() < hour {
                break;
            }
            found.extend(used_by(&entry).into_iter().filter(|(at, _, _)| at.hour() == hour));
            seq = previous;
        }
        Ok(found)
    }
}
