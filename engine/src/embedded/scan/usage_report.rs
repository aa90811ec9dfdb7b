//! The use of a workspace, added up from the rows of the state file and those that are not in it
//! yet.
//!
//! The rows are read in one snapshot and folded one by one, so that a workspace with millions of
//! them takes no memory for each. Sums of an hour whose rows are not complete are not answered. An
//! hour that was counted whole, and is to be divided, is read from the journal.

use tollkeeper_ledger::WorkspaceId;

use super::lists::Reader;
use crate::Error;
use crate::embedded::core::delta::{AccountDelta, Wanted};
use crate::usage_report::{ENTRIES_MAX, Fold, Slots, UsageAnswer, UsageRefusal, UsageRequest, Used, used_by};

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
            let (hours, unpersisted) = (slots.hours(), std::mem::take(&mut delta.usage));
            reader
                .state
                .each_usage(delta.account_index, hours.clone(), |key, sums| fold.add_row(&key, sums))?;
            for (key, sums) in unpersisted.of(hours) {
                fold.add_row(&key, sums);
            }
            match reader.divide(&mut fold, &delta, &profile.timezone)? {
                Ok(()) => fold.finish(),
                Err(refusal) => Ok(Err(refusal)),
            }
        })
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
            found.extend(used_by(&entry).filter(|(at, _, _)| at.hour() == hour));
            seq = previous;
        }
        Ok(found)
    }
}
