//! The platform as it was at an entry of a workspace: [`PlatformHistory`].
//!
//! No engine keeps one order of all entries for ever: a database has none, and an import may bring
//! one journal after the other. So the platform at an entry is found by time, as exactly as the
//! clocks of servers agree: it is one of the states around the time of the decision. If a clock was
//! ahead before and was set right, it may also be a later one, up to the time of the entry.

use std::collections::BTreeMap;

use tollkeeper_ledger::{Entry, Platform, Timestamp};

/// How long before its commit a command may have been decided, with what clocks may differ.
const LATENESS_SECONDS: i64 = 60;

/// How many states of the platform are kept.
const STATES_KEPT: usize = 64;

/// The journal of the platform.
#[derive(Debug, Default)]
pub(crate) struct PlatformHistory {
    entries: Vec<Entry>,
    /// Some of the states, by the number of entries that they include.
    states: BTreeMap<usize, Platform>,
}

impl PlatformHistory {
    /// Adds the next entry, which was applied without a violation.
    pub(crate) fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// The states in which the platform may have been when an entry was decided, the latest first.
    /// `at` is the time of the entry, which is later if a clock had been ahead.
    pub(crate) fn states_at(&mut self, decided_at: Timestamp, at: Timestamp) -> Vec<&Platform> {
        let until = at.max(decided_at);
        let (from, to) = (decided_at.plus_seconds(-LATENESS_SECONDS), until.plus_seconds(LATENESS_SECONDS));
        let latest = self.entries.iter().rposition(|entry| entry.decided_at <= to).map_or(0, |at| at + 1);
        let next = self.entries.iter().position(|entry| entry.decided_at >= from);
        let earliest = next.unwrap_or(self.entries.len()).min(latest);
        for included in earliest..=latest {
            self.make(included);
        }
        self.states.range(earliest..=latest).rev().map(|(_, platform)| platform).collect()
    }

    fn make(&mut self, included: usize) {
        if self.states.contains_key(&included) {
            return;
        }
        if self.states.len() >= STATES_KEPT {
            self.states.retain(|kept, _| *kept + STATES_KEPT / 2 > included && *kept < included);
        }
        let before = self.states.range(..included).next_back();
        let (from, mut platform) =
            before.map_or_else(|| (0, Platform::default()), |(from, platform)| (*from, platform.clone()));
        for entry in &self.entries[from..included] {
            platform.apply(entry).expect("it was applied before");
        }
        self.states.insert(included, platform);
    }
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{Account, Actor, EntryBody, WorkspaceId};

    use super::*;

    fn history(times: &[i64]) -> PlatformHistory {
        let mut account = Account::new(WorkspaceId::platform());
        let mut history = PlatformHistory::default();
        for (index, seconds) in times.iter().enumerate() {
            let hash = [index as u8 + 1; 32];
            let at = Timestamp::from_millis(seconds * 1_000);
            history.add(account.record(EntryBody::PlatformKeySet { hash }, None, Actor::Platform, at));
            account.link(hash);
        }
        history
    }

    #[test]
    fn the_platform_at_a_time_is_one_of_the_states_around_it() {
        let mut history = history(&[1_000, 2_000, 2_050, 9_000]);
        let mut keys = |seconds: i64| {
            let now = Timestamp::from_millis(seconds * 1_000);
            let states = history.states_at(now, now);
            states.iter().map(|platform| platform.key_hashes.len()).collect::<Vec<_>>()
        };
        assert_eq!(keys(0), [0]);
        assert_eq!(keys(990), [1, 0]);
        assert_eq!(keys(1_500), [1]);
        assert_eq!(keys(2_020), [3, 2, 1]);
        assert_eq!(keys(5_000), [3]);
        assert_eq!(keys(20_000), [4]);
        assert_eq!(keys(1_500), [1], "an earlier time again, as of the next workspace");
        let [before, ahead] = [500, 2_000].map(|seconds| Timestamp::from_millis(seconds * 1_000));
        let states = history.states_at(before, ahead);
        let keys: Vec<_> = states.iter().map(|platform| platform.key_hashes.len()).collect();
        assert_eq!(keys, [3, 2, 1, 0], "a clock that had been ahead was set right");
    }
}
