//! All open connections: how many there may be, and which one makes room for another.
//!
//! Every connection holds a descriptor, and without a free one nobody gets in and no list can be
//! read. So the number is bounded below the limit of the process. A new client takes the place of
//! the connection that has been idle longest. One address cannot take all places.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connection::Connection;

/// The most connections, if the process may have as many descriptors.
const CONNECTIONS_MAX: usize = 10_000;

/// The descriptors that are kept for everything else: files of the store, its readers, the log.
const DESCRIPTORS_KEPT: usize = 96;

/// Between two lines of the log about connections that were refused or ended.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The open connections.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    most_of_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    all: HashMap<u64, Arc<Connection>>,
    by_address: HashMap<IpAddr, usize>,
    logged_at: Option<Instant>,
}

/// A connection among the open ones; it is removed when this is dropped.
#[derive(Debug)]
pub struct Place {
    connections: Arc<Connections>,
    number: u64,
    /// The connection.
    pub connection: Arc<Connection>,
}

impl Connections {
    /// As many as the process may have descriptors for.
    pub fn new() -> Arc<Connections> {
        Connections::bounded(most())
    }

    /// At most `most`; three quarters of them from one address.
    pub fn bounded(most: usize) -> Arc<Connections> {
        let most_of_address = (most * 3 / 4).max(1);
        Arc::new(Connections { most, most_of_address, open: Mutex::default() })
    }

    /// A place for a new connection. If there is none, the connection that has been idle longest
    /// has to end; `None` if no connection is idle.
    pub fn take(self: &Arc<Connections>, address: IpAddr) -> Option<Place> {
        let mut open = self.open();
        let of_address = open.by_address.get(&address).copied().unwrap_or(0);
        let is_full = open.all.len() >= self.most;
        if is_full || of_address >= self.most_of_address {
            let owner = (!is_full).then_some(address);
            open.log(if is_full {
                "all places for connections are taken"
            } else {
                "one address has most connections"
            });
            if !open.evict(owner) {
                return None;
            }
        }
        let connection = Connection::new(address);
        open.last += 1;
        let number = open.last;
        open.all.insert(number, Arc::clone(&connection));
        *open.by_address.entry(address).or_default() += 1;
        Some(Place { connections: Arc::clone(self), number, connection })
    }

    /// Ends the connection that has been idle longest, because the process has no descriptor left.
    pub fn make_room(&self) {
        self.open().evict(None);
    }

    /// Whether a line about connections may be logged now.
    pub fn may_log(&self) -> bool {
        self.open().may_log()
    }

    /// Whether no connection is open.
    pub fn is_empty(&self) -> bool {
        self.open().all.is_empty()
    }

    /// Whether an accepted request is not answered yet; see [`Connection::is_busy`].
    pub fn are_busy(&self, within: Duration) -> bool {
        self.open().all.values().any(|connection| connection.is_busy(within))
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Ends the connection that has been idle longest, of this address if one is given. Its place
    /// is free at once.
    fn evict(&mut self, address: Option<IpAddr>) -> bool {
        let idle = self.all.iter().filter(|(_, connection)| {
            connection.is_idle() && address.is_none_or(|address| connection.address == address)
        });
        let longest = idle.max_by_key(|(_, connection)| connection.quiet_for()).map(|(number, _)| *number);
        let Some(number) = longest else { return false };
        if let Some(connection) = self.remove(number) {
            connection.end.notify_one();
        }
        true
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Connection>> {
        let connection = self.all.remove(&number)?;
        if let Some(count) = self.by_address.get_mut(&connection.address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&connection.address);
            }
        }
        Some(connection)
    }

    fn may_log(&mut self) -> bool {
        let is_due = self.logged_at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL);
        if is_due {
            self.logged_at = Some(Instant::now());
        }
        is_due
    }

    fn log(&mut self, what: &'static str) {
        let open = self.all.len();
        if self.may_log() {
            tracing::warn!(
                open,
                "{what}; the connection that is idle longest ends, or the new one is refused"
            );
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open().remove(self.number);
    }
}

/// The most connections of this process.
pub fn most() -> usize {
    descriptors().saturating_sub(DESCRIPTORS_KEPT).clamp(16, CONNECTIONS_MAX)
}

/// The descriptors that the process may have open, as Linux tells it; 1,024 where it does not.
fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()).unwrap_or_default();
    if soft == "unlimited" { usize::MAX } else { soft.parse().unwrap_or(1_024) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_client_takes_the_place_of_an_idle_one_and_never_of_a_busy_one() {
        let connections = Connections::bounded(4);
        let addresses = [1, 2].map(|last| IpAddr::from([127, 0, 0, last]));
        let first: Vec<_> = (0..3).filter_map(|_| connections.take(addresses[0])).collect();
        assert_eq!(first.len(), 3);
        first[0].connection.begin(true, true);
        // The address has three quarters of the places: its own connections make room.
        let fourth = connections.take(addresses[0]).expect("two of the address are idle");
        let other = connections.take(addresses[1]).expect("a place was kept");
        assert_eq!(connections.open().all.len(), 4);
        for busy in [&first[1], &first[2], &fourth, &other] {
            busy.connection.begin(false, true);
        }
        assert!(connections.take(addresses[0]).is_none() && connections.take(addresses[1]).is_none());
        assert!(connections.are_busy(Duration::ZERO));
        other.connection.answered();
        assert!(connections.take(addresses[1]).is_some());
        drop((first, fourth, other));
        assert!(connections.is_empty());
    }
}
