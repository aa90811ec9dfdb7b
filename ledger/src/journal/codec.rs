//! How values become bytes: the primitives of the canonical encoding that the hash chain covers.
//!
//! Unsigned numbers are LEB128, signed ones zig-zag first, amounts and times eight bytes, texts and lists carry their
//! length, an option is a 0 or a 1 before its value. One value has one encoding, so equal entries have equal hashes on every engine. Reading never
//! panics: bytes that say something else are [`Malformed`]. What is encoded, and in which order, is not here (see
//! `entry_code` and `account_code`).

use std::fmt;

use crate::{Id, Micros, Timestamp};

/// Bytes that are no encoding of what was asked for; names the field that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stored bytes of {} cannot be read", self.0)
    }
}

impl std::error::Error for Malformed {}

/// Appends values to a buffer.
pub(crate) struct Writer<'a>(pub &'a mut Vec<u8>);

impl Writer<'_> {
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn unsigned(&mut self, mut value: u64) {
        if value < 0x80 {
            self.0.push(value as u8);
            return;
        }
        let mut bytes = [0; 10];
        let mut length = 0;
        while value >= 0x80 {
            bytes[length] = value as u8 | 0x80;
            value >>= 7;
            length += 1;
        }
        bytes[length] = value as u8;
        self.raw(&bytes[..=length]);
    }

    pub fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)) as u64);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.unsigned(bytes.len() as u64);
        self.raw(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// An absent text is a 0; a present one carries its length plus one.
    pub fn maybe_text(&mut self, text: Option<&str>) {
        self.maybe_bytes(text.map(str::as_bytes));
    }

    /// The same of a name, whose bytes are at hand.
    pub fn maybe_bytes(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.byte(0),
            Some(bytes) => {
                self.unsigned(bytes.len() as u64 + 1);
                self.raw(bytes);
            }
        }
    }

    /// An absent number is a 0; a present one is a 1 and the number.
    pub fn maybe_signed(&mut self, value: Option<i64>) {
        match value {
            None => self.byte(0),
            Some(value) => {
                self.byte(1);
                self.signed(value);
            }
        }
    }

    pub fn flag(&mut self, flag: bool) {
        self.byte(u8::from(flag));
    }

    /// Eight bytes, the lowest first: amounts are in every entry, and this is the quickest to write.
    pub fn micros(&mut self, amount: Micros) {
        self.raw(&amount.get().to_le_bytes());
    }

    /// Eight bytes, the lowest first: as a LEB128 it would be hardly shorter.
    pub fn time(&mut self, at: Timestamp) {
        self.raw(&at.millis().to_le_bytes());
    }

    pub fn id(&mut self, id: Id) {
        self.raw(&id.to_bytes());
    }

    pub fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.unsigned(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }
}

/// Takes values off the front of a buffer.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn raw(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed(what))?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn byte(&mut self, what: &'static str) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed(what))?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn unsigned(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed(what))
    }

    pub fn signed(&mut self, what: &'static str) -> Result<i64, Malformed> {
        let value = self.unsigned(what)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub fn length(&mut self, what: &'static str) -> Result<usize, Malformed> {
        let length = usize::try_from(self.unsigned(what)?).map_err(|_| Malformed(what))?;
        // Every item takes a byte at least, so a length beyond the rest is damage, not a reason to allocate.
        if length > self.0.len() { Err(Malformed(what)) } else { Ok(length) }
    }

    pub fn text(&mut self, what: &'static str) -> Result<&'a str, Malformed> {
        let length = self.length(what)?;
        std::str::from_utf8(self.raw(length, what)?).map_err(|_| Malformed(what))
    }

    pub fn maybe_text(&mut self, what: &'static str) -> Result<Option<&'a str>, Malformed> {
        let Some(length) = self.unsigned(what)?.checked_sub(1) else {
            return Ok(None);
        };
        let length = usize::try_from(length).map_err(|_| Malformed(what))?;
        let text = std::str::from_utf8(self.raw(length, what)?).map_err(|_| Malformed(what))?;
        Ok(Some(text))
    }

    pub fn maybe_signed(&mut self, what: &'static str) -> Result<Option<i64>, Malformed> {
        if self.flag(what)? { Ok(Some(self.signed(what)?)) } else { Ok(None) }
    }

    pub fn flag(&mut self, what: &'static str) -> Result<bool, Malformed> {
        match self.byte(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed(what)),
        }
    }

    pub fn micros(&mut self, what: &'static str) -> Result<Micros, Malformed> {
        let bytes = self.raw(8, what)?.try_into().map_err(|_| Malformed(what))?;
        Ok(Micros::new(i64::from_le_bytes(bytes)))
    }

    pub fn time(&mut self, what: &'static str) -> Result<Timestamp, Malformed> {
        let bytes = self.raw(8, what)?.try_into().map_err(|_| Malformed(what))?;
        Ok(Timestamp::from_millis(i64::from_le_bytes(bytes)))
    }

    pub fn id(&mut self, what: &'static str) -> Result<Id, Malformed> {
        let bytes = self.raw(16, what)?.try_into().map_err(|_| Malformed(what))?;
        Ok(Id::from_bytes(bytes))
    }

    pub fn hash(&mut self, what: &'static str) -> Result<crate::Hash, Malformed> {
        self.raw(32, what)?.try_into().map_err(|_| Malformed(what))
    }

    pub fn list<T>(
        &mut self,
        what: &'static str,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let length = self.length(what)?;
        let mut items = Vec::with_capacity(length);
        for _ in 0..length {
            items.push(read(self)?);
        }
        Ok(items)
    }

    pub fn end(self, what: &'static str) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed(what)) }
    }
}

/// A closed set of names that is stored as one byte each.
macro_rules! coded {
    ($type:ident, $what:literal, { $($variant:ident = $byte:literal $text:literal),+ $(,)? }) => {
        impl $type {
            pub(crate) fn code(self) -> u8 {
                match self { $($type::$variant => $byte),+ }
            }
            pub(crate) fn from_code(code: u8) -> Result<Self, crate::Malformed> {
                match code { $($byte => Ok($type::$variant),)+ _ => Err(crate::Malformed($what)) }
            }
            /// The name as it is spoken outside.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($type::$variant => $text),+ }
            }
        }
    };
}
pub(crate) use coded;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_and_damage_is_named() {
        for value in [0, 1, -1, 63, 64, -64, 127, 128, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            Writer(&mut bytes).signed(value);
            assert_eq!(Reader(&bytes).signed("n"), Ok(value));
            assert_eq!(Reader(&bytes[..bytes.len() - 1]).signed("n"), Err(Malformed("n")));
        }
        assert_eq!(Reader(&[0xff; 11]).unsigned("n"), Err(Malformed("n")));
        assert_eq!(Reader(&[200, 1, 65]).text("t"), Err(Malformed("t")));
        assert_eq!(Reader(&[1, 0xff]).text("t"), Err(Malformed("t")));
    }
}
