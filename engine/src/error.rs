//! "Not now", as opposed to the ledger's "no": why an engine could not run or read something. Opaque, with predicates:
//! what a caller can do about it, not which part of which store failed. A refusal is never an `Error`.

use std::fmt;

/// Why an engine could not do what was asked.
#[derive(Clone, Debug)]
pub struct Error {
    kind: Kind,
    what: String,
    hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Overloaded,
    Unavailable,
    Damaged,
    Unusable,
    BadCursor,
    Conflict,
    Bug,
}

impl Error {
    /// The queue is full; ask again soon, under the same key.
    #[must_use]
    pub fn is_overloaded(&self) -> bool {
        self.kind == Kind::Overloaded
    }

    /// The store does not take writes or reads at present (a full disk, a lost connection); ask again under the same
    /// key: whether the command was run or not, it will be once.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.kind == Kind::Unavailable
    }

    /// What is stored cannot be read as what was written.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.kind == Kind::Damaged
    }

    /// The store cannot be opened as it is: held by another process, no permission, a newer version.
    #[must_use]
    pub fn is_unusable(&self) -> bool {
        self.kind == Kind::Unusable
    }

    /// A cursor that this engine did not hand out.
    #[must_use]
    pub fn is_bad_cursor(&self) -> bool {
        self.kind == Kind::BadCursor
    }

    /// What is stored is another ledger, or another part of it, than what was to be put beside it.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind == Kind::Conflict
    }

    /// A bug: an invariant did not hold, and no credit moved.
    #[must_use]
    pub fn is_bug(&self) -> bool {
        self.kind == Kind::Bug
    }

    /// What to do about it, for people.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Says what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    fn new(kind: Kind, what: impl Into<String>) -> Error {
        Error { kind, what: what.into(), hint: None }
    }

    pub(crate) fn overloaded() -> Error {
        Error::new(Kind::Overloaded, "the queue is full")
    }

    pub(crate) fn unavailable(what: impl Into<String>) -> Error {
        Error::new(Kind::Unavailable, what)
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Error {
        Error::new(Kind::Damaged, what)
    }

    pub(crate) fn unusable(what: impl Into<String>) -> Error {
        Error::new(Kind::Unusable, what)
    }

    pub(crate) fn bad_cursor() -> Error {
        Error::new(Kind::BadCursor, "the cursor is not one of this list")
    }

    pub(crate) fn conflict(what: impl Into<String>) -> Error {
        Error::new(Kind::Conflict, what)
    }

    pub(crate) fn bug(what: impl Into<String>) -> Error {
        Error::new(Kind::Bug, what)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {}
