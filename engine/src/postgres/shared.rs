//! What the lanes and the readers of one server share: where the database is, the platform
//! snapshot, the counters and the options. Servers share nothing but the database.

use std::sync::Arc;
use std::time::Duration;

use super::clock::DatabaseClock;
use super::counters::Counters;
use super::database::config::Address;
use super::delivery::connection::DeliveryShared;
use super::long_reads::LongReads;
use super::platform::PlatformCell;
use super::repairs::Repairs;
use super::teams_seen::TeamsSeen;
use crate::Watchers;

/// Shared by all lanes and readers of one server.
#[derive(Debug)]
pub(crate) struct SharedState {
    pub address: Address,
    pub platform: PlatformCell,
    pub counters: Counters,
    pub repairs: Repairs,
    pub clock: DatabaseClock,
    pub teams_seen: TeamsSeen,
    pub long_reads: LongReads,
    pub watchers: Arc<Watchers>,
    pub deliveries: DeliveryShared,
    /// How long a batch or a read is retried while the database cannot be reached.
    pub retry_for: Duration,
    /// Accounts that all lanes together keep in memory between batches.
    pub accounts_in_memory: usize,
}
