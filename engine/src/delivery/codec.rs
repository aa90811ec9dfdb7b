//! The stored bytes of what is kept of a subscriber: a format byte, then the fields in order.
//!
//! It is derived from nothing, and no ledger depends on it: bytes that cannot be read are as good
//! as none, and messages are then sent again. Numbers are eight bytes, texts have their length
//! before them.

use tollkeeper_ledger::{Timestamp, WorkspaceId};

use super::{DeliveryAttempt, DeliveryException, JournalPlace, SubscriberState};

/// The format; bytes of another one are not read.
const FORMAT: u8 = 1;

/// A time that is not there.
const NONE: i64 = i64::MIN;

impl SubscriberState {
    /// The bytes that are stored.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let SubscriberState { exceptions, attempts, failing_since, accepted_at } = self;
        let mut bytes = vec![FORMAT];
        put_time(&mut bytes, *failing_since);
        put_time(&mut bytes, *accepted_at);
        put(&mut bytes, exceptions.len() as u64);
        for DeliveryException { message, place, attempts, first_at, next_at, outcome } in exceptions {
            put_text(&mut bytes, message);
            put_place(&mut bytes, place);
            put(&mut bytes, u64::from(*attempts));
            put_time(&mut bytes, Some(*first_at));
            put_time(&mut bytes, *next_at);
            put_text(&mut bytes, outcome);
        }
        put(&mut bytes, attempts.len() as u64);
        for attempt in attempts {
            let DeliveryAttempt { message, kind, place, at, millis, status, accepted, outcome } = attempt;
            put_text(&mut bytes, message);
            put_text(&mut bytes, kind);
            put_place(&mut bytes, place);
            put_time(&mut bytes, Some(*at));
            put(&mut bytes, u64::from(*millis));
            put(&mut bytes, status.map_or(0, u64::from));
            put(&mut bytes, u64::from(*accepted));
            put_text(&mut bytes, outcome);
        }
        bytes
    }

    /// Reads stored bytes; `None` if they are of another format or damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<SubscriberState> {
        let (format, mut rest) = bytes.split_first()?;
        let rest = &mut rest;
        if *format != FORMAT {
            return None;
        }
        let mut state = SubscriberState {
            failing_since: take_time(rest)?,
            accepted_at: take_time(rest)?,
            ..SubscriberState::default()
        };
        for _ in 0..take(rest)? {
            state.exceptions.push(DeliveryException {
                message: take_text(rest)?,
                place: take_place(rest)?,
                attempts: u32::try_from(take(rest)?).ok()?,
                first_at: take_time(rest)??,
                next_at: take_time(rest)?,
                outcome: take_text(rest)?,
            });
        }
        for _ in 0..take(rest)? {
            state.attempts.push(DeliveryAttempt {
                message: take_text(rest)?,
                kind: take_text(rest)?,
                place: take_place(rest)?,
                at: take_time(rest)??,
                millis: u32::try_from(take(rest)?).ok()?,
                status: Some(u16::try_from(take(rest)?).ok()?).filter(|status| *status != 0),
                accepted: match take(rest)? {
                    0 => false,
                    1 => true,
                    _ => return None,
                },
                outcome: take_text(rest)?,
            });
        }
        rest.is_empty().then_some(state)
    }
}

fn put(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_time(bytes: &mut Vec<u8>, at: Option<Timestamp>) {
    bytes.extend_from_slice(&at.map_or(NONE, Timestamp::millis).to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

fn put_place(bytes: &mut Vec<u8>, JournalPlace { workspace, n, seq, hash }: &JournalPlace) {
    put_text(bytes, workspace.as_str());
    put(bytes, *n);
    put(bytes, *seq);
    bytes.extend_from_slice(hash);
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk::<8>()?;
    *rest = after;
    Some(u64::from_le_bytes(*number))
}

/// The outer `None` is for bytes that cannot be read.
fn take_time(rest: &mut &[u8]) -> Option<Option<Timestamp>> {
    let millis = take(rest)?.cast_signed();
    Some((millis != NONE).then(|| Timestamp::from_millis(millis)))
}

fn take_text(rest: &mut &[u8]) -> Option<Box<str>> {
    let length = usize::try_from(take(rest)?).ok()?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(text).ok().map(Into::into)
}

fn take_place(rest: &mut &[u8]) -> Option<JournalPlace> {
    let workspace = take_text(rest)?;
    let workspace = if &*workspace == WorkspaceId::platform().as_str() {
        WorkspaceId::platform()
    } else {
        WorkspaceId::new(&workspace).ok()?
    };
    let (n, seq) = (take(rest)?, take(rest)?);
    let (hash, after) = rest.split_first_chunk::<32>()?;
    *rest = after;
    Some(JournalPlace { workspace, n, seq, hash: *hash })
}
