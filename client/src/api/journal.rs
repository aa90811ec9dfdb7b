//! The journal of a workspace: every entry, also as a stream.

use super::InWorkspace;
use crate::http::call::Call;
use crate::http::events::Events;
use crate::http::pages::{List, Page};
use crate::http::routes;
use crate::types::{EntriesQuery, Entry, StreamQuery};

/// The journal of a workspace.
#[derive(Clone, Debug)]
pub struct Journal(pub(crate) InWorkspace);

impl Journal {
    /// Lists all entries, newest first.
    pub fn list(&self) -> List<Entry> {
        self.0.list(routes::GET_WORKSPACES_BY_WORKSPACE_ENTRIES, &[], &())
    }

    /// The entries behind a position, oldest first. With `wait` and none there, the server waits
    /// for the next one. [`Page::after`] is the position with which to ask again.
    pub fn after(&self, query: &EntriesQuery) -> Call<Page<Entry>> {
        self.0.call(&routes::GET_WORKSPACES_BY_WORKSPACE_ENTRIES, &[]).query(query)
    }

    /// What happens in the workspace, as it happens. A broken connection is made again, without a
    /// gap and without a repetition.
    pub fn stream(&self, query: &StreamQuery) -> Events {
        let StreamQuery { after, kinds } = query.clone();
        let InWorkspace { connection, workspace } = &self.0;
        Events::new(connection, &routes::GET_WORKSPACES_BY_WORKSPACE_STREAM, workspace, kinds, after)
    }
}
