//! How the subject of a spending limit is written: its kind, and its id if it has one.

use tollkeeper_ledger::Subject;

/// The two JSON fields that name the subject of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectFields {
    /// `workspace`, `member`, `worker`, `operation` or `api_key`.
    pub kind: &'static str,
    /// The id of the member, worker, operation or API key; `None` for the workspace.
    pub id: Option<String>,
}

impl From<&Subject> for SubjectFields {
    fn from(subject: &Subject) -> SubjectFields {
        let (kind, id) = match subject {
            Subject::Workspace => ("workspace", None),
            Subject::Member(member) => ("member", Some(member.to_string())),
            Subject::Worker(worker) => ("worker", Some(worker.to_string())),
            Subject::Operation(operation) => ("operation", Some(operation.to_string())),
            Subject::ApiKey(key) => ("api_key", Some(key.to_string())),
        };
        SubjectFields { kind, id }
    }
}
