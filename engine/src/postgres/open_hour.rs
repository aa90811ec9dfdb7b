//! The rollups of an account's present hour, which ride in its row: a charge updates that row anyway, so that counting
//! it costs no write of its own. When the hour is over, or there are too many, they go into the table of usage.

use tollkeeper_ledger::{MemberId, Micros, OperationId, UsageKey, Used, WorkerId};

use crate::Error;

/// The format of the bytes; a reader refuses any other.
const FORMAT: u8 = 1;

/// More rows than that would make every charge of the hour write them all.
const ROWS_MAX: usize = 32;

/// The rollups that are not in the table yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OpenHour(Vec<(UsageKey, Used)>);

impl OpenHour {
    pub(super) fn rows(&self) -> &[(UsageKey, Used)] {
        &self.0
    }

    /// Adds what was gathered; gives what is to be added to the table now, one row a key.
    pub(super) fn add(&mut self, gathered: Vec<(UsageKey, Used)>) -> Vec<(UsageKey, Used)> {
        for (key, used) in gathered {
            match self.0.iter_mut().find(|(other, _)| *other == key) {
                Some((_, sum)) => sum.add(used),
                None => self.0.push((key, used)),
            }
        }
        let newest = self.0.iter().map(|(key, _)| key.hour).max().unwrap_or_default();
        if self.0.len() > ROWS_MAX {
            return std::mem::take(&mut self.0);
        }
        if self.0.iter().all(|(key, _)| key.hour == newest) {
            return Vec::new();
        }
        let (open, over) = std::mem::take(&mut self.0).into_iter().partition(|(key, _)| key.hour == newest);
        self.0 = open;
        over
    }

    /// Appends the bytes.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(FORMAT);
        for (key, used) in &self.0 {
            let UsageKey { hour, operation, worker, member } = key;
            let Used { runs, quantity, charged, refunded } = used;
            for number in [*hour, *runs, *quantity, charged.get(), refunded.get()] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            let worker = worker.as_ref().map_or("", WorkerId::as_str);
            for name in [operation.as_str(), worker, member.as_ref().map_or("", MemberId::as_str)] {
                // Names are 64 bytes at most.
                bytes.push(name.len() as u8);
                bytes.extend_from_slice(name.as_bytes());
            }
        }
    }

    /// Reads the bytes.
    pub(super) fn decode(bytes: &[u8]) -> Result<OpenHour, Error> {
        let damaged = || Error::damaged("the rollups of an account cannot be read");
        let (format, mut bytes) = bytes.split_first().ok_or_else(damaged)?;
        if *format != FORMAT {
            return Err(damaged());
        }
        let mut rows = Vec::new();
        while !bytes.is_empty() {
            rows.push(row(&mut bytes).ok_or_else(damaged)?);
        }
        Ok(OpenHour(rows))
    }
}

fn row(bytes: &mut &[u8]) -> Option<(UsageKey, Used)> {
    let mut numbers = [0; 5];
    for number in &mut numbers {
        let (eight, rest) = bytes.split_first_chunk::<8>()?;
        *bytes = rest;
        *number = i64::from_le_bytes(*eight);
    }
    let mut names = [""; 3];
    for name in &mut names {
        let (length, rest) = bytes.split_first()?;
        let (text, rest) = rest.split_at_checked(usize::from(*length))?;
        *bytes = rest;
        *name = std::str::from_utf8(text).ok()?;
    }
    let [hour, runs, quantity, charged, refunded] = numbers;
    let key = usage_key(hour, names[0], names[1], names[2])?;
    let (charged, refunded) = (Micros::new(charged), Micros::new(refunded));
    Some((key, Used { runs, quantity, charged, refunded }))
}

/// A key out of its stored names; an empty one stands for none.
pub(super) fn usage_key(hour: i64, operation: &str, worker: &str, member: &str) -> Option<UsageKey> {
    let maybe = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    Some(UsageKey {
        hour,
        operation: OperationId::new(operation).ok()?,
        worker: maybe(worker).map(WorkerId::new).transpose().ok()?,
        member: maybe(member).map(MemberId::new).transpose().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(hour: i64, operation: &str, worker: &str, runs: i64) -> (UsageKey, Used) {
        let key = usage_key(hour, operation, worker, "").expect("names");
        (key, Used { runs, quantity: runs, charged: Micros::new(runs * 500), refunded: Micros::ZERO })
    }

    #[test]
    fn rollups_read_back_and_damage_is_told() {
        let mut hour = OpenHour::default();
        assert!(hour.add(vec![line(7, "message", "", 1), line(7, "message", "w1", 2)]).is_empty());
        let mut bytes = Vec::new();
        hour.encode(&mut bytes);
        assert_eq!(OpenHour::decode(&bytes).expect("as written"), hour);
        for cut in 1..50 {
            let told = OpenHour::decode(&bytes[..bytes.len() - cut]);
            assert!(told.expect_err("half a row").is_damaged());
        }
        assert!(OpenHour::decode(&[]).expect_err("no format").is_damaged());
        assert!(OpenHour::decode(&[FORMAT + 1]).expect_err("another format").is_damaged());
    }

    #[test]
    fn an_hour_that_is_over_leaves() {
        let mut hour = OpenHour::default();
        assert!(hour.add(vec![line(7, "message", "", 1)]).is_empty());
        assert!(hour.add(vec![line(7, "message", "", 2)]).is_empty());
        assert_eq!(
            hour.add(vec![line(7, "message", "", 4), line(8, "message", "", 1)]),
            [line(7, "message", "", 7)]
        );
        assert_eq!(hour.rows(), [line(8, "message", "", 1)]);
    }

    #[test]
    fn too_many_rollups_leave() {
        let mut hour = OpenHour::default();
        let many =
            |from: i64| (from..from + 20).map(|n| line(7, &format!("op{n}"), "", 1)).collect::<Vec<_>>();
        assert!(hour.add(many(0)).is_empty());
        assert_eq!(hour.add(many(20)).len(), 40);
        assert!(hour.rows().is_empty());
    }
}
