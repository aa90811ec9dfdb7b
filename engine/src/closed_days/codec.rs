//! The bytes of a closed day: what a workspace used on it, in parts of at most [`ROWS_MAX`] rows.
//!
//! ```text
//! format    one byte, 1
//! before    the beginning of the closed day with use before it (i64, little-endian); the least i64
//!           if there is none
//! part      the number of this part, counted from 0, and the number of all parts
//! names     their number; each one length byte and UTF-8. The first is empty and stands for none
//! API keys  their number; each 16 bytes. A row names them counted from 1; 0 stands for none
//! rows      their number; each operation (with `/` and a meter for the units of one), worker,
//!           member and API key by their places above, then runs, quantity, charged, refunded
//! ```
//!
//! Numbers without a size are in LEB128: seven bits a byte, the lowest first. A reader borrows the
//! names, so a row costs no allocation. Damaged bytes give an error, never a panic. That no day is
//! missing follows from `before`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tollkeeper_ledger::{ApiKeyId, Id, MemberId, Micros, Timestamp, UsageKey, UsageSums, WorkerId};

use crate::Error;
use crate::usage_report::Names;

const FORMAT: u8 = 1;

/// The most rows of a part.
pub(crate) const ROWS_MAX: usize = 4_096;

/// Stands for no day before.
const NO_DAY: i64 = i64::MIN;

/// Encodes the sums of a day; at least one part.
pub(crate) fn encode_day(before: Option<Timestamp>, sums: &BTreeMap<UsageKey, UsageSums>) -> Vec<Vec<u8>> {
    assert!(!sums.is_empty(), "a day without use is not stored");
    let rows: Vec<(&UsageKey, &UsageSums)> = sums.iter().collect();
    let parts = rows.chunks(ROWS_MAX);
    let count = parts.len();
    parts.enumerate().map(|(part, rows)| encode_part(before, (part, count), rows)).collect()
}

fn encode_part(
    before: Option<Timestamp>,
    (part, parts): (usize, usize),
    rows: &[(&UsageKey, &UsageSums)],
) -> Vec<u8> {
    let mut names: BTreeMap<Cow<'_, str>, usize> = BTreeMap::from([("".into(), 0)]);
    let mut keys: BTreeMap<ApiKeyId, usize> = BTreeMap::new();
    for (key, _) in rows {
        for name in names_of(key) {
            names.insert(name, 0);
        }
        keys.extend(key.spender.api_key.map(|key| (key, 0)));
    }
    names.values_mut().zip(0..).for_each(|(place, at)| *place = at);
    keys.values_mut().zip(1..).for_each(|(place, at)| *place = at);
    let mut bytes = Vec::with_capacity(64 + 24 * rows.len());
    bytes.push(FORMAT);
    bytes.extend_from_slice(&before.map_or(NO_DAY, Timestamp::millis).to_le_bytes());
    put(&mut bytes, part as u64);
    put(&mut bytes, parts as u64);
    put(&mut bytes, names.len() as u64);
    for name in names.keys() {
        bytes.push(u8::try_from(name.len()).expect("the ledger bounds a name to 64 bytes"));
        bytes.extend_from_slice(name.as_bytes());
    }
    put(&mut bytes, keys.len() as u64);
    keys.keys().for_each(|key| bytes.extend_from_slice(&key.0.to_bytes()));
    put(&mut bytes, rows.len() as u64);
    for (key, sums) in rows {
        names_of(key).iter().for_each(|name| put(&mut bytes, names[name] as u64));
        put(&mut bytes, key.spender.api_key.map_or(0, |key| keys[&key]) as u64);
        let UsageSums { runs, quantity, charged, refunded } = **sums;
        for number in [runs, quantity, charged.get(), refunded.get()] {
            put(&mut bytes, u64::try_from(number).expect("i08: usage must not be negative"));
        }
    }
    bytes
}

fn names_of(key: &UsageKey) -> [Cow<'_, str>; 3] {
    let spender = &key.spender;
    let worker = spender.worker.as_ref().map_or("", WorkerId::as_str);
    let member = spender.member.as_ref().map_or("", MemberId::as_str);
    [key.operation_and_meter(), worker.into(), member.into()]
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// A part of a closed day, read from its bytes.
#[derive(Debug)]
pub(crate) struct DayPart<'a> {
    /// The beginning of the closed day with use before it.
    pub before: Option<Timestamp>,
    /// The number of this part, counted from 0.
    pub part: u64,
    /// The number of parts of the day.
    pub parts: u64,
    names: Vec<&'a str>,
    keys: Vec<ApiKeyId>,
    /// The number of rows.
    count: u64,
    rows: &'a [u8],
}

impl<'a> DayPart<'a> {
    /// Reads what comes before the rows.
    ///
    /// # Errors
    /// [`Error::is_damaged`] if the bytes are not what [`encode_day`] makes.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<DayPart<'a>, Error> {
        read_part(bytes).ok_or_else(damaged)
    }

    /// Calls `visit` with each row.
    ///
    /// # Errors
    /// As [`DayPart::decode`].
    pub(crate) fn each(&self, mut visit: impl FnMut(Names<'a>, UsageSums)) -> Result<(), Error> {
        let mut bytes = self.rows;
        for _ in 0..self.count {
            let (names, sums) = self.read_row(&mut bytes).ok_or_else(damaged)?;
            visit(names, sums);
        }
        if bytes.is_empty() { Ok(()) } else { Err(damaged()) }
    }

    fn read_row(&self, bytes: &mut &'a [u8]) -> Option<(Names<'a>, UsageSums)> {
        let mut numbers = [0; 8];
        for number in &mut numbers {
            *number = take(bytes)?;
        }
        let [operation, worker, member, key, runs, quantity, charged, refunded] = numbers;
        let name = |place: u64| self.names.get(usize::try_from(place).ok()?).copied();
        let api_key = match key {
            0 => None,
            place => Some(*self.keys.get(usize::try_from(place).ok()? - 1)?),
        };
        let (operation, worker, member) = (name(operation)?, name(worker)?, name(member)?);
        let sum = |number: u64| i64::try_from(number).ok();
        let (charged, refunded) = (Micros::new(sum(charged)?), Micros::new(sum(refunded)?));
        let sums = UsageSums { runs: sum(runs)?, quantity: sum(quantity)?, charged, refunded };
        Some((Names::read([operation, worker, member], api_key), sums))
    }
}

fn damaged() -> Error {
    Error::damaged("a closed day of usage cannot be decoded")
}

fn read_part(bytes: &[u8]) -> Option<DayPart<'_>> {
    let (format, bytes) = bytes.split_first()?;
    if *format != FORMAT {
        return None;
    }
    let (before, mut bytes) = bytes.split_first_chunk::<8>()?;
    let before = i64::from_le_bytes(*before);
    let (part, parts) = (take(&mut bytes)?, take(&mut bytes)?);
    let mut names = Vec::new();
    for _ in 0..take(&mut bytes)? {
        let (length, rest) = bytes.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        bytes = rest;
        names.push(std::str::from_utf8(name).ok()?);
    }
    let mut keys = Vec::new();
    for _ in 0..take(&mut bytes)? {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        bytes = rest;
        keys.push(ApiKeyId(Id::from_bytes(*id)));
    }
    let count = take(&mut bytes)?;
    let before = (before != NO_DAY).then_some(Timestamp::from_millis(before));
    Some(DayPart { before, part, parts, names, keys, count, rows: bytes })
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{HourPart, Spender};

    use super::*;

    fn key(operation: &str, worker: &str, key: Option<u8>) -> UsageKey {
        let (operation, meter) = UsageKey::split_operation(operation).expect("names");
        let spender = Spender {
            operation,
            worker: (!worker.is_empty()).then(|| WorkerId::new(worker).expect("a name")),
            member: None,
            api_key: key.map(|byte| ApiKeyId(Id::from_bytes([byte; 16]))),
        };
        UsageKey { hour: 7, part: HourPart::WHOLE, spender, meter }
    }

    fn sums(runs: i64) -> UsageSums {
        let (charged, refunded) = (Micros::new(runs * 20_000), Micros::new(runs / 2));
        UsageSums { runs, quantity: runs * 3, charged, refunded }
    }

    fn decoded(parts: &[Vec<u8>]) -> Result<BTreeMap<UsageKey, UsageSums>, Error> {
        let mut all = BTreeMap::new();
        for bytes in parts {
            DayPart::decode(bytes)?.each(|names, sums| {
                let key = names.key(7, HourPart::WHOLE).expect("the names are allowed");
                assert!(all.insert(key, sums).is_none(), "a row for each spender");
            })?;
        }
        Ok(all)
    }

    #[test]
    fn a_day_decodes_as_encoded_also_in_parts() {
        let day: BTreeMap<UsageKey, UsageSums> = (0..ROWS_MAX as i64 + 10)
            .map(|n| (key("message", &format!("w{n}"), Some((n % 3) as u8)), sums(n)))
            .chain([(key("try_on/input", "", None), sums(i64::MAX / 20_000))])
            .collect();
        let before = Some(Timestamp::from_millis(-86_400_000));
        let parts = encode_day(before, &day);
        assert_eq!(parts.len(), 2);
        for (number, bytes) in parts.iter().enumerate() {
            let part = DayPart::decode(bytes).expect("as encoded");
            assert_eq!((part.before, part.part, part.parts), (before, number as u64, 2));
        }
        assert_eq!(decoded(&parts).expect("as encoded"), day);
        let first = encode_day(None, &BTreeMap::from([(key("message", "", None), sums(1))]));
        assert_eq!(DayPart::decode(&first[0]).expect("as encoded").before, None);
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let day = BTreeMap::from([(key("message", "w1", Some(7)), sums(300)), (key("a", "", None), sums(1))]);
        let parts = encode_day(None, &day);
        let bytes = &parts[0];
        for cut in 1..bytes.len() {
            let read = decoded(&[bytes[..bytes.len() - cut].to_vec()]);
            assert!(read.expect_err("it is cut off").is_damaged(), "{cut} bytes are missing");
        }
        assert!(decoded(&[[&bytes[..], &[0]].concat()]).expect_err("a byte too many").is_damaged());
        let unknown = [&[FORMAT + 1], &bytes[1..]].concat();
        assert!(decoded(&[unknown]).expect_err("an unknown format").is_damaged());
        let mut number = &[0xff; 10][..];
        assert_eq!(take(&mut number), None, "more than 64 bits");
    }
}
