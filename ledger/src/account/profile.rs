//! What is known of a workspace besides its credit: its name, time zone, metadata and whether it is
//! suspended.

use crate::{Timestamp, WorkspaceId};

/// The description of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The id of the workspace, chosen by the platform; in every URL, and never changes.
    pub id: WorkspaceId,
    /// The display name.
    pub name: Box<str>,
    /// The IANA time zone in which its days and months are counted.
    pub timezone: Box<str>,
    /// A JSON object of the platform's own.
    pub metadata: Option<Box<str>>,
    /// True if charges are refused.
    pub suspended: bool,
    /// The time at which the workspace was created.
    pub created_at: Timestamp,
}

impl Profile {
    /// The profile of a workspace that was not created yet.
    pub(crate) fn blank(id: WorkspaceId) -> Profile {
        Profile {
            id,
            name: "".into(),
            timezone: "UTC".into(),
            metadata: None,
            suspended: false,
            created_at: Timestamp::ZERO,
        }
    }
}
