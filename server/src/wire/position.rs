//! The position of an entry in the journal of a workspace, as clients keep it: `EPOCH-NUMBER`.
//!
//! A number alone is no name: after a restore of an older copy, another entry can have it. Each
//! restore begins a new epoch, so a position of an earlier one is recognized.

use std::fmt;

/// The number of an entry, and the epoch in which a client learned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The epoch.
    pub epoch: u64,
    /// The number in the workspace; 0 is before the first entry.
    pub n: u64,
}

impl Position {
    /// Reads `EPOCH-NUMBER`, or a number of the epoch `current`.
    pub fn read(text: &str, current: u64) -> Option<Position> {
        let (epoch, n) = match text.split_once('-') {
            Some((epoch, n)) => (number(epoch)?, n),
            None => (current, text),
        };
        Some(Position { epoch, n: number(n)? })
    }
}

/// Reads a decimal number of at most 16 digits.
fn number(text: &str) -> Option<u64> {
    let is_number = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_a_number_or_an_epoch_and_a_number() {
        let read = |text: &str| Position::read(text, 3).map(|position| position.to_string());
        assert_eq!(read("17").as_deref(), Some("3-17"));
        assert_eq!(read("0").as_deref(), Some("3-0"));
        assert_eq!(read("2-17").as_deref(), Some("2-17"));
        for text in ["", "-", "1-", "-1", "+1", "1-2-3", "x", " 1", "1 ", "99999999999999999", "1-+2"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
