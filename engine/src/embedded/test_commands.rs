//! Short forms of commands, for the unit tests of the engine.

use tollkeeper_ledger::{Actor, Command, IdempotencyKey, Submission, WorkspaceId};

/// A workspace id.
pub(crate) fn workspace(name: &str) -> WorkspaceId {
    WorkspaceId::new(name).expect("the id is valid")
}

/// A command of the platform under a key.
pub(crate) fn submission(workspace: WorkspaceId, key: &str, command: Command) -> Submission {
    let key = Some(IdempotencyKey::new(key).expect("the key is valid"));
    Submission { workspace, key, actor: Actor::Platform, command }
}
