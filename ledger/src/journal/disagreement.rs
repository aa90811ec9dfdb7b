//! What can be wrong with an entry: [`Violation`], how it breaks a rule, and [`Disagreement`], what
//! the replay of a journal reports.
//!
//! The checks are the same for an entry that is about to be written and for one that is read back.
//! In the first a violation is a bug: `Account::record` panics and no credit moves. In the second
//! it is damage: `Account::replay` returns it.

use std::fmt;

/// How an entry breaks a rule, in one sentence. It begins with the number of the invariant, if the
/// rule has one. (The messages of `assert!` state the rule itself, with "must".)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation(pub &'static str);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Violation {}

/// Checks a rule.
///
/// # Errors
/// [`Violation`] with this sentence, if the condition is false.
pub(crate) fn ensure(condition: bool, violation: &'static str) -> Result<(), Violation> {
    if condition { Ok(()) } else { Err(Violation(violation)) }
}

/// Panics with the sentence of the violation, if there is one: what is about to be written breaks a
/// rule, which is a bug.
pub(crate) fn assert_no_violation<T>(checked: Result<T, Violation>) -> T {
    match checked {
        Ok(value) => value,
        Err(violation) => panic!("{violation}"),
    }
}

/// A stored entry that does not follow from the entries before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// A field of the entry has another value than the one computed from the entries before.
    Differs {
        /// The name of the field.
        what: &'static str,
        /// The value in the journal.
        stored: String,
        /// The value that follows from the entries before.
        computed: String,
    },
    /// The entry breaks a rule.
    Impossible(Violation),
}

impl Disagreement {
    /// Compares a stored field with the computed one.
    ///
    /// # Errors
    /// [`Disagreement::Differs`] if they are not equal.
    pub(crate) fn check_equal<T: PartialEq + fmt::Display>(
        what: &'static str,
        stored: T,
        computed: T,
    ) -> Result<(), Disagreement> {
        if stored == computed {
            return Ok(());
        }
        Err(Disagreement::Differs { what, stored: stored.to_string(), computed: computed.to_string() })
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Disagreement::Differs { what, stored, computed } => {
                write!(f, "{what}: the journal says {stored}, but {computed} follows")
            }
            Disagreement::Impossible(violation) => violation.fmt(f),
        }
    }
}

impl std::error::Error for Disagreement {}

impl From<Violation> for Disagreement {
    fn from(violation: Violation) -> Disagreement {
        Disagreement::Impossible(violation)
    }
}
