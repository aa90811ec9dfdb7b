//! The text of a name: a short one is stored in place, a longer one in memory of its own.
//!
//! A charge has five names, and five allocations cost more than copying a few words. The characters
//! that a name may have are in `name`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A text that is stored in place up to `N` bytes; `N` is at most 255.
#[derive(Clone, PartialEq, Eq)]
pub enum Text<const N: usize> {
    /// At most `N` bytes. The bytes after `length` are 0, so that equal texts are equal bytes.
    Short { length: u8, bytes: [u8; N] },
    /// More than `N` bytes.
    Long(Box<str>),
}

impl<const N: usize> Text<N> {
    const FITS_ITS_LENGTH: () =
        assert!(N <= u8::MAX as usize, "the length of a short text must fit into one byte");

    /// Stores the text.
    pub fn new(text: &str) -> Self {
        const { Self::FITS_ITS_LENGTH };
        match u8::try_from(text.len()) {
            Ok(length) if text.len() <= N => {
                let mut bytes = [0; N];
                bytes[..text.len()].copy_from_slice(text.as_bytes());
                Text::Short { length, bytes }
            }
            _ => Text::Long(text.into()),
        }
    }

    /// The bytes, to compare, hash or write them; cheaper than [`Text::as_str`].
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Text::Short { length, bytes } => &bytes[..usize::from(*length)],
            Text::Long(text) => text.as_bytes(),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Text::Short { length, bytes } => std::str::from_utf8(&bytes[..usize::from(*length)])
                .expect("the bytes were copied from a text"),
            Text::Long(text) => text,
        }
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> Ord for Text<N> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl<const N: usize> PartialOrd for Text<N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> Hash for Text<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.as_bytes());
        state.write_u8(0xff);
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn short_and_long_texts_read_alike() {
        for text in ["", "a", "abcd", "abcde", "ä€", "ä€!"] {
            assert_eq!(Text::<4>::new(text).as_str(), text);
            assert_eq!(Text::<4>::new(text).as_bytes(), text.as_bytes());
            assert!(Text::<4>::new(text) == Text::<4>::new(text));
        }
    }

    #[test]
    fn texts_are_ordered_by_their_bytes() {
        let mut texts = ["b", "abcde", "ab", "abcdz", "", "zz"].map(Text::<4>::new);
        texts.sort();
        assert_eq!(texts.each_ref().map(Text::as_str), ["", "ab", "abcde", "abcdz", "b", "zz"]);
    }
}
