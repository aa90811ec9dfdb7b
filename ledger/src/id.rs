//! Ids of charges, grants, API keys and sessions: UUIDs of version 7 with a prefix (`ch_…`,
//! `gr_…`).
//!
//! The engine chooses the number from its clock and its entropy, which are not here. This file
//! gives it its form.

use std::fmt;
use std::str::FromStr;

/// A UUID of version 7 (RFC 9562): 48 bits of milliseconds, then 74 bits that the engine chooses.
///
/// ```
/// use tollkeeper_ledger::{ChargeId, Id};
///
/// let id = ChargeId(Id::v7(1_767_225_600_000, 0, 1));
/// assert_eq!(id.to_string(), "ch_019b76da-a800-7000-8000-000000000001");
/// assert_eq!("ch_019b76da-a800-7000-8000-000000000001".parse(), Ok(id));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u128);

impl Id {
    /// Builds the UUID from the time and the fields `rand_a` (12 bits) and `rand_b` (62 bits) of
    /// RFC 9562. Higher bits are ignored.
    #[must_use]
    pub const fn v7(millis: i64, rand_a: u16, rand_b: u64) -> Id {
        let time = (millis as u128 & 0xffff_ffff_ffff) << 80;
        let a = (rand_a as u128 & 0xfff) << 64;
        let b = (rand_b & 0x3fff_ffff_ffff_ffff) as u128;
        let id = Id(time | (0x7 << 76) | a | (0b10 << 62) | b);
        assert!(id.is_v7(), "an id that the engine chooses must be a UUID of version 7");
        assert!(id.rand_b() == rand_b & 0x3fff_ffff_ffff_ffff, "the low bits of an id must read back");
        id
    }

    /// True if the version and the variant are those of a UUID of version 7.
    #[must_use]
    pub const fn is_v7(self) -> bool {
        (self.0 >> 76) & 0xf == 0x7 && (self.0 >> 62) & 0b11 == 0b10
    }

    /// The field `rand_b`: the 62 low bits, in which an engine may store a number of its own.
    #[must_use]
    pub const fn rand_b(self) -> u64 {
        self.0 as u64 & 0x3fff_ffff_ffff_ffff
    }

    /// The bytes in network order.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The id of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Id {
        Id(u128::from_be_bytes(bytes))
    }

    /// The text of the UUID: 36 lower-case characters in five groups.
    fn text(self) -> [u8; 36] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in self.to_bytes().into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 15)];
            at += 2;
        }
        assert!(at == text.len(), "sixteen bytes and four hyphens must fill the text");
        text
    }

    /// Reads the text of a UUID, in lower case only, so that an id has one spelling.
    fn read(text: &str) -> Option<Id> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
        let mut value: u128 = 0;
        for (index, byte) in text.iter().enumerate() {
            if matches!(index, 8 | 13 | 18 | 23) {
                if *byte != b'-' {
                    return None;
                }
            } else {
                value = (value << 4) | u128::from(digit(*byte)?);
            }
        }
        let id = Id(value);
        assert!(id.text() == *text, "an id must have one spelling");
        Some(id)
    }
}

macro_rules! prefixed_id {
    ($name:ident, $prefix:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Id);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = self.0.text();
                f.write_str($prefix)?;
                f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
        }

        impl FromStr for $name {
            type Err = ();
            fn from_str(text: &str) -> Result<Self, ()> {
                text.strip_prefix($prefix).and_then(Id::read).map($name).ok_or(())
            }
        }
    };
}

prefixed_id!(ChargeId, "ch_", "The id of a charge.");
prefixed_id!(GrantId, "gr_", "The id of a grant.");
prefixed_id!(TopUpId, "tu_", "The id of a top-up.");
prefixed_id!(PaymentRefundId, "pr_", "The id of a payment refund.");
prefixed_id!(SubscriptionId, "sub_", "The id of a subscription.");
prefixed_id!(WebhookEndpointId, "we_", "The id of a webhook endpoint.");
prefixed_id!(RecipientId, "rcp_", "The id of a typed address that gets mails.");
prefixed_id!(
    OperatorSessionId,
    "os_",
    "The id of an operator's session in the console; it is not the secret."
);
prefixed_id!(ApiKeyId, "ak_", "The id of an API key; it is not the secret.");
prefixed_id!(
    SessionId,
    "ps_",
    "The id of a portal session and of the link that begins it; it is not the secret."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling_and_reads_back() {
        let id = ChargeId(Id::v7(0x0199_1234_5678, 0xabc, 0x3fff_0123_4567_89ab));
        let text = id.to_string();
        assert_eq!(text, "ch_01991234-5678-7abc-bfff-0123456789ab");
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(id.0.rand_b(), 0x3fff_0123_4567_89ab);
        for wrong in [
            "",
            "ch_",
            "gr_01991234-5678-7abc-bfff-0123456789ab",
            "ch_01991234-5678-7ABC-bfff-0123456789ab",
            "ch_0199123405678-7abc-bfff-0123456789ab",
            "ch_01991234-5678-7abc-bfff-0123456789a",
        ] {
            assert_eq!(wrong.parse::<ChargeId>(), Err(()), "{wrong}");
        }
    }
}
