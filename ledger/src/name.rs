//! Names that callers choose: the ids of workspaces, members, workers, operations, meters and
//! plans, and idempotency keys.
//!
//! A name is checked once, where it enters. Inside the ledger every name is well-formed. Ids that
//! the engine chooses are in `id`.

use std::fmt;

use crate::bounds::{IDEMPOTENCY_KEY_MAX_BYTES, NAME_MAX_BYTES};
use crate::text::Text;

/// Names up to this length are stored in place: most words, in three machine words.
const WORD_BYTES: usize = 22;

/// The same for names that are often a UUID of 36 characters.
const UUID_BYTES: usize = 38;

/// Why a text cannot be a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// The text is empty.
    Empty,
    /// The text has more bytes than this bound.
    TooLong(usize),
    /// The text has this character, which is not allowed.
    Character(char),
    /// The text has only dots: as a part of a path it would name another path.
    OnlyDots,
    /// The text begins or ends with a blank, which HTTP takes off a header: the key in a body would
    /// be another one.
    BlankAround,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => f.write_str("must not be empty"),
            NameError::TooLong(most) => write!(f, "is longer than {most} characters"),
            NameError::OnlyDots => f.write_str("must not be dots only"),
            NameError::BlankAround => f.write_str("must not begin or end with a blank"),
            NameError::Character(c) => write!(f, "holds the character {c:?}, which is not allowed"),
        }
    }
}

impl std::error::Error for NameError {}

/// Checks the length and the alphabet of a name.
#[inline]
fn check(text: &str, most: usize, allowed: impl Fn(u8) -> bool) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    // Every byte is looked at, so that the compiler can look at many together.
    if !text.bytes().fold(true, |fine, byte| fine & allowed(byte)) {
        let wrong = text.bytes().position(|byte| !allowed(byte)).expect("a byte is not allowed");
        assert!(text.is_char_boundary(wrong), "the bytes before it are ASCII, so it must begin a character");
        return Err(NameError::Character(text[wrong..].chars().next().unwrap_or('\u{fffd}')));
    }
    if text.len() > most {
        return Err(NameError::TooLong(most));
    }
    assert!(text.is_ascii(), "every alphabet of a name must be a part of ASCII");
    Ok(())
}

/// Refuses an id that a path cannot name.
fn check_id(text: &str) -> Result<(), NameError> {
    if text.bytes().all(|byte| byte == b'.') { Err(NameError::OnlyDots) } else { Ok(()) }
}

/// Refuses a key that a header cannot carry.
fn check_key(text: &str) -> Result<(), NameError> {
    if text.trim_matches(' ').len() == text.len() { Ok(()) } else { Err(NameError::BlankAround) }
}

/// `A-Z a-z 0-9 . _ : @ -`: what needs no escaping in a URL's path, a header or a shell word.
const fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'@' | b'-')
}

/// Printable ASCII, the space included.
const fn printable(byte: u8) -> bool {
    matches!(byte, 0x20..0x7f)
}

/// The id of the platform's own journal.
const PLATFORM: &str = "*";

const _: () =
    assert!(!in_name(PLATFORM.as_bytes()[0]), "a caller must not be able to choose the platform's id");
const _: () = assert!(UUID_BYTES >= 36, "the text of a UUID must be stored in place");

macro_rules! name {
    ($name:ident, $in_place:expr, $most:expr, $allowed:expr, $rule:expr, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text<$in_place>);

        impl $name {
            /// Checks the text and makes it a name.
            ///
            /// # Errors
            /// [`NameError`] if it is empty, too long, or not of the allowed form.
            pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
                check(text.as_ref(), $most, $allowed)?;
                $rule(text.as_ref())?;
                Ok(Self(Text::new(text.as_ref())))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The bytes of the text, which are ASCII.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }

            /// A name that was checked before it was stored.
            pub(crate) fn known(text: &str) -> Self {
                Self(Text::new(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

name!(
    WorkspaceId,
    UUID_BYTES,
    NAME_MAX_BYTES,
    in_name,
    check_id,
    "The id of a workspace, chosen by the platform: 1 to 64 of `A-Z a-z 0-9 . _ : @ -`.\n\n\
     ```\nuse tollkeeper_ledger::{NameError, WorkspaceId};\n\n\
     let name = WorkspaceId::new(\"acme.shop_1\").expect(\"an allowed name\");\n\
     assert_eq!(name.as_str(), \"acme.shop_1\");\n\
     assert_eq!(WorkspaceId::new(\"a b\"), Err(NameError::Character(' ')));\n```"
);
name!(
    MemberId,
    WORD_BYTES,
    NAME_MAX_BYTES,
    in_name,
    check_id,
    "The id of a member, chosen by the platform: 1 to 64 of `A-Z a-z 0-9 . _ : @ -`."
);
name!(
    OperatorId,
    WORD_BYTES,
    NAME_MAX_BYTES,
    in_name,
    check_id,
    "The id of an operator of the platform, who chooses it: 1 to 64 of `A-Z a-z 0-9 . _ : @ -`."
);
name!(
    WorkerId,
    WORD_BYTES,
    NAME_MAX_BYTES,
    in_name,
    check_id,
    "The id of an AI worker, chosen by the platform: 1 to 64 of `A-Z a-z 0-9 . _ : @ -`."
);
name!(
    OperationId,
    WORD_BYTES,
    NAME_MAX_BYTES,
    in_name,
    check_id,
    "The id of an operation, chosen by the platform: 1 to 64 of `A-Z a-z 0-9 . _ : @ -`."
);
name!(
    MeterId,
    WORD_BYTES,
    NAME_MAX_BYTES,
    in_name,
    check_id,
    "The id of a meter of an operation, chosen by the platform: 1 to 64 of `A-Z a-z 0-9 . _ : @ -`."
);
name!(
    PlanId,
    WORD_BYTES,
    NAME_MAX_BYTES,
    in_name,
    check_id,
    "The id of a plan, chosen by the platform: 1 to 64 of `A-Z a-z 0-9 . _ : @ -`."
);
name!(
    IdempotencyKey,
    UUID_BYTES,
    IDEMPOTENCY_KEY_MAX_BYTES,
    printable,
    check_key,
    "Makes a request safe to repeat (i07): 1 to 255 printable characters without a blank at either end, unique in its \
     workspace for ever."
);

impl WorkspaceId {
    /// The id of the platform's own journal, with the price book and the platform keys. No caller
    /// can choose it.
    #[must_use]
    pub fn platform() -> WorkspaceId {
        WorkspaceId::known(PLATFORM)
    }

    /// True for [`WorkspaceId::platform`].
    #[must_use]
    pub fn is_platform(&self) -> bool {
        self.as_bytes() == PLATFORM.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_an_alphabet_and_a_length() {
        assert!(WorkspaceId::new("acme.shop_1:eu@x-Y").is_ok());
        assert_eq!(WorkspaceId::new("").map(|_| ()), Err(NameError::Empty));
        assert_eq!(WorkspaceId::new("a b").map(|_| ()), Err(NameError::Character(' ')));
        assert_eq!(WorkspaceId::new("aä").map(|_| ()), Err(NameError::Character('ä')));
        assert_eq!(WorkspaceId::new("*").map(|_| ()), Err(NameError::Character('*')));
        assert!(WorkspaceId::new("x".repeat(64)).is_ok());
        assert_eq!(WorkspaceId::new("x".repeat(65)).map(|_| ()), Err(NameError::TooLong(64)));
        assert_eq!(WorkspaceId::new("..").map(|_| ()), Err(NameError::OnlyDots));
        assert!(WorkspaceId::new("..a").is_ok());
        assert!(IdempotencyKey::new("order 17 / try 2").is_ok());
        for blank in [" q", "q ", " "] {
            assert_eq!(IdempotencyKey::new(blank).map(|_| ()), Err(NameError::BlankAround));
        }
        assert_eq!(IdempotencyKey::new("a\n").map(|_| ()), Err(NameError::Character('\n')));
    }
}
