//! The next epoch of a ledger: a restored copy says in its journal that it is one.
//!
//! The ledger that was copied may have gone on, and may have given the numbers that follow to other
//! entries. Those who keep numbers or hashes of entries outside must not compare them across
//! epochs. Only a person knows that a copy was restored, so an operator says it: `restore` does for
//! a data directory, `mark-restored` for a store that other tools have put back. A ledger that was
//! moved, and does not go on where it was, needs no new epoch.

use tollkeeper_ledger::{Actor, Command, Submission, WorkspaceId};

/// The command of an operator that begins the next epoch.
pub(crate) fn submission() -> Submission {
    let workspace = WorkspaceId::platform();
    Submission { workspace, key: None, actor: Actor::Platform, command: Command::MarkRestored }
}
