//! Command lines that pages show, to be pasted into a shell.

use tollkeeper_ledger::WorkspaceId;

use crate::http::call::Call;

/// The address of a workspace in the API.
pub fn base(call: &Call, workspace: &WorkspaceId) -> String {
    format!("{}/v1/workspaces/{workspace}", call.origin())
}

/// A command that makes the first charge; `None` while there are no prices. `bearer` is the header
/// with the key, in quotes. Ids have no character that a shell reads.
pub fn first_charge(call: &Call, workspace: &WorkspaceId, bearer: &str) -> Option<String> {
    let platform = call.app.engine().platform();
    let operation = platform.price_book.in_force(call.now)?.operations.first()?;
    Some(format!(
        "curl -X POST '{}/charges' \\\n  -H {bearer} \\\n  -H 'Idempotency-Key: first-charge' \\\n  \
         -H 'Content-Type: application/json' \\\n  -d '{{\"operation\": \"{}\"}}'",
        base(call, workspace),
        operation.id
    ))
}
