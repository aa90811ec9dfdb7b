//! What a failure of the database means for a request: decide again, try again, or answer with the
//! error.
//!
//! If the database refuses a transaction with an error, nothing of it was written. If the
//! connection is lost before the result of COMMIT arrives, the result is unknown: the transaction
//! may have been committed. Only a look at the journal answers that
//! (`batch::write::UnknownCommit`).

use tokio_postgres::error::{DbError, Severity, SqlState};
use tollkeeper_ledger::WorkspaceId;

use crate::Error;

/// Why a database operation did not succeed, or is not known to have succeeded.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Another server changed the same rows first, or an idempotency key is taken. Nothing was
    /// written; the batch has to be decided again.
    Conflict,
    /// The connection failed, or a COMMIT did not wait for its standby. What was sent may have
    /// taken effect or not, and the connection must be closed.
    ResultUnknown(Error),
    /// The database refuses work now, for example because its disk is full. Nothing was
    /// written.
    Unavailable(Error),
    /// A lock was not given in time. Nothing was written.
    Locked(Error),
    /// A statement took too long, or was cancelled. Nothing was written.
    TimedOut(Error),
    /// What is stored of one workspace is damaged. Nothing was written.
    Damaged(Box<DamagedWorkspace>),
    /// A retry cannot succeed. Nothing was written.
    Permanent(Error),
}

/// A workspace of which something stored is damaged.
#[derive(Debug)]
pub(crate) struct DamagedWorkspace {
    pub workspace: WorkspaceId,
    pub error: Error,
}

/// The hint of errors about a database that cannot be reached.
pub(crate) const UNREACHABLE_HINT: &str =
    "check that the database is running and that its address is reachable from this machine";

impl Failure {
    /// The failure of reading something that belongs to a workspace.
    pub(crate) fn of_workspace(workspace: &str, error: Error) -> Failure {
        let platform = WorkspaceId::platform();
        let id = if workspace == platform.as_str() { Ok(platform) } else { WorkspaceId::new(workspace) };
        match id {
            Ok(workspace) if error.is_damaged() => {
                Failure::Damaged(Box::new(DamagedWorkspace { workspace, error }))
            }
            _ => Failure::Permanent(error),
        }
    }

    /// The failure of a COMMIT on several nodes. An error does not mean that nothing was written
    /// there: the node may have committed before its answer was lost.
    pub(crate) fn of_commit_on_nodes(self) -> Failure {
        Failure::ResultUnknown(self.into_error())
    }

    /// The error that the caller receives when no retry is left.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Failure::Conflict => Error::unavailable("conflicts with other servers exhausted the retries"),
            Failure::Damaged(damaged) => damaged.error,
            Failure::ResultUnknown(error)
            | Failure::Unavailable(error)
            | Failure::Locked(error)
            | Failure::TimedOut(error)
            | Failure::Permanent(error) => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Permanent(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        match error.as_db_error() {
            Some(refused) => classify(refused),
            None => {
                let what = format!("the database cannot be reached: {}", error_chain(&error));
                Failure::ResultUnknown(Error::unavailable(what).with_hint(UNREACHABLE_HINT))
            }
        }
    }
}

/// Classifies an error that the database sent, by its severity and SQLSTATE.
fn classify(refused: &DbError) -> Failure {
    let code = refused.code();
    let unavailable =
        || Error::unavailable(format!("the database says: {} ({})", refused.message(), code.code()));
    if matches!(refused.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) {
        return Failure::ResultUnknown(unavailable());
    }
    if CONFLICTS.contains(code) || is_duplicate_on_a_node(refused) {
        return Failure::Conflict;
    }
    if *code == SqlState::LOCK_NOT_AVAILABLE {
        return Failure::Locked(unavailable());
    }
    if *code == SqlState::QUERY_CANCELED {
        return Failure::TimedOut(unavailable());
    }
    match code.code().get(..2) {
        // Connection exception.
        Some("08") => Failure::ResultUnknown(unavailable()),
        // A statement that Citus cannot run on one node. The tables were distributed or divided
        // anew after the session read their shards.
        Some("0A") => Failure::Unavailable(unavailable()),
        // Insufficient resources, object not in the required state, operator intervention, system
        // error, invalid transaction state.
        Some("53" | "55" | "57" | "58" | "25") => Failure::Unavailable(unavailable()),
        // Invalid authorization, unknown database, access rule violation or unknown table.
        Some("28" | "3D" | "42") => {
            Failure::Permanent(Error::unusable(format!("the database says: {}", refused.message())))
        }
        _ => Failure::Permanent(unavailable()),
    }
}

/// True if a key is taken on a node of Citus. Copying rows to a node, it reports that without the
/// SQLSTATE of the node.
fn is_duplicate_on_a_node(refused: &DbError) -> bool {
    *refused.code() == SqlState::INTERNAL_ERROR
        && refused.message().starts_with("duplicate key value violates unique constraint")
}

/// Errors that mean a conflict with another server. The guard of a statement failed (a division by
/// zero), an entry number or an idempotency key is taken, or the database resolved a deadlock.
const CONFLICTS: [SqlState; 4] = [
    SqlState::DIVISION_BY_ZERO,
    SqlState::UNIQUE_VIOLATION,
    SqlState::T_R_SERIALIZATION_FAILURE,
    SqlState::T_R_DEADLOCK_DETECTED,
];

/// An error followed by its sources, separated by colons. The driver's errors do not contain the
/// address.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
