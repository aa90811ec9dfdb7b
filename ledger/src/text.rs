//! The text of a name. A short one lies where the name lies, a longer one in memory of its own: a charge carries five
//! names, and to ask for memory five times costs more than to copy a few words.
//!
//! What a name may hold is in `name`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A text that lies here itself up to `N` bytes, which are at most 255.
#[derive(Clone, PartialEq, Eq)]
pub enum Text<const N: usize> {
    /// The bytes behind `length` are 0, so that equal texts are equal bytes.
    Short { length: u8, bytes: [u8; N] },
    /// Longer than `N`.
    Long(Box<str>),
}

impl<const N: usize> Text<N> {
    pub fn new(text: &str) -> Self {
        match u8::try_from(text.len()) {
            Ok(length) if text.len() <= N => {
                let mut bytes = [0; N];
                bytes[..text.len()].copy_from_slice(text.as_bytes());
                Text::Short { length, bytes }
            }
            _ => Text::Long(text.into()),
        }
    }

    /// To compare, to hash or to write: cheaper than [`Text::as_str`].
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Text::Short { length, bytes } => &bytes[..usize::from(*length)],
            Text::Long(text) => text.as_bytes(),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Text::Short { length, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*length)]).expect("it was a text when it came")
            }
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
    fn short_and_long_texts_are_the_same_to_whoever_reads_them() {
        for text in ["", "a", "abcd", "abcde", "ä€", "ä€!"] {
            assert_eq!(Text::<4>::new(text).as_str(), text);
            assert_eq!(Text::<4>::new(text).as_bytes(), text.as_bytes());
            assert!(Text::<4>::new(text) == Text::<4>::new(text));
        }
    }

    #[test]
    fn texts_are_ordered_as_their_bytes_are() {
        let mut texts = ["b", "abcde", "ab", "abcdz", "", "zz"].map(Text::<4>::new);
        texts.sort();
        assert_eq!(texts.each_ref().map(Text::as_str), ["", "ab", "abcde", "abcdz", "b", "zz"]);
    }
}
