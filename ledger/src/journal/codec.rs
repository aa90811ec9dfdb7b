//! How values become bytes: the primitives of the canonical encoding that the hash chain covers.
//!
//! Unsigned numbers are LEB128, signed numbers are zig-zag encoded first. Amounts and times are
//! eight bytes. Texts and lists begin with their length. An absent text is a 0; a present one
//! begins with its length plus one. An outcome is one byte, 0 if absent. Other optional values
//! begin with a 0 or a 1; an optional amount or time is then a signed number. A value has one
//! encoding, so equal entries have equal hashes on every engine. Reading never panics: bytes that
//! are no encoding of the expected type are [`Malformed`]. What is encoded, and in which order, is
//! in `entry_codec` and `account_codec`.

use std::fmt;

use crate::{Id, Micros, Timestamp};

/// Stored bytes that are no encoding of the expected value; names the field that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stored bytes of {} cannot be read", self.0)
    }
}

impl std::error::Error for Malformed {}

/// The longest LEB128 encoding of a 64-bit number.
const LEB128_MAX_BYTES: usize = 10;

/// Appends values to a buffer.
pub(crate) struct Writer<'a>(pub &'a mut Vec<u8>);

impl Writer<'_> {
    /// One byte.
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Bytes of a length that the reader knows.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Seven bits a byte, the lowest first; the high bit says that another byte follows.
    pub fn unsigned(&mut self, mut value: u64) {
        if value < 0x80 {
            self.0.push(value as u8);
            return;
        }
        let mut bytes = [0; LEB128_MAX_BYTES];
        let mut length = 0;
        while value >= 0x80 {
            assert!(length + 1 < LEB128_MAX_BYTES, "64 bits must fit into ten groups of seven");
            bytes[length] = value as u8 | 0x80;
            value >>= 7;
            length += 1;
        }
        bytes[length] = value as u8;
        self.raw(&bytes[..=length]);
    }

    /// Zig-zag: small numbers are short, above and below zero.
    pub fn signed(&mut self, value: i64) {
        let zig_zag = ((value << 1) ^ (value >> 63)) as u64;
        assert!(from_zig_zag(zig_zag) == value, "a signed number must read back");
        self.unsigned(zig_zag);
    }

    /// The length and the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.unsigned(bytes.len() as u64);
        self.raw(bytes);
    }

    /// The length in bytes and the text in UTF-8.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// An absent text is a 0; any other carries its length plus one.
    pub fn maybe_text(&mut self, text: Option<&str>) {
        self.maybe_bytes(text.map(str::as_bytes));
    }

    /// Like [`Writer::maybe_text`], for the bytes of a name.
    pub fn maybe_bytes(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.byte(0),
            Some(bytes) => {
                self.unsigned(bytes.len() as u64 + 1);
                self.raw(bytes);
            }
        }
    }

    /// An absent number is a 0; any other is a 1 and the number.
    pub fn maybe_signed(&mut self, value: Option<i64>) {
        match value {
            None => self.byte(0),
            Some(value) => {
                self.byte(1);
                self.signed(value);
            }
        }
    }

    /// A 0 or a 1.
    pub fn flag(&mut self, flag: bool) {
        self.byte(u8::from(flag));
    }

    /// Eight bytes, the lowest first. Amounts are in every entry, and this encoding is the fastest.
    pub fn micros(&mut self, amount: Micros) {
        self.raw(&amount.get().to_le_bytes());
    }

    /// Eight bytes, the lowest first; LEB128 would be hardly shorter.
    pub fn time(&mut self, at: Timestamp) {
        self.raw(&at.millis().to_le_bytes());
    }

    /// The 16 bytes of the UUID.
    pub fn id(&mut self, id: Id) {
        self.raw(&id.to_bytes());
    }

    /// The number of items and each of them.
    pub fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.unsigned(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }
}

/// Takes values off the front of a buffer. Each function is the counterpart of the one of the same
/// name of [`Writer`]; `what` names the field in the error.
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

    /// One value has one encoding, so a last byte of 0 and bits beyond the 64th are malformed.
    pub fn unsigned(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                let is_padded = byte == 0 && shift > 0;
                let is_too_large = byte > 1 && shift == 63;
                return if is_padded || is_too_large { Err(Malformed(what)) } else { Ok(value) };
            }
        }
        Err(Malformed(what))
    }

    pub fn signed(&mut self, what: &'static str) -> Result<i64, Malformed> {
        let value = self.unsigned(what)?;
        Ok(from_zig_zag(value))
    }

    /// The length of a text or list.
    pub fn length(&mut self, what: &'static str) -> Result<usize, Malformed> {
        let length = usize::try_from(self.unsigned(what)?).map_err(|_| Malformed(what))?;
        // Every item takes at least one byte. A length beyond the rest is damage, and must not
        // allocate.
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

    /// True if all bytes were read.
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that no bytes are left.
    pub fn end(self, what: &'static str) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed(what)) }
    }
}

fn from_zig_zag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// True if every code is greater than the one before, so that no two variants have the same.
pub(crate) const fn is_ascending(codes: &[u8]) -> bool {
    let mut index = 1;
    while index < codes.len() {
        if codes[index - 1] >= codes[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// A closed set of names, each stored as one byte.
macro_rules! coded {
    ($type:ident, $what:literal, { $($variant:ident = $byte:literal $text:literal),+ $(,)? }) => {
        const _: () = assert!($crate::journal::codec::is_ascending(&[$($byte),+]), "a code must stand for one name");

        impl $type {
            pub(crate) const fn code(self) -> u8 {
                match self { $($type::$variant => $byte),+ }
            }
            pub(crate) fn from_code(code: u8) -> Result<Self, crate::Malformed> {
                match code { $($byte => Ok($type::$variant),)+ _ => Err(crate::Malformed($what)) }
            }
            /// The name in the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($type::$variant => $text),+ }
            }
            /// The value with this name in the API.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                match name { $($text => Some($type::$variant),)+ _ => None }
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
        assert_eq!(Reader(&[0x80, 0]).unsigned("n"), Err(Malformed("n")), "a zero with a byte too many");
        let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(Reader(&beyond).unsigned("n"), Err(Malformed("n")), "a 65th bit");
        assert_eq!(Reader(&[200, 1, 65]).text("t"), Err(Malformed("t")));
        assert_eq!(Reader(&[1, 0xff]).text("t"), Err(Malformed("t")));
    }
}
