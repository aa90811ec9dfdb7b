//! The rollups of an account's present hour, which ride in its row: a charge updates that row anyway, so that counting
//! it costs no write of its own. When the hour is over, or there are too many, they go into the table of usage.

use tollkeeper_ledger::{ApiKeyId, Id, MemberId, Micros, OperationId, Spender, UsageKey, Used, WorkerId};

use crate::Error;

/// The format of the bytes; a reader refuses any other but [`WITHOUT_API_KEYS`].
const FORMAT: u8 = 2;

/// The format before there were API keys: what was counted then was counted under none. An account keeps it until it is
/// written the next time.
const WITHOUT_API_KEYS: u8 = 1;

/// More rows than that would make every charge of the hour write them all.
const ROWS_MAX: usize = 32;

/// The rollups that are not in the table yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OpenHour(Vec<(UsageKey, Used)>);

impl OpenHour {
    pub(crate) fn rows(&self) -> &[(UsageKey, Used)] {
        &self.0
    }

    /// Adds what was gathered; gives what is to be added to the table now, one row a key.
    pub(crate) fn add(&mut self, gathered: Vec<(UsageKey, Used)>) -> Vec<(UsageKey, Used)> {
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
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(FORMAT);
        for (key, used) in &self.0 {
            let UsageKey { hour, spender: Spender { operation, worker, member, api_key } } = key;
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
            bytes.push(u8::from(api_key.is_some()));
            bytes.extend(api_key.iter().flat_map(|key| key.0.to_bytes()));
        }
    }

    /// Reads the bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<OpenHour, Error> {
        let damaged = || Error::damaged("the rollups of an account cannot be read");
        let (format, mut bytes) = bytes.split_first().ok_or_else(damaged)?;
        if !matches!(*format, FORMAT | WITHOUT_API_KEYS) {
            return Err(damaged());
        }
        let mut rows = Vec::new();
        while !bytes.is_empty() {
            rows.push(row(&mut bytes, *format).ok_or_else(damaged)?);
        }
        Ok(OpenHour(rows))
    }
}

fn row(bytes: &mut &[u8], format: u8) -> Option<(UsageKey, Used)> {
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
    let api_key = if format == FORMAT { api_key(bytes)? } else { None };
    let key = usage_key(hour, names, api_key)?;
    let (charged, refunded) = (Micros::new(charged), Micros::new(refunded));
    Some((key, Used { runs, quantity, charged, refunded }))
}

fn api_key(bytes: &mut &[u8]) -> Option<Option<ApiKeyId>> {
    let (there, rest) = bytes.split_first()?;
    *bytes = rest;
    match there {
        0 => Some(None),
        1 => {
            let (id, rest) = bytes.split_first_chunk::<16>()?;
            *bytes = rest;
            Some(Some(ApiKeyId(Id::from_bytes(*id))))
        }
        _ => None,
    }
}

/// A key out of its stored names (operation, worker, member); an empty one stands for none.
pub(crate) fn usage_key(
    hour: i64,
    [operation, worker, member]: [&str; 3],
    api_key: Option<ApiKeyId>,
) -> Option<UsageKey> {
    let maybe = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    let spender = Spender {
        operation: OperationId::new(operation).ok()?,
        worker: maybe(worker).map(WorkerId::new).transpose().ok()?,
        member: maybe(member).map(MemberId::new).transpose().ok()?,
        api_key,
    };
    Some(UsageKey { hour, spender })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(hour: i64, operation: &str, worker: &str, runs: i64) -> (UsageKey, Used) {
        let key = usage_key(hour, [operation, worker, ""], None).expect("names");
        (key, Used { runs, quantity: runs, charged: Micros::new(runs * 500), refunded: Micros::ZERO })
    }

    fn through_key(mut line: (UsageKey, Used)) -> (UsageKey, Used) {
        line.0.spender.api_key = Some(ApiKeyId(Id::from_bytes(*b"sixteen bytes id")));
        line
    }

    #[test]
    fn rollups_read_back_and_damage_is_told() {
        let mut hour = OpenHour::default();
        let lines = vec![line(7, "message", "", 1), through_key(line(7, "message", "w1", 2))];
        assert!(hour.add(lines).is_empty());
        let mut bytes = Vec::new();
        hour.encode(&mut bytes);
        assert_eq!(OpenHour::decode(&bytes).expect("as written"), hour);
        for cut in 1..60 {
            let told = OpenHour::decode(&bytes[..bytes.len() - cut]);
            assert!(told.expect_err("half a row").is_damaged());
        }
        assert!(OpenHour::decode(&[]).expect_err("no format").is_damaged());
        assert!(OpenHour::decode(&[FORMAT + 1]).expect_err("another format").is_damaged());
    }

    #[test]
    fn rollups_of_before_there_were_api_keys_are_read_and_counted_on() {
        let mut bytes = vec![WITHOUT_API_KEYS];
        for runs in [1_i64, 2] {
            let numbers = [7, runs, runs, 500 * runs, 0];
            bytes.extend(numbers.into_iter().flat_map(i64::to_le_bytes));
            bytes.extend(if runs == 1 { *b"\x07message\x00\x00" } else { *b"\x05image\x02w1\x00" });
        }
        let mut hour = OpenHour::decode(&bytes).expect("an earlier program wrote it");
        assert_eq!(hour.rows(), [line(7, "message", "", 1), line(7, "image", "w1", 2)]);
        assert!(hour.add(vec![line(7, "message", "", 2), through_key(line(7, "message", "", 4))]).is_empty());
        let expected =
            [line(7, "message", "", 3), line(7, "image", "w1", 2), through_key(line(7, "message", "", 4))];
        assert_eq!(hour.rows(), expected);
        let mut bytes = Vec::new();
        hour.encode(&mut bytes);
        assert_eq!(OpenHour::decode(&bytes).expect("as written").rows(), expected);
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
