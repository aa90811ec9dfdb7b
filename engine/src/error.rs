//! Why an engine could not run a command or answer a query.
//!
//! An [`Error`] means that the engine could not do what was asked: the store, the queue or the
//! program is at fault. A refusal is the ledger's decision, and never an `Error`. The type is
//! opaque. Its predicates say what a caller can do about it, not which part of which store failed.

use std::any::Any;
use std::fmt;

/// Why an engine could not run a command or answer a query; `Display` says it for people.
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
    AccountRefused,
    ClockIsWrong,
    Damaged,
    DamagedState,
    Unusable,
    BadCursor,
    ImportConflict,
    Bug,
}

impl Error {
    /// The queue is full, or the workspace asks too often for something expensive; ask again soon,
    /// under the same key.
    #[must_use]
    pub fn is_overloaded(&self) -> bool {
        self.kind == Kind::Overloaded
    }

    /// The store does not take writes or reads now: a full disk, a lost connection. Ask again under
    /// the same key; the command then runs once, whether or not the first attempt did.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self.kind, Kind::Unavailable | Kind::ClockIsWrong)
    }

    /// The store is unavailable to this server, because its clock deviates too much from the
    /// trusted one.
    #[must_use]
    pub fn is_clock_wrong(&self) -> bool {
        self.kind == Kind::ClockIsWrong
    }

    /// The account of one workspace is at fault and is being rebuilt from its journal, or cannot be
    /// rebuilt. All other workspaces are served.
    #[must_use]
    pub fn is_account_refused(&self) -> bool {
        self.kind == Kind::AccountRefused
    }

    /// What is stored is not what was written (corruption): a checksum, a hash or a number does not
    /// fit.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        matches!(self.kind, Kind::Damaged | Kind::DamagedState)
    }

    /// The damage is in what is derived from the journal. Nothing is lost by it: it is rebuilt.
    #[must_use]
    pub fn is_damaged_state(&self) -> bool {
        self.kind == Kind::DamagedState
    }

    /// The store cannot be opened as it is: held by another process, no permission, a newer
    /// version.
    #[must_use]
    pub fn is_unusable(&self) -> bool {
        self.kind == Kind::Unusable
    }

    /// The cursor is not one that this engine returned for this list.
    #[must_use]
    pub fn is_bad_cursor(&self) -> bool {
        self.kind == Kind::BadCursor
    }

    /// An import met a store that does not match the stream: it holds another ledger or later
    /// entries, or servers write to it.
    #[must_use]
    pub fn is_import_conflict(&self) -> bool {
        self.kind == Kind::ImportConflict
    }

    /// An invariant did not hold, which is a bug. The command at fault moved no credit. On
    /// PostgreSQL, other commands of the same [`run_batch`](crate::Engine::run_batch) may be
    /// committed.
    #[must_use]
    pub fn is_bug(&self) -> bool {
        self.kind == Kind::Bug
    }

    /// One command is at fault, or the account that it is about. The other commands of its batch
    /// were run.
    #[must_use]
    pub fn is_of_one_command(&self) -> bool {
        matches!(self.kind, Kind::Bug | Kind::Damaged | Kind::AccountRefused)
    }

    /// Advice for people, one sentence.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The same error with advice for people.
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

    /// The limits of a workspace with much usage are counted anew too often.
    pub(crate) fn recount_too_soon() -> Error {
        Error::new(Kind::Overloaded, "the limits of this workspace were counted anew just before")
    }

    pub(crate) fn unavailable(what: impl Into<String>) -> Error {
        Error::new(Kind::Unavailable, what)
    }

    /// An account is not used until it is rebuilt from its journal.
    pub(crate) fn account_refused(what: impl Into<String>) -> Error {
        Error::new(Kind::AccountRefused, what)
    }

    pub(crate) fn clock_is_wrong(what: impl Into<String>) -> Error {
        Error::new(Kind::ClockIsWrong, what)
    }

    /// The thread that would answer has ended.
    pub(crate) fn engine_closed() -> Error {
        Error::unavailable("the engine is closed")
    }

    /// The system could not start a thread or a runtime.
    pub(crate) fn cannot_start_thread(error: std::io::Error) -> Error {
        Error::unavailable(format!("cannot start a thread: {error}"))
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Error {
        Error::new(Kind::Damaged, what)
    }

    /// The same error of the state file: damage of it is mended from the journal.
    pub(crate) fn of_state(self) -> Error {
        if !self.is_damaged() {
            return self;
        }
        let hint =
            "nothing is lost with this file: start a server on the directory; it builds the file again";
        Error { kind: Kind::DamagedState, ..self }.with_hint(hint)
    }

    pub(crate) fn unusable(what: impl Into<String>) -> Error {
        Error::new(Kind::Unusable, what)
    }

    pub(crate) fn bad_cursor() -> Error {
        Error::new(Kind::BadCursor, "the cursor is not one of this list")
    }

    pub(crate) fn import_conflict(what: impl Into<String>) -> Error {
        Error::new(Kind::ImportConflict, what)
    }

    pub(crate) fn bug(what: impl Into<String>) -> Error {
        Error::new(Kind::Bug, what)
    }

    /// A caught panic: a failed assertion. The caller says whether the batch may be committed.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
        Error::bug(panic_message(panic))
    }
}

/// The message of a caught panic.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {}
