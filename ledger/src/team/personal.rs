//! Texts about a person: the names and e-mail addresses of members.
//!
//! An entry never changes, so it must not hold what a person may ask to erase. It holds the digest
//! of the text and of a random salt. The engine stores both beside the journal, with the entry.
//! Without the salt nobody can find the text by guessing. The ledger computes no digest: who makes
//! a command computes it, as with the hashes of secrets.

use std::fmt;

use crate::Hash;

/// Random bytes that are made for one text and erased with it.
pub type Salt = [u8; 32];

/// A text about a person.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonalText {
    /// The name or the e-mail address.
    pub text: Box<str>,
    /// What makes the digest impossible to guess.
    pub salt: Salt,
    /// The SHA-256 of salt and text, which the entry holds.
    pub digest: Hash,
}

/// Shows the digest only, so that no log holds the text.
impl fmt::Debug for PersonalText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PersonalText({})", crate::hex(&self.digest))
    }
}

/// What is stored of the texts of the member that a command names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextsOfMember {
    /// No entry names a text of such a member, or the command needs no texts.
    #[default]
    Unknown,
    /// All were erased.
    Erased,
    /// At least one is there.
    Kept,
}
