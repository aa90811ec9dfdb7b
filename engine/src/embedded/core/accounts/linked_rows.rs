//! The rows of grants and hours that an account adds to a chunk. Each names the one before it, and
//! the account names the last, so that a row that is missing is noticed.

use std::collections::BTreeMap;

use tollkeeper_ledger::{Grant, UsageKey, UsageSums};

use super::Slot;
use crate::embedded::storage::checkpoint_task::{AccountChunk, LotWrite};
use crate::embedded::storage::state_rows::{self, HourRow, LastHour, LotRow};

impl Slot {
    /// Adds new and spent grants to a chunk. Each new grant names the one before it.
    pub(super) fn take_lots(&mut self, chunk: &mut AccountChunk, new: &[(u64, Grant)], spent: &[Grant]) {
        let account_index = self.account_index;
        let encoded = |grant: &Grant| {
            let mut data = Vec::with_capacity(48);
            grant.encode(&mut data);
            data
        };
        for (seq, grant) in new {
            let (n, before) = (grant.n, self.linked.newest_lot);
            assert!(n > before, "grants come in the order of their numbers");
            let row = LotRow { account_index, n, seq: *seq, before, data: encoded(grant) };
            chunk.lots.push(LotWrite::New(row));
            self.linked.newest_lot = n;
        }
        let spent = spent.iter().map(|grant| (grant.n, encoded(grant)));
        chunk.lots.extend(spent.map(|(n, data)| LotWrite::Spent { account_index, n, data }));
    }

    /// Adds hours to a chunk, each with the checksum of its usage and the hour before it.
    pub(super) fn take_hours(
        &mut self,
        chunk: &mut AccountChunk,
        hours: &[(i64, u64)],
        usage: &[(UsageKey, UsageSums)],
    ) {
        let account_index = self.account_index;
        let mut added: BTreeMap<i64, i64> = BTreeMap::new();
        for (key, sums) in usage {
            let sum = added.entry(key.hour).or_default();
            let crc = state_rows::usage_crc(account_index, key, *sums);
            *sum = state_rows::usage_crc_sum(*sum, crc);
            self.linked.usage = state_rows::usage_crc_sum(self.linked.usage, crc);
        }
        for (hour, seq) in hours {
            let usage = added.remove(hour).unwrap_or(0);
            let last = match self.linked.last_hour {
                Some(last) if last.hour == *hour => {
                    LastHour { usage: state_rows::usage_crc_sum(last.usage, usage), ..last }
                }
                Some(last) => LastHour { hour: *hour, before: Some(last.hour), usage },
                None => LastHour { hour: *hour, before: None, usage },
            };
            assert!(last.before.is_none_or(|before| before < last.hour), "time never runs backwards");
            self.linked.last_hour = Some(last);
            chunk.hours.push(HourRow { account_index, last, seq: *seq });
        }
        // While a clock was ahead, usage counts in an earlier hour than its entry has.
        self.linked.has_displaced_usage |= !added.is_empty();
    }
}
