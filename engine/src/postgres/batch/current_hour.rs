//! The usage rollups of an account's current hour, which are stored in the account's row.
//!
//! A charge updates the account's row anyway, so counting it there costs no write of its own.
//! Rollups move to the usage table when their hour is over, or when the current hour has more than
//! [`ROWS_MAX`] of them.

use tollkeeper_ledger::{UsageKey, UsageSums};

use crate::Error;
use crate::postgres::database::decode::decode_current_usage;
use crate::postgres::database::usage_codec::encode_usage;

/// The most rollups that stay in the row: every charge of the hour rewrites all of them.
const ROWS_MAX: usize = 32;

/// The rollups that are not in the usage table yet: at most one row for each key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CurrentHour(Vec<(UsageKey, UsageSums)>);

impl CurrentHour {
    pub(crate) fn rows(&self) -> &[(UsageKey, UsageSums)] {
        &self.0
    }

    /// The latest hour of a row, in whole hours since 1970.
    pub(crate) fn newest(&self) -> Option<i64> {
        self.0.iter().map(|(key, _)| key.hour).max()
    }

    /// Adds the usage of a batch. Returns the rows to add to the usage table now, one for each key.
    /// The current hour is the last one of the batch. It lies before the stored one if that was
    /// counted while a clock was ahead.
    pub(crate) fn add(&mut self, batch_usage: Vec<(UsageKey, UsageSums)>) -> Vec<(UsageKey, UsageSums)> {
        let newest = batch_usage.iter().map(|(key, _)| key.hour).max().or(self.newest());
        let Some(newest) = newest else { return Vec::new() };
        for (key, used) in batch_usage {
            match self.0.iter_mut().find(|(other, _)| *other == key) {
                Some((_, sum)) => sum.add(used),
                None => self.0.push((key, used)),
            }
        }
        if self.0.len() > ROWS_MAX {
            return std::mem::take(&mut self.0);
        }
        if self.0.iter().all(|(key, _)| key.hour == newest) {
            return Vec::new();
        }
        let (current, past) =
            std::mem::take(&mut self.0).into_iter().partition(|(key, _)| key.hour == newest);
        self.0 = current;
        past
    }

    /// Appends the bytes of the column `account.usage`.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        encode_usage(&self.0, bytes);
    }

    /// Decodes the column `account.usage`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<CurrentHour, Error> {
        Ok(CurrentHour(decode_current_usage(bytes)?))
    }

    /// The rollups of an account's row, from what the usage table lacks. `None` if they are too
    /// many, of several hours, or negative: such rows are never in the account's row.
    pub(crate) fn from_rows(rows: Vec<(UsageKey, UsageSums)>) -> Option<CurrentHour> {
        let hour = rows.first().map(|(key, _)| key.hour);
        let is_current = rows.iter().all(|row| Some(row.0.hour) == hour && is_not_negative(row));
        (rows.len() <= ROWS_MAX && is_current).then_some(CurrentHour(rows))
    }
}

/// True if no number of a row is negative.
pub(crate) fn is_not_negative((_, used): &(UsageKey, UsageSums)) -> bool {
    [used.runs, used.quantity, used.charged.get(), used.refunded.get()].iter().all(|count| *count >= 0)
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{ApiKeyId, HourPart, Id, Micros};

    use super::*;
    use crate::postgres::database::seal::sealed;
    use crate::postgres::database::usage_codec::usage_key;

    fn row(hour: i64, operation: &str, runs: i64) -> (UsageKey, UsageSums) {
        let key = usage_key((hour, HourPart::WHOLE), [operation, "", ""], None).expect("the names are valid");
        (key, UsageSums { runs, quantity: runs, charged: Micros::new(runs * 500), refunded: Micros::ZERO })
    }

    fn with_api_key(mut row: (UsageKey, UsageSums)) -> (UsageKey, UsageSums) {
        row.0.spender.api_key = Some(ApiKeyId(Id::from_bytes(*b"sixteen bytes id")));
        row
    }

    #[test]
    fn rows_of_one_key_add_up_and_an_api_key_is_part_of_the_key() {
        let mut hour = CurrentHour::default();
        assert!(hour.add(vec![row(7, "message", 1)]).is_empty());
        assert!(hour.add(vec![row(7, "message", 2), with_api_key(row(7, "message", 4))]).is_empty());
        let expected = [row(7, "message", 3), with_api_key(row(7, "message", 4))];
        assert_eq!(hour.rows(), expected);
        let bytes = sealed(0, |bytes| hour.encode(bytes));
        assert_eq!(CurrentHour::decode(&bytes).expect("the bytes are as encoded").rows(), expected);
    }

    #[test]
    fn rows_leave_when_their_hour_is_over() {
        let mut hour = CurrentHour::default();
        assert!(hour.add(vec![row(7, "message", 1)]).is_empty());
        assert!(hour.add(vec![row(7, "message", 2)]).is_empty());
        assert_eq!(hour.add(vec![row(7, "message", 4), row(8, "message", 1)]), [row(7, "message", 7)]);
        assert_eq!(hour.rows(), [row(8, "message", 1)]);
    }

    #[test]
    fn a_row_after_the_beginning_of_a_day_is_apart() {
        let mut hour = CurrentHour::default();
        let after = |mut row: (UsageKey, UsageSums)| {
            row.0.part = HourPart { begin: 15, ..HourPart::WHOLE };
            row
        };
        assert!(hour.add(vec![row(7, "message", 1)]).is_empty());
        assert!(hour.add(vec![after(row(7, "message", 2))]).is_empty());
        assert_eq!(hour.rows(), [row(7, "message", 1), after(row(7, "message", 2))]);
    }

    #[test]
    fn rows_of_an_hour_that_lies_ahead_leave_and_the_present_hour_stays() {
        let mut hour = CurrentHour::default();
        assert!(hour.add(vec![row(900, "message", 1)]).is_empty());
        assert_eq!(hour.add(vec![row(7, "message", 2)]), [row(900, "message", 1)]);
        assert!(hour.add(vec![row(7, "message", 4)]).is_empty());
        assert_eq!(hour.rows(), [row(7, "message", 6)]);
    }

    #[test]
    fn all_rows_leave_when_there_are_too_many() {
        let mut hour = CurrentHour::default();
        let many = |from: i64| (from..from + 20).map(|n| row(7, &format!("op{n}"), 1)).collect::<Vec<_>>();
        assert!(hour.add(many(0)).is_empty());
        assert_eq!(hour.add(many(20)).len(), 40);
        assert!(hour.rows().is_empty());
    }
}
