//! The bytes of the column `account.usage`: the rollups of the account's current hour.
//!
//! ```text
//! format    one byte, 3
//! row       hour, runs, quantity, charged, refunded (i64 each, little-endian),
//!           operation (and `/` and a meter), worker, member (one length byte and UTF-8 each; an
//!           empty name is none),
//!           0, or 1 and the 16 bytes of the API key,
//!           the minutes of the hour at which it begins and ends (one byte each)
//! ```
//!
//! In format 2, which servers wrote before, rows cover whole hours and end before the minutes.
//! Rows follow one another until the bytes end. Damaged bytes give an error, never a panic.

use tollkeeper_ledger::{ApiKeyId, HourPart, Id, MemberId, Micros, Spender, UsageKey, UsageSums, WorkerId};

use crate::Error;

/// The format that is written.
const FORMAT: u8 = 3;

/// The format of rows without minutes, which is read too.
const FORMAT_OF_WHOLE_HOURS: u8 = 2;

/// Appends the encoded rows to `bytes`.
pub(crate) fn encode_usage(rows: &[(UsageKey, UsageSums)], bytes: &mut Vec<u8>) {
    bytes.push(FORMAT);
    for (key, used) in rows {
        let UsageKey { hour, part, spender: Spender { worker, member, api_key, .. }, .. } = key;
        let UsageSums { runs, quantity, charged, refunded } = used;
        for number in [*hour, *runs, *quantity, charged.get(), refunded.get()] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let operation = key.operation_and_meter();
        let worker = worker.as_ref().map_or("", WorkerId::as_str);
        for name in [&*operation, worker, member.as_ref().map_or("", MemberId::as_str)] {
            let length = u8::try_from(name.len()).expect("the ledger bounds a name, also one with a meter");
            bytes.push(length);
            bytes.extend_from_slice(name.as_bytes());
        }
        bytes.push(u8::from(api_key.is_some()));
        bytes.extend(api_key.iter().flat_map(|key| key.0.to_bytes()));
        bytes.extend_from_slice(&[part.begin, part.end]);
    }
}

/// Decodes what [`encode_usage`] wrote.
///
/// # Errors
/// [`Error::is_damaged`] for an unknown format, a row that is cut off, or an invalid name.
pub(crate) fn decode_usage(bytes: &[u8]) -> Result<Vec<(UsageKey, UsageSums)>, Error> {
    let damaged = || Error::damaged("the current hour's usage of an account cannot be decoded");
    let (format, mut bytes) = bytes.split_first().ok_or_else(damaged)?;
    if *format != FORMAT && *format != FORMAT_OF_WHOLE_HOURS {
        return Err(damaged());
    }
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        rows.push(decode_row(*format, &mut bytes).ok_or_else(damaged)?);
    }
    Ok(rows)
}

fn decode_row(format: u8, bytes: &mut &[u8]) -> Option<(UsageKey, UsageSums)> {
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
    let api_key = decode_api_key(bytes)?;
    let part = if format == FORMAT { decode_part(bytes)? } else { HourPart::WHOLE };
    let key = usage_key((hour, part), names, api_key)?;
    let (charged, refunded) = (Micros::new(charged), Micros::new(refunded));
    Some((key, UsageSums { runs, quantity, charged, refunded }))
}

/// Decodes an optional API key. The outer `None` means damaged bytes.
fn decode_api_key(bytes: &mut &[u8]) -> Option<Option<ApiKeyId>> {
    let (is_present, rest) = bytes.split_first()?;
    *bytes = rest;
    match is_present {
        0 => Some(None),
        1 => {
            let (id, rest) = bytes.split_first_chunk::<16>()?;
            *bytes = rest;
            Some(Some(ApiKeyId(Id::from_bytes(*id))))
        }
        _ => None,
    }
}

fn decode_part(bytes: &mut &[u8]) -> Option<HourPart> {
    let ([begin, end], rest) = bytes.split_first_chunk::<2>()?;
    *bytes = rest;
    HourPart::new(*begin, *end)
}

/// Builds a usage key from its hour, the part of it, and its stored names (operation, worker,
/// member). An empty worker or member stands for none. Returns `None` if a name is invalid.
pub(crate) fn usage_key(
    (hour, part): (i64, HourPart),
    [operation, worker, member]: [&str; 3],
    api_key: Option<ApiKeyId>,
) -> Option<UsageKey> {
    let optional = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    let (operation, meter) = UsageKey::split_operation(operation).ok()?;
    let spender = Spender {
        operation,
        worker: optional(worker).map(WorkerId::new).transpose().ok()?,
        member: optional(member).map(MemberId::new).transpose().ok()?,
        api_key,
    };
    Some(UsageKey { hour, part, spender, meter })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(hour: i64, operation: &str, worker: &str, runs: i64) -> (UsageKey, UsageSums) {
        let key =
            usage_key((hour, HourPart::WHOLE), [operation, worker, ""], None).expect("the names are valid");
        (key, UsageSums { runs, quantity: runs, charged: Micros::new(runs * 500), refunded: Micros::ZERO })
    }

    fn with_api_key(mut row: (UsageKey, UsageSums)) -> (UsageKey, UsageSums) {
        row.0.spender.api_key = Some(ApiKeyId(Id::from_bytes(*b"sixteen bytes id")));
        row
    }

    #[test]
    fn usage_decodes_as_encoded_and_damage_is_an_error() {
        let mut rows = vec![row(7, "message/input", "", 1), with_api_key(row(7, "message", "w1", 2))];
        rows[1].0.part = HourPart { begin: 15, end: 60 };
        let mut bytes = Vec::new();
        encode_usage(&rows, &mut bytes);
        assert_eq!(decode_usage(&bytes).expect("the bytes are as encoded"), rows);
        for cut in 1..60 {
            let decoded = decode_usage(&bytes[..bytes.len() - cut]);
            assert!(decoded.expect_err("half a row").is_damaged());
        }
        assert!(decode_usage(&[]).expect_err("no format byte").is_damaged());
        for unknown in [FORMAT_OF_WHOLE_HOURS - 1, FORMAT + 1] {
            bytes[0] = unknown;
            assert!(decode_usage(&bytes).expect_err("an unknown format").is_damaged());
        }
        bytes[0] = FORMAT;
        *bytes.last_mut().expect("there are bytes") = 61;
        assert!(decode_usage(&bytes).expect_err("no hour has 61 minutes").is_damaged());
    }

    #[test]
    fn rows_without_minutes_cover_whole_hours() {
        let rows = vec![row(7, "message", "w1", 1)];
        let mut bytes = Vec::new();
        encode_usage(&rows, &mut bytes);
        bytes.truncate(bytes.len() - 2);
        bytes[0] = FORMAT_OF_WHOLE_HOURS;
        assert_eq!(decode_usage(&bytes).expect("the format of earlier servers"), rows);
    }
}
