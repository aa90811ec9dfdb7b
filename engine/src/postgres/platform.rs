//! The platform as a server knows it: the price book and the platform keys, as of some entry of the platform's own chain.
//!
//! Every decision is guarded by that entry's number, so a server that has not heard of new prices yet cannot decide by old
//! ones: its batch fails, it reads what is new, and decides again.

use std::sync::{Arc, PoisonError, RwLock};

use tollkeeper_ledger::{Entry, Platform, WorkspaceId};

use super::batch::prefetch::decoded;
use super::database::failure::Failure;
use super::database::session::{Session, column};
use super::database::sql::Sql;

/// The platform up to an entry of its chain.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The number of the last entry it includes.
    pub n: u64,
    pub platform: Arc<Platform>,
}

impl Known {
    /// Adds what an entry of the platform's chain says.
    pub(super) fn apply(&mut self, entry: &Entry) {
        self.n = entry.n;
        Arc::make_mut(&mut self.platform).apply(entry);
    }
}

/// What all lanes and readers of a server know.
#[derive(Debug, Default)]
pub(super) struct Shared(RwLock<Known>);

impl Shared {
    pub(super) fn known(&self) -> Known {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows everyone what was read or written, unless it is older than what they know.
    pub(super) fn publish(&self, known: Known) {
        let mut shown = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if shown.n < known.n {
            *shown = known;
        }
    }

    /// Reads what others have added to the platform's chain.
    pub(super) async fn refresh(&self, session: &Session) -> Result<(), Failure> {
        let mut known = self.known();
        let platform = WorkspaceId::platform();
        let entries = session.ask(Sql::PlatformEntries, &[&platform.as_str(), &(known.n as i64)]).await?;
        for row in &entries {
            known.apply(&decoded(column(row, 0)?)?);
        }
        self.publish(known);
        Ok(())
    }
}
